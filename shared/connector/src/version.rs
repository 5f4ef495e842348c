//! The version of the Graph API that this installation asks for: whether Meta serves it, and for how long.

use domain::Error;
use graph_api::Graph;
use graph_api::insights::{OptionalField, OptionalFields};
use graph_api::version::{NOTICE_TTL, Support, VersionNotice, support};
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

/// The fields of insights that a version no longer has, for every ad account, each until it is asked for again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RemovedFields(Vec<(OptionalField, Timestamp)>);

impl RemovedFields {
    /// Returns the fields that some account found missing within the last day.
    pub(crate) async fn load(
        table: &Table,
        app: &str,
        version: &str,
        now: Timestamp,
    ) -> Result<OptionalFields, StoreError> {
        let known = table.limit::<Self>(app, LimitScope::RemovedFields(version)).await?;
        let current: Vec<_> = known.0.into_iter().filter(|(_, until)| *until > now).collect();
        Ok(current.into_iter().map(|(field, _)| field).collect::<Vec<_>>().into())
    }

    /// Adds fields that were found missing now, for a day.
    pub(crate) async fn add(
        missing: OptionalFields,
        table: &Table,
        app: &str,
        version: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if missing == OptionalFields::default() {
            return Ok(());
        }
        table
            .modify_limit(app, LimitScope::RemovedFields(version), now, |known: &mut Self| {
                known.0.retain(|(field, until)| *until > now && !missing.iter().any(|new| new == *field));
                known.0.extend(missing.iter().map(|field| (field, now + REMOVED_FIELD_TTL)));
            })
            .await
    }
}

impl Connector {
    /// Fails when something new must not be made: Meta does not serve the version in use, as this process or another one
    /// has seen, or by its announced end. What another version sets by itself may differ.
    pub async fn check_launch(&self) -> Result<(), Error> {
        let requested = &self.graph.config().version;
        if let Some(VersionNotice { served, warning }) = self.graph.version_notice() {
            return Err(refused(requested, served.as_deref(), warning.as_deref()));
        }
        if let Some(ServedVersion { served, warning, .. }) = self.served_version().await? {
            return Err(refused(requested, served.as_deref(), warning.as_deref()));
        }
        match self.support() {
            Support::EndedOn(day) => Err(refused(requested, None, Some(&format!("It ended on {day}.")))),
            Support::Served | Support::EndsOn(_) | Support::Unknown => Ok(()),
        }
    }

    /// Returns the version in use, with what every function has seen of it in the last hours.
    pub async fn graph_version(&self) -> Result<GraphVersion, Error> {
        let (config, now) = (self.graph.config(), self.graph.now());
        let removed = RemovedFields::load(&self.table, &config.app_id, &config.version, now);
        let (removed, notice) = tokio::try_join!(removed, self.served_version())?;
        Ok(GraphVersion {
            requested: config.version.clone(),
            support: self.support(),
            notice,
            removed_fields: removed.iter().collect(),
        })
    }

    /// Tells the other functions what this process has seen of the version in use.
    pub async fn report_version(&self) {
        report_version(&self.graph, &self.table).await;
    }

    async fn served_version(&self) -> Result<Option<ServedVersion>, StoreError> {
        let (config, now) = (self.graph.config(), self.graph.now());
        self.table.served_version(&config.app_id, &config.version, NOTICE_TTL, now).await
    }

    fn support(&self) -> Support {
        support(&self.graph.config().version, self.graph.now().to_zoned(TimeZone::UTC).date())
    }
}

/// See [`Connector::report_version`].
pub(crate) async fn report_version(graph: &Graph, table: &Table) {
    let Some((VersionNotice { served, warning }, at)) = graph.take_version_notice() else { return };
    let config = graph.config();
    let seen = ServedVersion { served, warning, first_seen_at: at, last_seen_at: at };
    let recorded = table.record_served_version(&config.app_id, &config.version, &seen, NOTICE_TTL).await;
    if let Err(error) = recorded {
        // The work that was done stands; the version is seen again.
        tracing::warn!(%error, "What Meta says about the Graph version could not be recorded.");
    }
}

/// Describes a version that Meta does not serve, and what to do.
fn refused(requested: &str, served: Option<&str>, warning: Option<&str>) -> Error {
    let by = served.map(|served| format!(" but {served}")).unwrap_or_default();
    let says = warning.map(|warning| format!(" ({warning})")).unwrap_or_default();
    Error::PlatformVersion(format!(
        "Meta does not serve {requested}, for which this installation asks,{by}{says}. What Meta sets by itself may differ, \
         so nothing is launched. The operator goes on by setting {SETTING} to a version that Meta serves; what runs can be \
         paused and changed meanwhile."
    ))
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
            return Some(refused(requested, served.as_deref(), warning.as_deref()).to_string());
        }
        match self.support {
            Support::Served => None,
            Support::EndsOn(day) => Some(format!(
                "{requested} of the Graph API ends on {day}. From then on Meta serves a newer version, and nothing is \
                 launched any more. The operator chooses a newer one before, by {SETTING}."
            )),
            Support::EndedOn(day) => {
                Some(refused(requested, None, Some(&format!("It ended on {day}."))).to_string())
            }
            Support::Unknown => Some(format!(
                "{requested} is no version of the Graph API that this program knows. If it exists, update the \
                 program; if not, the operator corrects {SETTING}."
            )),
        }
    }
}
