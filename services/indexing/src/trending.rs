//! What trends in the catalogue: heat in memory, read anew from the bus at every start, and the lists made of it.
//!
//! The formula is [`domain::trending`]'s. Nothing here is durable, because the stream is: every replica reads the same acts in
//! the same order and comes to the same lists.

mod board;
pub mod reading;

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use domain::PaperId;
use domain::trending::{Act, Added, Heat, Report, TopicHeat, Window, rank};
use hashlink::LruCache;
use jiff::Timestamp;
use tokio::sync::Mutex;
use uuid::Uuid;

pub use self::board::Board;
use crate::metrics::PAPERS_WITH_HEAT;
use crate::store::{Store, StoreError};

/// Most acts that are remembered, some 200 bytes each; above it the oldest days are forgotten.
const MOST_ACTS: usize = 1_000_000;
/// Most reports of counts elsewhere that are remembered, some 40 bytes each; above it the oldest days are forgotten.
const MOST_REPORTS: usize = 1_000_000;
/// Ids of acts that are known again.
const KNOWN_EVENTS: usize = 1_000_000;
/// A list is made anew at most this often, however many acts come in.
const FRESH: Duration = Duration::from_secs(1);
/// A list is made anew after this time even if nothing came in, because heat decays.
const STALE: Duration = Duration::from_mins(1);
/// How long it is taken as known what a paper is about, and how long that there is no such paper yet.
const TOPIC_KEPT: Duration = Duration::from_mins(10);
const ABSENCE_KEPT: Duration = Duration::from_secs(1);
/// Papers asked for at once.
const ASKED: usize = 1_000;

/// What became of an act or a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// See there.
    Added(Added),
    /// The same act was read before.
    Repeated,
    /// There is no room for more today.
    NoRoom,
}

/// What trends.
pub struct Trending {
    attention: Arc<RwLock<Attention>>,
    topics: Lock<HashMap<PaperId, Topic>>,
    boards: [Mutex<Option<Made>>; 3],
}

/// Everything that was read.
struct Attention {
    heat: Heat,
    events: LruCache<Uuid, ()>,
    /// Grows with all that changes something.
    version: u64,
}

/// What a paper is about, as it was known at a moment; `None` where the catalogue has no such paper.
struct Topic {
    name: Option<String>,
    asked: Instant,
}

/// A list, of which acts and when it was made.
struct Made {
    board: Arc<Board>,
    version: u64,
    at: Instant,
}

