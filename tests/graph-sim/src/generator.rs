//! Generated ad accounts: the same seed gives the same accounts on any day.

mod clients;
mod delivery;
mod plan;
mod seeded_rng;
mod structure;

pub(crate) use delivery::Delivery;
pub(crate) use seeded_rng::SeededRng;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::Generator;
use crate::facts::Facts;
use crate::node::{Account, Node};
use crate::start_error::StartError;
use crate::world::World;

/// Generates the main account and, for an agency, those of its other clients.
pub(crate) fn world(generator: &Generator, now: Timestamp) -> Result<World, StartError> {
    let name = format!("Generated account {}", generator.seed);
    let prefix = plan::Plan::new(generator).rng.derive(2).between(0, 99_999);
    let (main, nodes) = account(generator, &name, prefix, now)?;
    // How far the accounts' days are from those of the clock.
    let shift = generator.today - now.to_zoned(main.zone.clone()).date();
    let mut world = World::new(main);
    world.nodes = nodes;
    for (next, (name, mut client)) in (prefix + 1..).zip(clients::of(generator)) {
        let zone = zone_of(&client)?;
        client.today = now.to_zoned(zone).date().saturating_add(shift);
        let (account, nodes) = account(&client, &name, next % 100_000, now)?;
        world.accounts.push(account);
        world.nodes.extend(nodes);
    }
    Ok(world)
}

/// Generates an account, whose ids have this number of five digits in them, and its objects.
fn account(
    generator: &Generator,
    name: &str,
    prefix: u64,
    now: Timestamp,
) -> Result<(Account, BTreeMap<String, Node>), StartError> {
    let zone = zone_of(generator)?;
    let started = now.to_zoned(zone.clone()).date();
    let plan = plan::Plan::new(generator);
    let (mut account, nodes, ads) = structure::build(generator, &plan, (name, prefix), zone);
    account.facts = Facts::generated(ads, Delivery::new(&plan), generator.days, generator.today, started);
    Ok((account, nodes))
}

fn zone_of(generator: &Generator) -> Result<TimeZone, StartError> {
    TimeZone::get(&generator.timezone).map_err(|_| StartError::Timezone { name: generator.timezone.clone() })
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
        match world.main().facts.get(ad, day)? {
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
        world.accounts[0].facts.generate_until(date(2026, 11, 22));
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
                    .filter(|ad| world.main().facts.ads[*ad].campaign == id)
                    .any(|ad| world.main().facts.of_ad(ad, first, last).next().is_some())
            })
            .count();
        assert_eq!(delivering, 17);
    }

    #[test]
    fn an_agency_has_other_clients_with_days_and_numbers_of_their_own() {
        let today = date(2026, 11, 20);
        let agency = Generator { accounts: 40, ..Generator::new(today) };
        // In Singapore it is the 20th, in New York still the 19th.
        let world = world(&agency, "2026-11-20T02:00:00Z".parse().unwrap()).unwrap();
        let alone = made(today, 1);
        let with_numbers: Vec<&Account> =
            world.accounts.iter().filter(|account| !account.facts.ads.is_empty()).collect();
        assert_eq!(with_numbers.len(), 40);
        assert!(alone.nodes.keys().all(|id| world.nodes.contains_key(id)));
        let ads: usize = with_numbers[1..].iter().map(|account| account.facts.ads.len()).sum();
        assert!((5_000..7_000).contains(&ads), "{ads}");
        let nodes = world.nodes.values().filter(|node| node.kind == Kind::Ad).count();
        assert_eq!(nodes, 200 + ads, "no id is used twice");
        for account in with_numbers {
            let last = (0..account.facts.ads.len())
                .flat_map(|ad| account.facts.of_ad(ad, date(2026, 8, 1), date(2026, 12, 31)))
                .map(|(day, _)| day)
                .max();
            let behind = i8::from(account.zone_name == "America/New_York");
            assert_eq!(last, Some(date(2026, 11, 20 - behind)), "{}", account.zone_name);
        }
    }

    #[test]
    fn numbers_keep_their_order_of_size() {
        let world = made(date(2026, 11, 20), 3);
        for ad in 0..200 {
            for (_, fact) in world.main().facts.of_ad(ad, date(2026, 8, 1), date(2026, 11, 20)) {
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
