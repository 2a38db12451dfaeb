//! A request for one text on its way through the engine: who asked, until when, and where the answer goes.
//!
//! It computes nothing. Every request ends with exactly one answer, or is dropped because its caller has gone away.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::admission::QueuePermit;
use super::{EmbeddedText, TextError};
use crate::metrics::EncoderMetrics;
use crate::priority::Priority;
use encoder::TextKind;

/// What is known about a waiting text, apart from the text itself.
#[derive(Debug)]
pub struct PendingRequest {
    /// Whether the text is a query or a document.
    pub kind: TextKind,
    /// How urgent it is.
    pub priority: Priority,
    /// When the answer is no longer wanted.
    pub deadline: Option<Instant>,
    /// When the text was submitted.
    pub submitted: Instant,
    /// Its share of the queue's capacity.
    pub permit: QueuePermit,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<EmbeddedText, TextError>>,
}

/// A text at one stage of the engine, with its request.
#[derive(Debug)]
pub struct QueuedText<P> {
    /// The request it belongs to.
    pub request: PendingRequest,
    /// The text as this stage has it.
    pub payload: P,
}

impl<P> QueuedText<P> {
    /// Returns the text if its answer is still wanted; else counts it, after answering one whose deadline has passed.
    pub fn if_wanted(self, now: Instant, metrics: &EncoderMetrics) -> Option<Self> {
        let priority = self.request.priority;
        if self.request.deadline.is_some_and(|deadline| deadline <= now) {
            metrics.expired(priority);
            self.request.answer(Err(TextError::Deadline));
            return None;
        }
        if self.request.reply.is_closed() {
            metrics.dropped(priority);
            return None;
        }
        Some(self)
    }
}

impl PendingRequest {
    /// How long it has waited.
    pub fn waited(&self, until: Instant) -> Duration {
        until.saturating_duration_since(self.submitted)
    }

    /// Gives its share of the queue's capacity back, because it no longer waits.
    pub fn leave_queue(&mut self) {
        self.permit.correct(0);
    }

    /// Ends the request with an answer.
    pub fn answer(self, answer: Result<EmbeddedText, TextError>) {
        // When the caller has gone away in the meantime, nobody wants the answer.
        let _ = self.reply.send(answer);
    }

    /// Ends the request because the text cannot be embedded.
    pub fn fail(self, error: TextError, metrics: &EncoderMetrics) {
        metrics.failed(self.priority);
        self.answer(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::admission::{Admission, QueueCapacity};

    fn queued(deadline: Option<Instant>) -> (QueuedText<()>, oneshot::Receiver<Result<EmbeddedText, TextError>>) {
        let (reply, answer) = oneshot::channel();
        let capacity = QueueCapacity {
            interactive: 1,
            bulk: 1,
            best_effort: 1,
        };
        let admission = Admission::new(capacity, EncoderMetrics::unregistered().queue_gauges());
        let request = PendingRequest {
            kind: TextKind::Query,
            priority: Priority::Interactive,
            deadline,
            submitted: Instant::now(),
            permit: admission.reserve(Priority::Interactive, 1).expect("a permit"),
            reply,
        };
        (QueuedText { request, payload: () }, answer)
    }

    #[test]
    fn a_text_is_wanted_until_its_deadline() {
        let metrics = EncoderMetrics::unregistered();
        let now = Instant::now();
        let deadline = now + Duration::from_nanos(1);
        let (text, mut answer) = queued(Some(deadline));
        let text = text.if_wanted(now, &metrics);
        assert!(text.expect("wanted").if_wanted(deadline, &metrics).is_none());
        assert!(matches!(answer.try_recv(), Ok(Err(TextError::Deadline))));
        assert_eq!(metrics.not_computed(Priority::Interactive), [0, 0, 1, 0]);
    }

    #[test]
    fn a_text_without_a_caller_is_dropped_and_counted() {
        let metrics = EncoderMetrics::unregistered();
        let (text, answer) = queued(None);
        let text = text.if_wanted(Instant::now(), &metrics).expect("wanted");
        drop(answer);
        assert!(text.if_wanted(Instant::now(), &metrics).is_none());
        assert_eq!(metrics.not_computed(Priority::Interactive), [1, 0, 0, 0]);
    }
}
