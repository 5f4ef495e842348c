//! Reads an account's insights to the end, whatever Meta finds too much on the way.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use ads::date::DateRange;
use ads::id::{AdAccountId, ObjectId};
use ads::metrics::{DayFacts, Measures};
use ads::object::Level;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::piece::{ACTIONS, COUNTS, Piece, query, time_range, windows};
use super::row::{AdDay, Number};
use super::{PAGE, Portion, ReportRun, report};
use crate::client::Caller;
use crate::code::Scope;
use crate::error::{Details, GraphError, TIMED_OUT};
use crate::page::Pages;

/// Impressions and spend.
type Total = (Decimal, Decimal);

#[derive(Deserialize)]
struct AccountDay {
    date_start: Date,
    #[serde(default)]
    impressions: Number,
    #[serde(default)]
    spend: Number,
}

/// A piece being read.
#[derive(Debug)]
struct Reading {
    piece: Piece,
    pages: Pages<AdDay>,
    /// How often an unreadable result of a report is asked for again.
    patience: u32,
    /// How often the report was started.
    starts: u32,
}

/// A result that is not there yet is asked for so often before the report is started again.
const PATIENCE: u32 = 4;

/// The rows of an account, portion by portion. Each row is given once, whatever happens on the way.
///
/// After an error [`AdDays::next`] may be called again, and goes on where it was.
#[derive(Debug)]
pub struct AdDays {
    caller: Caller,
    account: AdAccountId,
    range: DateRange,
    portion: Portion,
    pieces: VecDeque<Piece>,
    current: Option<Reading>,
    given: HashSet<(ObjectId, Date)>,
    /// What campaigns that are read one by one must still sum up to.
    missing: BTreeMap<Date, Total>,
    runs: Vec<ReportRun>,
}

impl AdDays {
    pub(super) fn new(caller: Caller, account: AdAccountId, range: DateRange, portion: Portion) -> Self {
        let whole = Piece { range, campaign: None, as_report: portion.as_report };
        Self {
            caller,
            account,
            range,
            portion,
            pieces: windows(&whole, portion.days).into(),
            current: None,
            given: HashSet::new(),
            missing: BTreeMap::new(),
            runs: Vec::new(),
        }
    }

    /// Goes on with report runs over these days that an earlier reader has started: a report may take longer than
    /// an invocation.
    #[must_use]
    pub fn going_on(mut self, mut runs: Vec<ReportRun>) -> Self {
        let now = self.caller.graph().now();
        runs.retain(|run| run.lies_within(self.range) && run.is_fresh(now));
        self.runs = runs;
        self
    }

    /// The report runs that were started and not read to their end.
    pub fn unread_runs(&self) -> &[ReportRun] {
        &self.runs
    }

    /// The portion in use, which may have become smaller.
    pub fn portion(&self) -> Portion {
        self.portion
    }

    /// The next rows, which may be none; `None` after the last ones.
    pub async fn next(&mut self) -> Result<Option<Vec<AdDay>>, GraphError> {
        loop {
            let Some(mut reading) = self.current.take() else {
                let Some(piece) = self.pieces.pop_front().or_else(|| self.what_is_missing()) else {
                    return Ok(None);
                };
                if let Some(rows) = self.begin(piece).await? {
                    return Ok(Some(rows));
                }
                continue;
            };
            match reading.pages.next_as_is().await {
                Ok(Some(rows)) => {
                    let rows = self.take(&reading.piece, rows);
                    self.current = Some(reading);
                    return Ok(Some(rows));
                }
                Ok(None) => self.forget_run(reading.piece.range),
                Err(GraphError::MakeSmaller(details)) => {
                    self.forget_run(reading.piece.range);
                    self.make_smaller(reading, details)?;
                }
                Err(error) if reading.piece.as_report && is_unreadable(&error) => {
                    self.ask_again(reading, error).await?;
                }
                Err(error) => {
                    self.current = Some(reading);
                    return Err(error);
                }
            }
        }
    }

    /// Begins to read a piece, in the portion in use. What could not be begun is still to be read.
    async fn begin(&mut self, piece: Piece) -> Result<Option<Vec<AdDay>>, GraphError> {
        let begun = if self.portion.by_half {
            self.read_by_half(&piece).await.map(Some)
        } else if self.portion.by_campaign && piece.campaign.is_none() && !piece.as_report {
            self.split_by_campaign(&piece).await.map(|()| None)
        } else {
            self.open(&piece, 0).await.map(|()| None)
        };
        match begun {
            Ok(rows) => Ok(rows),
            Err(GraphError::MakeSmaller(details)) => {
                let pages = self.pages(&piece, &[COUNTS, ACTIONS].join(","));
                self.make_smaller(Reading { piece, pages, patience: 0, starts: 0 }, details)?;
                Ok(None)
            }
            Err(error) => {
                self.pieces.push_front(piece);
                Err(error)
            }
        }
    }

