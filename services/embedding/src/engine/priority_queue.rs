//! A priority queue, queries before documents, from which work is taken in batches of about equal cost. Within a kind the
//! order is first in, first out.
//!
//! It is plain data: no lock, no clock, no thread. It never waits for a batch to fill, never splits an entry, and never
//! passes one over because it is too large.

use std::collections::VecDeque;

use encoder::TextKind;

/// Consecutive batches of queries after which waiting documents get a batch.
const MAX_QUERY_BATCHES_IN_A_ROW: u32 = 8;
/// For how many batches of documents after the last query another query is still expected soon.
const QUERY_EXPECTED_BATCHES: u32 = 8;

/// The most tokens in a batch. An entry with more gets a batch of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchBudget {
    /// In most batches.
    pub full: usize,
    /// In batches of documents while queries are expected, because a query waits until the batch before it is done.
    pub beside_queries: usize,
}

/// The queue of both kinds.
#[derive(Debug)]
pub struct PriorityQueue<T> {
    budget: BatchBudget,
    queries: VecDeque<(usize, T)>,
    documents: VecDeque<(usize, T)>,
    /// Batches of queries since the last batch of documents, or since no documents waited.
    queries_in_a_row: u32,
    /// Batches of documents since the last batch of queries.
    since_query: u32,
}

/// Entries that are computed together.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch<T> {
    /// The kind of all entries.
    pub kind: TextKind,
    /// Their cost in tokens.
    pub tokens: usize,
    /// In the order in which they were queued.
    pub entries: Vec<T>,
}

impl<T> PriorityQueue<T> {
    /// An empty queue.
    pub fn new(budget: BatchBudget) -> Self {
        Self {
            budget,
            queries: VecDeque::new(),
            documents: VecDeque::new(),
            queries_in_a_row: 0,
            since_query: QUERY_EXPECTED_BATCHES,
        }
    }

    /// Adds an entry behind the others of its kind.
    pub fn push(&mut self, kind: TextKind, tokens: usize, entry: T) {
        self.entries(kind).push_back((tokens, entry));
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

    /// Takes the next batch. An entry for which the filter returns `None` is left out and costs the batch nothing. `None`
    /// when nothing is left.
    pub fn take(&mut self, mut filter: impl FnMut(T) -> Option<T>) -> Option<Batch<T>> {
        while let Some(kind) = self.next_kind() {
            let budget = self.budget_of(kind);
            let batch = take_from(self.entries(kind), kind, budget, &mut filter);
            if !batch.entries.is_empty() {
                self.count_batch(kind);
                return Some(batch);
            }
        }
        None
    }

    fn entries(&mut self, kind: TextKind) -> &mut VecDeque<(usize, T)> {
        match kind {
            TextKind::Query => &mut self.queries,
            TextKind::Document => &mut self.documents,
        }
    }

    fn next_kind(&self) -> Option<TextKind> {
        match (self.queries.is_empty(), self.documents.is_empty()) {
            (true, true) => None,
            (true, false) => Some(TextKind::Document),
            (false, false) if self.queries_in_a_row >= MAX_QUERY_BATCHES_IN_A_ROW => Some(TextKind::Document),
            (false, _) => Some(TextKind::Query),
        }
    }

    fn budget_of(&self, kind: TextKind) -> usize {
        let expected = !self.queries.is_empty() || self.since_query < QUERY_EXPECTED_BATCHES;
        match kind {
            TextKind::Document if expected => self.budget.beside_queries,
            _ => self.budget.full,
        }
    }

    fn count_batch(&mut self, kind: TextKind) {
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
    entries: &mut VecDeque<(usize, T)>,
    kind: TextKind,
    budget: usize,
    filter: &mut impl FnMut(T) -> Option<T>,
) -> Batch<T> {
    let mut batch = Batch {
        kind,
        tokens: 0,
        entries: Vec::new(),
    };
    while let Some((tokens, entry)) =
        entries.pop_front_if(|(tokens, _)| batch.entries.is_empty() || batch.tokens + *tokens <= budget)
    {
        if let Some(entry) = filter(entry) {
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

    const BUDGET: BatchBudget = BatchBudget {
        full: 512,
        beside_queries: 256,
    };

    fn queue_of(entries: &[(TextKind, usize)]) -> PriorityQueue<usize> {
        let mut queue = PriorityQueue::new(BUDGET);
        for (number, (kind, tokens)) in entries.iter().enumerate() {
            queue.push(*kind, *tokens, number);
        }
        queue
    }

    /// All batches in the order in which they are taken.
    fn drain(queue: &mut PriorityQueue<usize>) -> Vec<Vec<usize>> {
        std::iter::from_fn(|| queue.take(Some))
            .map(|batch| batch.entries)
            .collect()
    }

    #[test]
    fn batches_fill_the_budget_and_no_more() {
        let mut queue = queue_of(&[(Document, 300), (Document, 212), (Document, 1), (Document, 512)]);
        assert_eq!(drain(&mut queue), [vec![0, 1], vec![2], vec![3]]);
        assert!(queue.is_empty());
    }

    #[test]
    fn an_entry_beyond_the_budget_goes_alone() {
        let mut queue = queue_of(&[
            (Document, 10),
            (Document, 9000),
            (Document, 10),
            (Query, 9000),
            (Query, 1),
        ]);
        assert_eq!(drain(&mut queue), [vec![3], vec![4], vec![0], vec![1], vec![2]]);
    }

    #[test]
    fn queries_overtake_documents_in_batches_of_their_own() {
        let mut queue = queue_of(&[(Document, 8), (Query, 8), (Document, 8), (Query, 8)]);
        let first = queue.take(Some).expect("a batch");
        assert_eq!((first.kind, first.tokens, first.entries), (Query, 16, vec![1, 3]));
        assert_eq!(drain(&mut queue), [[0, 2]]);
    }

    #[test]
    fn batches_of_documents_are_smaller_while_queries_arrive() {
        let mut queue = queue_of(&[(Query, 8)]);
        for number in 1..=40 {
            queue.push(Document, 128, number);
        }
        let sizes: Vec<usize> = drain(&mut queue).iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 2, 2, 2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4]);
    }

    #[test]
    fn documents_get_batches_however_many_queries_wait() {
        let mut queue = queue_of(&[(Document, 200), (Document, 200)]);
        for _ in 0..40 {
            queue.push(Query, 512, 99);
        }
        let order: Vec<TextKind> = std::iter::from_fn(|| queue.take(Some))
            .map(|batch| batch.kind)
            .collect();
        let turns: Vec<usize> = (0..order.len()).filter(|i| order[*i] == Document).collect();
        assert_eq!(turns, [8, 17]);
    }

    #[test]
    fn what_the_filter_leaves_out_costs_nothing() {
        let mut queue = queue_of(&[(Document, 500), (Document, 500), (Document, 500), (Query, 5)]);
        let mut left_out = Vec::new();
        let batch = queue.take(|entry| {
            let wanted = entry == 1;
            if !wanted {
                left_out.push(entry);
            }
            wanted.then_some(entry)
        });
        assert_eq!(batch.expect("a batch").entries, [1]);
        assert_eq!(left_out, [3, 0]);
        assert!(queue.take(|_| None).is_none());
        assert!(queue.is_empty());
    }
}
