//! A cache of values that many callers ask for at the same moment.
//!
//! Of several callers for one key, one computes the value and the others wait for it. If it cannot be computed, an older
//! value is handed out with its age. The cache is bounded by weight and by keys; the least recently used goes first.

use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::clock::Clock;
use common::waiting::waiting;
use hashlink::LruCache;

use super::CacheSettings;

/// For how long a failure is handed to everyone waiting for it, rather than repeated by each.
const FAILURE_LIFETIME: Duration = Duration::from_secs(1);
/// For how long a value counts as fresh that would be better if it were computed at another time.
const DEGRADED_LIFETIME: Duration = Duration::from_millis(250);
/// Most keys, whatever they weigh.
const MAX_KEYS: usize = 4_096;

/// The cache.
pub struct Cache<K, V, E> {
    slots: Mutex<CacheSlots<K, V, E>>,
    clock: Clock,
    fresh: Duration,
    stale: Duration,
    max_weight: usize,
}

struct CacheSlots<K, V, E> {
    by_key: LruCache<K, Arc<CacheSlot<V, E>>>,
    weight: usize,
}

struct CacheSlot<V, E> {
    value: tokio::sync::Mutex<CachedValue<V, E>>,
    /// Its share of the total weight; changed only under the lock of the cache.
    weight: Mutex<usize>,
}

struct CachedValue<V, E> {
    computed: Option<TimedValue<V>>,
    failed: Option<(Instant, E)>,
}

struct TimedValue<V> {
    computed: Instant,
    quality: ValueQuality,
    value: Arc<V>,
}

/// Whether a value is as good as it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueQuality {
    /// It is.
    Full,
    /// Something was missing while it was computed, so it is soon computed again.
    Degraded,
}

/// A value just computed.
pub struct ComputedValue<V> {
    /// The value.
    pub value: V,
    /// Its share of the weight of the cache.
    pub weight: usize,
    /// Whether it is as good as it can be.
    pub quality: ValueQuality,
}

/// A value from the cache.
pub struct CacheLookup<V> {
    /// The value.
    pub value: Arc<V>,
    /// Its age, if it is out of date and could not be computed again.
    pub stale: Option<Duration>,
    /// Whether it was computed for this lookup.
    pub is_new: bool,
}

impl<K: Hash + Eq + Clone, V, E: Clone> Cache<K, V, E> {
    /// An empty cache whose values weigh at most `max_weight` together.
    pub fn new(settings: CacheSettings, max_weight: usize, clock: Clock) -> Self {
        Self {
            slots: Mutex::new(CacheSlots {
                by_key: LruCache::new(MAX_KEYS),
                weight: 0,
            }),
            clock,
            fresh: settings.fresh,
            stale: settings.stale,
            max_weight,
        }
    }

    /// The value for a key, computed if there is no fresh one. `is_outage` tells temporary failures, which an older value bridges, from refusals, which are the answer.
    ///
    /// # Errors
    /// The error of `compute`, now or within the last second.
    pub async fn get(
        &self,
        key: K,
        is_outage: impl Fn(&E) -> bool,
        compute: impl AsyncFnOnce() -> Result<ComputedValue<V>, E>,
    ) -> Result<CacheLookup<V>, E> {
        let slot = self.slot(&key);
        let mut cached = waiting(slot.value.lock()).await;
        if let Some(found) = self.fresh(&cached) {
            return Ok(found);
        }
        if let Some(error) = self.recent_failure(&cached) {
            return self.stale(&cached).ok_or(error);
        }
        // If nothing ever counts as fresh, waiting for one another gains nobody anything.
        let result = if self.fresh.is_zero() {
            drop(cached);
            let result = compute().await;
            cached = slot.value.lock().await;
            result
        } else {
            compute().await
        };
        match result {
            Ok(ComputedValue { value, weight, quality }) => {
                let value = Arc::new(value);
                cached.computed = Some(TimedValue {
                    computed: self.clock.instant(),
                    quality,
                    value: Arc::clone(&value),
                });
                cached.failed = None;
                self.add_weight(&key, &slot, weight);
                Ok(CacheLookup {
                    value,
                    stale: None,
                    is_new: true,
                })
            }
            Err(error) => {
                cached.failed = Some((self.clock.instant(), error.clone()));
                if !is_outage(&error) {
                    cached.computed = None;
                }
                self.stale(&cached).ok_or(error)
            }
        }
    }

