//! The counts behind one generated row.

/// The counts of an ad on a day. Money is in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) spend: u64,
    pub(crate) impressions: u64,
    pub(crate) reach: u64,
    pub(crate) clicks: u64,
    pub(crate) link_clicks: u64,
    pub(crate) landing_page_views: u64,
    pub(crate) video_views: u64,
    pub(crate) reactions: u64,
    pub(crate) page_likes: u64,
    pub(crate) adds_to_cart: u64,
    pub(crate) purchases: u64,
    pub(crate) purchase_value: u64,
    pub(crate) form_leads: u64,
    pub(crate) web_leads: u64,
}
