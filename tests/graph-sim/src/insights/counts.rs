//! The counts that insights add up: the stored numbers of an ad-day, and finer counts derived from them.

use std::ops::{Index, IndexMut};

use crate::generator::SeededRng;
use crate::numbers::Numbers;

/// One count. Money is in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Spend,
    Impressions,
    Reach,
    Clicks,
    LinkClicks,
    OutboundClicks,
    LandingPageViews,
    Reactions,
    PageLikes,
    VideoPlays,
    /// Watched for three seconds: what `video_view` means.
    VideoViews,
    VideoTwoSeconds,
    VideoSixSeconds,
    /// Watched for fifteen seconds, or to the end: a ThruPlay.
    ThruPlays,
    VideoThirtySeconds,
    VideoQuarter,
    VideoHalf,
    VideoThreeQuarters,
    VideoNearlyAll,
    VideoAll,
    SecondsWatched,
    AddsToCart,
    Purchases = Self::AddsToCart as isize + 4,
    PurchaseValue = Self::Purchases as isize + 4,
    FormLeads = Self::PurchaseValue as isize + 4,
    WebLeads = Self::FormLeads as isize + 4,
}

/// Counts with four slots each: the total by the ad set's own setting (7d_click + 1d_view), and three windows.
const CONVERSIONS: [Count; 5] =
    [Count::AddsToCart, Count::Purchases, Count::PurchaseValue, Count::FormLeads, Count::WebLeads];
/// Conversions that happen outside of Meta, on the advertiser's website.
const OFF_META: [Count; 4] = [Count::AddsToCart, Count::Purchases, Count::PurchaseValue, Count::WebLeads];
const COUNT_SLOTS: usize = Count::WebLeads as usize + 4;

/// A number by attribution window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Windows {
    /// By the ad set's own setting: seven days after a click and one day after a view.
    pub(crate) value: u64,
    pub(crate) view_1d: u64,
    pub(crate) click_1d: u64,
    pub(crate) click_28d: u64,
}

impl Windows {
    /// Returns the windows of an action that follows a click immediately.
    pub(crate) fn immediate(value: u64) -> Self {
        Self { value, view_1d: 0, click_1d: value, click_28d: value }
    }

    pub(crate) fn click_7d(self) -> u64 {
        self.value - self.view_1d
    }

    /// Applies a function to every window.
    pub(crate) fn map(self, mut change: impl FnMut(u64) -> u64) -> Self {
        // The two parts are changed, so that the total stays their sum.
        let (view_1d, click_7d) = (change(self.view_1d), change(self.click_7d()));
        Self {
            value: view_1d + click_7d,
            view_1d,
            click_1d: change(self.click_1d),
            click_28d: change(self.click_28d),
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            value: self.value + other.value,
            view_1d: self.view_1d + other.view_1d,
            click_1d: self.click_1d + other.click_1d,
            click_28d: self.click_28d + other.click_28d,
        }
    }
}

/// All counts of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts([u64; COUNT_SLOTS]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; COUNT_SLOTS])
    }
}

impl Index<Count> for Counts {
    type Output = u64;

    fn index(&self, count: Count) -> &u64 {
        &self.0[count as usize]
    }
}

impl IndexMut<Count> for Counts {
    fn index_mut(&mut self, count: Count) -> &mut u64 {
        &mut self.0[count as usize]
    }
}

