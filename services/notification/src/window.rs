//! The papers digests choose from: those indexed lately, in memory, read anew from the bus at every start.
//!
//! Who chooses from it takes a snapshot, so that a long choice never holds up new papers. It chooses nothing and knows no
//! subscriber.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use common::telemetry::TraceLink;
use domain::matching::{DimensionError, Match, Panel, PaperSet, WordIndex};
use domain::selection::floor::{MATCH_FLOOR, match_floor};
use domain::{DenseVector, EncoderId, Int8Vector, Interest, Paper, PaperId, PaperVectors};
use jiff::{SignedDuration, Timestamp};
use tracing::info;

use crate::metrics::{FLOOR, WINDOW};
use crate::subscribers::seen::PaperKey;

/// One paper of the window.
#[derive(Debug, Clone)]
pub struct WindowEntry {
    /// The paper.
    pub paper: Arc<Paper>,
    /// Its vectors.
    pub vectors: PaperVectors,
    /// When it became searchable.
    pub indexed: Timestamp,
    /// Where its trace ended when it came in; mails point back at it.
    pub trace: Option<TraceLink>,
}

/// The papers of one encoder at one moment, the newest first.
#[derive(Debug)]
pub struct WindowSnapshot {
    /// The papers.
    pub papers: Vec<Arc<WindowEntry>>,
    /// Where the paper is that a key among those that were sent stands for.
    pub places: HashMap<PaperKey, usize>,
    /// Their vectors, laid out for matching.
    pub panel: Panel,
    /// How much each of them is trending; 0 where it is not.
    pub trending: Vec<f32>,
    /// Those that the encoder cannot read.
    unread: PaperSet,
    floor: OnceLock<f32>,
    words: OnceLock<WordIndex>,
}

impl WindowSnapshot {
    /// The vector of a paper.
    pub fn dense(&self, paper: usize) -> &[f32] {
        self.papers[paper].vectors.dense.as_slice()
    }

    /// The papers that match an interest by its words, best first: all of them where the encoder cannot read the interest,
    /// else those that it cannot read. The words are indexed once somebody needs them.
    pub fn by_words(&self, interest: &Interest, vector: &Int8Vector) -> Vec<Match> {
        let is_read = !vector.is_zero();
        if interest.words.is_empty() || (is_read && self.unread.is_empty()) {
            return Vec::new();
        }
        let papers = || self.papers.iter().map(|entry| &entry.vectors.sparse);
        let words = self.words.get_or_init(|| WordIndex::new(papers()));
        let mut matches = words.matches(&interest.words);
        matches.retain(|one| !is_read || self.unread.contains(one.paper as usize));
        matches
    }

    /// From which cosine on a paper matches an interest, measured once there are vectors of the calibration queries.
    pub fn floor(&self, encoder: &EncoderId, calibration: &[DenseVector]) -> f32 {
        if calibration.is_empty() {
            return MATCH_FLOOR;
        }
        *self.floor.get_or_init(|| {
            let papers: Vec<&DenseVector> = self.papers.iter().map(|entry| &entry.vectors.dense).collect();
            let floor = match_floor(&papers, calibration);
            let gauge = FLOOR.with_label_values(&[encoder.as_str()]);
            if (gauge.get() - f64::from(floor)).abs() >= WORTH_TELLING {
                info!(%encoder, floor, papers = papers.len(), "a paper matches an interest from this cosine on");
                gauge.set(f64::from(floor));
            }
            floor
        })
    }
}

/// The window never holds more; above it the oldest papers leave. Some 300 MB with vectors of 256 values.
const MOST_PAPERS: usize = 100_000;

/// A floor that moved by less is not told anew.
const WORTH_TELLING: f64 = 0.005;

/// The window, shared by whoever fills it and whoever chooses from it.
#[derive(Clone, Default)]
pub struct SharedWindow(Arc<RwLock<Window>>);