    fn fresh(&self, cached: &CachedValue<V, E>) -> Option<CacheLookup<V>> {
        let found = cached.computed.as_ref()?;
        let lifetime = match found.quality {
            ValueQuality::Full => self.fresh,
            ValueQuality::Degraded => self.fresh.min(DEGRADED_LIFETIME),
        };
        (self.clock.elapsed(found.computed) < lifetime).then(|| CacheLookup {
            value: Arc::clone(&found.value),
            stale: None,
            is_new: false,
        })
    }

    fn recent_failure(&self, cached: &CachedValue<V, E>) -> Option<E> {
        let (when, error) = cached.failed.as_ref()?;
        (self.clock.elapsed(*when) < FAILURE_LIFETIME.min(self.fresh)).then(|| error.clone())
    }

    fn stale(&self, cached: &CachedValue<V, E>) -> Option<CacheLookup<V>> {
        let found = cached.computed.as_ref()?;
        let age = self.clock.elapsed(found.computed);
        (age < self.stale).then(|| CacheLookup {
            value: Arc::clone(&found.value),
            stale: Some(age),
            is_new: false,
        })
    }

    fn slot(&self, key: &K) -> Arc<CacheSlot<V, E>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.by_key.get(key) {
            return Arc::clone(slot);
        }
        let slot = Arc::new(CacheSlot {
            value: tokio::sync::Mutex::new(CachedValue {
                computed: None,
                failed: None,
            }),
            weight: Mutex::new(0),
        });
        if slots.by_key.len() >= MAX_KEYS {
            slots.evict_oldest();
        }
        slots.by_key.insert(key.clone(), Arc::clone(&slot));
        slot
    }

    /// Adds the weight of a new value, and evicts others until all fit.
    fn add_weight(&self, key: &K, slot: &Arc<CacheSlot<V, E>>, weight: usize) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if !slots.by_key.peek(key).is_some_and(|known| Arc::ptr_eq(known, slot)) {
            return; // Evicted meanwhile; those waiting for it get it all the same.
        }
        let before = std::mem::replace(&mut *slot.weight.lock().unwrap_or_else(PoisonError::into_inner), weight);
        slots.weight = slots.weight.saturating_sub(before) + weight;
        while slots.weight > self.max_weight && !slots.by_key.is_empty() {
            slots.evict_oldest();
        }
    }

    #[cfg(test)]
    fn weight(&self) -> usize {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).weight
    }
}

