//! The output at the end of a run: text, or one JSON document.

use anyhow::Context;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table as Grid};
use domain::dataset::Dataset;
use domain::id::AdAccountId;
use domain::metrics::Measures;
use http::Method;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;
use store::chunk::ChunkState;

use crate::demo::{ApiClient, WORKSPACE};
use crate::system::System;
use crate::tenant::tenant;

/// What a run did, in the shape of `--json`.
#[derive(Debug, Serialize)]
pub struct Report {
    account: AccountPart,
    entities: Entities,
    facts: Facts,
    totals: Totals,
    graph_calls: u64,
    chunks: Chunks,
    rules: Vec<RulePart>,
    seconds: f64,
    #[serde(skip)]
    campaigns: Vec<Value>,
}

#[derive(Debug, Serialize)]
struct AccountPart {
    id: AdAccountId,
    #[serde(skip)]
    name: String,
    currency: String,
    timezone: String,
}

#[derive(Debug, Serialize)]
struct Entities {
    campaigns: usize,
    adsets: usize,
    ads: usize,
}

#[derive(Debug, Serialize)]
struct Facts {
    /// Ad-days stored by all runs so far.
    rows: u64,
    first_day: Option<Date>,
    last_day: Option<Date>,
    /// Items of the table that this run wrote.
    segments_written: u64,
    /// Items that were unchanged and therefore not written again.
    segments_unchanged: u64,
}

#[derive(Debug, Serialize)]
struct Totals {
    spend: Decimal,
    impressions: u64,
    clicks: u64,
}

#[derive(Debug, Serialize)]
struct Chunks {
    done: usize,
    failed: usize,
}

#[derive(Debug, Serialize)]
struct RulePart {
    id: String,
    name: String,
    decisions: Vec<DecisionPart>,
}

impl Report {
    /// Queries the running system, over HTTP where the front end would.
    pub async fn gather(system: &System, api: &ApiClient) -> anyhow::Result<Self> {
        let account: AdAccountId = system.sim().context("no simulated account")?.account().id.parse()?;
        let workspace = tenant(WORKSPACE)?;
        let row = system.table.account(&workspace, &account).await?.context("the account is not there")?;
        let path = format!("ad-accounts/{account}");

        let mut chunks = system.table.chunks(&workspace, &account).await?;
        chunks.retain(|chunk| chunk.dataset == Dataset::AD_DAY);
        let before = system.snapshots.get(&(workspace.clone(), account.clone())).cloned().unwrap_or_default();
        let this_run = chunks.iter().filter(|chunk| before.fences.get(&chunk.week) != Some(&chunk.fence));
        let (segments_written, segments_unchanged) =
            this_run.fold((0, 0), |sum, chunk| (sum.0 + chunk.written, sum.1 + chunk.unchanged));
        let count = |state| chunks.iter().filter(|chunk| chunk.state == state).count();

        let mut totals = Measures::default();
        let mut days: Vec<Date> = Vec::new();
        if let (Some(first), Some(last)) = (chunks.first(), chunks.last()) {
            let range = format!("since={}&until={}", first.week.range().since, last.week.range().until);
            for row in api.all(&format!("{path}/insights?level=account&increment=day&{range}")).await? {
                days.push(row["date_start"].as_str().context("a row without a day")?.parse()?);
                let measures = &row["measures"];
                let spend = measures["spend"].as_str().context("a row without spend")?;
                totals.spend += spend.parse::<Decimal>()?;
                totals.impressions +=
                    measures["impressions"].as_u64().context("a row without impressions")?;
                totals.clicks += measures["clicks"].as_u64().context("a row without clicks")?;
            }
        }
        let mut rules = Vec::new();
        for rule in api.call(Method::GET, "rules", None).await?["data"].as_array().into_iter().flatten() {
            let text = |field: &str| rule[field].as_str().unwrap_or_default().to_owned();
            let decisions = api.all(&format!("rules/{}/decisions", text("id"))).await?;
            let decisions = decisions.iter().map(DecisionPart::from_json).collect::<anyhow::Result<_>>()?;
            rules.push(RulePart { id: text("id"), name: text("name"), decisions });
        }
        let top = format!("{path}/campaigns?sort=spend&limit=10");
        let campaigns =
            api.call(Method::GET, &top, None).await?["data"].as_array().cloned().unwrap_or_default();
        Ok(Self {
            entities: Entities {
                campaigns: api.all(&format!("{path}/campaigns")).await?.len(),
                adsets: api.all(&format!("{path}/adsets")).await?.len(),
                ads: api.all(&format!("{path}/ads")).await?.len(),
            },
            account: AccountPart {
                id: account,
                name: row.name.unwrap_or_default(),
                currency: row.currency.to_string(),
                timezone: row.timezone,
            },
            facts: Facts {
                rows: chunks.iter().map(|chunk| chunk.manifest.rows()).sum(),
                first_day: days.iter().min().copied(),
                last_day: days.iter().max().copied(),
                segments_written,
                segments_unchanged,
            },
            totals: Totals { spend: totals.spend, impressions: totals.impressions, clicks: totals.clicks },
            graph_calls: system.graph.calls(),
            chunks: Chunks { done: count(ChunkState::Done), failed: count(ChunkState::Failed) },
            rules,
            seconds: system.clock.now().duration_since(system.started_at).as_secs_f64(),
            campaigns,
        })
    }

