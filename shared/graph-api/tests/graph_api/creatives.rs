//! Creatives, and validation without creation.

use bytes::Bytes;
use domain::id::EntityId;
use domain::launch::Step;
use graph_api::GraphError;
use graph_api::id::PageId;
use graph_api::launch::AdSpec;
use graph_sim::VideoFault;
use serde_json::json;

use crate::support::{Meta, created, launch_of};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\xb0\0\0\x02\x76\x08";

fn page(meta: &Meta) -> PageId {
    meta.sim.account().page_id.parse().unwrap()
}

fn ad(name: &str, creative: serde_json::Value) -> AdSpec {
    serde_json::from_value(json!({"name": name, "creative": creative})).unwrap()
}

#[tokio::test]
async fn a_link_with_a_picture() {
    let meta = Meta::start().await;
    let (caller, account) = (meta.caller(), meta.account());
    let image = caller.add_image(&account, "beach.png", Bytes::from_static(PNG)).await.unwrap();
    let new = ad(
        "Beach",
        json!({"link": {
            "page": page(&meta),
            "instagram_user": "17841400000000001",
            "link": "https://example.com/beach?a=1&b=2",
            "message": "Ein Tag am Strand – für dich.",
            "headline": "Strand",
            "image": image.hash,
            "call_to_action": "LEARN_MORE",
        }}),
    );
    let before = caller.creatives(&account).await.unwrap().len();
    let (id, differences) = caller.create_creative(&account, &new, None).await.unwrap();
    assert_eq!(differences, []);
    let creative = caller.creative(&id).await.unwrap();
    assert_eq!(creative.name.as_deref(), Some("Beach"));
    assert_eq!((creative.page, creative.image), (Some(page(&meta)), Some(image.hash)));
    assert_eq!(creative.link.as_deref(), Some("https://example.com/beach?a=1&b=2"));
    let stored = meta.sim.node(id.as_str()).unwrap();
    assert_eq!(stored["object_story_spec"]["instagram_user_id"], "17841400000000001");
    assert_eq!(stored["object_story_spec"]["link_data"]["message"], "Ein Tag am Strand – für dich.");
    assert_eq!(stored["destination_spec"]["destination_type"], "WEBSITE_AND_SHOP_OPT_OUT");
    assert_eq!(
        stored["degrees_of_freedom_spec"]["creative_features_spec"]["image_animation"]["enroll_status"],
        "OPT_OUT"
    );
    assert_eq!(caller.creatives(&account).await.unwrap().len(), before + 1);
}

#[tokio::test]
async fn a_video_that_leads_to_a_link() {
    let meta = Meta::start().await;
    let (caller, account) = (meta.caller(), meta.account());
    let creative = |video| {
        ad(
            "Film",
            json!({"link": {
                "page": page(&meta),
                "video": video,
                "thumbnail_url": "https://example.com/cover.jpg",
                "message": "Look",
                "link": "https://example.com/film",
                "call_to_action": "WATCH_MORE",
            }}),
        )
    };
    meta.sim.fail_next_video(VideoFault::Stuck);
    let stuck = caller.add_video(&account, "Stuck", Bytes::from_static(b"film")).await.unwrap();
    let refused = caller.create_creative(&account, &creative(stuck), None).await;
    assert!(matches!(refused, Err(GraphError::InvalidInput(_))), "{refused:?}");

    let video = caller.add_video(&account, "Film", Bytes::from_static(b"film")).await.unwrap();
    let (id, _) = caller.create_creative(&account, &creative(video.clone()), None).await.unwrap();
    let made = caller.creative(&id).await.unwrap();
    assert_eq!((made.video, made.link.as_deref()), (Some(video), Some("https://example.com/film")));
}

#[tokio::test]
async fn what_meta_switches_on_in_a_creative_is_told() {
    let meta = Meta::start().await;
    meta.sim.enroll_feature("text_translation");
    let link = json!({"page": page(&meta), "link": "https://example.com", "message": "Look"});
    let (_, differences) = meta
        .caller()
        .create_creative(&meta.account(), &ad("New", json!({"link": link})), None)
        .await
        .unwrap();
    let fields: Vec<_> = differences.iter().map(|one| (one.field.as_str(), one.shown.as_str())).collect();
    assert_eq!(fields, [("degrees_of_freedom_spec.creative_features_spec.text_translation", "OPT_IN")]);
}