impl<K: Hash + Eq, V, E> CacheSlots<K, V, E> {
    fn evict_oldest(&mut self) {
        if let Some((_, slot)) = self.by_key.remove_lru() {
            let weight = *slot.weight.lock().unwrap_or_else(PoisonError::into_inner);
            self.weight = self.weight.saturating_sub(weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use common::clock::ManualClock;
    use jiff::Timestamp;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn cache<V>(fresh: Duration, max_weight: usize) -> (Cache<&'static str, V, String>, ManualClock) {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let settings = CacheSettings {
            fresh,
            stale: HOUR,
            page_bytes: 0,
        };
        (Cache::new(settings, max_weight, clock), hand)
    }

    fn full(value: u32, weight: usize) -> ComputedValue<u32> {
        ComputedValue {
            value,
            weight,
            quality: ValueQuality::Full,
        }
    }

    async fn get(
        cache: &Cache<&'static str, u32, String>,
        key: &'static str,
        computed: Result<u32, &str>,
    ) -> Result<(u32, Option<Duration>), String> {
        let computed = computed.map(|value| full(value, 10)).map_err(str::to_owned);
        let found = cache.get(key, |error| error == "down", async || computed).await?;
        Ok((*found.value, found.stale))
    }

    #[tokio::test]
    async fn concurrent_lookups_share_one_computation() {
        let (cache, _) = cache(HOUR, 100);
        let (cache, count) = (&cache, &AtomicUsize::new(0));
        let lookups = (0..50).map(|_| async move {
            let compute = async || {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok(full(7, 1))
            };
            *cache.get("key", |_| true, compute).await.expect("a value").value
        });
        assert_eq!(futures::future::join_all(lookups).await, [7; 50]);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_stale_value_bridges_outages_but_no_refusal() {
        let (cache, hand) = cache(Duration::ZERO, 100);
        assert_eq!(get(&cache, "key", Err("down")).await, Err("down".to_owned()));
        assert_eq!(get(&cache, "key", Ok(1)).await, Ok((1, None)));
        hand.advance(Duration::from_mins(5));
        assert_eq!(
            get(&cache, "key", Err("down")).await,
            Ok((1, Some(Duration::from_mins(5))))
        );
        assert_eq!(get(&cache, "key", Ok(2)).await, Ok((2, None)));
        assert_eq!(get(&cache, "key", Err("gone")).await, Err("gone".to_owned()));
        assert_eq!(
            get(&cache, "key", Err("down")).await,
            Err("down".to_owned()),
            "what is gone stays gone"
        );
        assert_eq!(get(&cache, "key", Ok(3)).await, Ok((3, None)));
        hand.advance(HOUR);
        assert_eq!(get(&cache, "key", Err("down")).await, Err("down".to_owned()), "too old");
    }

    #[tokio::test]
    async fn a_failure_is_shared_for_a_second() {
        let (cache, hand) = cache(HOUR, 100);
        assert_eq!(get(&cache, "key", Err("down")).await, Err("down".to_owned()));
        assert_eq!(get(&cache, "key", Ok(1)).await, Err("down".to_owned()));
        hand.advance(Duration::from_secs(1));
        assert_eq!(get(&cache, "key", Ok(1)).await, Ok((1, None)));
    }

    #[tokio::test]
    async fn a_fresh_value_is_not_computed_again() {
        let (cache, hand) = cache(HOUR, 100);
        assert_eq!(get(&cache, "key", Ok(1)).await, Ok((1, None)));
        hand.advance(Duration::from_mins(59));
        assert_eq!(get(&cache, "key", Ok(2)).await, Ok((1, None)));
        hand.advance(Duration::from_mins(1));
        assert_eq!(get(&cache, "key", Ok(2)).await, Ok((2, None)));
    }

    #[tokio::test]
    async fn a_degraded_value_is_soon_computed_again() {
        let (cache, hand) = cache(HOUR, 100);
        let degraded = async || {
            Ok(ComputedValue {
                quality: ValueQuality::Degraded,
                ..full(1, 1)
            })
        };
        let found = cache.get("key", |_| true, degraded).await.expect("a value");
        assert_eq!(*found.value, 1);
        assert_eq!(
            get(&cache, "key", Ok(2)).await,
            Ok((1, None)),
            "for those who ask at the same moment"
        );
        hand.advance(DEGRADED_LIFETIME);
        assert_eq!(get(&cache, "key", Ok(2)).await, Ok((2, None)));
        hand.advance(DEGRADED_LIFETIME);
        assert_eq!(get(&cache, "key", Ok(3)).await, Ok((2, None)), "a full one is kept");
    }

    #[tokio::test]
    async fn the_cache_never_exceeds_its_weight() {
        let (cache, _) = cache(HOUR, 25);
        for key in ["a", "b", "a", "c"] {
            get(&cache, key, Ok(1)).await.expect("a value");
            assert!(cache.weight() <= 25);
        }
        assert_eq!(get(&cache, "a", Ok(2)).await, Ok((1, None)), "used lately");
        assert_eq!(get(&cache, "b", Ok(2)).await, Ok((2, None)), "was evicted");
    }
}
