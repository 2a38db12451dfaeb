//! Limits how many tokens wait: a permit is reserved for a text before it is queued, or the text is refused.
//!
//! It never makes a caller wait. It counts exactly what waits: a permit is released when its text leaves the queue for
//! whatever reason.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntGauge;

use encoder::TextKind;

/// The most tokens that may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueCapacity {
    /// Of queries.
    pub queries: usize,
    /// Of documents.
    pub documents: usize,
}

impl QueueCapacity {
    /// The most tokens of one kind.
    pub fn of(self, kind: TextKind) -> usize {
        match kind {
            TextKind::Query => self.queries,
            TextKind::Document => self.documents,
        }
    }
}

/// Counts the tokens that wait.
#[derive(Debug)]
pub struct Admission {
    capacity: QueueCapacity,
    waiting: Mutex<WaitingTokens>,
    gauges: [IntGauge; 2],
}

#[derive(Debug, Default)]
struct WaitingTokens {
    queries: usize,
    documents: usize,
}

/// The error when the queue has no capacity left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull {
    /// The kind of text that was refused.
    pub kind: TextKind,
    /// Tokens that wait.
    pub waiting: usize,
    /// Tokens that may wait.
    pub capacity: usize,
}

/// A share of the queue's capacity; released when dropped.
#[derive(Debug)]
pub struct QueuePermit {
    admission: Arc<Admission>,
    kind: TextKind,
    tokens: usize,
}

impl Admission {
    /// Nothing waits yet. The gauges show the waiting tokens of queries and of documents, in this order.
    pub fn new(capacity: QueueCapacity, gauges: [IntGauge; 2]) -> Arc<Self> {
        Arc::new(Self {
            capacity,
            waiting: Mutex::default(),
            gauges,
        })
    }

    /// A permit for texts with this many tokens together. Texts larger than the whole capacity are admitted when nothing
    /// else waits, so that nothing is refused every time; what costs nothing is always admitted.
    pub fn reserve(self: &Arc<Self>, kind: TextKind, tokens: usize) -> Result<QueuePermit, QueueFull> {
        let capacity = self.capacity.of(kind);
        let mut waiting = self.lock();
        let count = waiting.of(kind);
        if tokens > 0 && *count > 0 && *count + tokens > capacity {
            return Err(QueueFull {
                kind,
                waiting: *count,
                capacity,
            });
        }
        *count += tokens;
        drop(waiting);
        Ok(self.permit(kind, tokens))
    }

    /// A permit in any case, for work that is limited elsewhere.
    pub fn reserve_unlimited(self: &Arc<Self>, kind: TextKind, tokens: usize) -> QueuePermit {
        *self.lock().of(kind) += tokens;
        self.permit(kind, tokens)
    }

    /// Tokens of a kind that wait.
    #[cfg(test)]
    pub fn waiting(&self, kind: TextKind) -> usize {
        *self.lock().of(kind)
    }

    fn permit(self: &Arc<Self>, kind: TextKind, tokens: usize) -> QueuePermit {
        self.gauge(kind).add(as_i64(tokens));
        QueuePermit {
            admission: Arc::clone(self),
            kind,
            tokens,
        }
    }

    fn gauge(&self, kind: TextKind) -> &IntGauge {
        let [queries, documents] = &self.gauges;
        match kind {
            TextKind::Query => queries,
            TextKind::Document => documents,
        }
    }

    fn lock(&self) -> MutexGuard<'_, WaitingTokens> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingTokens {
    fn of(&mut self, kind: TextKind) -> &mut usize {
        match kind {
            TextKind::Query => &mut self.queries,
            TextKind::Document => &mut self.documents,
        }
    }
}

impl QueuePermit {
    /// Splits a permit for one text off the permit for many; it never gets more than there is.
    pub fn split(&mut self, tokens: usize) -> Self {
        let tokens = tokens.min(self.tokens);
        self.tokens -= tokens;
        Self {
            admission: Arc::clone(&self.admission),
            kind: self.kind,
            tokens,
        }
    }

    /// Replaces the estimated number of tokens by the real one. This may exceed the capacity by the error of the estimate.
    pub fn correct(&mut self, tokens: usize) {
        let mut waiting = self.admission.lock();
        let count = waiting.of(self.kind);
        *count = *count + tokens - self.tokens;
        drop(waiting);
        let gauge = self.admission.gauge(self.kind);
        gauge.add(as_i64(tokens) - as_i64(self.tokens));
        self.tokens = tokens;
    }
}

impl Drop for QueuePermit {
    fn drop(&mut self) {
        *self.admission.lock().of(self.kind) -= self.tokens;
        self.admission.gauge(self.kind).sub(as_i64(self.tokens));
    }
}

fn as_i64(tokens: usize) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use TextKind::{Document, Query};

    use super::*;

    fn admission() -> Arc<Admission> {
        let gauge = |name: &str| IntGauge::new(name, "Test.").expect("a valid name");
        let capacity = QueueCapacity {
            queries: 100,
            documents: 1000,
        };
        Admission::new(capacity, [gauge("queries"), gauge("documents")])
    }

    #[test]
    fn a_full_queue_refuses_until_a_permit_is_released() {
        let admission = admission();
        let first = admission.reserve(Query, 60).expect("a permit");
        let full = admission.reserve(Query, 41).expect_err("a refusal");
        assert_eq!((full.waiting, full.capacity), (60, 100));
        let _second = admission.reserve(Query, 40).expect("a permit");
        drop(first);
        assert_eq!(admission.waiting(Query), 40);
        assert!(admission.reserve(Query, 60).is_ok());
    }

    #[test]
    fn documents_take_no_capacity_from_queries() {
        let admission = admission();
        let _bulk = admission.reserve(Document, 1000).expect("a permit");
        assert!(admission.reserve(Document, 1).is_err());
        assert!(admission.reserve(Query, 100).is_ok());
    }

    #[test]
    fn more_than_the_capacity_is_admitted_when_nothing_waits() {
        let admission = admission();
        let huge = admission.reserve(Query, 5000).expect("a permit");
        assert!(admission.reserve(Query, 1).is_err());
        drop(huge);
        assert!(admission.reserve(Query, 1).is_ok());
    }

    #[test]
    fn splitting_and_correcting_keep_the_count_right() {
        let admission = admission();
        let mut all = admission.reserve(Document, 30).expect("a permit");
        let mut one = all.split(10);
        let rest = all.split(100);
        drop(all);
        assert_eq!(admission.waiting(Document), 30);
        one.correct(25);
        assert_eq!(admission.waiting(Document), 45);
        one.correct(5);
        assert_eq!(admission.gauge(Document).get(), 25);
        drop((one, rest));
        assert_eq!((admission.waiting(Document), admission.gauge(Document).get()), (0, 0));
    }

    #[test]
    fn unlimited_work_is_never_refused() {
        let admission = admission();
        let _pulled = admission.reserve_unlimited(Document, 2000);
        let _more = admission.reserve_unlimited(Document, 2000);
        assert_eq!(admission.waiting(Document), 4000);
        assert!(admission.reserve(Document, 0).is_ok());
    }
}
