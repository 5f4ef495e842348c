//! Files on their way to an ad platform, and what they became there.

use domain::id::AdAccountId;
use domain::media::{FileDigest, MediaId, MediaKind, MediaState};
use domain::platform::PlatformData;
use domain::tenant::Tenant;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::key;
use crate::table::{ConditionExpression, StoreError, Table, number};

/// The time after which the upload of a file that nobody goes on with is forgotten. The platform forgets its own earlier.
const UPLOAD_TTL: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A file of an ad account, known by its digest: the same file is uploaded once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Its digest.
    pub sha256: FileDigest,
    /// What it is.
    pub kind: MediaKind,
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// How far it has come.
    pub state: MediaState,
    /// The first byte that the platform does not have yet.
    pub next: u64,
    /// What the platform goes on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<PlatformData>,
    /// What is known of the file's content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PlatformData>,
    /// What it is in the platform's library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<MediaId>,
    /// Why ads cannot show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Counts its changes.
    pub version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<i64>,
}

impl Upload {
    /// Creates the upload of a file of which the platform has nothing yet.
    pub fn new(sha256: FileDigest, kind: MediaKind, name: String, bytes: u64) -> Self {
        Self {
            sha256,
            kind,
            name,
            bytes,
            state: MediaState::Uploading,
            next: 0,
            session: None,
            file: None,
            media: None,
            failure: None,
            version: 0,
            expires: None,
        }
    }
}

impl Table {
    /// Returns the upload of a file, or what became of it.
    pub async fn upload(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        sha256: &FileDigest,
    ) -> Result<Option<Upload>, StoreError> {
        self.consistent().get(&key::upload(ws, account, sha256)).await
    }

    /// Stores an upload. [`StoreError::Conflict`] when another request has changed it since it was read.
    pub async fn save_upload(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        upload: &mut Upload,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let seen = upload.version;
        let is_done = matches!(upload.state, MediaState::Processing | MediaState::Ready);
        let changed = Upload {
            version: seen + 1,
            expires: (!is_done).then(|| (now + UPLOAD_TTL).as_second()),
            ..upload.clone()
        };
        let condition = match seen {
            0 => ConditionExpression { expression: "attribute_not_exists(pk)", values: Vec::new() },
            seen => {
                ConditionExpression { expression: "version = :seen", values: vec![(":seen", number(seen))] }
            }
        };
        self.put(&key::upload(ws, account, &upload.sha256), &changed, Some(condition)).await?;
        *upload = changed;
        Ok(())
    }
}
