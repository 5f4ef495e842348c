//! The further ad accounts of an agency: other clients in other currencies and time zones, each of its own size.

use super::seeded_rng::SeededRng;
use crate::config::Generator;

const BRANDS: [&str; 13] = [
    "Alder & Finch",
    "Bolt Cycles",
    "Casa Verde",
    "Driftwood Hotels",
    "Elm Street Books",
    "Fjord Outdoor",
    "Golden Hour Coffee",
    "Harbour Optics",
    "Ivy Home",
    "Juniper Skincare",
    "Kite Telecom",
    "Lumen Lighting",
    "Maple Pets",
];
const MARKETS: [(&str, &str, &str); 6] = [
    ("US", "USD", "America/New_York"),
    ("DE", "EUR", "Europe/Berlin"),
    ("UK", "GBP", "Europe/London"),
    ("JP", "JPY", "Asia/Tokyo"),
    ("TW", "TWD", "Asia/Taipei"),
    ("SG", "SGD", "Asia/Singapore"),
];

/// Returns the name and the parameters of the further accounts of an agency, which follow from its seed.
pub(super) fn of(agency: &Generator) -> impl Iterator<Item = (String, Generator)> {
    (1..agency.accounts).map(move |number| {
        let index = number as usize - 1;
        let (market, currency, timezone) = MARKETS[index % MARKETS.len()];
        let usual = SeededRng::new(agency.seed).derive(number.into()).between(20, 290) as u32;
        let ads = if number + 1 == agency.accounts { agency.largest.unwrap_or(usual) } else { usual };
        let client = Generator {
            seed: agency.seed.wrapping_mul(1_000).wrapping_add(number.into()),
            accounts: 1,
            largest: None,
            campaigns: ads / 10,
            adsets: ads / 3,
            ads,
            currency: currency.to_owned(),
            timezone: timezone.to_owned(),
            ..agency.clone()
        };
        (format!("{} {market}", BRANDS[index % BRANDS.len()]), client)
    })
}
