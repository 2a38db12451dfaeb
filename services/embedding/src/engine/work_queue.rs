//! A priority queue that threads share: they sleep until there is work, and each takes a whole batch. At most half of them do
//! best-effort work at a time, so that a query finds one that does not.
//!
//! It knows nothing about texts and models, never holds its lock while work is done, and starts no thread.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::priority_queue::{Batch, BatchBudget, BestEffortTurn, PriorityQueue};
use crate::priority::Priority;

/// The shared queue.
#[derive(Debug)]
pub struct WorkQueue<T> {
    state: Mutex<QueueState<T>>,
    changed: Condvar,
    threads: usize,
}

#[derive(Debug)]
struct QueueState<T> {
    entries: PriorityQueue<T>,
    sleeping: usize,
    /// Threads that do best-effort work.
    best_effort: usize,
    closed: bool,
}

/// A batch, and what the other threads were doing when it was taken.
#[derive(Debug)]
pub struct WorkBatch<T> {
    /// The batch.
    pub batch: Batch<T>,
    /// What the other threads were doing.
    pub others: OtherThreads,
}

/// What the other threads of a queue were doing when one took a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherThreads {
    /// There are others, all of them slept, and nothing was left for them.
    Idle,
    /// Some were working or about to, or there are no others.
    Busy,
}

impl<T> WorkQueue<T> {
    /// An empty queue for this many threads.
    pub fn new(budget: BatchBudget, threads: usize) -> Self {
        Self {
            state: Mutex::new(QueueState {
                entries: PriorityQueue::new(budget),
                sleeping: 0,
                best_effort: 0,
                closed: false,
            }),
            changed: Condvar::new(),
            threads,
        }
    }

    /// Adds entries with their priorities and costs in tokens, all at once, so that they can be taken together.
    pub fn push(&self, entries: impl IntoIterator<Item = (Priority, usize, T)>) {
        let mut state = self.lock();
        let mut count = 0;
        for (priority, tokens, entry) in entries {
            state.entries.push(priority, tokens, entry);
            count += 1;
        }
        drop(state);
        match count {
            0 => {}
            1 => self.changed.notify_one(),
            _ => self.changed.notify_all(),
        }
    }

    /// Sleeps until there is a batch; see [`PriorityQueue::take`] for the filter. The thread calls [`WorkQueue::done`] before
    /// it takes another. `None` after [`WorkQueue::close`], once nothing is left for this thread.
    pub fn take(&self, mut filter: impl FnMut(T) -> Option<T>) -> Option<WorkBatch<T>> {
        let mut state = self.lock();
        loop {
            let best_effort = if state.best_effort < (self.threads / 2).max(1) {
                BestEffortTurn::Allowed
            } else {
                BestEffortTurn::Held
            };
            if let Some(batch) = state.entries.take(best_effort, &mut filter) {
                state.best_effort += usize::from(batch.priority == Priority::BestEffort);
                let idle = self.threads > 1 && state.sleeping == self.threads - 1 && state.entries.is_empty();
                let others = if idle { OtherThreads::Idle } else { OtherThreads::Busy };
                return Some(WorkBatch { batch, others });
            }
            if state.closed {
                return None;
            }
            state.sleeping += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.sleeping -= 1;
        }
    }

    /// Says that the batch a thread has taken is done. Work that was held for it is taken by the same thread next.
    pub fn done(&self, priority: Priority) {
        if priority == Priority::BestEffort {
            self.lock().best_effort -= 1;
        }
    }

    /// Marks the queue as complete: all threads wake, take what is left and then get `None`.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Ignores poisoning: only a filter can panic while the lock is held, and that leaves the entries intact.
    fn lock(&self) -> MutexGuard<'_, QueueState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of threads that wait for work.
    #[cfg(test)]
    pub fn sleeping(&self) -> usize {
        self.lock().sleeping
    }

    /// Number of waiting entries.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};
    use std::thread;

    use Priority::{BestEffort, Bulk, Interactive};

    use super::*;
    use crate::testing::{TIME_LIMIT, block_until};

    fn queue(threads: usize) -> WorkQueue<u32> {
        let budget = BatchBudget {
            full: 10,
            beside_queries: 5,
            best_effort: 2,
        };
        WorkQueue::new(budget, threads)
    }

    #[test]
    fn a_closed_queue_gives_what_is_left_and_ends() {
        let queue = queue(1);
        queue.push([(Bulk, 6, 1), (Bulk, 6, 2)]);
        queue.close();
        let taken: Vec<Vec<u32>> = std::iter::from_fn(|| queue.take(Some))
            .map(|work| work.batch.entries)
            .collect();
        assert_eq!(taken, [[1], [2]]);
        assert!(queue.take(Some).is_none());
    }

    /// Takes one batch on another thread, which is not joined, so that a failing test ends.
    fn take_elsewhere(queue: &Arc<WorkQueue<u32>>, taken: &Sender<Option<Vec<u32>>>) {
        let (queue, taken) = (Arc::clone(queue), taken.clone());
        let work = move || taken.send(queue.take(Some).map(|work| work.batch.entries));
        thread::Builder::new().spawn(work).expect("a thread");
    }

    #[test]
    fn closing_wakes_sleeping_threads() {
        let queue = Arc::new(queue(3));
        let (sender, taken) = channel();
        for _ in 0..3 {
            take_elsewhere(&queue, &sender);
        }
        block_until("the threads sleep", || queue.sleeping() == 3);
        queue.close();
        for _ in 0..3 {
            assert_eq!(taken.recv_timeout(TIME_LIMIT), Ok(None));
        }
    }

    #[test]
    fn a_thread_learns_whether_the_others_can_help() {
        let queue = Arc::new(queue(2));
        let (sender, taken) = channel();
        queue.push([(Interactive, 1, 1)]);
        assert_eq!(queue.take(Some).expect("work").others, OtherThreads::Busy);
        take_elsewhere(&queue, &sender);
        block_until("the other thread sleeps", || queue.sleeping() == 1);
        // Added without waking the other thread, so that this thread takes it.
        queue.lock().entries.push(Interactive, 1, 2);
        assert_eq!(queue.take(Some).expect("work").others, OtherThreads::Idle);
        {
            let mut state = queue.lock();
            state.entries.push(Interactive, 9, 3);
            state.entries.push(Interactive, 9, 4);
        }
        assert_eq!(queue.take(Some).expect("work").others, OtherThreads::Busy);
        queue.changed.notify_all();
        assert_eq!(taken.recv_timeout(TIME_LIMIT), Ok(Some(vec![4])));
    }

    #[test]
    fn half_of_the_threads_are_kept_for_others_than_best_effort() {
        let queue = queue(2);
        queue.push([(BestEffort, 2, 1), (BestEffort, 2, 2), (Bulk, 2, 3)]);
        let entries = || queue.take(Some).map(|work| work.batch.entries);
        assert_eq!(entries(), Some(vec![3]));
        assert_eq!(entries(), Some(vec![1]));
        queue.push([(Interactive, 2, 4)]);
        assert_eq!(entries(), Some(vec![4]));
        queue.close();
        assert_eq!(entries(), None, "held for the thread that does such work");
        queue.done(BestEffort);
        assert_eq!(entries(), Some(vec![2]));
    }

    #[test]
    fn one_thread_has_no_others() {
        let queue = queue(1);
        queue.push([(Interactive, 1, 1)]);
        assert_eq!(queue.take(Some).expect("work").others, OtherThreads::Busy);
    }
}
