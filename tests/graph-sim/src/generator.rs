//! A generated ad account: the same seed gives the same account on any day.

mod delivery;
mod plan;
mod seeded_rng;
mod structure;

pub(crate) use delivery::Delivery;
pub(crate) use seeded_rng::SeededRng;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::Generator;
use crate::facts::Facts;
use crate::start_error::StartError;
use crate::world::World;

/// Generates the account.
pub(crate) fn world(generator: &Generator, now: Timestamp) -> Result<World, StartError> {
    let zone = TimeZone::get(&generator.timezone)
        .map_err(|_| StartError::Timezone { name: generator.timezone.clone() })?;
    let started = now.to_zoned(zone.clone()).date();
    let plan = plan::Plan::new(generator);
    let (mut world, ads) = structure::build(generator, &plan, zone);
    world.facts = Facts::generated(ads, Delivery::new(&plan), generator.days, generator.today, started);
    Ok(world)
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Date, date};

    use super::*;
    use crate::facts::Fact;
    use crate::node::Kind;
    use crate::numbers::Numbers;

    fn made(today: Date, seed: u64) -> World {
        let generator = Generator { seed, ..Generator::new(today) };
        world(&generator, "2026-11-20T02:00:00Z".parse().unwrap()).unwrap()
    }

    fn numbers(world: &World, ad: usize, day: Date) -> Option<Numbers> {
        match world.facts.get(ad, day)? {
            Fact::Counted(numbers) => Some(*numbers),
            Fact::Retracted(_) | Fact::EventRecord(_) => None,
        }
    }

    #[test]
    fn tomorrow_tells_the_same_past() {
        let (today, later) = (made(date(2026, 11, 20), 1), made(date(2026, 12, 1), 1));
        assert!(today.nodes.keys().eq(later.nodes.keys()));
        for ad in 0..200 {
            for day in [date(2026, 11, 1), date(2026, 11, 14), date(2026, 11, 20)] {
                assert_eq!(numbers(&today, ad, day), numbers(&later, ad, day));
            }
        }
        assert!((0..200).all(|ad| numbers(&today, ad, date(2026, 11, 21)).is_none()));
    }

    #[test]
    fn the_account_goes_on_with_the_clock() {
        let mut world = made(date(2026, 11, 20), 1);
        let later = made(date(2026, 11, 22), 1);
        world.facts.generate_until(date(2026, 11, 22));
        assert!((0..200).any(|ad| numbers(&world, ad, date(2026, 11, 22)).is_some()));
        assert!((0..200).all(|ad| {
            numbers(&world, ad, date(2026, 11, 22)) == numbers(&later, ad, date(2026, 11, 22))
        }));
    }

    #[test]
    fn another_seed_is_another_account() {
        let (one, two) = (made(date(2026, 11, 20), 1), made(date(2026, 11, 20), 2));
        assert_ne!(one.main().digits, two.main().digits);
        assert!(!one.nodes.keys().any(|id| two.nodes.contains_key(id)));
    }

    #[test]
    fn the_account_has_every_kind_of_campaign() {
        let world = made(date(2026, 11, 20), 1);
        let campaigns = world.of_account(Kind::Campaign, &world.main().digits);
        let with = |status: &str| campaigns.iter().filter(|c| c.configured_status() == status).count();
        assert_eq!((campaigns.len(), with("ARCHIVED"), with("PAUSED")), (20, 2, 2));
        let (first, last) = (date(2026, 8, 23), date(2026, 11, 20));
        let delivering = campaigns
            .iter()
            .filter(|campaign| {
                let id = campaign.text("id").unwrap();
                (0..200)
                    .filter(|ad| world.facts.ads[*ad].campaign == id)
                    .any(|ad| world.facts.of_ad(ad, first, last).next().is_some())
            })
            .count();
        assert_eq!(delivering, 17);
    }

    #[test]
    fn numbers_keep_their_order_of_size() {
        let world = made(date(2026, 11, 20), 3);
        for ad in 0..200 {
            for (_, fact) in world.facts.of_ad(ad, date(2026, 8, 1), date(2026, 11, 20)) {
                let Fact::Counted(n) = fact else { panic!("generated") };
                assert!(
                    n.reach <= n.impressions && n.clicks <= n.impressions && n.link_clicks <= n.clicks,
                    "{n:?}"
                );
                assert!(n.spend > 0 && n.landing_page_views <= n.link_clicks);
            }
        }
    }
}