#[tokio::test]
async fn a_post_keeps_its_likes() {
    let meta = Meta::start().await;
    let (caller, account) = (meta.caller(), meta.account());
    let post = format!("{}_77", page(&meta));
    let new = ad("Post", json!({"post_id": post}));
    let (id, _) = caller.create_creative(&account, &new, None).await.unwrap();
    let made = caller.creative(&id).await.unwrap();
    assert_eq!((made.effective_post, made.name.as_deref()), (Some(post), Some("Post")));
    let foreign = ad("Post", json!({"post_id": "1_77"}));
    assert!(caller.create_creative(&account, &foreign, None).await.is_err());
}

#[tokio::test]
async fn products_of_a_catalog_make_a_template_within_the_ad() {
    let meta = Meta::start().await;
    let caller = meta.caller();
    let spec = json!({
        "name": "Products",
        "objective": "OUTCOME_SALES",
        "daily_budget": {"amount": 5000, "currency": "SGD"},
        "catalog": "71",
        "ad_set": {
            "optimization_goal": "OFFSITE_CONVERSIONS",
            "countries": ["MY"],
            "promoted_object": {"product_set_id": "72", "custom_event_type": "PURCHASE"},
        },
        "ad": {
            "conversion_domain": "example.com",
            "creative": {"link": {
                "page": page(&meta), "link": "https://example.com/", "message": "New:\n{{product.name}}",
                "product_set": "72", "call_to_action": "SHOP_NOW",
            }},
        },
    });
    let (mut launch, spec) = launch_of(&meta, spec);
    let before = caller.creatives(&meta.account()).await.unwrap().len();
    for step in spec.steps() {
        let id = caller.create_step(&launch, &spec, step).await.unwrap();
        launch.created.push(created(step, id));
    }
    let stored = |step| meta.sim.node(launch.id_of(step).unwrap().as_str()).unwrap();
    assert_eq!(stored(Step::Campaign)["promoted_object"], json!({"product_catalog_id": "71"}));
    let ad = stored(Step::Ad(0, 0));
    assert_eq!(ad["conversion_domain"], "example.com");
    let creative = meta.sim.node(ad["creative"]["id"].as_str().unwrap()).unwrap();
    assert_eq!((&creative["name"], &creative["product_set_id"]), (&json!("Products"), &json!("72")));
    let template = &creative["object_story_spec"]["template_data"];
    assert_eq!(template["message"], "New:\n{{product.name}}");
    assert_eq!(template["call_to_action"]["value"]["link"], "https://example.com/");
    assert_eq!(caller.creatives(&meta.account()).await.unwrap().len(), before + 1);
}

#[tokio::test]
async fn a_step_of_a_launch_is_validated_by_meta_without_creating_anything() {
    let meta = Meta::start().await;
    let caller = meta.caller();
    let spec = json!({
        "name": "Launch",
        "objective": "OUTCOME_TRAFFIC",
        "daily_budget": {"amount": 5000, "currency": "SGD"},
        "ad_set": {"optimization_goal": "LINK_CLICKS", "countries": ["SG"]},
        "ad": {"creative": {"post_id": format!("{}_77", page(&meta))}},
    });
    let (mut launch, mut spec) = launch_of(&meta, spec);
    for step in spec.steps() {
        caller.validate_step(&launch, &spec, step).await.unwrap();
        assert_eq!(caller.find_step(&launch, &spec, step).await.unwrap(), None::<EntityId>, "{step:?}");
        let id = caller.create_step(&launch, &spec, step).await.unwrap();
        launch.created.push(created(step, id));
    }
    spec.daily_budget.as_mut().unwrap().amount = 1;
    let refused = caller.validate_step(&launch, &spec, Step::Campaign).await;
    assert!(matches!(refused, Err(GraphError::InvalidInput(_))), "{refused:?}");
}
