//! Copies of campaigns, ad sets and ads (Marketing API, "Ad copies").

use domain::id::ObjectId;
use domain::object::{AdObject, Level};
use serde::Deserialize;
use serde_json::json;

use crate::client::Caller;
use crate::entities::{GraphObject, fields};
use crate::error::{Details, GraphError};
use crate::page::Pages;

/// Copies of a page.
const PAGE_ROWS: u32 = 100;

/// How something is copied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CopyOptions {
    /// Whether everything below is copied too. Meta does so in one call for fewer than three objects below, and
    /// answers [`GraphError::RequestTooLarge`] for more.
    pub deep: bool,
    /// What the copies are.
    pub status: CopyStatus,
    /// How the copies are named.
    pub renaming: RenameStrategy,
    /// The campaign of an ad set's copy, or the ad set of an ad's; the source's own when absent.
    pub into: Option<ObjectId>,
}

/// The status of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CopyStatus {
    /// Paused, whatever the source is.
    #[default]
    Paused,
    /// Active at once: it spends money as soon as its parents let it.
    Active,
    /// As the source.
    Inherited,
}

/// How copies are named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RenameStrategy {
    /// As Meta does it: its own suffix, in the language of the person, for what is copied and not for what is below.
    #[default]
    PlatformDefault,
    /// As their sources.
    NoRename,
    /// A name with this around it.
    Affix {
        /// Before the name.
        prefix: String,
        /// After the name.
        suffix: String,
        /// Whether what is below is renamed too.
        deep: bool,
    },
}

/// A copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyResult {
    /// The copy of what was to be copied.
    pub id: ObjectId,
    /// Everything that was copied, where Meta says so.
    pub objects: Vec<CopiedObject>,
}

/// One object that was copied.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CopiedObject {
    /// Meta's word for what it is: `campaign`, `ad_set`, `ad`.
    pub ad_object_type: String,
    /// What was copied.
    pub source_id: ObjectId,
    /// Its copy.
    pub copied_id: ObjectId,
}

/// Each level answers under a name of its own.
#[derive(Deserialize)]
struct CopyResponse {
    copied_campaign_id: Option<ObjectId>,
    copied_adset_id: Option<ObjectId>,
    copied_ad_id: Option<ObjectId>,
    #[serde(default)]
    ad_object_ids: Vec<CopiedObject>,
}

impl Caller {
    /// Copies a campaign, ad set or ad.
    ///
    /// Sent once. With [`GraphError::Indeterminate`] the copy may exist: look for it with [`Caller::copies`] before
    /// trying again.
    pub async fn copy(
        &self,
        level: Level,
        id: &ObjectId,
        options: &CopyOptions,
    ) -> Result<CopyResult, GraphError> {
        let form = form(level, options)?;
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer: CopyResponse = self.create(&format!("{id}/copies"), &form).await?;
        let id = match level {
            Level::Account => None,
            Level::Campaign => answer.copied_campaign_id,
            Level::AdSet => answer.copied_adset_id,
            Level::Ad => answer.copied_ad_id,
        };
        let id = id.ok_or_else(|| GraphError::UnexpectedShape {
            at: "copied_id".to_owned(),
            problem: format!("no copy of the {level} is named"),
        })?;
        Ok(CopyResult { id, objects: answer.ad_object_ids })
    }

    /// What was copied from an object and still exists.
    pub async fn copies(&self, level: Level, id: &ObjectId) -> Result<Vec<AdObject>, GraphError> {
        let query = vec![("fields", fields(level).to_owned())];
        let copies = Pages::<GraphObject>::new(self.clone(), format!("{id}/copies"), query, PAGE_ROWS);
        Ok(copies.all().await?.into_iter().map(|copy| copy.into_object(level)).collect())
    }
}

fn form(level: Level, options: &CopyOptions) -> Result<Vec<(&'static str, String)>, GraphError> {
    let status = match options.status {
        CopyStatus::Paused => "PAUSED",
        CopyStatus::Active => "ACTIVE",
        CopyStatus::Inherited => "INHERITED_FROM_SOURCE",
    };
    let mut form = vec![("status_option", status.to_owned())];
    // An ad has nothing below it, and its edge knows no such parameter.
    if level != Level::Ad {
        form.push(("deep_copy", options.deep.to_string()));
    }
    form.extend(renaming(&options.renaming).map(|renaming| ("rename_options", renaming)));
    if let Some(into) = &options.into {
        let parent = match level {
            Level::AdSet => "campaign_id",
            Level::Ad => "adset_id",
            Level::Account | Level::Campaign => {
                return Err(GraphError::InvalidInput(Details::of(
                    "a campaign is copied into its own ad account",
                )));
            }
        };
        form.push((parent, into.to_string()));
    }
    Ok(form)
}

fn renaming(renaming: &RenameStrategy) -> Option<String> {
    let options = match renaming {
        RenameStrategy::PlatformDefault => return None,
        RenameStrategy::NoRename => json!({"rename_strategy": "NO_RENAME"}),
        RenameStrategy::Affix { prefix, suffix, deep } => {
            let strategy = if *deep { "DEEP_RENAME" } else { "ONLY_TOP_LEVEL_RENAME" };
            json!({"rename_strategy": strategy, "rename_prefix": prefix, "rename_suffix": suffix})
        }
    };
    Some(options.to_string())
}
