//! How many tokens one thread computes in a second: a moving average over the recent batches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Weight of the newest batch in the average.
const NEWEST: f64 = 0.2;

/// The average, as the bits of an f64; zero before the first batch.
#[derive(Debug, Default)]
pub struct Throughput(AtomicU64);

impl Throughput {
    /// Adds a batch to the average. When two threads do so at once, one of the two may be lost, which does not harm an
    /// average.
    pub fn record(&self, tokens: usize, took: Duration) {
        if tokens == 0 || took.is_zero() {
            return;
        }
        let newest = tokens as f64 / took.as_secs_f64();
        let next = self
            .tokens_per_second()
            .map_or(newest, |average| average + NEWEST * (newest - average));
        self.0.store(next.to_bits(), Ordering::Relaxed);
    }

    /// The average; `None` before the first batch.
    pub fn tokens_per_second(&self) -> Option<f64> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            bits => Some(f64::from_bits(bits)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_follows_the_batches() {
        let throughput = Throughput::default();
        assert_eq!(throughput.tokens_per_second(), None);
        throughput.record(0, Duration::from_secs(1));
        throughput.record(500, Duration::ZERO);
        assert_eq!(throughput.tokens_per_second(), None);
        throughput.record(500, Duration::from_millis(500));
        assert_eq!(throughput.tokens_per_second(), Some(1000.0));
        throughput.record(500, Duration::from_millis(250));
        assert_eq!(throughput.tokens_per_second(), Some(1200.0));
    }
}
