//! What is trending in the catalogue: attention scores in memory, replayed from the bus at every start, and the leaderboards
//! made of them.
//!
//! The formula is in [`domain::trending`]. Nothing here is durable, because the stream is: every replica reads the same acts
//! and comes to the same leaderboards.
//! An event that is delivered twice counts once; events of the last thirty days count.

mod events;
mod leaderboard;
pub mod replay;

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use common::clock::Clock;
use common::tasks;
use domain::PaperId;
use domain::trending::{
    AttentionEvent, AttentionTracker, RecordOutcome, SignalReport, TopicAttention, TrendingWindow, rank,
};
use hashlink::LruCache;
use jiff::Timestamp;
use tokio::sync::Mutex;
use uuid::Uuid;

pub use self::leaderboard::Leaderboard;
use crate::metrics::{ATTENTION_BYTES, ATTENTION_READERS, PAPERS_WITH_ATTENTION, READERS_FORGOTTEN};
use crate::store::{Store, StoreError};

/// Bytes of a report of a count elsewhere, about.
const REPORT_BYTES: usize = 64;
/// Bytes of a remembered id of an act, with its place in the table and in the order.
const EVENT_ID_BYTES: usize = 64;
/// A leaderboard is made again at most this often, however many acts come in.
const FRESH: Duration = Duration::from_secs(1);
/// A leaderboard is made again after this time even if nothing came in, because scores decay.
const STALE: Duration = Duration::from_mins(1);
/// How long the topic of a paper is cached.
const TOPIC_CACHED: Duration = Duration::from_mins(10);
/// How long it is cached that the catalogue has no such paper.
const ABSENCE_CACHED: Duration = Duration::from_secs(1);
/// Papers read from the store at once.
const TOPIC_BATCH: usize = 1_000;

/// What became of an act or a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttentionOutcome {
    /// It was given to the attention scores.
    Added(RecordOutcome),
    /// The same act was read before.
    Repeated,
    /// There is no room for more reports today.
    NoRoom,
}

/// How much memory attention may take. Of acts those of the least known readers are forgotten first, of reports the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionMemory {
    /// Bytes of acts and their readers.
    acts: usize,
    /// Most reports of counts elsewhere.
    reports: usize,
    /// Most ids of acts, to count an act once.
    event_ids: usize,
}

impl AttentionMemory {
    /// Of so many bytes in all: an eighth for reports, another for the ids of acts, the rest for acts.
    pub fn of_bytes(bytes: usize) -> Self {
        let eighth = bytes / 8;
        Self {
            acts: bytes - 2 * eighth,
            reports: (eighth / REPORT_BYTES).max(1),
            event_ids: (eighth / EVENT_ID_BYTES).max(1),
        }
    }
}

/// What is trending.
pub struct TrendingPapers {
    clock: Clock,
    memory: AttentionMemory,
    attention: Arc<RwLock<RecordedAttention>>,
    topics: Lock<HashMap<PaperId, CachedTopic>>,
    /// One for each window.
    leaderboards: [Mutex<Option<CachedLeaderboard>>; 3],
}

/// Everything that was read from the bus.
struct RecordedAttention {
    tracker: AttentionTracker,
    events: LruCache<Uuid, ()>,
    /// Grows with every change.
    version: u64,
}

/// The topic of a paper; `None` where the catalogue has no such paper.
struct CachedTopic {
    name: Option<String>,
    at: Instant,
}

/// A leaderboard, with the version of the attention that it was made of.
struct CachedLeaderboard {
    leaderboard: Arc<Leaderboard>,
    version: u64,
    at: Instant,
}

