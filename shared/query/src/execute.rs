//! Executes a query: reads each ad account, then filters, orders and pages the rows of all of them.

use std::collections::HashSet;

use domain::date::DateRange;
use domain::id::EntityId;
use domain::money::Currency;
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use futures_util::{StreamExt, TryStreamExt, stream};
use rust_decimal::Decimal;
use store::Table;
use store::account::AdAccount;

use crate::answer::{Answer, Row, Totals};
use crate::document::{Dimension, Query};
use crate::filter::Filter;
use crate::numbers::Numbers;
use crate::order::{OrderBy, OrderKey, OrderOf, Position, SortValue};
use crate::rows::{AccountRows, Reader};
use crate::view::Change;

/// Rows of an answer before they are ordered, at most: they are in memory at once.
const MAX_ROWS: usize = 100_000;

/// Ad accounts that are read at the same time.
const CONCURRENT_ACCOUNTS: usize = 8;

/// Answers a [checked](Query::check) query about these ad accounts. Rows begin after a position of an earlier answer.
///
/// # Errors
/// Invalid input, with the field at fault: ids that no account has, currencies without a rate, and answers that do not
/// fit into memory.
pub async fn execute(
    table: &Table,
    workspace: &Tenant,
    accounts: &[AdAccount],
    query: &Query,
    after: Option<&str>,
) -> Result<Answer, Error> {
    let order = query.order();
    let after = after.map(str::parse::<Position>).transpose()?;
    let accounts: Vec<_> = accounts.iter().filter(|account| is_asked_for(account, query)).collect();
    let currency = common_currency(&accounts, query)?;
    let mut readers = Vec::with_capacity(accounts.len());
    for account in accounts {
        let rate = match &query.convert {
            None => Decimal::ONE,
            Some(convert) => convert.rate(account.currency).ok_or_else(|| missing_rate(account.currency))?,
        };
        readers.push(Reader { table, workspace, account, query, rate });
    }
    let reads: Vec<_> = readers.iter().enumerate().map(|(number, reader)| reader.read(number)).collect();
    let mut reads = stream::iter(reads).buffered(CONCURRENT_ACCOUNTS);
    let (mut parts, mut count) = (Vec::<AccountRows>::new(), 0);
    while let Some(part) = reads.try_next().await? {
        count += part.rows.len().max(part.known.len());
        if count > MAX_ROWS {
            let message = format!(
                "would have more than {MAX_ROWS} rows or entities in memory; ask for fewer ad accounts at a time, or a higher level"
            );
            return Err(FieldError::new("ad_accounts", message).into());
        }
        parts.push(part);
    }
    check_known(&parts, query)?;

    let all = parts.iter_mut().flat_map(|part| std::mem::take(&mut part.rows));
    let (mut rows, mut unknown_rows, mut totals) = (Vec::new(), 0, Totals::default());
    for row in all {
        match passes(&row, query) {
            Some(true) => {
                totals.add(&row);
                rows.push((position(&row, query, &order), row));
            }
            Some(false) => {}
            None => unknown_rows += 1,
        }
    }
    if let Some(after) = after {
        rows.retain(|(position, _)| position.compare(&after, &order).is_gt());
    }
    let by_position = |(a, _): &(Position, Row), (b, _): &(Position, Row)| a.compare(b, &order);
    let more = rows.len() > query.rows();
    if more {
        rows.select_nth_unstable_by(query.rows(), by_position);
        rows.truncate(query.rows());
    }
    rows.sort_unstable_by(by_position);
    let (fitting, bytes) = fitting_rows(&rows, query);
    let more = more || fitting < rows.len();
    rows.truncate(fitting);
    let last = rows.last().map(|(position, _)| position.to_string());
    let mut rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    if query.sparklines.as_ref().is_some_and(|measures| !measures.is_empty()) {
        for (number, (reader, part)) in readers.iter().zip(&parts).enumerate() {
            let mut of_account: Vec<_> = rows.iter_mut().filter(|row| row.account == number).collect();
            if !of_account.is_empty() {
                reader.add_sparklines(part, &mut of_account).await?;
            }
        }
    }
    let (range, compared): (DateRange, _) = (query.range()?, query.compared()?);
    let accounts = parts.into_iter().map(|part| part.scope).collect();
    Ok(Answer { currency, accounts, range, compared, rows, totals, unknown_rows, last, more, bytes })
}

/// Bytes of a row without its numbers: names, ids, dimensions.
const ROW_BYTES: usize = 500;

/// Bytes of a number with its name.
const NUMBER_BYTES: usize = 45;

/// Returns how many rows an answer of the query's size has room for, at least one, and how much they take. Sizes are
/// estimates, on the safe side.
fn fitting_rows(rows: &[(Position, Row)], query: &Query) -> (usize, usize) {
    let Some(max_bytes) = query.max_bytes else { return (rows.len(), 0) };
    let days = query.range().map_or(0, |range| range.days().unsigned_abs() as usize);
    // Numbers of sparklines have no names.
    let measures = query.measures.len() + query.sparklines.as_ref().map_or(0, Vec::len) * days / 2;
    let details = |numbers: &Numbers| {
        let measures = numbers.measures.as_ref().filter(|_| query.include.is_some());
        measures.map_or(0, |of| of.actions.len() + of.action_values.len() + 3 * of.by_window.len())
    };
    let bytes = |row: &Row| {
        let compared =
            row.previous.as_ref().map_or(0, |previous| 3 * query.measures.len() + details(previous));
        ROW_BYTES + NUMBER_BYTES * (measures + compared + details(&row.numbers))
    };
    let (mut count, mut used) = (0, 0);
    for (_, row) in rows {
        let with_row = used + bytes(row);
        if count > 0 && with_row > max_bytes {
            break;
        }
        (count, used) = (count + 1, with_row);
    }
    (count, used)
}

