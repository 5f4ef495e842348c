//! Which shard the rows of an object are in.

use domain::id::EntityId;

/// Returns the shard of an object among `2^bits`. Part of the stored format: it must never change.
pub fn shard_of(id: &EntityId, bits: u8) -> usize {
    if bits == 0 {
        return 0;
    }
    // FNV-1a makes a number of any id; splitmix64's finisher spreads consecutive ids over its upper bits.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in id.as_str().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    (hash >> (64 - u32::from(bits))) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_of_known_ids_never_change() {
        let shards = |bits| {
            ["120210000000010001", "120210000000020001", "urn:li:1", "7"]
                .map(|id| shard_of(&id.parse().unwrap(), bits))
        };
        assert_eq!(shards(0), [0, 0, 0, 0]);
        assert_eq!(shards(3), SHARDS_OF_8);
        assert_eq!(
            shards(10).map(|shard| shard >> 7),
            SHARDS_OF_8,
            "a finer shard lies inside the coarser one"
        );
    }

    const SHARDS_OF_8: [usize; 4] = [1, 2, 5, 3];

    #[test]
    fn consecutive_ids_are_spread_evenly() {
        let mut counts = [0; 8];
        for n in 0..8000_u64 {
            let id = (120_210_000_000_000_000 + n * 10_000 + 1).to_string().parse().unwrap();
            counts[shard_of(&id, 3)] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
