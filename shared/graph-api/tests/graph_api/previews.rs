//! Previews of ads.

use domain::entity::Level;
use domain::launch::Step;
use graph_api::GraphError;
use graph_api::launch::LaunchSpec;
use graph_api::preview::AdFormat;
use serde_json::{Value, json};

use crate::support::Meta;

/// An ad with a text as long as texts may be.
fn document(meta: &Meta) -> LaunchSpec {
    let message = format!("Say \"hello\" & <go>{}", "ก".repeat(4_980));
    let page = meta.sim.account().page_id;
    let link = json!({"page": page, "link": "https://example.com", "message": message, "headline": "Now"});
    let ad_set =
        json!({"optimization_goal": "LINK_CLICKS", "billing_event": "IMPRESSIONS", "countries": ["SG"]});
    let document = json!({"name": "Spring", "objective": "OUTCOME_TRAFFIC", "ad_set": ad_set, "ad": {"creative": {"link": link}}});
    serde_json::from_value(document).unwrap()
}

#[tokio::test]
async fn an_ad_and_a_document_are_shown_by_a_page_of_metas() {
    let meta = Meta::start().await;
    let ads = meta.caller().entities(&meta.account(), Level::Ad).all().await.unwrap();
    let ad = ads.into_iter().next().unwrap().into_entity(Level::Ad).id;
    let story = meta.caller().ad_preview(&ad, AdFormat::InstagramStory).await.unwrap();
    assert_eq!((story.width, story.height), (270, 480));

    let (spec, step) = (document(&meta), Step::Ad(0, 0));
    let shown =
        meta.caller().preview_of_step(&meta.account(), &spec, step, AdFormat::MobileFeedStandard).await;
    let shown = shown.unwrap();
    assert_eq!((shown.width, shown.height), (335, 450));
    let page = reqwest::get(&shown.url).await.unwrap().text().await.unwrap();
    for said in ["MOBILE_FEED_STANDARD", "Say &quot;hello&quot; &amp; &lt;go&gt;", "Now"] {
        assert!(page.contains(said), "{page}");
    }
}

/// Has the simulator answer with this HTML, within the batch that asks for it.
fn answer_with(meta: &Meta, html: &'static str) {
    meta.sim.edit_answers(move |_, _, body| {
        if body.contains("preview_iframe") {
            let mut answer: Value = serde_json::from_str(body).unwrap();
            answer[0]["body"] = json!({"data": [{"body": html}]}).to_string().into();
            *body = answer.to_string();
        }
    });
}

#[tokio::test]
async fn only_a_frame_of_metas_site_is_taken() {
    let meta = Meta::start().await;
    let frames = [
        "<iframe src=\"https://www.facebook.com.example.com/a\" width=\"1\" height=\"1\"></iframe>",
        "<iframe src=\"http://www.facebook.com/a\"></iframe>",
        "<iframe src=\"https://business.facebook.com/a\"></iframe>",
        "<iframe src=\"https://www.facebook.com:8443/a\"></iframe>",
        "<iframe src=\"javascript:alert(1)\"></iframe>",
        "<script>alert(1)</script>",
        "",
    ];
    for frame in frames {
        answer_with(&meta, frame);
        let (spec, step) = (document(&meta), Step::Ad(0, 0));
        let shown =
            meta.caller().preview_of_step(&meta.account(), &spec, step, AdFormat::MobileFeedStandard).await;
        assert!(matches!(shown, Err(GraphError::UnexpectedShape { .. })), "{frame}: {shown:?}");
    }
    // Meta's own, with a width beyond all screens.
    let frame = "<iframe src=\"https://www.facebook.com/ads/api/preview_iframe.php?d=1&amp;t=2\" width=\"90000\"></iframe>";
    answer_with(&meta, frame);
    let (spec, step) = (document(&meta), Step::Ad(0, 0));
    let shown = meta
        .caller()
        .preview_of_step(&meta.account(), &spec, step, AdFormat::MobileFeedStandard)
        .await
        .unwrap();
    assert_eq!(
        (shown.url.as_str(), shown.width, shown.height),
        ("https://www.facebook.com/ads/api/preview_iframe.php?d=1&t=2", 2000, 500)
    );
}
