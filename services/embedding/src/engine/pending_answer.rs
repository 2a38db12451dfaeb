//! An answer that a caller waits for. Dropping it tells the engine that nobody wants it any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::clock::Clock;
use tokio::sync::oneshot::Receiver;

use super::query_cache::QueryCache;
use super::{EmbeddedText, TextError};

/// The future answer for one text.
pub struct PendingAnswer(AnswerState);

enum AnswerState {
    Ready(Result<EmbeddedText, TextError>),
    Waiting {
        answer: Receiver<Result<EmbeddedText, TextError>>,
        deadline: Option<(Clock, Instant)>,
        /// Where to cache the answer, and under which text.
        cache: Option<(Arc<QueryCache>, String)>,
    },
}

impl PendingAnswer {
    pub(super) fn ready(answer: Result<EmbeddedText, TextError>) -> Self {
        Self(AnswerState::Ready(answer))
    }

    pub(super) fn waiting(
        answer: Receiver<Result<EmbeddedText, TextError>>,
        deadline: Option<(Clock, Instant)>,
        cache: Option<(Arc<QueryCache>, String)>,
    ) -> Self {
        Self(AnswerState::Waiting {
            answer,
            deadline,
            cache,
        })
    }

    /// Waits for the answer, at most until the deadline.
    pub async fn answer(self) -> Result<EmbeddedText, TextError> {
        let (answer, deadline, cache) = match self.0 {
            AnswerState::Ready(answer) => return answer,
            AnswerState::Waiting {
                answer,
                deadline,
                cache,
            } => (answer, deadline, cache),
        };
        let received = match deadline {
            Some((clock, deadline)) => {
                let left = deadline.saturating_duration_since(clock.instant());
                clock.timeout(left, answer).await.ok_or(TextError::Deadline)?
            }
            None => answer.await,
        };
        // The engine drops the other side without an answer only when it ends.
        let embedded = received.unwrap_or(Err(TextError::Stopped))?;
        if let Some((cache, text)) = cache {
            let cached = EmbeddedText {
                queue_time: Duration::ZERO,
                compute_time: Duration::ZERO,
                cached: true,
                ..embedded.clone()
            };
            cache.put(text, cached);
        }
        Ok(embedded)
    }
}
