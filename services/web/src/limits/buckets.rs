//! Buckets of tokens, one for each client and budget: full with what a minute allows, and filled again evenly.
//!
//! The table is bounded; who was not seen the longest is forgotten first, and then has a full bucket.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hashlink::LruCache;

use super::{Budget, client_of};

const MINUTE: f64 = 60.0;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It may go on.
    Granted {
        /// Requests that may follow at once.
        left: u32,
        /// When the bucket is full again.
        full_in: Duration,
    },
    /// It may not.
    Refused {
        /// When the next one may.
        wait: Duration,
    },
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    seen: Instant,
}

/// The table.
pub struct Buckets(Mutex<LruCache<(u128, Budget), Bucket>>);

impl Buckets {
    /// An empty table of at most `most` clients.
    pub fn new(most: usize) -> Self {
        Self(Mutex::new(LruCache::new(most * Budget::ALL.len())))
    }

    /// Takes a token for a request, where there is one.
    pub fn take(&self, address: IpAddr, budget: Budget, per_minute: u32, now: Instant) -> Taken {
        let full = f64::from(per_minute);
        let per_second = full / MINUTE;
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (client_of(address), budget);
        let fresh = Bucket {
            tokens: full,
            seen: now,
        };
        let mut bucket = table.get(&key).copied().unwrap_or(fresh);
        let passed = now.saturating_duration_since(bucket.seen).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * per_second).min(full);
        bucket.seen = now;
        if bucket.tokens < 1.0 {
            table.insert(key, bucket);
            let wait = Duration::from_secs_f64((1.0 - bucket.tokens) / per_second);
            return Taken::Refused { wait };
        }
        bucket.tokens -= 1.0;
        table.insert(key, bucket);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to the limit"
        )]
        let left = bucket.tokens as u32;
        Taken::Granted {
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
    fn a_bucket_empties_and_fills_again() {
        let buckets = Buckets::new(10);
        let start = Instant::now();
        let take = |after: f64| {
            buckets.take(
                address("192.0.2.1"),
                Budget::Pages,
                6,
                start + Duration::from_secs_f64(after),
            )
        };
        for left in (0..6).rev() {
            let Taken::Granted { left: told, .. } = take(0.0) else {
                panic!("refused with {left} left")
            };
            assert_eq!(told, left);
        }
        assert_eq!(
            take(0.0),
            Taken::Refused {
                wait: Duration::from_secs(10)
            }
        );
        let Taken::Refused { wait } = take(4.0) else {
            panic!("granted too early")
        };
        assert!(
            wait.abs_diff(Duration::from_secs(6)) < Duration::from_millis(1),
            "{wait:?}"
        );
        assert!(matches!(take(10.1), Taken::Granted { left: 0, .. }));
        assert!(
            matches!(take(1_000.0), Taken::Granted { left: 5, .. }),
            "never more than a minute's worth"
        );
    }

    #[test]
    fn clients_and_budgets_do_not_eat_from_each_other() {
        let buckets = Buckets::new(10);
        let now = Instant::now();
        let granted = |from: &str, budget| matches!(buckets.take(address(from), budget, 1, now), Taken::Granted { .. });
        assert!(granted("192.0.2.1", Budget::Pages));
        assert!(!granted("192.0.2.1", Budget::Pages));
        assert!(granted("192.0.2.2", Budget::Pages));
        assert!(granted("192.0.2.1", Budget::Search));
        assert!(granted("2001:db8::1", Budget::Pages));
        assert!(!granted("2001:db8::ffff:1", Budget::Pages), "the same household");
        assert!(granted("2001:db8:0:1::1", Budget::Pages));
    }

    #[test]
    fn the_table_is_bounded() {
        let buckets = Buckets::new(5);
        let now = Instant::now();
        for last in 0..=255_u8 {
            buckets.take(address(&format!("192.0.2.{last}")), Budget::Pages, 1, now);
        }
        assert_eq!(buckets.len(), 20);
    }
}
