//! The version of the Graph API that this installation asks for: whether Meta serves it, and for how long.

use domain::Error;
use graph_api::insights::{OptionalField, OptionalFields};
use graph_api::version::{Support, is_newer, support};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use store::limit_scope::LimitScope;
use store::served_version::ServedVersion;
use store::{StoreError, Table};

use crate::Connector;

/// The setting that names the version, on AWS and on a laptop.
const SETTING: &str = "MetaGraphVersion (META_GRAPH_VERSION on a laptop)";

/// The version that this installation asks for.
#[derive(Debug, Clone)]
pub struct GraphVersion {
    /// Its name, such as `v26.0`.
    pub requested: String,
    /// How long it is served, by the dates that Meta has announced.
    pub support: Support,
    /// What Meta's answers of the last hours say of it, where they do not come from it.
    pub notice: Option<ServedVersion>,
    /// Fields of insights that it no longer has.
    pub removed_fields: Vec<OptionalField>,
}

/// Time after which a removed field is asked for again.
const REMOVED_FIELD_TTL: SignedDuration = SignedDuration::from_hours(24);

/// The fields of insights that a version no longer has, for every ad account.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct RemovedFields {
    fields: OptionalFields,
    until: Option<Timestamp>,
}

impl RemovedFields {
    /// Returns the fields that some account found missing within the last day.
    pub(crate) async fn load(
        table: &Table,
        app: &str,
        version: &str,
        now: Timestamp,
    ) -> Result<OptionalFields, StoreError> {
        let known = table.limit::<Self>(app, LimitScope::RemovedFields(version)).await?;
        Ok(known.current(now))
    }

    /// Adds fields for a day, where they are new.
    pub(crate) async fn save(
        fields: OptionalFields,
        table: &Table,
        app: &str,
        version: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let known = Self::load(table, app, version, now).await?;
        if known.and(fields) == known {
            return Ok(());
        }
        table
            .modify_limit(app, LimitScope::RemovedFields(version), now, |known: &mut Self| {
                let fields = known.current(now).and(fields);
                *known = Self { fields, until: Some(now + REMOVED_FIELD_TTL) };
            })
            .await
    }

    fn current(self, now: Timestamp) -> OptionalFields {
        self.until.filter(|until| *until > now).map_or_else(OptionalFields::default, |_| self.fields)
    }
}

impl Connector {
    /// Fails when something new must not be made: Meta serves a newer version, as this process or another one has seen.
    pub async fn check_launch(&self) -> Result<(), Error> {
        let seen_here = self.graph.version_notice().and_then(|notice| notice.served);
        check_defaults(&self.graph.config().version, seen_here.as_deref())?;
        self.graph_version().await?.check_launch()
    }

    /// Returns the version in use, with what every function has seen of it in the last hours.
    pub async fn graph_version(&self) -> Result<GraphVersion, Error> {
        let (config, now) = (self.graph.config(), self.graph.now());
        let removed = RemovedFields::load(&self.table, &config.app_id, &config.version, now);
        let notice = self.table.served_version(&config.app_id, &config.version, now);
        let (removed, notice) = tokio::try_join!(removed, notice)?;
        Ok(GraphVersion {
            requested: config.version.clone(),
            support: support(&config.version, now.to_zoned(TimeZone::UTC).date()),
            notice,
            removed_fields: removed.iter().collect(),
        })
    }
}

impl GraphVersion {
    /// Describes what is wrong, each with what to do, and since when where that is known.
    pub fn problems(&self) -> Vec<(String, Option<Timestamp>)> {
        let since = self.notice.as_ref().map(|notice| notice.first_seen_at);
        let of_version = self.version_problem().map(|message| (message, since));
        let removed: Vec<_> = self.removed_fields.iter().map(|field| field.name()).collect();
        let of_fields = (!removed.is_empty()).then(|| {
            let (names, requested) = (removed.join(", "), &self.requested);
            let message = format!(
                "Meta no longer has {names} in {requested}: what that measures is unknown, and everything else is \
                 complete. The operator updates the program to one that does without."
            );
            (message, None)
        });
        of_version.into_iter().chain(of_fields).collect()
    }

    fn version_problem(&self) -> Option<String> {
        let requested = &self.requested;
        if let Some(ServedVersion { served, warning, .. }) = &self.notice {
            if let Err(error) = check_defaults(requested, served.as_deref()) {
                return Some(error.to_string());
            }
            let says = warning.as_deref().or(served.as_deref()).unwrap_or_default();
            return Some(format!(
                "Meta does not serve {requested} as asked for: {says} The operator chooses another version by {SETTING}."
            ));
        }
        match self.support {
            Support::Served => None,
            Support::EndsOn(day) => Some(format!(
                "{requested} of the Graph API ends on {day}. From then on Meta serves a newer version, and nothing is \
                 launched any more. The operator chooses a newer one before, by {SETTING}."
            )),
            Support::EndedOn(day) => Some(format!(
                "{requested} of the Graph API ended on {day}. The operator chooses a newer one by {SETTING}."
            )),
            Support::Unknown => Some(format!(
                "{requested} is no version of the Graph API that this program knows. If it exists, update the \
                 program; if not, the operator corrects {SETTING}."
            )),
        }
    }

    /// Fails when something new must not be made: Meta serves a newer version, which may choose other defaults.
    fn check_launch(&self) -> Result<(), Error> {
        check_defaults(&self.requested, self.notice.as_ref().and_then(|notice| notice.served.as_deref()))
    }
}

/// Fails when calls are served by a version that is newer than the requested one.
fn check_defaults(requested: &str, served: Option<&str>) -> Result<(), Error> {
    match served.filter(|served| is_newer(served, requested)) {
        None => Ok(()),
        Some(served) => Err(Error::PlatformVersion(format!(
            "Meta serves {served} where this installation asks for {requested}. What Meta sets by itself may differ, \
             so nothing is launched. The operator goes on by setting {SETTING} to {served}; what runs can be paused \
             and changed meanwhile."
        ))),
    }
}
