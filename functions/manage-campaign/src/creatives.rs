//! Creatives that are made for ads that exist: what a creative shows cannot be changed, so an ad gets another one.

use connector::Purpose;
use domain::text::is_single_line;
use domain::{Error, FieldError};
use graph_api::creative::CreativeSpec;
use graph_api::id::ObjectId;
use graph_api::launch::{AdSpec, CreativeDifference, LaunchDefaults};
use http::{Method, StatusCode};
use middleware::user_event;
use runtime::endpoint::{self, Endpoint};
use runtime::request::{AdAccountPath, Json, NoQuery, RequestContext, require_idempotency_key};
use runtime::session::{Role, Session};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ManageCampaign;

/// Maximum length of a creative's name, in characters. Source: Marketing API, "Ad Creative".
const MAX_NAME_CHARS: usize = 100;

/// A creative to be made: what an ad of a launch document says of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct NewCreative {
    /// Its name in the library.
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_NAME_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    name: String,
    /// What it shows: a link or a post.
    creative: CreativeSpec,
    /// Parameters that are added to the links of a click, as in a launch document.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(length(max = 1000), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    url_tags: Option<String>,
    /// What Meta may do with it by itself, such as `image_animation`; nothing when absent.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(length(max = 100), inner(regex(pattern = "^[a-z_]{1,64}$"))))]
    creative_features: Vec<String>,
    /// Whether clicks may lead into the advertiser's shop at Meta instead of its website.
    #[serde(default)]
    shop_destination: bool,
    /// The `destination_type` of the ad sets whose ads show it, where a click opens a conversation: `MESSENGER`, `WHATSAPP` or
    /// `INSTAGRAM_DIRECT`.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(extend("enum" = serde_json::json!(["MESSENGER", "WHATSAPP", "INSTAGRAM_DIRECT", null]))))]
    destination_type: Option<String>,
}

/// A creative that was made.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct CreativeView {
    /// What `creative_id` of an ad, or of a change of ads, takes.
    id: ObjectId,
    /// Where what Meta keeps of it is not what was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<CreativeDifference>,
}

pub(crate) fn create_creative() -> Endpoint<ManageCampaign> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/creatives";
    endpoint::member(Method::POST, path, Role::Editor)
        .named("create_creative", "Makes a creative")
        .description(
            "For ads that exist: `PATCH ads/{id}` and bulk changes put it on them by `creative_id`. What Meta would switch on by \
             itself is off. After `unknown-outcome` another request may make a second one: a creative that no ad shows costs nothing \
             and is seen by nobody.",
        )
        .requires_idempotency_key("Chosen by the client, one per creative. A repeated request with the same key makes one.")
        .fails_with(Error::Conflict, "The ad account is imported.")
        .changes_platform()
        .responds(StatusCode::CREATED, "The creative.", ManageCampaign::create_creative)
}

impl ManageCampaign {
    async fn create_creative(
        self,
        context: RequestContext<Session, AdAccountPath, NoQuery, Json<NewCreative>>,
    ) -> Result<Json<CreativeView>, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account }, body, request, .. } =
            context;
        require_idempotency_key(&request, "creative")?;
        let Json(NewCreative {
            name,
            mut creative,
            url_tags,
            creative_features,
            shop_destination,
            destination_type,
        }) = body;
        let (table, workspace) = (&self.connector.table, &session.workspace);
        let account = table.require_account(workspace, &ad_account).await?;
        account.require_connection()?;
        let defaults: LaunchDefaults = account.launch_defaults.read()?;
        defaults.fill_creative(&mut creative);
        let mut mistakes = Vec::new();
        if !is_single_line(&name, MAX_NAME_CHARS) {
            let message = format!("must have 1 to {MAX_NAME_CHARS} characters, and no control characters");
            mistakes.push(FieldError::new("name", message));
        }
        if matches!(creative, CreativeSpec::CreativeId(_)) {
            let message = "must be a link or a post: this creative exists already";
            mistakes.push(FieldError::new("creative", message));
        }
        let ad = AdSpec {
            name: Some(name.clone()),
            creative,
            conversion_domain: None,
            url_tags,
            creative_features,
            shop_destination,
        };
        mistakes.extend(ad.check_creative(destination_type.as_deref(), account.currency));
        if !mistakes.is_empty() {
            return Err(Error::Invalid(mistakes));
        }
        let client = self.connector.open(workspace, &ad_account, Purpose::Action).await?;
        let created = async {
            let event = user_event(&session, "creative.created", format!("ad_account/{ad_account}"))?;
            let event = event.in_account(&ad_account).with_change(Value::Null, json!({"name": name}));
            let event = table.record_intent(workspace, event, self.host.clock.now()).await?;
            let created = client.create_creative(&ad, destination_type.as_deref()).await;
            let id = created.as_ref().ok().map(|(id, _)| id);
            let event = event.with_after(json!({"name": name, "id": id}));
            let (id, differences) =
                event.complete(created, client.request_id(), self.host.clock.now()).await?;
            Ok(CreativeView { id, differences })
        };
        let created = created.await;
        Ok(Json(client.close(created).await?))
    }
}
