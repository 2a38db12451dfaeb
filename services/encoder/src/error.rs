//! What can go wrong, for callers.

use std::path::PathBuf;

/// A model that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file is missing or cannot be read.
    #[error(
        "cannot read model file {path}: {source}; a model folder holds model.safetensors, tokenizer.json and config.json; \
         fetch the model again or point to a folder that has them"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file was read and is not what it should be.
    #[error("model file {path} has {found}; expected {expected}; delete the file and fetch the model again")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is in it.
        found: String,
        /// What should be.
        expected: String,
    },
    /// The model is sound, but of a kind that this crate does not compute.
    #[error("model file {path} has {found}; this encoder computes only {expected}; choose another model")]
    Unsupported {
        /// The file that says so.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What could be computed.
        expected: String,
    },
    /// An option contradicts the model.
    #[error("option {option} is {value}; expected {expected}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        expected: String,
    },
}

/// A text that could not be split into tokens.
#[derive(Debug, thiserror::Error)]
#[error("text could not be split into tokens: {reason}")]
pub struct TokenizeError {
    /// What the tokenizer said.
    pub reason: String,
}

/// Sequences that could not be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The room for results does not fit the batch.
    #[error("room for {found} values was given; {sequences} sequences of {dimension} values need {}", sequences * dimension)]
    Room {
        /// Values there is room for.
        found: usize,
        /// Sequences in the batch.
        sequences: usize,
        /// Values per sequence.
        dimension: usize,
    },
    /// A sequence is longer than the model's positions.
    #[error("sequence {position} of {count} has {tokens} tokens; the model reads at most {max_tokens}")]
    TooLong {
        /// Position in the batch, from 1.
        position: usize,
        /// Sequences in the batch.
        count: usize,
        /// Its tokens.
        tokens: usize,
        /// Most tokens of one sequence.
        max_tokens: usize,
    },
    /// A token id has no row in the model.
    #[error("sequence {position} of {count} has token id {id}; the model's ids are below {ids}")]
    UnknownId {
        /// Position in the batch, from 1.
        position: usize,
        /// Sequences in the batch.
        count: usize,
        /// The id.
        id: u32,
        /// Number of ids.
        ids: usize,
    },
    /// The model computed something that is no number; its weights are unfit.
    #[error("sequence {position} of {count} has no finite vector; the model's weights are out of bounds")]
    NotFinite {
        /// Position in the batch, from 1.
        position: usize,
        /// Sequences in the batch.
        count: usize,
    },
}

impl EncodeError {
    /// The same error told in positions of a larger batch, in which this one begins at `first`.
    pub(crate) fn shifted(mut self, first: usize, whole: usize) -> Self {
        match &mut self {
            Self::Room { .. } => {}
            Self::TooLong { position, count, .. }
            | Self::UnknownId { position, count, .. }
            | Self::NotFinite { position, count } => {
                *position += first;
                *count = whole;
            }
        }
        self
    }
}
