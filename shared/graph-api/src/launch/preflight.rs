//! What Meta's own data says against a launch document before anything is created.

use std::collections::{BTreeMap, HashSet};

use domain::FieldError;
use domain::id::AdAccountId;
use domain::money::Currency;

use super::{Audience, LaunchSpec};
use crate::batch::Item;
use crate::budget::MinimumBudget;
use crate::client::UserClient;
use crate::creative::{CreativeSpec, LinkSpec};
use crate::error::GraphError;
use crate::id::{ImageHash, ObjectId, VideoId};
use crate::media::{Video, VideoState};

/// What the ads of a document show, each with the places that name it.
#[derive(Default)]
struct MediaUse<'a> {
    images: BTreeMap<&'a ImageHash, Vec<String>>,
    videos: BTreeMap<&'a VideoId, Vec<String>>,
}

impl<'a> MediaUse<'a> {
    fn of(spec: &'a LaunchSpec) -> Self {
        let mut shown = Self::default();
        for step in spec.steps() {
            let Some(CreativeSpec::Link(link)) = spec.ad(step).map(|ad| &ad.creative) else { continue };
            let LinkSpec { image, video, cards, .. } = &**link;
            let at = format!("{}.creative.link", spec.path_of(step));
            let cards = cards.iter().enumerate();
            let cards =
                cards.map(|(number, card)| (format!("{at}.cards[{number}]"), &card.image, &card.video));
            for (at, image, video) in std::iter::once((at.clone(), image, video)).chain(cards) {
                if let Some(image) = image {
                    shown.images.entry(image).or_default().push(format!("{at}.image"));
                }
                if let Some(video) = video {
                    shown.videos.entry(video).or_default().push(format!("{at}.video"));
                }
            }
        }
        shown
    }
}

impl LaunchSpec {
    /// Returns the daily budgets that are less than Meta takes. A campaign's must do for any of its ad sets.
    fn check_least_budgets(&self, least: &MinimumBudget) -> Vec<FieldError> {
        let of_event = |event: &str| match event {
            "IMPRESSIONS" => least.impressions,
            "APP_INSTALLS" | "OFFER_CLAIMS" => least.low_frequency,
            "VIDEO_VIEWS" | "THRUPLAY" => least.video_views,
            _ => least.high_frequency,
        };
        let of_ad_sets = self.ad_sets.iter().map(|ad_set| of_event(&ad_set.billing_event));
        let campaign = self
            .daily_budget
            .map(|budget| ("daily_budget".to_owned(), budget, of_ad_sets.max().unwrap_or(0)));
        let ad_sets = self.steps_of_ad_sets().filter_map(|(step, ad_set)| {
            let field = format!("{}.daily_budget", self.path_of(step));
            Some((field, ad_set.daily_budget?, of_event(&ad_set.billing_event)))
        });
        let too_little =
            campaign.into_iter().chain(ad_sets).filter(|(_, budget, least)| budget.amount < *least);
        let finding = |(field, budget, least): (String, domain::money::Money, i64)| {
            let message = format!("must be {least} or more: Meta's least of a day in {}", budget.currency);
            FieldError::new(format!("{field}.amount"), message)
        };
        too_little.map(finding).collect()
    }
}

impl LaunchSpec {
    /// Returns the custom audiences that it names, each with the places that name it.
    fn audiences(&self) -> BTreeMap<&ObjectId, Vec<String>> {
        let mut named: BTreeMap<&ObjectId, Vec<String>> = BTreeMap::new();
        for (step, ad_set) in self.steps_of_ad_sets() {
            let Some(audience) = &ad_set.audience else { continue };
            let Audience { custom_audiences, excluded_custom_audiences, .. } = audience;
            for (field, ids) in [
                ("custom_audiences", custom_audiences),
                ("excluded_custom_audiences", excluded_custom_audiences),
            ] {
                for (number, id) in ids.iter().enumerate() {
                    let place = format!("{}.audience.{field}[{number}]", self.path_of(step));
                    named.entry(id).or_default().push(place);
                }
            }
        }
        named
    }
}

impl UserClient {
    /// Returns what Meta's own data says against a document: daily budgets below the least of the currency, images and
    /// videos that the ad account's library lacks, or that no ad can show, and custom
    /// audiences that the account lacks.
    pub async fn preflight(
        &self,
        account: &AdAccountId,
        spec: &LaunchSpec,
        currency: Currency,
    ) -> Result<Vec<FieldError>, GraphError> {
        let least = self.minimum_budget(account, currency).await?;
        let mut found = least.map(|least| spec.check_least_budgets(&least)).unwrap_or_default();
        let MediaUse { images, videos } = MediaUse::of(spec);
        let add = |found: &mut Vec<FieldError>, places: Vec<String>, message: &str| {
            found.extend(places.into_iter().map(|place| FieldError::new(place, message)));
        };
        if !images.is_empty() {
            let hashes: Vec<ImageHash> = images.keys().copied().cloned().collect();
            let known = self.images(account, &hashes).await?;
            let known = known.iter().filter(|image| image.status.as_deref() != Some("DELETED"));
            let known: HashSet<&ImageHash> = known.map(|image| &image.hash).collect();
            for (hash, places) in images {
                if !known.contains(hash) {
                    add(&mut found, places, "is no image of this ad account; upload it first");
                }
            }
        }
        let read = |id: &&VideoId| Item::get(id.as_str(), vec![("fields", Video::FIELDS.to_owned())]);
        let items: Vec<Item> = videos.keys().map(read).collect();
        for (places, video) in videos.into_values().zip(self.batch::<Video>(&items).await) {
            match video.map(|video| video.state) {
                Ok(VideoState::Ready | VideoState::Processing { .. }) => {}
                Ok(VideoState::Expired) => {
                    add(&mut found, places, "was never uploaded to its end; upload it again")
                }
                Ok(VideoState::Failed(reasons)) => {
                    add(&mut found, places, &format!("cannot be shown: {}", reasons.join("; ")));
                }
                // Of a video that it does not show Meta says any of these.
                Err(
                    GraphError::NotFound(_) | GraphError::NeedPermission(_) | GraphError::InvalidInput(_),
                ) => {
                    add(&mut found, places, "is no video of this ad account; upload it first");
                }
                Err(error) => return Err(error),
            }
        }
        let mut audiences = spec.audiences();
        self.remove_audiences(account, &mut audiences).await?;
        for (id, places) in audiences {
            let message =
                format!("names {id}, which is no custom audience of this ad account: see GET audiences");
            add(&mut found, places, &message);
        }
        // Ads may share what they show.
        let mut seen = HashSet::new();
        found.retain(|error| seen.insert(error.field.clone()));
        Ok(found)
    }
}
