//! Lanes that threads share: they sleep until there is work, and each takes whole batches.
//!
//! It knows nothing about texts and models, never holds its lock while work is done, and starts no thread.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::lanes::{Batch, Budget, Lanes};
use encoder::TextKind;

/// The shared lanes.
#[derive(Debug)]
pub struct WorkQueue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    threads: usize,
}

#[derive(Debug)]
struct State<T> {
    lanes: Lanes<T>,
    asleep: usize,
    closed: bool,
}

/// A batch, and what was going on when it was taken.
#[derive(Debug)]
pub struct Taken<T> {
    /// The work.
    pub batch: Batch<T>,
    /// What the other threads had to do.
    pub others: Others,
}

/// What the other threads of a queue had to do when one took a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// There are some, all of them slept, and nothing was left for them.
    Idle,
    /// Some work, or will at once, or there are none.
    Busy,
}

impl<T> WorkQueue<T> {
    /// For so many threads.
    pub fn new(budget: Budget, threads: usize) -> Self {
        Self {
            state: Mutex::new(State {
                lanes: Lanes::new(budget),
                asleep: 0,
                closed: false,
            }),
            changed: Condvar::new(),
            threads,
        }
    }

    /// Adds entries with their kinds and costs, all at once, so that they can be taken together.
    pub fn push(&self, entries: impl IntoIterator<Item = (TextKind, usize, T)>) {
        let mut state = self.lock();
        let mut count = 0;
        for (kind, tokens, entry) in entries {
            state.lanes.push(kind, tokens, entry);
            count += 1;
        }
        drop(state);
        match count {
            0 => {}
            1 => self.changed.notify_one(),
            _ => self.changed.notify_all(),
        }
    }

    /// Sleeps until there is a batch; see [`Lanes::take`] for the sieve. `None` after [`WorkQueue::close`], once
    /// everything was taken.
    pub fn take(&self, mut sieve: impl FnMut(T) -> Option<T>) -> Option<Taken<T>> {
        let mut state = self.lock();
        loop {
            if let Some(batch) = state.lanes.take(&mut sieve) {
                let idle = self.threads > 1 && state.asleep == self.threads - 1 && state.lanes.is_empty();
                let others = if idle { Others::Idle } else { Others::Busy };
                return Some(Taken { batch, others });
            }
            if state.closed {
                return None;
            }
            state.asleep += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep -= 1;
        }
    }

    /// No more will be added: wakes all threads, which take what is left and then get `None`.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// A poisoned lock is taken all the same: only a sieve can panic under it, and that leaves the lanes whole.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Threads that wait for work.
    #[cfg(test)]
    pub fn asleep(&self) -> usize {
        self.lock().asleep
    }

    /// Entries that wait.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.lock().lanes.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;

    use TextKind::{Document, Query};

    use super::*;

    fn queue(threads: usize) -> WorkQueue<u32> {
        let budget = Budget {
            full: 10,
            beside_queries: 5,
        };
        WorkQueue::new(budget, threads)
    }

    #[test]
    fn a_closed_queue_gives_what_is_left_and_ends() {
        let queue = queue(1);
        queue.push([(Document, 6, 1), (Document, 6, 2)]);
        queue.close();
        let taken: Vec<Vec<u32>> = std::iter::from_fn(|| queue.take(Some))
            .map(|taken| taken.batch.entries)
            .collect();
        assert_eq!(taken, [[1], [2]]);
        assert!(queue.take(Some).is_none());
    }

    #[test]
    fn closing_wakes_the_threads_that_sleep() {
        let queue = Arc::new(queue(3));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || queue.take(Some).is_none())
            })
            .collect();
        while queue.asleep() < 3 {
            thread::yield_now();
        }
        queue.close();
        for thread in threads {
            assert!(thread.join().expect("no panic"));
        }
    }

    #[test]
    fn a_thread_learns_whether_the_others_can_help() {
        let queue = Arc::new(queue(2));
        let (send, taken) = channel();
        let sleeper = Arc::clone(&queue);
        // Takes what comes second; until then it sleeps.
        queue.push([(Query, 1, 1)]);
        assert_eq!(queue.take(Some).expect("work").others, Others::Busy);
        let thread = thread::spawn(move || send.send(sleeper.take(Some).map(|taken| taken.batch.entries)));
        while queue.asleep() < 1 {
            thread::yield_now();
        }
        // Nobody is woken for it before this thread has taken it: both happen under one lock.
        {
            let mut state = queue.lock();
            state.lanes.push(Query, 1, 2);
        }
        assert_eq!(queue.take(Some).expect("work").others, Others::Idle);
        {
            let mut state = queue.lock();
            state.lanes.push(Query, 9, 3);
            state.lanes.push(Query, 9, 4);
        }
        assert_eq!(queue.take(Some).expect("work").others, Others::Busy);
        queue.changed.notify_all();
        assert_eq!(taken.recv().expect("an answer"), Some(vec![4]));
        thread.join().expect("no panic").expect("sent");
    }

    #[test]
    fn one_thread_has_no_others() {
        let queue = queue(1);
        queue.push([(Query, 1, 1)]);
        assert_eq!(queue.take(Some).expect("work").others, Others::Busy);
    }
}
