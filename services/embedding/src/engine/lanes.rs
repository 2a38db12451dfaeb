//! Two first-in-first-out lanes, queries before documents, from which work is taken in batches of about equal cost.
//!
//! Pure: no lock, no clock, no thread. It never waits for a batch to fill, never splits an entry, and never leaves one
//! behind because it is too large.

use std::collections::VecDeque;

use encoder::TextKind;

/// Batches of queries in a row, after which waiting documents get a turn.
const PATIENCE: u32 = 8;
/// Batches of documents after the last query, while which the next query is still expected.
const EXPECTANCY: u32 = 8;

/// The most tokens in a batch. An entry larger than that makes a batch of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Usually.
    pub full: usize,
    /// Of documents while queries come in, because a query waits for the batch before it.
    pub beside_queries: usize,
}

/// The lanes.
#[derive(Debug)]
pub struct Lanes<T> {
    budget: Budget,
    queries: VecDeque<(usize, T)>,
    documents: VecDeque<(usize, T)>,
    /// Batches of queries since documents last had a turn, or since none waited.
    queries_in_a_row: u32,
    /// Batches of documents since a query was last taken.
    since_query: u32,
}

/// Work taken together.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch<T> {
    /// What all of it is.
    pub kind: TextKind,
    /// Its cost.
    pub tokens: usize,
    /// In the order in which it was put in.
    pub entries: Vec<T>,
}

impl<T> Lanes<T> {
    /// Empty ones.
    pub fn new(budget: Budget) -> Self {
        Self {
            budget,
            queries: VecDeque::new(),
            documents: VecDeque::new(),
            queries_in_a_row: 0,
            since_query: EXPECTANCY,
        }
    }

    /// Puts an entry at the end of its lane.
    pub fn push(&mut self, kind: TextKind, tokens: usize, entry: T) {
        self.lane(kind).push_back((tokens, entry));
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty() && self.documents.is_empty()
    }

    /// Entries that wait.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.queries.len() + self.documents.len()
    }

    /// Takes the next batch. The sieve keeps an entry by giving it back; what it keeps for itself costs the batch
    /// nothing. `None` when nothing is left.
    pub fn take(&mut self, mut sieve: impl FnMut(T) -> Option<T>) -> Option<Batch<T>> {
        while let Some(kind) = self.next_kind() {
            let budget = self.budget_of(kind);
            let batch = take_from(self.lane(kind), kind, budget, &mut sieve);
            if !batch.entries.is_empty() {
                self.note(kind);
                return Some(batch);
            }
        }
        None
    }

    fn lane(&mut self, kind: TextKind) -> &mut VecDeque<(usize, T)> {
        match kind {
            TextKind::Query => &mut self.queries,
            TextKind::Document => &mut self.documents,
        }
    }

    fn next_kind(&self) -> Option<TextKind> {
        match (self.queries.is_empty(), self.documents.is_empty()) {
            (true, true) => None,
            (true, false) => Some(TextKind::Document),
            (false, false) if self.queries_in_a_row >= PATIENCE => Some(TextKind::Document),
            (false, _) => Some(TextKind::Query),
        }
    }

    fn budget_of(&self, kind: TextKind) -> usize {
        let expected = !self.queries.is_empty() || self.since_query < EXPECTANCY;
        match kind {
            TextKind::Document if expected => self.budget.beside_queries,
            _ => self.budget.full,
        }
    }

    fn note(&mut self, kind: TextKind) {
        match kind {
            TextKind::Query => {
                self.since_query = 0;
                self.queries_in_a_row = if self.documents.is_empty() {
                    0
                } else {
                    self.queries_in_a_row + 1
                };
            }
            TextKind::Document => {
                self.since_query = self.since_query.saturating_add(1);
                self.queries_in_a_row = 0;
            }
        }
    }
}