impl SharedWindow {
    /// To be read.
    pub fn read(&self) -> RwLockReadGuard<'_, Window> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be changed.
    pub fn write(&self) -> RwLockWriteGuard<'_, Window> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The window.
#[derive(Debug, Default)]
pub struct Window {
    entries: HashMap<PaperId, Arc<WindowEntry>>,
    withdrawn: HashMap<PaperId, u64>,
    trending: HashMap<PaperId, f32>,
    /// The last snapshots, one per encoder; gone with every change.
    snapshots: HashMap<EncoderId, Arc<WindowSnapshot>>,
}

impl Window {
    /// Puts a paper in, unless a newer revision or a withdrawal is known.
    pub fn add(&mut self, entry: WindowEntry) {
        let id = &entry.paper.id;
        let revision = entry.paper.revision;
        let newer = self
            .entries
            .get(id)
            .is_some_and(|known| known.paper.revision > revision);
        if newer || self.withdrawn.get(id).is_some_and(|known| *known > revision) {
            return;
        }
        self.entries.insert(id.clone(), Arc::new(entry));
        // A tenth at a time, so that a full window does not look for its oldest paper at each new one.
        if self.entries.len() > MOST_PAPERS + MOST_PAPERS / 10 {
            self.keep_newest(MOST_PAPERS);
        }
        self.changed();
    }

    /// Takes a withdrawn paper out and keeps it out.
    pub fn withdraw(&mut self, id: PaperId, revision: u64) {
        if self
            .entries
            .get(&id)
            .is_some_and(|known| known.paper.revision < revision)
        {
            self.entries.remove(&id);
        }
        self.withdrawn.insert(id, revision);
        self.changed();
    }

    /// Forgets what is older than the window.
    pub fn expire(&mut self, now: Timestamp, length: SignedDuration) {
        let oldest = now.saturating_sub(length).unwrap_or(Timestamp::MIN);
        self.entries.retain(|_, entry| entry.indexed >= oldest);
        self.changed();
    }

    /// Takes what is trending now, in place of what was.
    pub fn set_trending(&mut self, scores: HashMap<PaperId, f32>) {
        self.trending = scores;
        self.changed();
    }

    /// Whose vectors the newest paper has; interests are embedded by the same one.
    pub fn encoder(&self) -> Option<&EncoderId> {
        self.entries
            .values()
            .max_by_key(|entry| entry.indexed)
            .map(|entry| &entry.vectors.encoder)
    }

    /// A paper by id.
    pub fn get(&self, id: &PaperId) -> Option<&Arc<Paper>> {
        self.entries.get(id).map(|entry| &entry.paper)
    }

    /// A paper's vector, where it is of this encoder.
    pub fn vector(&self, id: &PaperId, encoder: &EncoderId) -> Option<&DenseVector> {
        let vectors = &self.entries.get(id)?.vectors;
        (vectors.encoder == *encoder).then_some(&vectors.dense)
    }

    /// How many values the vectors of an encoder have; none where no paper is of that encoder.
    pub fn dimension(&self, encoder: &EncoderId) -> Option<usize> {
        let mut vectors = self.entries.values().map(|entry| &entry.vectors);
        vectors
            .find(|vectors| vectors.encoder == *encoder)
            .map(|vectors| vectors.dense.dimension())
    }

    /// Where a paper's trace ended when it came in.
    pub fn trace(&self, id: &PaperId) -> Option<&TraceLink> {
        self.entries.get(id).and_then(|entry| entry.trace.as_ref())
    }

    /// The papers of an encoder as they are now. Refused where its vectors are of different dimensions.
    pub fn snapshot(&mut self, encoder: &EncoderId) -> Result<Arc<WindowSnapshot>, DimensionError> {
        if let Some(known) = self.snapshots.get(encoder) {
            return Ok(Arc::clone(known));
        }
        let of_encoder = self.entries.values().filter(|entry| entry.vectors.encoder == *encoder);
        let mut papers: Vec<Arc<WindowEntry>> = of_encoder.cloned().collect();
        // By the millisecond, as an offer sorts its candidates: places in one are places in the other.
        let at = |entry: &WindowEntry| entry.indexed.as_millisecond();
        papers.sort_unstable_by(|a, b| at(b).cmp(&at(a)).then_with(|| a.paper.id.cmp(&b.paper.id)));
        let trending = |entry: &Arc<WindowEntry>| self.trending.get(&entry.paper.id).copied().unwrap_or(0.0);
        let dimension = papers.first().map_or(0, |first| first.vectors.dense.dimension());
        let keys = papers.iter().map(|entry| PaperKey::of(&entry.paper.id));
        let unread = papers
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.vectors.dense.is_zero());
        let made = Arc::new(WindowSnapshot {
            places: keys.zip(0..).collect(),
            panel: Panel::new(dimension, papers.iter().map(|entry| &entry.vectors.dense))?,
            trending: papers.iter().map(trending).collect(),
            unread: unread.map(|(place, _)| place).collect(),
            papers,
            floor: OnceLock::new(),
            words: OnceLock::new(),
        });
        self.snapshots.insert(encoder.clone(), Arc::clone(&made));
        Ok(made)
    }

