//! Previews of ads: a frame of Meta's site, and the page in it, which shows what the creative says.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use maud::{DOCTYPE, html};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{GraphError, required};
use crate::node::Kind;
use crate::object::Object;
use crate::params::Params;
use crate::world::World;
use crate::write::{self, CreativeRef};

/// What a page shows; its address holds it.
#[derive(Serialize, Deserialize)]
struct PageContent {
    format: String,
    /// Message, headline and description, those that there are.
    lines: Vec<String>,
}

/// Returns the preview of an ad, a creative, or the creative that the call describes: the HTML of a frame.
pub(crate) fn frame(
    world: &World,
    base_url: &str,
    object: &Object<'_>,
    params: Params<'_>,
) -> Result<Value, GraphError> {
    let format = params.required("ad_format")?;
    let creative = match object {
        Object::Node(node) if node.kind == Kind::Creative => Some(node.fields.clone()),
        Object::Node(_) => match object.linked(world, "creative") {
            Some(Object::Node(creative)) => Some(creative.fields.clone()),
            _ => None,
        },
        Object::Account(account) => {
            let described = params.json("creative")?.ok_or_else(|| required("creative"))?;
            match write::resolve_creative(world, account, &described)? {
                CreativeRef::Existing(id) => world.nodes.get(&id).map(|node| node.fields.clone()),
                CreativeRef::New(fields) => Some(fields),
            }
        }
        Object::Plain(..) => None,
    };
    let shown =
        PageContent { format: format.to_owned(), lines: creative.as_ref().map(lines).unwrap_or_default() };
    let data = URL_SAFE_NO_PAD.encode(json!(shown).to_string());
    let is_tall = ["STORY", "REELS"].iter().any(|part| format.contains(part));
    let (width, height) = if is_tall { (270, 480) } else { (335, 450) };
    let src = format!("{base_url}/ads/api/preview_iframe.php?d={data}&amp;t=simulated");
    Ok(json!({ "body": format!(
        "<iframe src=\"{src}\" width=\"{width}\" height=\"{height}\" scrolling=\"yes\" style=\"border: none;\"></iframe>"
    ) }))
}

/// Returns what a creative says.
fn lines(creative: &Map<String, Value>) -> Vec<String> {
    let spec = creative.get("object_story_spec");
    let data = ["link_data", "video_data", "template_data"].iter().find_map(|kind| spec?.get(kind));
    let texts =
        ["message", "name", "title", "description"].iter().filter_map(|part| data?.get(part)?.as_str());
    let mut lines: Vec<_> = texts.map(str::to_owned).collect();
    let posts = ["object_story_id", "effective_object_story_id", "source_instagram_media_id"];
    if lines.is_empty() {
        lines.extend(posts.iter().find_map(|post| Some(format!("Post {}", creative.get(*post)?.as_str()?))));
    }
    lines
}

/// Returns the page at the address of a preview; `None` where its data is not ours.
pub(crate) fn page(data: &str) -> Option<String> {
    let shown: PageContent = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(data).ok()?).ok()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { "Preview" } }
            body style="margin: 0; font: 14px/1.4 sans-serif" {
                p style="margin: 0; padding: 8px; background: #eee; color: #555" { (shown.format) }
                @for line in shown.lines { p style="margin: 8px; white-space: pre-wrap" { (line) } }
            }
        }
    };
    Some(page.into_string())
}
