//! The levels at which facts are stored.

use domain::entity::Level;

/// The levels whose facts are stored. The others are their sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlockLevel {
    /// Sums of the ads of each campaign, core only: most reads need no more.
    Campaign,
    /// What the platform reported.
    Ad,
}

impl BlockLevel {
    /// Every stored level.
    pub const ALL: [Self; 2] = [Self::Campaign, Self::Ad];

    /// Returns the level of its rows.
    pub fn level(self) -> Level {
        match self {
            Self::Campaign => Level::Campaign,
            Self::Ad => Level::Ad,
        }
    }

    /// The number of levels of ids in a block: campaign; or campaign, ad set and ad.
    pub(crate) fn depth(self) -> usize {
        match self {
            Self::Campaign => 1,
            Self::Ad => 3,
        }
    }
}