impl Default for Trending {
    fn default() -> Self {
        let attention = Attention {
            heat: Heat::default(),
            events: LruCache::new(KNOWN_EVENTS),
            version: 0,
        };
        Self {
            attention: Arc::new(RwLock::new(attention)),
            topics: Lock::default(),
            boards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl Trending {
    /// Takes an act in, once whatever is delivered again.
    pub fn record(&self, event_id: &str, act: &Act, now: Timestamp) -> Read {
        let attention = &mut *write(&self.attention);
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, event_id.as_bytes());
        if attention.events.insert(id, ()).is_some() {
            return Read::Repeated;
        }
        while attention.heat.acts() >= MOST_ACTS {
            if !attention.heat.forget_oldest_day(now) {
                return Read::NoRoom;
            }
        }
        let added = attention.heat.add(act);
        attention.note(added)
    }

    /// Takes a report in. It needs no id: the same one again changes nothing.
    pub fn report(&self, report: &Report, now: Timestamp) -> Read {
        let attention = &mut *write(&self.attention);
        while attention.heat.reports() >= MOST_REPORTS {
            if !attention.heat.forget_oldest_day(now) {
                return Read::NoRoom;
            }
        }
        let added = attention.heat.report(report);
        attention.note(added)
    }

    /// Forgets what is too old to count.
    pub fn forget(&self, now: Timestamp) {
        let attention = &mut *write(&self.attention);
        attention.heat.forget(now);
        attention.version += 1;
        count(&attention.heat);
    }

    /// The list of a window over the papers of a store, as it was a moment ago.
    pub async fn board(&self, window: Window, store: &Arc<dyn Store>) -> Result<Arc<Board>, StoreError> {
        let mut made = self.boards[window as usize].lock().await;
        let version = read(&self.attention).version;
        if let Some(made) = &*made
            && (made.at.elapsed() < FRESH || made.version == version && made.at.elapsed() < STALE)
        {
            return Ok(Arc::clone(&made.board));
        }
        let board = Arc::new(self.make(window, store).await?);
        *made = Some(Made {
            board: Arc::clone(&board),
            version,
            at: Instant::now(),
        });
        Ok(board)
    }

    async fn make(&self, window: Window, store: &Arc<dyn Store>) -> Result<Board, StoreError> {
        let attention = Arc::clone(&self.attention);
        let heats = off_the_runtime(move || {
            let heat = &read(&attention).heat;
            heat.papers(window, Timestamp::now()).collect::<Vec<_>>()
        });
        let heats = heats.await?;
        let ids = heats.iter().map(|heat| &heat.id);
        self.learn_topics(ids.collect(), store).await?;
        let mut papers = Vec::with_capacity(heats.len());
        {
            let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
            for heat in heats {
                if let Some(topic) = topics.get(&heat.id).and_then(|topic| topic.name.clone()) {
                    papers.push(TopicHeat { heat, topic });
                }
            }
        }
        off_the_runtime(move || Board::new(rank(papers))).await
    }

    /// Asks the store what papers are about that are not known, or not known any more.
    async fn learn_topics(&self, ids: Vec<&PaperId>, store: &Arc<dyn Store>) -> Result<(), StoreError> {
        let unknown: Vec<PaperId> = {
            let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
            topics.retain(|_, topic| topic.asked.elapsed() < topic.kept());
            ids.into_iter().filter(|id| !topics.contains_key(id)).cloned().collect()
        };
        for ids in unknown.chunks(ASKED) {
            let papers = store.get(ids).await?;
            let asked = Instant::now();
            let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
            topics.extend(ids.iter().map(|id| (id.clone(), Topic { name: None, asked })));
            for paper in papers {
                let name = paper.categories.into_iter().next().unwrap_or_default();
                topics.insert(
                    paper.id,
                    Topic {
                        name: Some(name),
                        asked,
                    },
                );
            }
        }
        Ok(())
    }
}

impl Attention {
    fn note(&mut self, added: Added) -> Read {
        if added == Added::Counted {
            self.version += 1;
            count(&self.heat);
        }
        Read::Added(added)
    }
}

impl Topic {
    fn kept(&self) -> Duration {
        if self.name.is_some() { TOPIC_KEPT } else { ABSENCE_KEPT }
    }
}

/// A list over tens of thousands of papers takes tens of milliseconds.
async fn off_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StoreError::Unavailable(error.to_string()))
}

fn count(heat: &Heat) {
    PAPERS_WITH_HEAT.set(i64::try_from(heat.len()).unwrap_or(i64::MAX));
}

fn read(attention: &RwLock<Attention>) -> RwLockReadGuard<'_, Attention> {
    attention.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(attention: &RwLock<Attention>) -> RwLockWriteGuard<'_, Attention> {
    attention.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::trending::Attention as Kind;

    fn act(reader: &str, at: Timestamp) -> Act {
        Act {
            reader: reader.to_owned(),
            paper: PaperId::parse("x:a").expect("an id"),
            kind: Kind::Vote,
            at,
        }
    }

    #[test]
    fn the_same_act_counts_once_and_what_is_old_is_forgotten() {
        let trending = Trending::default();
        let then: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a time");
        assert_eq!(
            trending.record("e1", &act("ada", then), then),
            Read::Added(Added::Counted)
        );
        // Delivered again, even with another time, it does not make the vote new again.
        let later = then + jiff::SignedDuration::from_hours(5);
        assert_eq!(trending.record("e1", &act("ada", later), later), Read::Repeated);
        assert_eq!(
            trending.record("e2", &act("ada", then), later),
            Read::Added(Added::Unchanged)
        );
        let heats = |now| {
            read(&trending.attention)
                .heat
                .papers(Window::Day, now)
                .collect::<Vec<_>>()
        };
        let heat = heats(then)[0].total();
        // One newcomer's vote: 6 · 6 / (6 + 6).
        assert!((heat - 3.0).abs() < 1e-9, "{heat}");
        let month_later = then + jiff::SignedDuration::from_hours(24 * 31);
        trending.forget(month_later);
        assert!(heats(month_later).is_empty());
        assert_eq!(
            trending.record("e3", &act("bob", then), month_later),
            Read::Added(Added::TooOld)
        );
    }
}