impl Counts {
    /// Returns the counts of an ad-day; `day_rng` decides what the stored numbers do not determine.
    pub(crate) fn of(numbers: &Numbers, day_rng: SeededRng) -> Self {
        let mut counts = Self::default();
        // Rounds up or down at random, so that small numbers get their share as well.
        let share =
            |of: u64, percent: u64, noise: u64| (of * percent + day_rng.derive(noise).between(0, 99)) / 100;
        counts[Count::Spend] = numbers.spend;
        counts[Count::Impressions] = numbers.impressions;
        counts[Count::Reach] = numbers.reach;
        counts[Count::Clicks] = numbers.clicks;
        counts[Count::LinkClicks] = numbers.link_clicks;
        counts[Count::OutboundClicks] = share(numbers.link_clicks, 95, 1);
        counts[Count::LandingPageViews] = numbers.landing_page_views;
        counts[Count::Reactions] = numbers.reactions;
        counts[Count::PageLikes] = numbers.page_likes;
        let views = numbers.video_views;
        counts[Count::VideoViews] = views;
        if views > 0 {
            counts[Count::VideoPlays] = views + share(views, 90, 2);
            counts[Count::VideoTwoSeconds] = views + share(views, 30, 3);
            counts[Count::VideoSixSeconds] = share(views, 70, 4);
            counts[Count::ThruPlays] = share(views, 35, 5);
            counts[Count::VideoThirtySeconds] = share(counts[Count::ThruPlays], 60, 6);
            let quartiles = [
                Count::VideoQuarter,
                Count::VideoHalf,
                Count::VideoThreeQuarters,
                Count::VideoNearlyAll,
                Count::VideoAll,
            ];
            let mut left = views;
            for (quartile, percent) in quartiles.into_iter().zip([80, 62, 70, 78, 85]) {
                left = share(left, percent, 7);
                counts[quartile] = left;
            }
            counts[Count::SecondsWatched] = views * 7;
        }
        let (adds, purchases) = (numbers.adds_to_cart, numbers.purchases);
        counts.set_windows(Count::AddsToCart, windows(adds, 10, day_rng.derive(21)));
        let bought = windows(purchases, 14, day_rng.derive(22));
        counts.set_windows(Count::Purchases, bought);
        if let Some(price) = numbers.purchase_value.checked_div(purchases) {
            let rest = numbers.purchase_value % purchases;
            let mut paid = bought.map(|count| count * price);
            paid.value += rest;
            paid.click_28d += rest;
            counts.set_windows(Count::PurchaseValue, paid);
        }
        counts.set_windows(Count::FormLeads, Windows::immediate(numbers.form_leads));
        counts.set_windows(Count::WebLeads, windows(numbers.web_leads, 8, day_rng.derive(23)));
        counts
    }

    /// Returns a conversion by its windows.
    pub(crate) fn windows(&self, conversion: Count) -> Windows {
        debug_assert!(CONVERSIONS.contains(&conversion), "{conversion:?} has no windows");
        let [value, view_1d, click_1d, click_28d] =
            std::array::from_fn(|place| self.0[conversion as usize + place]);
        Windows { value, view_1d, click_1d, click_28d }
    }

    fn set_windows(&mut self, conversion: Count, windows: Windows) {
        let Windows { value, view_1d, click_1d, click_28d } = windows;
        let start = conversion as usize;
        self.0[start..start + 4].copy_from_slice(&[value, view_1d, click_1d, click_28d]);
    }

    /// Adds another row's counts. For reach the sum is only an upper bound of the real reach.
    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, number) in self.0.iter_mut().zip(other.0) {
            *sum += number;
        }
    }

    /// Returns the part that belongs to the cumulative impressions from `before` to `after`; all parts together are
    /// exactly the whole.
    pub(crate) fn part(&self, before: u64, after: u64, rng: SeededRng) -> Self {
        let all = self[Count::Impressions];
        let mut part = *self;
        if all == 0 {
            return part;
        }
        for (place, number) in part.0.iter_mut().enumerate().filter(|(_, number)| **number > 0) {
            *number = slice(*number, before, after, all, rng.derive(place as u64));
        }
        part[Count::Impressions] = after - before;
        part[Count::Reach] = part[Count::Reach].max(1).min(after - before);
        for conversion in CONVERSIONS {
            // Because windows are rounded independently, one could exceed the total.
            let mut windows = part.windows(conversion);
            windows.view_1d = windows.view_1d.min(windows.value);
            windows.click_1d = windows.click_1d.min(windows.click_7d());
            windows.click_28d = windows.click_28d.max(windows.click_7d());
            part.set_windows(conversion, windows);
        }
        part
    }

    /// Removes the actions that happened outside of Meta.
    pub(crate) fn on_meta(mut self) -> Self {
        for conversion in OFF_META {
            self.set_windows(conversion, Windows::default());
        }
        self
    }

    /// Returns only the actions that happened outside of Meta.
    pub(crate) fn off_meta(&self) -> Self {
        let mut counts = Self::default();
        for conversion in OFF_META {
            counts.set_windows(conversion, self.windows(conversion));
        }
        counts
    }
}