    fn pages(&self, piece: &Piece, fields: &str) -> Pages<AdDay> {
        let path = format!("{}/insights", self.account);
        Pages::new(self.caller.clone(), path, query(piece, fields), PAGE).of_size(self.portion.rows)
    }

    /// Opens a piece for reading; a report, once it is complete.
    async fn open(&mut self, piece: &Piece, mut starts: u32) -> Result<(), GraphError> {
        let fields = [COUNTS, ACTIONS].join(",");
        let mut pages = self.pages(piece, &fields);
        if piece.as_report {
            let path = format!("{}/insights", self.account);
            let query = query(piece, &fields);
            let run = loop {
                let known = self.runs.iter().position(|run| run.range == piece.range);
                let run = match known {
                    Some(known) => self.runs[known].id.clone(),
                    None => {
                        starts += 1;
                        let id = report::start(&self.caller, &path, &query).await?;
                        let started_at = self.caller.graph().now();
                        self.runs.push(ReportRun { range: piece.range, id: id.clone(), started_at });
                        id
                    }
                };
                // Whatever goes wrong for good, the next try is another run.
                match report::watch(&self.caller, &run).await {
                    Ok(report::Ended::Complete) => break run,
                    Err(error @ (GraphError::Wait { .. } | GraphError::TryLater(_))) => return Err(error),
                    Err(error) => {
                        self.forget_run(piece.range);
                        return Err(error);
                    }
                    Ok(report::Ended::InVain(details)) => {
                        self.forget_run(piece.range);
                        if starts >= report::STARTS {
                            return Err(GraphError::TryLater(details));
                        }
                    }
                }
            };
            pages = Pages::new(self.caller.clone(), format!("{run}/insights"), Vec::new(), PAGE);
        }
        self.current = Some(Reading { piece: piece.clone(), pages, patience: PATIENCE, starts });
        Ok(())
    }

    fn forget_run(&mut self, range: DateRange) {
        self.runs.retain(|run| run.range != range);
    }

    /// Hands rows out, each once, and counts them against what campaigns must sum up to.
    fn take(&mut self, piece: &Piece, rows: Vec<AdDay>) -> Vec<AdDay> {
        if piece.campaign.is_some() {
            for row in &rows {
                let measures = &row.facts.measures;
                let (impressions, spend) = self.missing.entry(row.facts.day).or_default();
                *impressions -= Decimal::from(measures.impressions);
                *spend -= measures.spend;
            }
        }
        rows.into_iter().filter(|row| self.given.insert((row.ad.clone(), row.facts.day))).collect()
    }

    /// Days on which the campaigns did not sum up to the account, as one more piece: a campaign that is not
    /// listed any more has numbers all the same.
    fn what_is_missing(&mut self) -> Option<Piece> {
        let missing = std::mem::take(&mut self.missing);
        let mut days =
            missing.into_iter().filter(|(_, total)| *total != Total::default()).map(|(day, _)| day);
        let first = days.next()?;
        let range = DateRange { since: first, until: days.next_back().unwrap_or(first) };
        tracing::info!(ad_account = %self.account, ?range, "Campaigns do not sum up to their account: a report will.");
        Some(Piece { range, campaign: None, as_report: true })
    }

