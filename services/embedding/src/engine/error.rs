//! What can go wrong with a text, with a request, and with the start of the engine.

use std::time::Duration;

use domain::vectors::VectorError;

use super::admission::Full;
use encoder::{CrewError, EncodeError, TextKind, TokenizeError};

/// A text that was not embedded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TextError {
    /// It has more tokens than the model reads, and the caller wants it whole or not at all.
    #[error("has more than the {max_tokens} tokens that this encoder reads; shorten it, or have its end left out")]
    TooLong {
        /// What the model reads.
        max_tokens: usize,
    },
    /// Its deadline passed before its turn came.
    #[error("the deadline passed while the text waited for the encoder")]
    Deadline,
    /// The tokenizer refused it.
    #[error("tokenizer failed: {0}")]
    Tokenize(String),
    /// The model refused it.
    #[error("model failed: {0}")]
    Encode(String),
    /// The model computed something that is no sound vector.
    #[error("model computed an unsound vector: {0}")]
    Vector(String),
    /// Its term weights are unsound.
    #[error("term weights are unsound: {0}")]
    Sparse(String),
    /// The model or its tokenizer panicked over it.
    #[error("model panicked: {0}")]
    Panicked(String),
    /// The engine ended before its turn came.
    #[error("the encoder stopped before the text's turn came")]
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

/// Texts that were not taken because the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} tokens of {} wait already and {} may; try again in {} ms, or send less at once",
    full.waiting,
    noun(full.kind),
    full.capacity,
    retry_after.as_millis()
)]
pub struct Refused {
    /// How full it is.
    pub full: Full,
    /// When there should be room again.
    pub retry_after: Duration,
}

fn noun(kind: TextKind) -> &'static str {
    match kind {
        TextKind::Query => "queries",
        TextKind::Document => "documents",
    }
}

/// An engine that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The model's name cannot be part of an encoder id.
    #[error("model name {name:?} cannot be used: {source}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        source: VectorError,
    },
    /// The system gives no thread.
    #[error("cannot start a thread for the encoder: {0}")]
    Thread(#[source] std::io::Error),
    /// The system gives no threads to share a query.
    #[error(transparent)]
    Crew(#[from] CrewError),
}