impl TrendingPapers {
    /// Without any attention yet.
    pub fn new(memory: AttentionMemory, clock: Clock) -> Self {
        let attention = RecordedAttention {
            tracker: AttentionTracker::default(),
            events: LruCache::new(memory.event_ids),
            version: 0,
        };
        Self {
            clock,
            memory,
            attention: Arc::new(RwLock::new(attention)),
            topics: Lock::default(),
            leaderboards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Adds an act, once however often it is delivered, and forgets the least known readers where it takes too much memory.
    pub fn record(&self, event_id: &str, act: &AttentionEvent) -> AttentionOutcome {
        let attention = &mut *write(&self.attention);
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, event_id.as_bytes());
        if attention.events.insert(id, ()).is_some() {
            return AttentionOutcome::Repeated;
        }
        let added = attention.tracker.add(act);
        let forgotten = attention.tracker.make_room(self.memory.acts);
        READERS_FORGOTTEN.inc_by(u64::try_from(forgotten).unwrap_or(u64::MAX));
        attention.note(added)
    }

    /// Adds a report. It needs no id, because the same one again changes nothing.
    pub fn report(&self, report: &SignalReport, now: Timestamp) -> AttentionOutcome {
        let attention = &mut *write(&self.attention);
        while attention.tracker.reports() >= self.memory.reports {
            if !attention.tracker.forget_oldest_reports(now) {
                return AttentionOutcome::NoRoom;
            }
        }
        let added = attention.tracker.add_report(report);
        attention.note(added)
    }

    /// Forgets what is too old to count.
    pub fn forget(&self, now: Timestamp) {
        let attention = &mut *write(&self.attention);
        attention.tracker.forget(now);
        attention.version += 1;
        count(&attention.tracker);
    }

    /// The leaderboard of a window over the papers of a store: at most a minute old, and at most a second where anything came
    /// in since.
    pub async fn leaderboard(
        &self,
        window: TrendingWindow,
        store: &Arc<dyn Store>,
    ) -> Result<Arc<Leaderboard>, StoreError> {
        let mut cached = self.leaderboards[window as usize].lock().await;
        let version = read(&self.attention).version;
        if let Some(cached) = &*cached {
            let age = self.clock.elapsed(cached.at);
            if age < FRESH || cached.version == version && age < STALE {
                return Ok(Arc::clone(&cached.leaderboard));
            }
        }
        let leaderboard = Arc::new(self.make(window, store).await?);
        *cached = Some(CachedLeaderboard {
            leaderboard: Arc::clone(&leaderboard),
            version,
            at: self.clock.instant(),
        });
        Ok(leaderboard)
    }

    /// A leaderboard over tens of thousands of papers takes tens of milliseconds, too long for a thread of the runtime.
    async fn make(&self, window: TrendingWindow, store: &Arc<dyn Store>) -> Result<Leaderboard, StoreError> {
        let (attention, now) = (Arc::clone(&self.attention), self.clock.now());
        let scores = tasks::blocking(move || read(&attention).tracker.papers(window, now).collect::<Vec<_>>()).await;
        let ids = scores.iter().map(|one| &one.id);
        self.learn_topics(ids.collect(), store).await?;
        let mut papers = Vec::with_capacity(scores.len());
        {
            let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
            for attention in scores {
                if let Some(topic) = topics.get(&attention.id).and_then(|topic| topic.name.clone()) {
                    papers.push(TopicAttention { attention, topic });
                }
            }
        }
        Ok(tasks::blocking(move || Leaderboard::new(rank(papers))).await)
    }

    /// Reads the topics that are not cached from the store.
    async fn learn_topics(&self, ids: Vec<&PaperId>, store: &Arc<dyn Store>) -> Result<(), StoreError> {
        let unknown: Vec<PaperId> = {
            let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
            topics.retain(|_, topic| self.clock.elapsed(topic.at) < topic.lifetime());
            ids.into_iter().filter(|id| !topics.contains_key(id)).cloned().collect()
        };
        for ids in unknown.chunks(TOPIC_BATCH) {
            let papers = store.get(ids).await?;
            let at = self.clock.instant();
            let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
            topics.extend(ids.iter().map(|id| (id.clone(), CachedTopic { name: None, at })));
            for paper in papers {
                let name = Some(paper.categories.into_iter().next().unwrap_or_default());
                topics.insert(paper.id, CachedTopic { name, at });
            }
        }
        Ok(())
    }
}

impl RecordedAttention {
    fn note(&mut self, added: RecordOutcome) -> AttentionOutcome {
        if added == RecordOutcome::Counted {
            self.version += 1;
            count(&self.tracker);
        }
        AttentionOutcome::Added(added)
    }
}

impl CachedTopic {
    fn lifetime(&self) -> Duration {
        if self.name.is_some() {
            TOPIC_CACHED
        } else {
            ABSENCE_CACHED
        }
    }
}

fn count(tracker: &AttentionTracker) {
    let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    PAPERS_WITH_ATTENTION.set(gauge(tracker.len()));
    ATTENTION_READERS.set(gauge(tracker.readers()));
    ATTENTION_BYTES.set(gauge(tracker.bytes()));
}

fn read(attention: &RwLock<RecordedAttention>) -> RwLockReadGuard<'_, RecordedAttention> {
    attention.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(attention: &RwLock<RecordedAttention>) -> RwLockWriteGuard<'_, RecordedAttention> {
    attention.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use domain::trending::AttentionKind;

