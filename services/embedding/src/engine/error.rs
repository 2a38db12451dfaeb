//! The errors of one text, of a submission, and of the start of the engine.

use std::time::Duration;

use domain::vectors::VectorError;

use super::admission::QueueFull;
use encoder::{EncodeError, ThreadPoolError, TokenizeError};

/// A text that was not embedded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TextError {
    /// It has more tokens than the model reads, and the caller does not want it truncated.
    #[error("has more than the {max_tokens} tokens that this encoder reads; shorten it, or allow truncation")]
    TooLong {
        /// The most tokens that the model reads.
        max_tokens: usize,
    },
    /// Its deadline passed before it was computed.
    #[error("the deadline passed while the text waited for the encoder")]
    Deadline,
    /// The tokenizer refused it.
    #[error("tokenizer failed: {0}")]
    Tokenize(String),
    /// The model refused it.
    #[error("model failed: {0}")]
    Encode(String),
    /// The model computed an invalid vector.
    #[error("model computed an invalid vector: {0}")]
    Vector(String),
    /// Its term weights are invalid.
    #[error("term weights are invalid: {0}")]
    Sparse(String),
    /// The model or its tokenizer panicked on it.
    #[error("model panicked: {0}")]
    Panicked(String),
    /// The engine ended before it was computed.
    #[error("the encoder stopped before the text was computed")]
    Stopped,
}

impl From<TokenizeError> for TextError {
    fn from(error: TokenizeError) -> Self {
        Self::Tokenize(error.to_string())
    }
}

impl From<EncodeError> for TextError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error.to_string())
    }
}

/// Texts that were refused because more waits than may, or than is computed before their deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} tokens are waiting with the priority {}, and at most {} may wait; try again in {} ms, or send fewer texts at once",
    full.waiting,
    full.priority.name(),
    full.capacity,
    retry_after.as_millis()
)]
pub struct SubmitError {
    /// How full the queue is.
    pub full: QueueFull,
    /// After how long the queue should have capacity again.
    pub retry_after: Duration,
}

/// An engine that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The model's name cannot be part of an encoder id.
    #[error("model name {name:?} cannot be used: {source}")]
    Name {
        /// The name.
        name: String,
        /// Why it is no valid id.
        source: VectorError,
    },
    /// The system refused a thread.
    #[error("cannot start a thread for the encoder: {0}")]
    Thread(#[source] std::io::Error),
    /// The system refused the threads that share the work of a query.
    #[error(transparent)]
    ThreadPool(#[from] ThreadPoolError),
}