/// Returns the windows of a conversion, of which `view_percent` percent came after a view without a click.
fn windows(value: u64, view_percent: u64, rng: SeededRng) -> Windows {
    let share = |of: u64, percent: u64, noise: u64| (of * percent + rng.derive(noise).between(0, 99)) / 100;
    let view_1d = share(value, view_percent, 1);
    let click_7d = value - view_1d;
    Windows { value, view_1d, click_1d: share(click_7d, 68, 2), click_28d: click_7d + share(value, 9, 3) }
}

/// Returns the part of `number` that belongs to the span from `before` to `after` of `all`: the parts of adjacent spans
/// add up to the number, and the generator decides where a remainder goes.
pub(crate) fn slice(number: u64, before: u64, after: u64, all: u64, rng: SeededRng) -> u64 {
    if number == 0 || before == after {
        return 0;
    }
    let all = all.max(1);
    let shift = rng.between(0, all - 1);
    let upto = |end: u64| match number.checked_mul(end).and_then(|product| product.checked_add(shift)) {
        Some(product) => product / all,
        None => {
            let product = u128::from(number) * u128::from(end) + u128::from(shift);
            u64::try_from(product / u128::from(all)).unwrap_or(u64::MAX)
        }
    };
    upto(after) - upto(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day() -> Counts {
        let numbers = Numbers {
            spend: 4_217,
            impressions: 900,
            reach: 700,
            clicks: 31,
            link_clicks: 20,
            landing_page_views: 15,
            video_views: 211,
            purchases: 3,
            purchase_value: 10_001,
            web_leads: 2,
            ..Numbers::default()
        };
        Counts::of(&numbers, SeededRng::new(5))
    }

    #[test]
    fn parts_are_exactly_the_whole() {
        let whole = day();
        let cuts = [0, 13, 13, 500, 899, 900];
        let mut sum = Counts::default();
        for cut in cuts.windows(2) {
            let part = whole.part(cut[0], cut[1], SeededRng::new(9));
            assert!(part[Count::Clicks] <= part[Count::Impressions]);
            sum.add(&part);
        }
        for count in [Count::Spend, Count::Impressions, Count::Clicks, Count::VideoAll, Count::Purchases] {
            assert_eq!(sum[count], whole[count], "{count:?}");
        }
        assert_eq!(sum[Count::PurchaseValue], 10_001);
    }

    #[test]
    fn windows_are_part_of_each_other() {
        for seed in 0..200 {
            let bought = windows(seed % 17, 14, SeededRng::new(seed));
            assert!(bought.click_1d <= bought.click_7d() && bought.click_7d() <= bought.click_28d);
            assert_eq!(bought.view_1d + bought.click_7d(), seed % 17);
        }
        assert_eq!(day().on_meta()[Count::Purchases], 0);
        assert_eq!(day().off_meta()[Count::Purchases], 3);
    }

    #[test]
    fn fewer_people_watch_on_as_a_video_goes_on() {
        let counts = day();
        let watched =
            [Count::VideoPlays, Count::VideoViews, Count::VideoQuarter, Count::VideoHalf, Count::VideoAll];
        assert!(watched.map(|count| counts[count]).is_sorted_by(|more, less| more >= less));
    }
}
