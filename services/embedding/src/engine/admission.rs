//! Bounds what waits, in tokens: a caller has room reserved before its text is queued, or is refused.
//!
//! It never makes anybody wait, and what it counts is exactly what waits: room is given back when a text leaves the queue
//! for whatever reason.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntGauge;

use encoder::TextKind;

/// Most tokens that may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Of queries.
    pub queries: usize,
    /// Of documents.
    pub documents: usize,
}

impl Capacity {
    /// Of one kind.
    pub fn of(self, kind: TextKind) -> usize {
        match kind {
            TextKind::Query => self.queries,
            TextKind::Document => self.documents,
        }
    }
}

/// Counts what waits.
#[derive(Debug)]
pub struct Admission {
    capacity: Capacity,
    waiting: Mutex<Waiting>,
    gauges: [IntGauge; 2],
}

#[derive(Debug, Default)]
struct Waiting {
    queries: usize,
    documents: usize,
}

/// No room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// Of which kind.
    pub kind: TextKind,
    /// Tokens that wait.
    pub waiting: usize,
    /// Tokens that may wait.
    pub capacity: usize,
}

/// Room for tokens; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    kind: TextKind,
    tokens: usize,
}

impl Admission {
    /// With gauges that show what waits: queries, then documents.
    pub fn new(capacity: Capacity, gauges: [IntGauge; 2]) -> Arc<Self> {
        Arc::new(Self {
            capacity,
            waiting: Mutex::default(),
            gauges,
        })
    }

    /// Room for texts that cost so much together. What alone is larger than the capacity gets room when nothing waits,
    /// so that nothing is refused for ever, and what costs nothing always does.
    pub fn reserve(self: &Arc<Self>, kind: TextKind, tokens: usize) -> Result<Permit, Full> {
        let capacity = self.capacity.of(kind);
        let mut waiting = self.lock();
        let count = waiting.of(kind);
        if tokens > 0 && *count > 0 && *count + tokens > capacity {
            return Err(Full {
                kind,
                waiting: *count,
                capacity,
            });
        }
        *count += tokens;
        drop(waiting);
        Ok(self.granted(kind, tokens))
    }

    /// Room in any case, for work whose amount is bounded elsewhere.
    pub fn reserve_anyway(self: &Arc<Self>, kind: TextKind, tokens: usize) -> Permit {
        *self.lock().of(kind) += tokens;
        self.granted(kind, tokens)
    }

    /// Tokens of a kind that wait.
    #[cfg(test)]
    pub fn waiting(&self, kind: TextKind) -> usize {
        *self.lock().of(kind)
    }

    fn granted(self: &Arc<Self>, kind: TextKind, tokens: usize) -> Permit {
        self.gauge(kind).add(as_i64(tokens));
        Permit {
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

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn of(&mut self, kind: TextKind) -> &mut usize {
        match kind {
            TextKind::Query => &mut self.queries,
            TextKind::Document => &mut self.documents,
        }
    }
}

impl Permit {
    /// Takes room for one text out of the room of many. Never more than there is.
    pub fn split(&mut self, tokens: usize) -> Self {
        let tokens = tokens.min(self.tokens);
        self.tokens -= tokens;
        Self {
            admission: Arc::clone(&self.admission),
            kind: self.kind,
            tokens,
        }
    }

    /// Replaces what was estimated by what was counted. May pass the capacity by the error of the estimate.
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

impl Drop for Permit {
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
        let gauge = |name: &str| IntGauge::new(name, "Test.").expect("a sound name");
        let capacity = Capacity {
            queries: 100,
            documents: 1000,
        };
        Admission::new(capacity, [gauge("queries"), gauge("documents")])
    }

    #[test]
    fn what_does_not_fit_is_refused_until_room_is_given_back() {
        let admission = admission();
        let first = admission.reserve(Query, 60).expect("room");
        let full = admission.reserve(Query, 41).expect_err("no room");
        assert_eq!((full.waiting, full.capacity), (60, 100));
        let _second = admission.reserve(Query, 40).expect("room");
        drop(first);
        assert_eq!(admission.waiting(Query), 40);
        assert!(admission.reserve(Query, 60).is_ok());
    }

    #[test]
    fn documents_take_no_room_from_queries() {
        let admission = admission();
        let _bulk = admission.reserve(Document, 1000).expect("room");
        assert!(admission.reserve(Document, 1).is_err());
        assert!(admission.reserve(Query, 100).is_ok());
    }

    #[test]
    fn what_is_larger_than_the_capacity_fits_when_nothing_waits() {
        let admission = admission();
        let huge = admission.reserve(Query, 5000).expect("room");
        assert!(admission.reserve(Query, 1).is_err());
        drop(huge);
        assert!(admission.reserve(Query, 1).is_ok());
    }

    #[test]
    fn splitting_and_correcting_keep_the_books() {
        let admission = admission();
        let mut all = admission.reserve(Document, 30).expect("room");
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
    fn work_that_is_bounded_elsewhere_is_never_refused() {
        let admission = admission();
        let _pulled = admission.reserve_anyway(Document, 2000);
        let _more = admission.reserve_anyway(Document, 2000);
        assert_eq!(admission.waiting(Document), 4000);
        assert!(admission.reserve(Document, 0).is_ok());
    }
}