fn is_asked_for(account: &AdAccount, query: &Query) -> bool {
    query.filters.iter().all(|filter| match filter {
        Filter::Accounts { accounts, is_among } => accounts.contains(&account.id) == *is_among,
        _ => true,
    })
}

/// Returns the currency of the answer. Amounts of different currencies are never added.
fn common_currency(accounts: &[&AdAccount], query: &Query) -> Result<Currency, Error> {
    if let Some(convert) = &query.convert {
        return Ok(convert.to);
    }
    let Some(first) = accounts.first() else {
        return Err(FieldError::new("ad_accounts", "none of the workspace's ad accounts is asked for").into());
    };
    let other = accounts.iter().find(|account| account.currency != first.currency);
    other.map_or(Ok(first.currency), |other| {
        let message = format!(
            "is needed: {} is in {} and {} in {}; ask for one currency at a time, or state rates",
            first.id, first.currency, other.id, other.currency
        );
        Err(FieldError::new("convert", message).into())
    })
}

fn missing_rate(currency: Currency) -> FieldError {
    FieldError::new("convert.rates", format!("has no rate of {currency}, in which one of the ad accounts is"))
}

/// Refuses ids that no account has: an empty answer would look like no delivery.
fn check_known(parts: &[AccountRows], query: &Query) -> Result<(), Error> {
    let mut errors = Vec::new();
    for (number, filter) in query.filters.iter().enumerate() {
        let Filter::Entities { level, ids, is_among: true } = filter else { continue };
        let rows = parts.iter().flat_map(|part| &part.rows).filter(|_| *level == query.level);
        let found: HashSet<&EntityId> = rows.filter_map(|row| row.id.as_ref()).collect();
        let has = |part: &AccountRows, id: &EntityId| {
            if *level == query.level { part.known.contains_key(id) } else { part.named.contains(id) }
        };
        let is_known = |id: &EntityId| found.contains(id) || parts.iter().any(|part| has(part, id));
        let unknown: Vec<_> = ids.iter().filter(|id| !is_known(id)).map(EntityId::as_str).collect();
        if !unknown.is_empty() {
            let message = format!("holds what is no {level} of these ad accounts: {}", unknown.join(", "));
            errors.push(FieldError::new(format!("filters[{number}].value"), message));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

/// Returns whether a row's numbers pass the filters; `None` where one of them is unknown and no other fails.
fn passes(row: &Row, query: &Query) -> Option<bool> {
    let mut is_known = true;
    for filter in &query.filters {
        let Filter::Number { measure, operator, value } = filter else { continue };
        match row.numbers.of(measure) {
            Some(number) if operator.holds(number, *value) => {}
            Some(_) => return Some(false),
            None => is_known = false,
        }
    }
    is_known.then_some(true)
}

/// Returns the place of a row in the order.
fn position(row: &Row, query: &Query, order: &[OrderBy]) -> Position {
    let value = |order: &OrderBy| match (&order.by, order.of) {
        (OrderKey::Measure(measure), OrderOf::Value) => row.numbers.of(measure).into(),
        (OrderKey::Measure(measure), OrderOf::Change) => {
            let none = Numbers::default();
            let change = Change::of(measure, &row.numbers, row.previous.as_ref().unwrap_or(&none));
            change.map(|change| change.absolute).into()
        }
        (OrderKey::Name, _) => row.entity.as_ref().and_then(|entity| entity.name.clone()).into(),
        (OrderKey::Dimension(Dimension::Breakdown(breakdown)), _) => {
            let mut breakdowns = query.breakdowns().into_iter().zip(&row.breakdowns);
            breakdowns.find(|(known, _)| known == breakdown).and_then(|(_, value)| value.clone()).into()
        }
        (OrderKey::Dimension(dimension), _) => match dimension.attribute() {
            None => row.bucket.map(|day| day.to_string()).into(),
            Some(wanted) => {
                let mut attributes = query.attributes().zip(&row.attributes);
                let known =
                    attributes.find(|(attribute, _)| *attribute == wanted).map(|(_, value)| value.clone());
                let of_entity =
                    || row.entity.as_ref().and_then(|entity| wanted.of(entity)).map(str::to_owned);
                known.unwrap_or_else(of_entity).into()
            }
        },
    };
    let id = row.id.as_ref().map_or("", EntityId::as_str);
    let bucket = row.bucket.map(|day| day.to_string()).unwrap_or_default();
    let attributes =
        row.attributes.iter().chain(&row.breakdowns).map(|value| value.as_deref().unwrap_or_default());
    let attributes = attributes.collect::<Vec<_>>().join("#");
    Position {
        values: order.iter().map(value).collect::<Vec<SortValue>>(),
        row: format!("{bucket}#{attributes}#{id}#{}", row.account),
    }
}
