//! A shelf: values that are made once and used for a moment by all who ask for the same.
//!
//! Of several who ask at once one makes the value and the others wait for it. Where it cannot be made, an older one is
//! handed out with its age. The shelf is bounded by weight; what was not asked for the longest goes first.

use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::waiting::waiting;
use hashlink::LruCache;

/// A failure is handed out for so long instead of being repeated by each who waited for it.
const FAILED_FOR: Duration = Duration::from_secs(1);
/// Most keys, whatever they weigh.
const MOST_KEYS: usize = 4_096;

/// The shelf.
pub struct Shelf<K, V, E> {
    slots: Mutex<Slots<K, V, E>>,
    fresh: Duration,
    stale: Duration,
    most: usize,
}

struct Slots<K, V, E> {
    known: LruCache<K, Arc<Slot<V, E>>>,
    weight: usize,
}

struct Slot<V, E> {
    state: tokio::sync::Mutex<State<V, E>>,
    /// What the shelf counts for it; changed under the lock of the shelf alone.
    weight: Mutex<usize>,
}

struct State<V, E> {
    made: Option<(Instant, Arc<V>)>,
    failed: Option<(Instant, E)>,
}

/// A value from the shelf.
pub struct Found<V> {
    /// The value.
    pub value: Arc<V>,
    /// Its age, where it could not be made anew.
    pub stale: Option<Duration>,
    /// Whether it was made for this question.
    pub is_new: bool,
}

impl<K: Hash + Eq + Clone, V, E: Clone> Shelf<K, V, E> {
    /// An empty shelf. A value is new for `fresh` and of some use for `stale`; all of them weigh at most `most`.
    pub fn new(fresh: Duration, stale: Duration, most: usize) -> Self {
        Self {
            slots: Mutex::new(Slots {
                known: LruCache::new(MOST_KEYS),
                weight: 0,
            }),
            fresh,
            stale,
            most,
        }
    }

    /// The value for a key, made where there is no new one. `make` says what it weighs; `is_outage` tells failures that
    /// pass, during which an older value helps, from those that are the answer.
    ///
    /// # Errors
    /// What `make` failed with, now or a moment ago.
    pub async fn get(
        &self,
        key: K,
        is_outage: impl Fn(&E) -> bool,
        make: impl AsyncFnOnce() -> Result<(V, usize), E>,
    ) -> Result<Found<V>, E> {
        let slot = self.slot(&key);
        let mut state = waiting(slot.state.lock()).await;
        if let Some(found) = self.fresh(&state) {
            return Ok(found);
        }
        if let Some(error) = self.failed_lately(&state) {
            return self.stale(&state).ok_or(error);
        }
        // Where nothing counts as new, nobody has anything from waiting for another.
        let result = if self.fresh.is_zero() {
            drop(state);
            let result = make().await;
            state = slot.state.lock().await;
            result
        } else {
            make().await
        };
        match result {
            Ok((value, weight)) => {
                let value = Arc::new(value);
                state.made = Some((Instant::now(), Arc::clone(&value)));
                state.failed = None;
                self.weigh(&key, &slot, weight);
                Ok(Found {
                    value,
                    stale: None,
                    is_new: true,
                })
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                if !is_outage(&error) {
                    state.made = None;
                }
                self.stale(&state).ok_or(error)
            }
        }
    }

    fn fresh(&self, state: &State<V, E>) -> Option<Found<V>> {
        let (_, value) = state.made.as_ref().filter(|(when, _)| when.elapsed() < self.fresh)?;
        Some(Found {
            value: Arc::clone(value),
            stale: None,
            is_new: false,
        })
    }

    fn failed_lately(&self, state: &State<V, E>) -> Option<E> {
        let (when, error) = state.failed.as_ref()?;
        (when.elapsed() < FAILED_FOR.min(self.fresh)).then(|| error.clone())
    }

    fn stale(&self, state: &State<V, E>) -> Option<Found<V>> {
        let (when, value) = state.made.as_ref().filter(|(when, _)| when.elapsed() < self.stale)?;
        Some(Found {
            value: Arc::clone(value),
            stale: Some(when.elapsed()),
            is_new: false,
        })
    }

