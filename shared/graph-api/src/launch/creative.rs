//! Creatives that are made by themselves, for ads that exist.

use domain::id::AdAccountId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AdSpec;
use crate::client::UserClient;
use crate::creative::{ad_creative, creatives_path};
use crate::error::GraphError;
use crate::id::ObjectId;

/// A value of a creative that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct CreativeDifference {
    /// Which value, in Meta's words.
    pub field: String,
    /// What was asked for.
    pub asked: String,
    /// What Meta shows.
    pub shown: String,
}

#[derive(Deserialize)]
struct Created {
    id: ObjectId,
}

impl UserClient {
    /// Creates a creative of the account as an ad of this destination would have it, and returns where what Meta keeps of it
    /// is not what was asked for.
    ///
    /// Sent once. After [`GraphError::Indeterminate`] look for its name in [`UserClient::creatives`]; a duplicate does no
    /// harm.
    pub async fn create_creative(
        &self,
        account: &AdAccountId,
        ad: &AdSpec,
        destination: Option<&str>,
    ) -> Result<(ObjectId, Vec<CreativeDifference>), GraphError> {
        let content = self.with_cover(&ad.creative).await?;
        let name = ad.name.as_deref().unwrap_or_default();
        let mut asked = ad_creative(&content, name, destination);
        asked.insert("name".to_owned(), name.into());
        asked.extend(ad.creative_options(destination));
        // Parameters are plain text, or JSON for structured values.
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let form: Vec<_> = asked.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let created: Created = self.create(&creatives_path(account), &form).await?;
        // It exists, whether or not it can be read now: what cannot be read is not said to differ.
        let differences = self.creative_differences(created.id.as_str(), asked).await.unwrap_or_default();
        Ok((created.id, differences))
    }
}
