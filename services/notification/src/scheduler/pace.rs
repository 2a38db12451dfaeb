//! How many subscribers to claim at once: as many as are sent well within their lease, and no more than memory allows.
//!
//! A slow mail server gets small batches, so that no lease runs out under mails that wait for their turn.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The first batch, and no batch is smaller: what a server of one mail a second takes within a usual lease.
const LEAST: usize = 16;
/// The batches that are sent at the same time and a margin fit into one lease.
const SHARE_OF_LEASE: u32 = 6;

/// The size of the next batch.
#[derive(Debug)]
pub struct SendingPace {
    next: AtomicUsize,
    most: usize,
    target: Duration,
}

impl SendingPace {
    /// For a lease, and batches of at most this size.
    pub fn new(lease: Duration, most: usize) -> Self {
        Self {
            next: AtomicUsize::new(LEAST.min(most)),
            most,
            target: lease / SHARE_OF_LEASE,
        }
    }

    /// How many to claim.
    pub fn batch(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }

    /// Notes how long a batch took to be sent. The next one is at most four times and at least a quarter as large.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small counts, clamped below"
    )]
    pub fn took(&self, count: usize, time: Duration) {
        if count < self.batch() && time <= self.target {
            // There were no more to claim, which says nothing about the next time.
            return;
        }
        let fits = count as f64 * self.target.as_secs_f64() / time.as_secs_f64().max(1e-3);
        let next = (fits as usize).clamp(count / 4, count.saturating_mul(4));
        self.next
            .store(next.clamp(LEAST.min(self.most), self.most), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_while_they_are_quick_and_shrink_otherwise() {
        let pace = SendingPace::new(Duration::from_mins(1), 512);
        let mut sizes = Vec::new();
        for _ in 0..4 {
            sizes.push(pace.batch());
            pace.took(pace.batch(), Duration::from_millis(100));
        }
        assert_eq!(sizes, [16, 64, 256, 512]);
        pace.took(512, Duration::from_secs(40));
        assert_eq!(pace.batch(), 128, "the limit of one step");
        pace.took(128, Duration::from_secs(20));
        assert_eq!(pace.batch(), 64, "half, because it took twice too long");
        pace.took(16, Duration::from_mins(10));
        assert_eq!(pace.batch(), 16);
        assert_eq!(SendingPace::new(Duration::from_mins(1), 4).batch(), 4);
    }
}
