//! How much may be done a minute, by each of many and by all together: token buckets, full at what a minute allows and refilled
//! evenly. The table is bounded: the key not seen for longest is forgotten first, and then has a full bucket again, which the
//! one of all together makes up for.

use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use hashlink::LruCache;

use crate::clock::Clock;

/// What is allowed a minute; 0 means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerMinute {
    /// To each.
    pub each: u32,
    /// To all together.
    pub all: u32,
}

/// What is left to each and to all.
pub struct Allowances<K> {
    per_minute: PerMinute,
    left: Mutex<AllowanceTable<K>>,
    clock: Clock,
}

struct AllowanceTable<K> {
    all: AllowanceTokens,
    each: LruCache<K, AllowanceTokens>,
}

#[derive(Debug, Clone, Copy)]
struct AllowanceTokens {
    left: f64,
    at: Instant,
}

impl AllowanceTokens {
    fn refilled(self, per_minute: u32, now: Instant) -> Self {
        let full = f64::from(per_minute);
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        Self {
            left: (self.left + passed * full / 60.0).min(full),
            at: now,
        }
    }

    fn without_one(self) -> Self {
        Self {
            left: self.left - 1.0,
            ..self
        }
    }
}

impl<K: Hash + Eq> Allowances<K> {
    /// With at most so many keys remembered.
    pub fn new(per_minute: PerMinute, most_keys: usize, clock: Clock) -> Self {
        let full = AllowanceTokens {
            left: f64::from(per_minute.all),
            at: clock.instant(),
        };
        let each = LruCache::new(most_keys);
        Self {
            per_minute,
            left: Mutex::new(AllowanceTable { all: full, each }),
            clock,
        }
    }

    /// Takes one from what is left to a key and to all; takes nothing and is false where either has none.
    pub fn take(&self, key: K) -> bool {
        let now = self.clock.instant();
        let PerMinute { each, all } = self.per_minute;
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let of_all = left.all.refilled(all, now);
        let fresh = AllowanceTokens {
            left: f64::from(each),
            at: now,
        };
        let of_key = left.each.get(&key).map_or(fresh, |known| known.refilled(each, now));
        let granted = (all == 0 || of_all.left >= 1.0) && (each == 0 || of_key.left >= 1.0);
        let taken = |tokens: AllowanceTokens| if granted { tokens.without_one() } else { tokens };
        left.all = taken(of_all);
        if each > 0 {
            left.each.insert(key, taken(of_key));
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_and_all_have_their_own_and_it_comes_back() {
        let (clock, hands) = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        let allowances = Allowances::new(PerMinute { each: 2, all: 3 }, 10, clock);
        let taken = |keys: &[u8]| keys.iter().map(|key| allowances.take(*key)).collect::<Vec<_>>();
        assert_eq!(taken(&[1, 1, 1]), [true, true, false], "two to each");
        assert_eq!(taken(&[2, 2, 3]), [true, false, false], "three to all");
        hands.advance(Duration::from_secs(20));
        assert_eq!(
            taken(&[1, 2]),
            [false, true],
            "one to all came back, but not a whole one to the first"
        );
        hands.advance(Duration::from_hours(1));
        assert_eq!(
            taken(&[1, 1, 1]),
            [true, true, false],
            "never more than a minute's worth"
        );
    }

    #[test]
    fn many_keys_take_no_more_memory_and_no_more_than_all_may() {
        let (clock, _hands) = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        let allowances = Allowances::new(PerMinute { each: 1, all: 50 }, 10, clock);
        let granted = (0..1_000).filter(|key| allowances.take(*key)).count();
        assert_eq!(granted, 50);
        assert_eq!(allowances.left.lock().expect("sound").each.len(), 10);
    }

    #[test]
    fn zero_is_no_limit() {
        let (clock, _hands) = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        let allowances = Allowances::new(PerMinute { each: 0, all: 0 }, 1, clock);
        assert!((0..1_000).all(|_| allowances.take("anybody")));
    }
}