    /// Puts pieces in the place of one that was too much: fewer days, fewer rows a page, one campaign at a time, a
    /// report, half of the fields.
    fn make_smaller(&mut self, mut reading: Reading, details: Details) -> Result<(), GraphError> {
        let piece = &reading.piece;
        let timed_out = [Some(TIMED_OUT), Some(TIMED_OUT_TOO)].contains(&details.subcode);
        let days = piece.range.days().unsigned_abs();
        let mut smaller = self.portion;
        if days > 1 && reading.pages.cursor().is_none() && (!timed_out || piece.as_report) {
            smaller.days = days / 2;
            for window in windows(piece, smaller.days).into_iter().rev() {
                self.pieces.push_front(window);
            }
        } else if !timed_out && !piece.as_report && reading.pages.shrink() {
            smaller.rows = reading.pages.size();
            self.current = Some(reading);
        } else if !timed_out && !piece.as_report && piece.campaign.is_none() && !smaller.by_campaign {
            smaller.by_campaign = true;
            self.pieces.push_front(reading.piece);
        } else if !piece.as_report && !smaller.by_half {
            // A report is one query however much it holds: all that is still to come is asked for at once.
            smaller = Portion { as_report: true, ..Portion::default() };
            let range = self.pieces.drain(..).fold(reading.piece.range, |all, piece| DateRange {
                since: all.since.min(piece.range.since),
                until: all.until.max(piece.range.until),
            });
            // And with it whatever campaigns did not come to so far.
            let missing = self.what_is_missing().map_or(range, |piece| piece.range);
            let range =
                DateRange { since: range.since.min(missing.since), until: range.until.max(missing.until) };
            self.pieces.push_front(Piece { range, campaign: None, as_report: true });
        } else if !smaller.by_half {
            smaller.by_half = true;
            self.pieces.push_front(Piece { as_report: false, ..reading.piece });
        } else {
            self.pieces.push_front(reading.piece);
            return Err(GraphError::MakeSmaller(details));
        }
        self.portion = smaller;
        tracing::info!(ad_account = %self.account, portion = ?self.portion, "Meta wants to be asked for less.");
        Ok(())
    }

    /// A report that is complete may not be readable yet: it is asked for again, and after a while started anew.
    async fn ask_again(&mut self, mut reading: Reading, error: GraphError) -> Result<(), GraphError> {
        if reading.patience == 0 {
            self.forget_run(reading.piece.range);
            return if reading.starts >= report::STARTS {
                self.pieces.push_front(reading.piece);
                Err(error)
            } else {
                self.open(&reading.piece, reading.starts).await
            };
        }
        reading.patience -= 1;
        let pause = Duration::from_secs(2) * (PATIENCE - reading.patience);
        self.current = Some(reading);
        if self.caller.pause(pause).await {
            return Ok(());
        }
        Err(GraphError::Wait { after: pause, scope: Scope::Action, details: Details::of(error.to_string()) })
    }

    /// The campaigns of an account in the place of the whole, with the sum they must come to.
    async fn split_by_campaign(&mut self, piece: &Piece) -> Result<(), GraphError> {
        let totals = self.account_days(piece.range).await?;
        let campaigns = self.caller.objects(&self.account, Level::Campaign).all().await?;
        for campaign in campaigns {
            let campaign = Some(campaign.into_object(Level::Campaign).id);
            self.pieces.push_front(Piece { campaign, ..piece.clone() });
        }
        for (day, (impressions, spend)) in totals {
            let missing = self.missing.entry(day).or_default();
            *missing = (missing.0 + impressions, missing.1 + spend);
        }
        Ok(())
    }

    /// What the account as a whole spent and showed, day by day.
    async fn account_days(&self, range: DateRange) -> Result<BTreeMap<Date, Total>, GraphError> {
        let query = vec![
            ("level", "account".to_owned()),
            ("time_increment", "1".to_owned()),
            ("time_range", time_range(range)),
            ("fields", "impressions,spend".to_owned()),
        ];
        let days =
            Pages::<AccountDay>::new(self.caller.clone(), format!("{}/insights", self.account), query, PAGE);
        Ok(days
            .all()
            .await?
            .into_iter()
            .map(|day| (day.date_start, (day.impressions.0, day.spend.0)))
            .collect())
    }

    /// Counts first, then actions, put together row by row.
    async fn read_by_half(&mut self, piece: &Piece) -> Result<Vec<AdDay>, GraphError> {
        let mut rows: BTreeMap<(ObjectId, Date), AdDay> = BTreeMap::new();
        for row in self.pages(piece, COUNTS).all().await? {
            rows.insert((row.ad.clone(), row.facts.day), row);
        }
        for row in self.pages(piece, ACTIONS).all().await? {
            // An action without an impression that day is a row of its own.
            let known = rows.entry((row.ad.clone(), row.facts.day)).or_insert_with(|| AdDay {
                facts: DayFacts { measures: Measures::default(), ..row.facts.clone() },
                ..row.clone()
            });
            known.facts.measures += &row.facts.measures;
        }
        Ok(self.take(piece, rows.into_values().collect()))
    }
}

/// The other number of an insights query that took too long.
const TIMED_OUT_TOO: i64 = 1_504_038;

fn is_unreadable(error: &GraphError) -> bool {
    matches!(error, GraphError::FixInput(_) | GraphError::Gone(_) | GraphError::TryLater(_))
}
