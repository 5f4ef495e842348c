//! Custom conversions.

use crate::support::Meta;

#[tokio::test]
async fn they_have_names_and_the_measures_that_count_them() {
    let meta = Meta::start().await;
    let found = meta.caller().custom_conversions(&meta.account()).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].name.as_str(), found[0].is_archived), ("Booked a demo", false));
    assert_eq!(found[0].measure, "actions.offsite_conversion.custom.640000000000001");
}
