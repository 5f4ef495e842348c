//! Custom audiences.

use domain::audience::CustomAudience;

use crate::support::Meta;

#[tokio::test]
async fn each_says_how_many_people_it_has_and_whether_ads_can_be_shown_to_it() {
    let meta = Meta::start().await;
    let listed = meta.caller().custom_audiences(&meta.account()).all().await.unwrap();
    let listed: Vec<CustomAudience> = listed.into_iter().map(CustomAudience::from).collect();
    let shown: Vec<_> = listed.iter().map(|one| (one.subtype.as_deref(), one.people, one.is_ready)).collect();
    assert_eq!(
        shown,
        [
            (Some("CUSTOM"), Some((11_160, 13_640)), true),
            (Some("LOOKALIKE"), Some((189_000, 231_000)), true),
            (Some("WEBSITE"), None, false),
        ]
    );
    assert_eq!(listed[2].problem.as_deref(), Some("This audience is too small."));
}
