//! The papers editions choose from: those indexed lately, in memory, read anew from the bus at every start.
//!
//! It chooses nothing and knows no subscriber.

use std::collections::HashMap;

use common::telemetry::TraceLink;
use domain::matching::{self, Candidate, Match};
use domain::{DenseVector, EncoderId, Paper, PaperId, PaperVectors};
use jiff::{SignedDuration, Timestamp};

use crate::metrics::WINDOW;

/// One paper of the window.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The paper.
    pub paper: Paper,
    /// Its vectors.
    pub vectors: PaperVectors,
    /// When it became searchable.
    pub indexed: Timestamp,
    /// Where its trace ended when it came in; mails point back at it.
    pub trace: Option<TraceLink>,
}

/// A paper chosen for a subscriber.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The paper.
    pub paper: Paper,
    /// Cosine with the interest that fits best; 0 without interests.
    pub score: f32,
    /// That interest's place in the list.
    pub interest: Option<usize>,
}

/// The window never holds more; above it the oldest papers leave. Some 300 MB with vectors of 256 values.
const MOST_PAPERS: usize = 100_000;

/// The window.
#[derive(Debug, Default)]
pub struct Window {
    entries: HashMap<PaperId, Entry>,
    withdrawn: HashMap<PaperId, u64>,
}

impl Window {
    /// Puts a paper in, unless a newer revision or a withdrawal is known.
    pub fn add(&mut self, entry: Entry) {
        let id = &entry.paper.id;
        let revision = entry.paper.revision;
        let newer = self
            .entries
            .get(id)
            .is_some_and(|known| known.paper.revision > revision);
        if newer || self.withdrawn.get(id).is_some_and(|known| *known > revision) {
            return;
        }
        self.entries.insert(id.clone(), entry);
        // A tenth at a time, so that a full window does not look for its oldest paper at each new one.
        if self.entries.len() > MOST_PAPERS + MOST_PAPERS / 10 {
            self.keep_newest(MOST_PAPERS);
        }
        self.count();
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
        self.count();
    }

    /// Forgets what is older than the window.
    pub fn expire(&mut self, now: Timestamp, length: SignedDuration) {
        let oldest = now.saturating_sub(length).unwrap_or(Timestamp::MIN);
        self.entries.retain(|_, entry| entry.indexed >= oldest);
        self.count();
    }

    /// Whose vectors the newest paper has; interests are embedded by the same one.
    pub fn encoder(&self) -> Option<&EncoderId> {
        self.entries
            .values()
            .max_by_key(|entry| entry.indexed)
            .map(|entry| &entry.vectors.encoder)
    }

    /// A paper by id.
    pub fn get(&self, id: &PaperId) -> Option<&Paper> {
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

    /// The best papers for interests, without those seen. Papers of another encoder take no part.
    pub fn choose(
        &self,
        encoder: &EncoderId,
        interests: &[DenseVector],
        seen: &std::collections::HashSet<PaperId>,
        limit: usize,
    ) -> Vec<Chosen> {
        let entries: Vec<&Entry> = self
            .entries
            .values()
            .filter(|entry| entry.vectors.encoder == *encoder)
            .collect();
        let candidates: Vec<Candidate<'_>> = entries
            .iter()
            .map(|entry| Candidate {
                id: &entry.paper.id,
                dense: &entry.vectors.dense,
                indexed_ms: entry.indexed.as_millisecond(),
            })
            .collect();
        let best = matching::best_papers(&candidates, interests, seen, limit);
        best.into_iter()
            .map(
                |Match {
                     candidate,
                     score,
                     interest,
                 }| Chosen {
                    paper: entries[candidate].paper.clone(),
                    score,
                    interest,
                },
            )
            .collect()
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

    fn count(&self) {
        WINDOW.set(i64::try_from(self.entries.len()).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::SparseVector;

    fn entry(id: &str, revision: u64) -> Entry {
        Entry {
            paper: Paper {
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
            },
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
}
