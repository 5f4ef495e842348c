//! Deterministic random numbers, derived from the seed and from what they are used for.

/// A random number generator for one thing (a campaign, an ad on a day).
#[derive(Clone, Copy)]
pub(crate) struct SeededRng(u64);

impl SeededRng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x9E37_79B9_7F4A_7C15))
    }

    /// Returns the generator for a part or aspect of this thing.
    pub(crate) fn derive(self, part: u64) -> Self {
        Self(mix(self.0.wrapping_add(mix(part.wrapping_mul(2).wrapping_add(1)))))
    }

    /// Returns a number from `low` to `high`, both included.
    pub(crate) fn between(self, low: u64, high: u64) -> u64 {
        low + self.0 % (high - low + 1)
    }

    /// Returns true with a probability of `cases` percent.
    pub(crate) fn percent(self, cases: u64) -> bool {
        self.0 % 100 < cases
    }

    /// Returns one of the entries.
    pub(crate) fn pick(self, entries: &[&'static str]) -> &'static str {
        entries[self.0 as usize % entries.len()]
    }
}

/// The finalizer of splitmix64: spreads every input bit over the whole output.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aspects_are_independent_and_repeatable() {
        let rng = SeededRng::new(7);
        assert_eq!(rng.derive(3).between(0, 1_000_000), rng.derive(3).between(0, 1_000_000));
        assert_ne!(rng.derive(3).between(0, 1_000_000), rng.derive(4).between(0, 1_000_000));
        let hits = (0..10_000).filter(|part| rng.derive(*part).percent(30)).count();
        assert!((2_700..3_300).contains(&hits), "{hits}");
    }
}