    /// Returns whether every week was measured.
    pub fn is_complete(&self) -> bool {
        self.chunks.failed == 0
    }

    /// Returns the report as text.
    pub fn to_text(&self) -> String {
        let (account, facts, totals) = (&self.account, &self.facts, &self.totals);
        let days = match (facts.first_day, facts.last_day) {
            (Some(first), Some(last)) => format!("{first} to {last}"),
            _ => "no day with delivery".to_owned(),
        };
        let mut text = format!(
            "\n{} ({}), {}, {}\n{} campaigns, {} ad sets, {} ads; {} ad-days, {days}\n\
             {} {} spent, {} impressions, {} clicks in all\n\
             {} Graph calls, {} weeks measured, {} failed; {} segments of facts written, {} unchanged; {:.1} s\n\n\
             Campaigns with most spend, last 30 days\n{}\n",
            account.name,
            account.id,
            account.currency,
            account.timezone,
            self.entities.campaigns,
            self.entities.adsets,
            self.entities.ads,
            facts.rows,
            account.currency,
            totals.spend,
            totals.impressions,
            totals.clicks,
            self.graph_calls,
            self.chunks.done,
            self.chunks.failed,
            facts.segments_written,
            facts.segments_unchanged,
            self.seconds,
            self.campaign_grid(),
        );
        for rule in &self.rules {
            text.push_str(&rule.to_text());
        }
        text
    }

    fn campaign_grid(&self) -> Grid {
        let mut grid = Grid::new();
        grid.load_style(UTF8_BORDERS_ONLY);
        grid.set_header([
            "Campaign",
            "Spend",
            "Impressions",
            "Clicks",
            "CTR",
            "Results",
            "Cost per result",
            "ROAS",
        ]);
        for campaign in &self.campaigns {
            let measures = &campaign["measures"];
            let cell = |field: &str| match &measures[field] {
                Value::String(text) => text.clone(),
                Value::Null => "-".to_owned(),
                number => number.to_string(),
            };
            let number = |field: &str| measures[field].as_str().and_then(|text| text.parse::<Decimal>().ok());
            let rounded = |value: Option<Decimal>| {
                value.map_or_else(|| "-".to_owned(), |value| format!("{:.2}", value.round_dp(2)))
            };
            let kind = campaign["result_type"].as_str().unwrap_or_default().replace('_', " ");
            let results = format!("{} {kind}", cell("results"));
            grid.add_row([
                campaign["name"].as_str().unwrap_or("(unnamed)").to_owned(),
                cell("spend"),
                cell("impressions"),
                cell("clicks"),
                format!("{} %", rounded(number("ctr").map(|rate| rate * Decimal::ONE_HUNDRED))),
                results.trim_end().to_owned(),
                rounded(number("cost_per_result")),
                rounded(number("roas")),
            ]);
        }
        for column in grid.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        grid
    }
}

/// Decisions of a rule that are listed; the others are counted.
const MAX_SHOWN_DECISIONS: usize = 5;

/// One decision: what was done, why, and its outcome.
#[derive(Debug, Serialize)]
struct DecisionPart {
    entity: String,
    entity_name: Option<String>,
    action: String,
    outcome: String,
    reason: Option<String>,
    measure: String,
    value: Decimal,
    spend: Decimal,
}

impl DecisionPart {
    fn from_json(decision: &Value) -> anyhow::Result<Self> {
        let text = |at: &str| decision.pointer(at).and_then(Value::as_str).map(str::to_owned);
        let needed = |at: &str| text(at).with_context(|| format!("a decision without {at}"));
        Ok(Self {
            entity: needed("/entity")?,
            entity_name: text("/entity_name"),
            action: needed("/action/type")?,
            outcome: needed("/outcome")?,
            reason: text("/reason"),
            measure: needed("/condition/measure")?,
            value: needed("/value")?.parse()?,
            spend: needed("/spend")?.parse()?,
        })
    }

    fn to_text(&self) -> String {
        let ended = match (self.outcome.as_str(), self.action.as_str()) {
            ("done", "notify") => "noted",
            ("done", "pause") => "paused",
            ("done", "set_budget") => "budget set",
            ("no_change", _) => "no change",
            (other, _) => other,
        };
        let name = self.entity_name.as_deref().unwrap_or(&self.entity);
        let reason = self.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let measure = self.measure.replace('_', " ");
        format!(
            "  {ended}: {name}: {measure} {:.2}, spend {:.2}{reason}\n",
            self.value.round_dp(2),
            self.spend
        )
    }
}

impl RulePart {
    fn to_text(&self) -> String {
        let mut text = format!("\nRule: {}\n", self.name);
        if self.decisions.is_empty() {
            text.push_str("  nothing to decide\n");
        }
        for decision in self.decisions.iter().take(MAX_SHOWN_DECISIONS) {
            text.push_str(&decision.to_text());
        }
        if self.decisions.len() > MAX_SHOWN_DECISIONS {
            text.push_str(&format!("  and {} more\n", self.decisions.len() - MAX_SHOWN_DECISIONS));
        }
        text
    }
}
