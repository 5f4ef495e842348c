//! Copies of campaigns, ad sets and ads (Marketing API, "Ad copies").

use domain::entity::{Entity, Level};
use domain::id::EntityId;
use serde::Deserialize;
use serde_json::json;

use crate::client::UserClient;
use crate::entities::{GraphEntity, fields};
use crate::error::{Details, GraphError};
use crate::page::Pages;

/// Copies per page.
const PAGE_ROWS: u32 = 100;

/// The options of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CopyOptions {
    /// Whether everything below is copied too. Meta does so in one call for fewer than three objects below, and fails
    /// with [`GraphError::RequestTooLarge`] for more.
    pub deep: bool,
    /// The status of the copies.
    pub status: CopyStatus,
    /// The naming of the copies.
    pub renaming: RenameStrategy,
    /// The campaign for the copy of an ad set, or the ad set for the copy of an ad; by default the source's own.
    pub into: Option<EntityId>,
}

/// The status of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CopyStatus {
    /// Paused, whatever the status of the source.
    #[default]
    Paused,
    /// Active at once: it spends money as soon as its parents allow it.
    Active,
    /// The status of the source.
    Inherited,
}

/// The naming of copies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RenameStrategy {
    /// Meta's own suffix, in the user's language, for the copied object but not for the objects below.
    #[default]
    PlatformDefault,
    /// The names of the sources.
    NoRename,
    /// The name of the source with a prefix and a suffix.
    Affix {
        /// The text before the name.
        prefix: String,
        /// The text after the name.
        suffix: String,
        /// Whether the objects below are renamed too.
        deep: bool,
    },
}

/// The result of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyResult {
    /// The id of the copy.
    pub id: EntityId,
    /// Every copied object, if Meta lists them.
    pub objects: Vec<CopiedObject>,
}

/// A copied object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CopiedObject {
    /// Meta's name of its type: `campaign`, `ad_set`, `ad`.
    pub ad_object_type: String,
    /// The id of the source.
    pub source_id: EntityId,
    /// The id of the copy.
    pub copied_id: EntityId,
}

/// The response to a copy, in which each level has a field of its own.
#[derive(Deserialize)]
struct CopyResponse {
    copied_campaign_id: Option<EntityId>,
    copied_adset_id: Option<EntityId>,
    copied_ad_id: Option<EntityId>,
    #[serde(default)]
    ad_object_ids: Vec<CopiedObject>,
}

impl UserClient {
    /// Copies a campaign, ad set or ad.
    ///
    /// Sent once. After [`GraphError::Indeterminate`] the copy may exist: look for it with [`UserClient::copies`] before
    /// retrying.
    pub async fn copy(
        &self,
        level: Level,
        id: &EntityId,
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

    /// Reads the copies of an object that still exist.
    pub async fn copies(&self, level: Level, id: &EntityId) -> Result<Vec<Entity>, GraphError> {
        let query = vec![("fields", fields(level).to_owned())];
        let copies = Pages::<GraphEntity>::new(self.clone(), format!("{id}/copies"), query, PAGE_ROWS);
        Ok(copies.all().await?.into_iter().map(|copy| copy.into_entity(level)).collect())
    }
}

fn form(level: Level, options: &CopyOptions) -> Result<Vec<(&'static str, String)>, GraphError> {
    let status = match options.status {
        CopyStatus::Paused => "PAUSED",
        CopyStatus::Active => "ACTIVE",
        CopyStatus::Inherited => "INHERITED_FROM_SOURCE",
    };
    let mut form = vec![("status_option", status.to_owned())];
    // An ad has no objects below it, and its edge has no such parameter.
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
