//! An answer that is waited for. Dropping it tells the engine that nobody wants it any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot::Receiver;

use super::query_cache::QueryCache;
use super::{Embedded, TextError};

/// One text's answer to come.
pub struct Pending(State);

enum State {
    Ready(Result<Embedded, TextError>),
    Waiting {
        answer: Receiver<Result<Embedded, TextError>>,
        deadline: Option<Instant>,
        remember: Option<(Arc<QueryCache>, String)>,
    },
}

impl Pending {
    pub(super) fn ready(answer: Result<Embedded, TextError>) -> Self {
        Self(State::Ready(answer))
    }

    pub(super) fn waiting(
        answer: Receiver<Result<Embedded, TextError>>,
        deadline: Option<Instant>,
        remember: Option<(Arc<QueryCache>, String)>,
    ) -> Self {
        Self(State::Waiting {
            answer,
            deadline,
            remember,
        })
    }

    /// Waits for the answer, no longer than until the deadline.
    pub async fn answer(self) -> Result<Embedded, TextError> {
        let (answer, deadline, remember) = match self.0 {
            State::Ready(answer) => return answer,
            State::Waiting {
                answer,
                deadline,
                remember,
            } => (answer, deadline, remember),
        };
        let received = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline.into(), answer)
                .await
                .map_err(|_| TextError::Deadline)?,
            None => answer.await,
        };
        // The other side is never dropped without an answer, except when the engine ends.
        let embedded = received.unwrap_or(Err(TextError::Stopped))?;
        if let Some((cache, text)) = remember {
            let remembered = Embedded {
                queue_time: Duration::ZERO,
                compute_time: Duration::ZERO,
                cached: true,
                ..embedded.clone()
            };
            cache.put(text, remembered);
        }
        Ok(embedded)
    }
}