fn take_from<T>(
    lane: &mut VecDeque<(usize, T)>,
    kind: TextKind,
    budget: usize,
    sieve: &mut impl FnMut(T) -> Option<T>,
) -> Batch<T> {
    let mut batch = Batch {
        kind,
        tokens: 0,
        entries: Vec::new(),
    };
    while let Some((tokens, entry)) =
        lane.pop_front_if(|(tokens, _)| batch.entries.is_empty() || batch.tokens + *tokens <= budget)
    {
        if let Some(entry) = sieve(entry) {
            batch.tokens += tokens;
            batch.entries.push(entry);
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use TextKind::{Document, Query};

    use super::*;

    const BUDGET: Budget = Budget {
        full: 512,
        beside_queries: 256,
    };

    fn lanes(entries: &[(TextKind, usize)]) -> Lanes<usize> {
        let mut lanes = Lanes::new(BUDGET);
        for (number, (kind, tokens)) in entries.iter().enumerate() {
            lanes.push(*kind, *tokens, number);
        }
        lanes
    }

    /// Everything in the order in which it is taken.
    fn drain(lanes: &mut Lanes<usize>) -> Vec<Vec<usize>> {
        std::iter::from_fn(|| lanes.take(Some))
            .map(|batch| batch.entries)
            .collect()
    }

    #[test]
    fn batches_fill_the_budget_and_no_more() {
        let mut lanes = lanes(&[(Document, 300), (Document, 212), (Document, 1), (Document, 512)]);
        assert_eq!(drain(&mut lanes), [vec![0, 1], vec![2], vec![3]]);
        assert!(lanes.is_empty());
    }

    #[test]
    fn an_entry_beyond_the_budget_goes_alone_and_blocks_nothing() {
        let mut lanes = lanes(&[
            (Document, 10),
            (Document, 9000),
            (Document, 10),
            (Query, 9000),
            (Query, 1),
        ]);
        assert_eq!(drain(&mut lanes), [vec![3], vec![4], vec![0], vec![1], vec![2]]);
    }

    #[test]
    fn queries_overtake_documents_and_never_share_a_batch_with_them() {
        let mut lanes = lanes(&[(Document, 8), (Query, 8), (Document, 8), (Query, 8)]);
        let first = lanes.take(Some).expect("a batch");
        assert_eq!((first.kind, first.tokens, first.entries), (Query, 16, vec![1, 3]));
        assert_eq!(drain(&mut lanes), [[0, 2]]);
    }

    #[test]
    fn batches_of_documents_are_smaller_while_queries_come_in() {
        let mut lanes = lanes(&[(Query, 8)]);
        for number in 1..=40 {
            lanes.push(Document, 128, number);
        }
        let sizes: Vec<usize> = drain(&mut lanes).iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 2, 2, 2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4]);
    }

    #[test]
    fn waiting_documents_get_a_turn_however_many_queries_come() {
        let mut lanes = lanes(&[(Document, 200), (Document, 200)]);
        for _ in 0..40 {
            lanes.push(Query, 512, 99);
        }
        let order: Vec<TextKind> = std::iter::from_fn(|| lanes.take(Some))
            .map(|batch| batch.kind)
            .collect();
        let turns: Vec<usize> = (0..order.len()).filter(|i| order[*i] == Document).collect();
        assert_eq!(turns, [8, 17]);
    }

    #[test]
    fn what_the_sieve_keeps_costs_nothing() {
        let mut lanes = lanes(&[(Document, 500), (Document, 500), (Document, 500), (Query, 5)]);
        let mut kept = Vec::new();
        let batch = lanes.take(|entry| {
            let wanted = entry == 1;
            if !wanted {
                kept.push(entry);
            }
            wanted.then_some(entry)
        });
        assert_eq!(batch.expect("a batch").entries, [1]);
        assert_eq!(kept, [3, 0]);
        assert!(lanes.take(|_| None).is_none());
        assert!(lanes.is_empty());
    }
}
