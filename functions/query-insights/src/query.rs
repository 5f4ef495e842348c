//! `POST query`: one document, over several ad accounts.

use std::collections::BTreeMap;

use domain::date::DateRange;
use domain::entity::Level;
use domain::id::{AdAccountId, EntityId};
use domain::money::Currency;
use domain::{Error, FieldError};
use http::{Method, StatusCode};
use jiff::civil::Date;
use query::{
    Answer, Convert, Dimension, MAX_ANSWER_BYTES, Measure, MeasuresView, Query, ReachScope, Row, TotalsView,
};
use runtime::endpoint::{self, Endpoint};
use runtime::page::{Cursor, document_cursor};
use runtime::request::{Json, NoPath, NoQuery, RequestContext};
use runtime::session::{Role, Session};
use rust_decimal::Decimal;
use serde::Serialize;
use store::account::AdAccount;
use store::report_scope::{IncompleteDays, ReportScope};

use crate::QueryInsights;

pub(crate) fn run_query() -> Endpoint<QueryInsights> {
    endpoint::member(Method::POST, "/v1/workspaces/{workspace}/query", Role::Viewer)
        .named("run_query", "Answers a query over the ad accounts of a workspace")
        .description("It changes nothing. Numbers come from the table, never from Meta.")
        .only_reads()
        .responds(StatusCode::OK, "A page of rows, with totals over all of them.", QueryInsights::run_query)
}

/// A page of rows, totals over all rows, and what they are about.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct QueryAnswer {
    /// The currency of every amount.
    currency: Currency,
    /// The rates with which amounts were converted, as the query states them.
    #[serde(skip_serializing_if = "Option::is_none")]
    convert: Option<Convert>,
    /// First day.
    since: Date,
    /// Last day, included.
    until: Date,
    /// The days that are compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<DateRange>,
    /// The ad accounts, and how fresh their numbers are.
    ad_accounts: Vec<AccountView>,
    data: Vec<RowView>,
    /// All rows together, also those of other pages.
    totals: TotalsView,
    /// Rows that were left out because a number of a filter is unknown.
    unknown_rows: usize,
    /// Give it back as `after` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

/// An ad account of an answer.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct AccountView {
    #[serde(flatten)]
    scope: ReportScope,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// How fresh its reach is, where that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    reach: Option<ReachScope>,
    /// Days of the period that is compared with whose numbers are missing or may still grow.
    #[serde(skip_serializing_if = "Option::is_none")]
    compared_incomplete_days: Option<Vec<IncompleteDays>>,
}

/// A row.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct RowView {
    ad_account: AdAccountId,
    level: Level,
    /// Absent at account level.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<EntityId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign_id: Option<EntityId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    adset_id: Option<EntityId>,
    /// The values of the query's dimensions. A week is named by its Monday, a month by its first day. What is unknown is
    /// left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    dimensions: BTreeMap<Dimension, String>,
    #[serde(flatten)]
    measures: MeasuresView,
    /// For each of the query's sparklines a value for each day of the range; `null` where it is unknown.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sparklines: BTreeMap<Measure, Vec<Option<Decimal>>>,
}

impl QueryInsights {
    async fn run_query(
        self,
        context: RequestContext<Session, NoPath, NoQuery, Json<Query>>,
    ) -> Result<Json<QueryAnswer>, Error> {
        let RequestContext { caller: session, body: Json(mut query), .. } = context;
        query.check().map_err(Error::Invalid)?;
        query.max_bytes = Some(MAX_ANSWER_BYTES);
        let identity = query.identity();
        let cursor = query.after.clone().map(Cursor::try_from).transpose().map_err(|_| Cursor::invalid())?;
        let after = cursor.as_ref().map(|cursor| cursor.position_in(&identity)).transpose()?;
        let accounts = self.accounts(&session, query.ad_accounts.as_deref()).await?;
        let answer = query::execute(&self.table, &session.workspace, &accounts, &query, after).await?;
        Ok(Json(view(answer, &query, &identity)))
    }

    /// Returns the ad accounts that are asked for: all that are selected, or these.
    async fn accounts(
        &self,
        session: &Session,
        wanted: Option<&[AdAccountId]>,
    ) -> Result<Vec<AdAccount>, Error> {
        let accounts = self.table.accounts(&session.workspace).await?;
        let Some(wanted) = wanted else {
            return Ok(accounts.into_iter().filter(|account| account.selected).collect());
        };
        let unknown = wanted.iter().filter(|id| !accounts.iter().any(|account| account.id == **id));
        let unknown: Vec<_> = unknown.map(AdAccountId::as_str).collect();
        if !unknown.is_empty() {
            let message = format!("holds what is no ad account of this workspace: {}", unknown.join(", "));
            return Err(FieldError::new("ad_accounts", message).into());
        }
        Ok(accounts.into_iter().filter(|account| wanted.contains(&account.id)).collect())
    }
}

fn view(answer: Answer, query: &Query, identity: &str) -> QueryAnswer {
    let after = answer.after();
    let Answer { currency, accounts, range, compared, rows, totals, unknown_rows, .. } = answer;
    let known: Vec<(AdAccountId, Option<String>)> =
        accounts.iter().map(|account| (account.scope.ad_account.clone(), account.name.clone())).collect();
    let row = |row: Row| RowView {
        ad_account: known[row.account].0.clone(),
        level: query.level,
        name: match query.level {
            Level::Account => known[row.account].1.clone(),
            _ => row.entity.as_ref().and_then(|entity| entity.name.clone()),
        },
        dimensions: row.dimensions(query),
        measures: row.measures(query),
        sparklines: row.sparklines(query),
        id: row.id,
        campaign_id: row.campaign_id,
        adset_id: row.adset_id,
    };
    let account = |account: query::AccountScope| AccountView {
        scope: account.scope,
        name: account.name,
        reach: account.reach,
        compared_incomplete_days: account.compared.map(|compared| compared.incomplete_days),
    };
    QueryAnswer {
        currency,
        convert: query.convert.clone(),
        since: range.since,
        until: range.until,
        compared,
        ad_accounts: accounts.into_iter().map(account).collect(),
        data: rows.into_iter().map(row).collect(),
        totals: TotalsView::new(&totals, query),
        unknown_rows,
        after: after.map(|position| document_cursor(identity, &position)),
    }
}
