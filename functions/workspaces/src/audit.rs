//! The audit log as the API shows it.

use domain::date::Day;
use domain::{Error, FieldError};
use http::{Method, StatusCode};
use jiff::tz::TimeZone;
use runtime::endpoint::{self, Endpoint};
use runtime::page::{Cursor, Limit, encode_cursor};
use runtime::request::{Json, NoPath, RequestContext};
use runtime::response::List;
use runtime::session::{Role, Session};
use serde::{Deserialize, Serialize};
use store::audit::{AuditEntry, StoredEntry, is_entry_id_prefix, position_before};

use crate::Workspaces;

/// Which entries.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct AuditQuery {
    /// Those of this day in UTC.
    day: Option<Day>,
    #[serde(default)]
    limit: Limit<100, 500>,
    after: Option<Cursor>,
}

/// An entry with its hash: SHA-256 over the other fields as JSON without spaces, all names in order.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct AuditEntryView {
    #[serde(flatten)]
    entry: AuditEntry,
    /// In hex.
    hash: String,
}

pub(crate) fn list_audit() -> Endpoint<Workspaces> {
    endpoint::member(Method::GET, "/v1/workspaces/{workspace}/audit", Role::Owner)
        .named("list_audit", "Lists the entries of the audit log")
        .description("What is only `intended` may have happened. Digests seal the entries by their hashes.")
        .responds(StatusCode::OK, "The entries, newest first.", Workspaces::list_audit)
}

impl Workspaces {
    /// Lists entries, newest first.
    async fn list_audit(
        self,
        context: RequestContext<Session, NoPath, AuditQuery>,
    ) -> Result<Json<List<AuditEntryView>>, Error> {
        let RequestContext { caller: session, query, .. } = context;
        let (workspace, table) = (&session.workspace, &self.table);
        let AuditQuery { day, limit, after } = query;
        let limit = limit.rows();
        let mut before = after.map(|after| after.position().to_owned());
        if before.as_deref().is_some_and(|before| !is_entry_id_prefix(before)) {
            return Err(Cursor::invalid().into());
        }
        let mut since = None;
        if let Some(Day(day)) = day {
            let start_of =
                |day: jiff::civil::Date| day.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
            let range = start_of(day).and_then(|begin| Ok((begin, start_of(day.tomorrow()?)?)));
            let (begin, end) = range.map_err(|error| FieldError::new("day", error.to_string()))?;
            let end = position_before(end);
            (since, before) = (Some(begin), Some(before.map_or(end.clone(), |before| before.min(end))));
        }
        let stored = table.audit_entries(workspace, since, before.as_deref(), limit + 1).await?;
        let to_view =
            |stored: StoredEntry| Ok(AuditEntryView { entry: stored.entry()?, hash: stored.hash() });
        let mut data = stored.into_iter().map(to_view).collect::<Result<Vec<_>, Error>>()?;
        let more = data.len() > limit;
        data.truncate(limit);
        let after = data.last().filter(|_| more).map(|view| encode_cursor(&context.request, &view.entry.id));
        Ok(Json(List { data, after }))
    }
}
