//! Random numbers from a seed: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), which is enough for a simulation and the same
//! everywhere.

/// A source of random numbers.
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0 to below `most`.
    pub fn below(&mut self, most: i64) -> i64 {
        let scaled = (i128::from(self.next()) * i128::from(most)) >> 64;
        i64::try_from(scaled).unwrap_or(0)
    }

    /// A place in a list of `length`.
    pub fn place(&mut self, length: usize) -> usize {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        usize::try_from(self.below(length)).unwrap_or(0)
    }

    /// A place drawn by weights that are summed up already: the last one is the sum of all.
    pub fn weighted(&mut self, sums: &[f64]) -> usize {
        let drawn = self.share() * sums.last().copied().unwrap_or(0.0);
        sums.partition_point(|sum| *sum <= drawn).min(sums.len() - 1)
    }
}
