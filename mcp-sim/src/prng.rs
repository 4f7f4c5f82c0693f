//! Random numbers from a seed: the same seed, the same numbers, on every machine and in every version of this crate.

/// A small, fast generator (xoshiro256**, seeded through SplitMix64). Not for secrets.
///
/// ```
/// use mcp_sim::Prng;
///
/// let mut one = Prng::new(42);
/// let mut other = Prng::new(42);
/// assert_eq!(one.below(1000), other.below(1000));
/// ```
#[derive(Clone, Debug)]
pub struct Prng([u64; 4]);

impl Prng {
    /// A generator for this seed. Neighbouring seeds give unrelated numbers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self([(); 4].map(|()| split_mix(&mut state)))
    }

    /// A generator of its own for a part of the work, so that one part's draws do not move those of another.
    #[must_use]
    pub fn of(seed: u64, part: &str) -> Self {
        let mixed = part.bytes().fold(seed, |mixed, byte| {
            let mut state = mixed ^ u64::from(byte);
            split_mix(&mut state)
        });
        Self::new(mixed)
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        let Self([a, b, c, d]) = self;
        let drawn = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        drawn
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of a wide product is as even as simulations need.
        ((u128::from(self.any()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in the range, both ends included.
    pub fn within(&mut self, range: std::ops::RangeInclusive<u64>) -> u64 {
        let span = range.end().saturating_sub(*range.start());
        range.start() + self.below(span.saturating_add(1))
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// One of these, or the type's default if there is none.
    pub fn pick<T: Clone + Default>(&mut self, from: &[T]) -> T {
        let at = self.below(from.len() as u64) as usize;
        from.get(at).cloned().unwrap_or_default()
    }

    /// One of these by weight: how likely each is, relative to the others. The first if all weigh nothing.
    pub fn weighted<T: Copy>(&mut self, first: T, among: &[(u64, T)]) -> T {
        let total: u64 = among.iter().map(|(weight, _)| weight).sum();
        let mut at = self.below(total);
        for (weight, choice) in among {
            if at < *weight {
                return *choice;
            }
            at -= weight;
        }
        first
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_seed_never_change() {
        // Others have noted seeds of theirs: what a seed means is part of this crate's interface.
        let mut prng = Prng::new(1);
        let first: Vec<u64> = (0..3).map(|_| prng.any()).collect();
        assert_eq!(first, [12_966_619_160_104_079_557, 9_600_361_134_598_540_522, 10_590_380_919_521_690_900]);
    }

    #[test]
    fn bounds_are_kept_and_all_is_reached() {
        let mut prng = Prng::new(7);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[prng.below(5) as usize] = true;
            assert!((3..=4).contains(&prng.within(3..=4)));
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(prng.below(0), 0);
        assert!(prng.percent(100) && !prng.percent(0));
        assert_eq!(prng.weighted('a', &[(0, 'b'), (3, 'c')]), 'c');
    }

    #[test]
    fn parts_do_not_move_each_other() {
        assert_ne!(Prng::of(1, "links").any(), Prng::of(1, "work").any());
        assert_ne!(Prng::of(1, "links").any(), Prng::of(2, "links").any());
    }
}