    fn slot(&self, key: &K) -> Arc<Slot<V, E>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.known.get(key) {
            return Arc::clone(slot);
        }
        let slot = Arc::new(Slot {
            state: tokio::sync::Mutex::new(State {
                made: None,
                failed: None,
            }),
            weight: Mutex::new(0),
        });
        if slots.known.len() >= MOST_KEYS {
            slots.drop_oldest();
        }
        slots.known.insert(key.clone(), Arc::clone(&slot));
        slot
    }

    /// Counts what a value weighs, and makes room for it.
    fn weigh(&self, key: &K, slot: &Arc<Slot<V, E>>, weight: usize) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if !slots.known.peek(key).is_some_and(|known| Arc::ptr_eq(known, slot)) {
            return; // It had to make room meanwhile; who waits for it gets it all the same.
        }
        let before = std::mem::replace(&mut *slot.weight.lock().unwrap_or_else(PoisonError::into_inner), weight);
        slots.weight = slots.weight.saturating_sub(before) + weight;
        while slots.weight > self.most && !slots.known.is_empty() {
            slots.drop_oldest();
        }
    }

    #[cfg(test)]
    fn weight(&self) -> usize {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).weight
    }
}

impl<K: Hash + Eq, V, E> Slots<K, V, E> {
    fn drop_oldest(&mut self) {
        if let Some((_, slot)) = self.known.remove_lru() {
            let weight = *slot.weight.lock().unwrap_or_else(PoisonError::into_inner);
            self.weight = self.weight.saturating_sub(weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    async fn ask(
        shelf: &Shelf<&'static str, u32, String>,
        key: &'static str,
        answer: Result<u32, &str>,
    ) -> Result<(u32, bool), String> {
        let made = answer.map(|value| (value, 10)).map_err(str::to_owned);
        let found = shelf.get(key, |error| error == "down", async || made).await?;
        Ok((*found.value, found.stale.is_some()))
    }

    #[tokio::test]
    async fn all_who_ask_at_once_share_one_answer() {
        let shelf = Arc::new(Shelf::<&str, u32, ()>::new(LONG, LONG, 100));
        let count = Arc::new(AtomicUsize::new(0));
        let asking: Vec<_> = (0..50)
            .map(|_| {
                let (shelf, count) = (Arc::clone(&shelf), Arc::clone(&count));
                tokio::spawn(async move {
                    let make = async || {
                        count.fetch_add(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        Ok((7, 1))
                    };
                    *shelf.get("key", |()| true, make).await.expect("an answer").value
                })
            })
            .collect();
        for one in asking {
            assert_eq!(one.await.expect("an end"), 7);
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn an_older_answer_helps_through_an_outage_and_no_refusal() {
        let shelf = Shelf::new(Duration::ZERO, LONG, 100);
        assert_eq!(ask(&shelf, "key", Err("down")).await, Err("down".to_owned()));
        assert_eq!(ask(&shelf, "key", Ok(1)).await, Ok((1, false)));
        assert_eq!(ask(&shelf, "key", Err("down")).await, Ok((1, true)));
        assert_eq!(ask(&shelf, "key", Ok(2)).await, Ok((2, false)));
        assert_eq!(ask(&shelf, "key", Err("gone")).await, Err("gone".to_owned()));
        assert_eq!(
            ask(&shelf, "key", Err("down")).await,
            Err("down".to_owned()),
            "what is gone stays gone"
        );
    }

    #[tokio::test]
    async fn a_failure_is_not_repeated_by_each_who_waits() {
        let shelf = Shelf::new(LONG, LONG, 100);
        assert_eq!(ask(&shelf, "key", Err("down")).await, Err("down".to_owned()));
        assert_eq!(
            ask(&shelf, "key", Ok(1)).await,
            Err("down".to_owned()),
            "within the second"
        );
    }

    #[tokio::test]
    async fn the_shelf_never_weighs_more_than_it_may() {
        let shelf = Shelf::new(LONG, LONG, 25);
        for key in ["a", "b", "a", "c"] {
            ask(&shelf, key, Ok(1)).await.expect("an answer");
            assert!(shelf.weight() <= 25);
        }
        assert_eq!(ask(&shelf, "a", Ok(2)).await, Ok((1, false)), "asked for lately");
        assert_eq!(ask(&shelf, "b", Ok(2)).await, Ok((2, false)), "had to go");
    }
}
