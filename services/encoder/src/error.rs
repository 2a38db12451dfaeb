//! The errors of this crate.

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
        /// What it should have.
        expected: String,
    },
    /// The model is valid, but this crate does not support it.
    #[error("model file {path} has {found}; this encoder computes only {expected}; choose another model")]
    Unsupported {
        /// The file that describes the model.
        path: PathBuf,
        /// What the file says.
        found: String,
        /// What is supported.
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
    /// The tokenizer's error.
    pub reason: String,
}

/// Sequences that could not be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The output slice does not have the length that the batch needs.
    #[error("the output has {found} values; {sequences} sequences of {dimension} values need {}", sequences * dimension)]
    OutputSize {
        /// Length of the output slice.
        found: usize,
        /// Sequences in the batch.
        sequences: usize,
        /// Values per sequence.
        dimension: usize,
    },
    /// A sequence has more tokens than the model has positions.
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
    /// The model computed a value that is not finite; its weights are unusable.
    #[error("sequence {position} of {count} has no finite vector; the model's weights are out of bounds")]
    NotFinite {
        /// Position in the batch, from 1.
        position: usize,
        /// Sequences in the batch.
        count: usize,
    },
}

impl EncodeError {
    /// The same error with positions in a larger batch of `whole` sequences, in which this one starts at `first`.
    pub(crate) fn shifted(mut self, first: usize, whole: usize) -> Self {
        match &mut self {
            Self::OutputSize { .. } => {}
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
