//! A priority queue, the most urgent first, from which work is taken in batches of about equal cost. Within a priority the
//! order is first in, first out.
//!
//! It is plain data: no lock, no clock, no thread. It never waits for a batch to fill, never splits an entry, and never
//! passes one over because it is too large.

use std::collections::VecDeque;

use crate::priority::{ByPriority, Priority};

/// Consecutive interactive batches after which waiting bulk work gets a batch.
const MAX_INTERACTIVE_BATCHES_IN_A_ROW: u32 = 8;
/// Consecutive bulk batches after which waiting best-effort work gets a batch, so that a long ingest does not end it.
const MAX_BULK_BATCHES_IN_A_ROW: u32 = 8;
/// For how many other batches after the last interactive one another query is still expected soon.
const QUERY_EXPECTED_BATCHES: u32 = 8;

/// The most tokens in a batch. An entry with more gets a batch of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchBudget {
    /// In most batches.
    pub full: usize,
    /// In bulk batches while queries are expected, because a query waits until the batch before it is done.
    pub beside_queries: usize,
    /// In best-effort batches.
    pub best_effort: usize,
}

/// The queue of all priorities.
#[derive(Debug)]
pub struct PriorityQueue<T> {
    budget: BatchBudget,
    queues: ByPriority<VecDeque<(usize, T)>>,
    /// Interactive batches since the last bulk batch, or since no bulk work waited.
    interactive_in_a_row: u32,
    /// Bulk batches since the last best-effort batch, or since no best-effort work waited.
    bulk_in_a_row: u32,
    /// Other batches since the last interactive one.
    since_query: u32,
}

/// Entries that are computed together.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch<T> {
    /// The priority of all entries.
    pub priority: Priority,
    /// Their cost in tokens.
    pub tokens: usize,
    /// In the order in which they were queued.
    pub entries: Vec<T>,
}

/// Whether best-effort work may be taken now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BestEffortTurn {
    /// It may.
    Allowed,
    /// It has to wait, however long nothing else does.
    Held,
}

impl<T> PriorityQueue<T> {
    /// An empty queue.
    pub fn new(budget: BatchBudget) -> Self {
        Self {
            budget,
            queues: ByPriority::new(|_| VecDeque::new()),
            interactive_in_a_row: 0,
            bulk_in_a_row: 0,
            since_query: QUERY_EXPECTED_BATCHES,
        }
    }

    /// Adds an entry behind the others of its priority.
    pub fn push(&mut self, priority: Priority, tokens: usize, entry: T) {
        self.queues.of_mut(priority).push_back((tokens, entry));
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        Priority::ALL.iter().all(|priority| self.is_empty_of(*priority))
    }

    /// Entries that wait.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        let lengths = Priority::ALL.iter().map(|priority| self.queues.of(*priority).len());
        lengths.sum()
    }

    /// Takes the next batch. An entry for which the filter returns `None` is left out and costs the batch nothing. `None`
    /// when nothing is left that may be taken.
    pub fn take(&mut self, best_effort: BestEffortTurn, mut filter: impl FnMut(T) -> Option<T>) -> Option<Batch<T>> {
        while let Some(priority) = self.next(best_effort) {
            let budget = self.budget_of(priority);
            let batch = take_from(self.queues.of_mut(priority), priority, budget, &mut filter);
            if !batch.entries.is_empty() {
                self.count_batch(priority);
                return Some(batch);
            }
        }
        None
    }

    fn is_empty_of(&self, priority: Priority) -> bool {
        self.queues.of(priority).is_empty()
    }

    fn next(&self, best_effort: BestEffortTurn) -> Option<Priority> {
        let waits = |priority| !self.is_empty_of(priority);
        let bulk = waits(Priority::Bulk);
        let best_effort = best_effort == BestEffortTurn::Allowed && waits(Priority::BestEffort);
        if waits(Priority::Interactive) {
            let turn = bulk && self.interactive_in_a_row >= MAX_INTERACTIVE_BATCHES_IN_A_ROW;
            return Some(if turn { Priority::Bulk } else { Priority::Interactive });
        }
        match (bulk, best_effort) {
            (true, true) if self.bulk_in_a_row >= MAX_BULK_BATCHES_IN_A_ROW => Some(Priority::BestEffort),
            (true, _) => Some(Priority::Bulk),
            (false, true) => Some(Priority::BestEffort),
            (false, false) => None,
        }
    }

    fn budget_of(&self, priority: Priority) -> usize {
        let expected = !self.is_empty_of(Priority::Interactive) || self.since_query < QUERY_EXPECTED_BATCHES;
        match priority {
            Priority::Bulk if expected => self.budget.beside_queries,
            Priority::BestEffort => self.budget.best_effort,
            _ => self.budget.full,
        }
    }

    fn count_batch(&mut self, priority: Priority) {
        match priority {
            Priority::Interactive => {
                self.since_query = 0;
                self.interactive_in_a_row = if self.is_empty_of(Priority::Bulk) {
                    0
                } else {
                    self.interactive_in_a_row + 1
                };
            }
            Priority::Bulk => {
                self.since_query = self.since_query.saturating_add(1);
                self.interactive_in_a_row = 0;
                self.bulk_in_a_row = if self.is_empty_of(Priority::BestEffort) {
                    0
                } else {
                    self.bulk_in_a_row + 1
                };
            }
            Priority::BestEffort => {
                self.since_query = self.since_query.saturating_add(1);
                self.bulk_in_a_row = 0;
            }
        }
    }
}