    use super::*;

    fn act(reader: &str, at: Timestamp) -> AttentionEvent {
        AttentionEvent {
            reader: reader.to_owned(),
            paper: PaperId::parse("x:a").expect("an id"),
            kind: AttentionKind::Vote,
            at,
        }
    }

    #[test]
    fn the_same_act_counts_once_and_what_is_old_is_forgotten() {
        let then: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a time");
        let (clock, _) = Clock::manual(then);
        let trending = TrendingPapers::new(AttentionMemory::of_bytes(1 << 20), clock);
        assert_eq!(
            trending.record("e1", &act("ada", then)),
            AttentionOutcome::Added(RecordOutcome::Counted)
        );
        // Delivered again, even with another time, it does not make the vote new again.
        let later = then + jiff::SignedDuration::from_hours(5);
        assert_eq!(trending.record("e1", &act("ada", later)), AttentionOutcome::Repeated);
        assert_eq!(
            trending.record("e2", &act("ada", then)),
            AttentionOutcome::Added(RecordOutcome::Unchanged)
        );
        let scores = |now| {
            let tracker = &read(&trending.attention).tracker;
            tracker.papers(TrendingWindow::Day, now).collect::<Vec<_>>()
        };
        let score = scores(then)[0].score();
        // One newcomer's vote: 6 · 6 / (6 + 6).
        assert!((score - 3.0).abs() < 1e-9, "{score}");
        let month_later = then + jiff::SignedDuration::from_hours(24 * 31);
        trending.forget(month_later);
        assert!(scores(month_later).is_empty());
        assert_eq!(
            trending.record("e3", &act("bob", then)),
            AttentionOutcome::Added(RecordOutcome::TooOld)
        );
    }

    #[test]
    fn memory_is_bounded_and_real_readers_keep_their_standing() {
        let begin: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a time");
        let (clock, _) = Clock::manual(begin);
        let trending = TrendingPapers::new(AttentionMemory::of_bytes(200_000), clock);
        for day in 0..6 {
            let at = begin - jiff::SignedDuration::from_hours(24 * (day + 1));
            trending.record(&format!("ada:{day}"), &act("ada", at));
        }
        for stranger in 0..2_000 {
            let recorded = trending.record(&format!("e{stranger}"), &act(&format!("stranger-{stranger}"), begin));
            assert_eq!(recorded, AttentionOutcome::Added(RecordOutcome::Counted));
            let attention = read(&trending.attention);
            assert!(attention.tracker.bytes() <= 150_000 && attention.events.len() <= 390);
        }
        // Ada's next vote still counts in full: 6 beside what a crowd of strangers may add to that.
        trending.record("ada:again", &act("ada", begin));
        let score = read(&trending.attention)
            .tracker
            .papers(TrendingWindow::Day, begin)
            .next()
            .expect("the paper")
            .score();
        assert!(score > 6.0 && score < 1.5 * 6.0 + 6.0, "{score}");
    }
}
