//! What an encoder is: the port between this service and a model.
//!
//! It says nothing about transport, batching or sparse weights. An encoder computes and blocks; callers keep it off the
//! threads that serve requests.

use std::path::PathBuf;

use domain::vectors::VectorError;
use domain::{DenseVector, EncoderId};

mod static_model;

pub use static_model::StaticModel;

/// A model that turns text into dense vectors.
pub trait Encoder: Send + Sync {
    /// Which model this is and what it can read.
    fn description(&self) -> &EncoderDescription;

    /// Encodes texts: one result per text, in their order. CPU-bound and blocking.
    fn encode(&self, texts: &[Text<'_>]) -> Result<Vec<Encoded>, EncodeError>;
}

/// A model's identity and limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncoderDescription {
    /// Name and revision, such as `potion-base-8M@f65d0f325faa`: vectors of different ids are never compared.
    pub id: EncoderId,
    /// Name of the model.
    pub name: String,
    /// SHA-256 of the weights file, hex.
    pub weights_sha256: String,
    /// Values in a dense vector.
    pub dimension: u32,
    /// Most tokens the encoder reads of one text; it leaves out the rest and reports it.
    pub max_tokens: u32,
}

impl EncoderDescription {
    /// Describes a model. The id is its name and the first twelve hex digits of its weights' SHA-256.
    pub fn new(name: &str, weights_sha256: &str, dimension: u32, max_tokens: u32) -> Result<Self, VectorError> {
        let revision = weights_sha256.get(..12).unwrap_or(weights_sha256);
        Ok(Self {
            id: EncoderId::parse(&format!("{name}@{revision}"))?,
            name: name.to_owned(),
            weights_sha256: weights_sha256.to_owned(),
            dimension,
            max_tokens,
        })
    }
}

/// What a text is; some encoders and the term weights treat questions and documents differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// A search query, or an interest in a reader's words.
    Query,
    /// A title and abstract.
    Document,
}

/// A text to encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    /// What it is.
    pub kind: TextKind,
    /// The text itself.
    pub content: &'a str,
}

/// What an encoder made of one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// The dense vector; all zeros when the encoder knows no token of the text.
    pub dense: DenseVector,
    /// Tokens that went into the vector.
    pub tokens: u32,
    /// True when the text was longer than the encoder reads and its end was left out.
    pub truncated: bool,
}

/// A text that could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The tokenizer refused the text.
    #[error("text number {position} of {count} could not be split into tokens: {reason}")]
    Tokens {
        /// Position in the batch, from 1.
        position: usize,
        /// Texts in the batch.
        count: usize,
        /// What the tokenizer said.
        reason: String,
    },
    /// The model computed something that is no sound vector.
    #[error("text number {position} of {count} has no sound vector: {source}")]
    Vector {
        /// Position in the batch, from 1.
        position: usize,
        /// Texts in the batch.
        count: usize,
        /// What is wrong with it.
        source: VectorError,
    },
}

/// A model that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
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
    /// The model's name cannot be part of an encoder id.
    #[error("model name {name:?} cannot be used: {source}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        source: VectorError,
    },
}