fn take_from<T>(
    entries: &mut VecDeque<(usize, T)>,
    priority: Priority,
    budget: usize,
    filter: &mut impl FnMut(T) -> Option<T>,
) -> Batch<T> {
    let mut batch = Batch {
        priority,
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
    use Priority::{Bulk, Interactive};

    use super::*;

    const BUDGET: BatchBudget = BatchBudget {
        full: 512,
        beside_queries: 256,
        best_effort: 128,
    };

    fn queue_of(entries: &[(Priority, usize)]) -> PriorityQueue<usize> {
        let mut queue = PriorityQueue::new(BUDGET);
        for (number, (kind, tokens)) in entries.iter().enumerate() {
            queue.push(*kind, *tokens, number);
        }
        queue
    }

    /// All batches in the order in which they are taken.
    fn drain(queue: &mut PriorityQueue<usize>) -> Vec<Vec<usize>> {
        std::iter::from_fn(|| queue.take(BestEffortTurn::Allowed, Some))
            .map(|batch| batch.entries)
            .collect()
    }

    #[test]
    fn batches_fill_the_budget_and_no_more() {
        let mut queue = queue_of(&[(Bulk, 300), (Bulk, 212), (Bulk, 1), (Bulk, 512)]);
        assert_eq!(drain(&mut queue), [vec![0, 1], vec![2], vec![3]]);
        assert!(queue.is_empty());
    }

    #[test]
    fn an_entry_beyond_the_budget_goes_alone() {
        let mut queue = queue_of(&[
            (Bulk, 10),
            (Bulk, 9000),
            (Bulk, 10),
            (Interactive, 9000),
            (Interactive, 1),
        ]);
        assert_eq!(drain(&mut queue), [vec![3], vec![4], vec![0], vec![1], vec![2]]);
    }

    #[test]
    fn queries_overtake_bulk_in_batches_of_their_own() {
        let mut queue = queue_of(&[(Bulk, 8), (Interactive, 8), (Bulk, 8), (Interactive, 8)]);
        let first = queue.take(BestEffortTurn::Allowed, Some).expect("a batch");
        assert_eq!(
            (first.priority, first.tokens, first.entries),
            (Interactive, 16, vec![1, 3])
        );
        assert_eq!(drain(&mut queue), [[0, 2]]);
    }

    #[test]
    fn bulk_batches_are_smaller_while_queries_arrive() {
        let mut queue = queue_of(&[(Interactive, 8)]);
        for number in 1..=40 {
            queue.push(Bulk, 128, number);
        }
        let sizes: Vec<usize> = drain(&mut queue).iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 2, 2, 2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4]);
    }

    #[test]
    fn bulk_gets_batches_however_many_queries_wait() {
        let mut queue = queue_of(&[(Bulk, 200), (Bulk, 200)]);
        for _ in 0..40 {
            queue.push(Interactive, 512, 99);
        }
        let order: Vec<Priority> = std::iter::from_fn(|| queue.take(BestEffortTurn::Allowed, Some))
            .map(|batch| batch.priority)
            .collect();
        let turns: Vec<usize> = (0..order.len()).filter(|i| order[*i] == Bulk).collect();
        assert_eq!(turns, [8, 17]);
    }

    #[test]
    fn best_effort_comes_last_in_small_batches_and_can_be_held() {
        let mut queue = queue_of(&[(Priority::BestEffort, 64), (Priority::BestEffort, 64)]);
        queue.push(Priority::BestEffort, 1, 2);
        queue.push(Bulk, 200, 3);
        queue.push(Interactive, 8, 4);
        let taken: Vec<Vec<usize>> = std::iter::from_fn(|| queue.take(BestEffortTurn::Held, Some))
            .map(|batch| batch.entries)
            .collect();
        assert_eq!(taken, [[4], [3]]);
        assert!(!queue.is_empty());
        assert_eq!(drain(&mut queue), [vec![0, 1], vec![2]]);
    }

    #[test]
    fn best_effort_gets_batches_among_bulk_but_none_before_a_query() {
        let mut queue = queue_of(&[(Priority::BestEffort, 100), (Priority::BestEffort, 100)]);
        for _ in 0..20 {
            queue.push(Bulk, 512, 99);
            queue.push(Interactive, 512, 99);
        }
        let order: Vec<Priority> = std::iter::from_fn(|| queue.take(BestEffortTurn::Allowed, Some))
            .map(|batch| batch.priority)
            .collect();
        let turns: Vec<usize> = (0..order.len()).filter(|i| order[*i] == Priority::BestEffort).collect();
        let last_query = order
            .iter()
            .rposition(|priority| *priority == Interactive)
            .expect("queries");
        // Two of the twenty bulk batches had their turn among the queries.
        assert_eq!((turns, last_query), (vec![28, 37], 21));
    }

    #[test]
    fn what_the_filter_leaves_out_costs_nothing() {
        let mut queue = queue_of(&[(Bulk, 500), (Bulk, 500), (Bulk, 500), (Interactive, 5)]);
        let mut left_out = Vec::new();
        let batch = queue.take(BestEffortTurn::Allowed, |entry| {
            let wanted = entry == 1;
            if !wanted {
                left_out.push(entry);
            }
            wanted.then_some(entry)
        });
        assert_eq!(batch.expect("a batch").entries, [1]);
        assert_eq!(left_out, [3, 0]);
        assert!(queue.take(BestEffortTurn::Allowed, |_| None).is_none());
        assert!(queue.is_empty());
    }
}
