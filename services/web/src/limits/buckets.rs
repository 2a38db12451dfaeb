//! Token buckets, one for each client and budget: full at what a minute allows, and refilled evenly.
//!
//! The table is bounded: the client not seen for longest is forgotten first, and starts again with a full bucket. (Our own
//! rather than `governor`: its keyed stores are not bounded, and do not say when a bucket will be full, which `RateLimit` does.)

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hashlink::LruCache;

use super::{RequestBudget, client_key};

const MINUTE_SECONDS: f64 = 60.0;

/// Whether a request may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateDecision {
    /// It may.
    Granted {
        /// Requests that may follow immediately.
        left: u32,
        /// Time until the bucket is full again.
        full_in: Duration,
    },
    /// It may not.
    Refused {
        /// Time until the next one may.
        wait: Duration,
    },
}

impl RateDecision {
    /// The decision where nothing is limited.
    pub const UNLIMITED: Self = Self::Granted {
        left: u32::MAX,
        full_in: Duration::ZERO,
    };
}

#[derive(Debug, Clone, Copy)]
struct TokenBucket {
    /// Below zero after a cost above the whole bucket.
    tokens: f64,
    seen: Instant,
}

/// The buckets of all clients.
pub struct TokenBuckets(Mutex<LruCache<(u128, RequestBudget), TokenBucket>>);

impl TokenBuckets {
    /// An empty table of at most `most` clients.
    pub fn new(most: usize) -> Self {
        Self(Mutex::new(LruCache::new(most * RequestBudget::ALL.len())))
    }

    /// Takes the tokens that something costs, if they are there. What costs more than the bucket holds is granted when it is
    /// full, so that nothing is refused every time; the client pays for the rest by waiting longer.
    pub fn take(
        &self,
        (address, budget): (IpAddr, RequestBudget),
        per_minute: u32,
        cost: u32,
        now: Instant,
    ) -> RateDecision {
        let full = f64::from(per_minute);
        let per_second = full / MINUTE_SECONDS;
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (client_key(address), budget);
        let fresh = TokenBucket {
            tokens: full,
            seen: now,
        };
        let mut bucket = table.get(&key).copied().unwrap_or(fresh);
        let passed = now.saturating_duration_since(bucket.seen).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * per_second).min(full);
        bucket.seen = now;
        let needed = f64::from(cost).min(full);
        if bucket.tokens < needed {
            table.insert(key, bucket);
            let wait = Duration::from_secs_f64((needed - bucket.tokens) / per_second);
            return RateDecision::Refused { wait };
        }
        bucket.tokens -= f64::from(cost);
        table.insert(key, bucket);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to the limit"
        )]
        let left = bucket.tokens.max(0.0) as u32;
        RateDecision::Granted {
            left,
            full_in: Duration::from_secs_f64((full - bucket.tokens) / per_second),
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_bucket_empties_and_refills() {
        let buckets = TokenBuckets::new(10);
        let start = Instant::now();
        let take = |after: f64| {
            let client = (address("192.0.2.1"), RequestBudget::Pages);
            buckets.take(client, 6, 1, start + Duration::from_secs_f64(after))
        };
        for left in (0..6).rev() {
            let RateDecision::Granted { left: reported, .. } = take(0.0) else {
                panic!("refused with {left} left")
            };
            assert_eq!(reported, left);
        }
        assert_eq!(
            take(0.0),
            RateDecision::Refused {
                wait: Duration::from_secs(10)
            }
        );
        let RateDecision::Refused { wait } = take(4.0) else {
            panic!("granted too early")
        };
        assert!(
            wait.abs_diff(Duration::from_secs(6)) < Duration::from_millis(1),
            "{wait:?}"
        );
        assert!(matches!(take(10.1), RateDecision::Granted { left: 0, .. }));
        assert!(
            matches!(take(1_000.0), RateDecision::Granted { left: 5, .. }),
            "never more than a minute's worth"
        );
    }

    #[test]
    fn work_costs_what_it_is_and_more_than_a_bucket_leaves_a_debt() {
        let buckets = TokenBuckets::new(10);
        let start = Instant::now();
        let take = |cost: u32, after: u64| {
            let client = (address("192.0.2.1"), RequestBudget::Text);
            buckets.take(client, 60, cost, start + Duration::from_secs(after))
        };
        assert!(matches!(take(20, 0), RateDecision::Granted { left: 40, .. }));
        let wait = Duration::from_secs(20);
        assert_eq!(take(200, 0), RateDecision::Refused { wait }, "not full");
        assert!(matches!(take(200, 20), RateDecision::Granted { left: 0, .. }));
        let wait = Duration::from_secs(141);
        assert_eq!(take(1, 20), RateDecision::Refused { wait }, "140 are owed");
        assert!(matches!(take(1, 162), RateDecision::Granted { .. }));
    }

    #[test]
    fn clients_and_budgets_are_counted_apart() {
        let buckets = TokenBuckets::new(10);
        let now = Instant::now();
        let granted = |from: &str, budget| {
            matches!(
                buckets.take((address(from), budget), 1, 1, now),
                RateDecision::Granted { .. }
            )
        };
        assert!(granted("192.0.2.1", RequestBudget::Pages));
        assert!(!granted("192.0.2.1", RequestBudget::Pages));
        assert!(granted("192.0.2.2", RequestBudget::Pages));
        assert!(granted("192.0.2.1", RequestBudget::Search));
        assert!(granted("2001:db8::1", RequestBudget::Pages));
        assert!(!granted("2001:db8::ffff:1", RequestBudget::Pages), "the same household");
        assert!(granted("2001:db8:0:1::1", RequestBudget::Pages));
    }

    #[test]
    fn the_table_is_bounded() {
        let buckets = TokenBuckets::new(5);
        let now = Instant::now();
        for last in 0..=255_u8 {
            let client = (address(&format!("192.0.2.{last}")), RequestBudget::Pages);
            buckets.take(client, 1, 1, now);
        }
        assert_eq!(buckets.len(), 5 * RequestBudget::ALL.len());
    }
}
