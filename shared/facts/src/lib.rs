//! Facts as compressed columns: what is measured for the objects of an ad account on a day, and sums over it.
//!
//! A [`Block`] holds the rows of one dataset, level, day and shard. Its core segment has the ids and the measures that
//! lists and rules read; its detail segment has the values by action type and attribution window, which are read only
//! when they are asked for. Encoding is deterministic: equal rows have equal bytes, so a digest says whether anything
//! has changed. Nothing here does I/O or knows a clock.

mod block;
mod column;
mod level;
mod measures;
mod objects;
mod rows;
mod shard;
mod sums;
mod wire;

pub use block::{Block, EncodedSegment, Segment, compress, decompress};
pub use level::BlockLevel;
pub use measures::{ATTRIBUTION_SETTING, REACH_COLUMNS, action_column, action_value_column, columns_of};
pub use objects::Selection;
pub use rows::{EncodedShard, Rows};
pub use shard::shard_of;
pub use sums::{Columns, Group, Grouping, Sums};

/// Why a block cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// The bytes are not those of a block: a defect, or damage.
    #[error("a block of facts is malformed: {0}")]
    Malformed(&'static str),
    /// A newer program wrote the block.
    #[error("a block of facts has format {0}, which this version does not know")]
    UnknownFormat(u8),
    /// A value or a sum passes what a block can hold.
    #[error("a value of {0} is too large")]
    TooLarge(String),
}
