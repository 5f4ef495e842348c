//! The version of the Graph API that this installation asks for: whether Meta serves it, and for how long.

use domain::Error;
use graph_api::version::{Support, is_newer, support};
use jiff::tz::TimeZone;
use store::served_version::ServedVersion;

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
}

impl Connector {
    /// Returns the version in use, with what every function has seen of it in the last hours.
    pub async fn graph_version(&self) -> Result<GraphVersion, Error> {
        let (config, now) = (self.graph.config(), self.graph.now());
        Ok(GraphVersion {
            requested: config.version.clone(),
            support: support(&config.version, now.to_zoned(TimeZone::UTC).date()),
            notice: self.table.served_version(&config.app_id, &config.version, now).await?,
        })
    }
}

impl GraphVersion {
    /// Describes what is wrong with the version, and what to do; `None` while it is served.
    pub fn problem(&self) -> Option<String> {
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
    pub fn check_launch(&self) -> Result<(), Error> {
        check_defaults(&self.requested, self.notice.as_ref().and_then(|notice| notice.served.as_deref()))
    }
}

/// Fails when calls are served by a version that is newer than the requested one.
pub(crate) fn check_defaults(requested: &str, served: Option<&str>) -> Result<(), Error> {
    match served.filter(|served| is_newer(served, requested)) {
        None => Ok(()),
        Some(served) => Err(Error::PlatformVersion(format!(
            "Meta serves {served} where this installation asks for {requested}. What Meta sets by itself may differ, \
             so nothing is launched. The operator goes on by setting {SETTING} to {served}; what runs can be paused \
             and changed meanwhile."
        ))),
    }
}
