//! Limits how many tokens wait: a permit is reserved for a text before it is queued, or the text is refused.
//!
//! It never makes a caller wait. It counts exactly what waits: a permit is released when its text leaves the queue for
//! whatever reason.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntGauge;

use crate::priority::{ByPriority, Priority};

/// The most tokens that may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueCapacity {
    /// Of interactive texts: the queries of searches.
    pub interactive: usize,
    /// Of bulk texts: papers, and interests of subscribers.
    pub bulk: usize,
    /// Of best-effort texts: those of people whom nobody knows.
    pub best_effort: usize,
}

impl QueueCapacity {
    /// The most tokens of one priority.
    pub fn of(self, priority: Priority) -> usize {
        match priority {
            Priority::Interactive => self.interactive,
            Priority::Bulk => self.bulk,
            Priority::BestEffort => self.best_effort,
        }
    }
}

/// Counts the tokens that wait.
#[derive(Debug)]
pub struct Admission {
    capacity: QueueCapacity,
    waiting: Mutex<ByPriority<usize>>,
    gauges: ByPriority<IntGauge>,
}

/// The error when the queue has no capacity left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull {
    /// The priority of the text that was refused.
    pub priority: Priority,
    /// Tokens that wait.
    pub waiting: usize,
    /// Tokens that may wait.
    pub capacity: usize,
}

/// A share of the queue's capacity; released when dropped.
#[derive(Debug)]
pub struct QueuePermit {
    admission: Arc<Admission>,
    priority: Priority,
    tokens: usize,
}

impl Admission {
    /// Nothing waits yet. The gauges show the waiting tokens.
    pub fn new(capacity: QueueCapacity, gauges: ByPriority<IntGauge>) -> Arc<Self> {
        Arc::new(Self {
            capacity,
            waiting: Mutex::default(),
            gauges,
        })
    }

    /// A permit for texts with this many tokens together. Texts larger than the whole capacity are admitted when nothing
    /// else waits, so that nothing is refused every time; what costs nothing is always admitted.
    pub fn reserve(self: &Arc<Self>, priority: Priority, tokens: usize) -> Result<QueuePermit, QueueFull> {
        let capacity = self.capacity.of(priority);
        let mut waiting = self.lock();
        let count = waiting.of_mut(priority);
        if tokens > 0 && *count > 0 && *count + tokens > capacity {
            return Err(QueueFull {
                priority,
                waiting: *count,
                capacity,
            });
        }
        *count += tokens;
        drop(waiting);
        Ok(self.permit(priority, tokens))
    }

    /// A permit in any case, for work that is limited elsewhere.
    pub fn reserve_unlimited(self: &Arc<Self>, priority: Priority, tokens: usize) -> QueuePermit {
        *self.lock().of_mut(priority) += tokens;
        self.permit(priority, tokens)
    }

    /// Tokens of a priority that wait.
    pub fn waiting(&self, priority: Priority) -> usize {
        *self.lock().of(priority)
    }

    fn permit(self: &Arc<Self>, priority: Priority, tokens: usize) -> QueuePermit {
        self.gauges.of(priority).add(as_i64(tokens));
        QueuePermit {
            admission: Arc::clone(self),
            priority,
            tokens,
        }
    }

    fn lock(&self) -> MutexGuard<'_, ByPriority<usize>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueuePermit {
    /// Splits a permit for one text off the permit for many; it never gets more than there is.
    pub fn split(&mut self, tokens: usize) -> Self {
        let tokens = tokens.min(self.tokens);
        self.tokens -= tokens;
        Self {
            admission: Arc::clone(&self.admission),
            priority: self.priority,
            tokens,
        }
    }

    /// Replaces the estimated number of tokens by the real one. This may exceed the capacity by the error of the estimate.
    pub fn correct(&mut self, tokens: usize) {
        let mut waiting = self.admission.lock();
        let count = waiting.of_mut(self.priority);
        *count = *count + tokens - self.tokens;
        drop(waiting);
        let gauge = self.admission.gauges.of(self.priority);
        gauge.add(as_i64(tokens) - as_i64(self.tokens));
        self.tokens = tokens;
    }
}

impl Drop for QueuePermit {
    fn drop(&mut self) {
        *self.admission.lock().of_mut(self.priority) -= self.tokens;
        self.admission.gauges.of(self.priority).sub(as_i64(self.tokens));
    }
}

fn as_i64(tokens: usize) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use Priority::{BestEffort, Bulk, Interactive};

    use super::*;

    fn admission() -> Arc<Admission> {
        let gauge = |priority: Priority| IntGauge::new(priority.name(), "Test.").expect("a valid name");
        let capacity = QueueCapacity {
            interactive: 100,
            bulk: 1000,
            best_effort: 10,
        };
        Admission::new(capacity, ByPriority::new(gauge))
    }

    #[test]
    fn a_full_queue_refuses_until_a_permit_is_released() {
        let admission = admission();
        let first = admission.reserve(Interactive, 60).expect("a permit");
        let full = admission.reserve(Interactive, 41).expect_err("a refusal");
        assert_eq!((full.waiting, full.capacity), (60, 100));
        let _second = admission.reserve(Interactive, 40).expect("a permit");
        drop(first);
        assert_eq!(admission.waiting(Interactive), 40);
        assert!(admission.reserve(Interactive, 60).is_ok());
    }

    #[test]
    fn no_priority_takes_capacity_from_another() {
        let admission = admission();
        let _bulk = admission.reserve(Bulk, 1000).expect("a permit");
        let _strangers = admission.reserve(BestEffort, 10).expect("a permit");
        assert!(admission.reserve(Bulk, 1).is_err() && admission.reserve(BestEffort, 1).is_err());
        assert!(admission.reserve(Interactive, 100).is_ok());
    }

    #[test]
    fn more_than_the_capacity_is_admitted_when_nothing_waits() {
        let admission = admission();
        let huge = admission.reserve(Interactive, 5000).expect("a permit");
        assert!(admission.reserve(Interactive, 1).is_err());
        drop(huge);
        assert!(admission.reserve(Interactive, 1).is_ok());
    }

    #[test]
    fn splitting_and_correcting_keep_the_count_right() {
        let admission = admission();
        let mut all = admission.reserve(Bulk, 30).expect("a permit");
        let mut one = all.split(10);
        let rest = all.split(100);
        drop(all);
        assert_eq!(admission.waiting(Bulk), 30);
        one.correct(25);
        assert_eq!(admission.waiting(Bulk), 45);
        one.correct(5);
        assert_eq!(admission.gauges.of(Bulk).get(), 25);
        drop((one, rest));
        assert_eq!((admission.waiting(Bulk), admission.gauges.of(Bulk).get()), (0, 0));
    }

    #[test]
    fn unlimited_work_is_never_refused() {
        let admission = admission();
        let _pulled = admission.reserve_unlimited(Bulk, 2000);
        let _more = admission.reserve_unlimited(Bulk, 2000);
        assert_eq!(admission.waiting(Bulk), 4000);
        assert!(admission.reserve(Bulk, 0).is_ok());
    }
}