    fn keep_newest(&mut self, most: usize) {
        let mut times: Vec<Timestamp> = self.entries.values().map(|entry| entry.indexed).collect();
        let excess = times.len().saturating_sub(most);
        if excess == 0 {
            return;
        }
        let (_, newest_to_go, _) = times.select_nth_unstable(excess - 1);
        let newest_to_go = *newest_to_go;
        self.entries.retain(|_, entry| entry.indexed > newest_to_go);
    }

    fn changed(&mut self) {
        self.snapshots.clear();
        WINDOW.set(i64::try_from(self.entries.len()).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::SparseVector;

    fn entry(id: &str, revision: u64) -> WindowEntry {
        WindowEntry {
            paper: Arc::new(Paper {
                id: PaperId::parse(id).expect("an id"),
                title: format!("{id} {revision}"),
                abstract_text: String::new(),
                authors: Vec::new(),
                categories: Vec::new(),
                published: Timestamp::UNIX_EPOCH,
                updated: None,
                links: Vec::new(),
                source: "test".into(),
                revision,
                content_hash: String::new(),
                language: String::new(),
                accepted: Timestamp::UNIX_EPOCH,
            }),
            vectors: PaperVectors {
                encoder: EncoderId::parse("test@1").expect("an encoder id"),
                dense: DenseVector::new(vec![1.0, 0.0]).expect("dense"),
                sparse: SparseVector::default(),
                truncated: false,
            },
            indexed: Timestamp::UNIX_EPOCH,
            trace: None,
        }
    }

    #[test]
    fn the_newest_revision_stays_and_withdrawn_papers_stay_out() {
        let id = PaperId::parse("x:a").expect("an id");
        let mut window = Window::default();
        window.add(entry("x:a", 2));
        window.add(entry("x:a", 1));
        assert_eq!(window.get(&id).map(|paper| paper.revision), Some(2));
        window.withdraw(id.clone(), 3);
        window.add(entry("x:a", 2));
        assert!(window.get(&id).is_none(), "out of order");
        window.add(entry("x:a", 4));
        assert!(window.get(&id).is_some(), "a newer revision brings it back");
        window.expire(
            Timestamp::UNIX_EPOCH
                .saturating_add(SignedDuration::from_hours(1))
                .expect("a timestamp"),
            SignedDuration::from_mins(1),
        );
        assert!(window.get(&id).is_none());
    }

    #[test]
    fn papers_of_one_millisecond_are_in_the_order_of_an_offer() {
        use domain::selection::{Candidate, CandidatePool};
        let mut window = Window::default();
        for (id, nanos) in [("x:a", 1), ("x:b", 2), ("x:c", 2_000_000)] {
            let indexed = Timestamp::from_nanosecond(nanos).expect("a timestamp");
            window.add(WindowEntry {
                indexed,
                ..entry(id, 1)
            });
        }
        let encoder = EncoderId::parse("test@1").expect("an encoder id");
        let snapshot = window.snapshot(&encoder).expect("of one dimension");
        let candidates = snapshot.papers.iter().map(|entry| Candidate {
            paper: &entry.paper,
            dense: &entry.vectors.dense,
            indexed_ms: entry.indexed.as_millisecond(),
            trending: 0.0,
        });
        let offer = CandidatePool::new(candidates.collect());
        let offered: Vec<&PaperId> = offer.candidates().iter().map(|one| &one.paper.id).collect();
        let shown: Vec<&PaperId> = snapshot.papers.iter().map(|entry| &entry.paper.id).collect();
        assert_eq!(shown, offered);
    }
}
