//! What a model is: it splits a text into tokens, and turns tokens into dense vectors.
//!
//! The two are apart because tokens are what a batch is measured in. A model never queues, never logs, and never decides
//! how many texts it is given at once.

use std::path::PathBuf;

/// A model that turns text into dense vectors.
pub trait Model: Send + Sync {
    /// Which model this is and what it can read.
    fn description(&self) -> &Description;

    /// Splits a text into the tokens of one sequence, with everything the model wants around them, and leaves out what
    /// it does not read.
    fn tokenize(&self, kind: TextKind, text: &str) -> Result<Tokens, TokenizeError>;

    /// Encodes sequences: `out` holds one row of [`Description::dimension`] values per sequence, in their order, each of
    /// length one or all zeros. CPU-bound and blocking.
    fn encode(&self, batch: &[&[u32]], workspace: &mut Workspace, out: &mut [f32]) -> Result<(), EncodeError>;

    /// Encodes one sequence with the help of threads that have nothing else to do. The result is that of
    /// [`Model::encode`].
    fn encode_split(
        &self,
        ids: &[u32],
        crew: &Crew,
        workspace: &mut Workspace,
        out: &mut [f32],
    ) -> Result<(), EncodeError> {
        let _ = crew;
        self.encode(&[ids], workspace, out)
    }
}

/// A model's identity and limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Name of the model.
    pub name: String,
    /// SHA-256 of the weights file, hex.
    pub weights_sha256: String,
    /// Values in a dense vector.
    pub dimension: usize,
    /// Most tokens the model reads of one text; it leaves out the rest and reports it.
    pub max_tokens: usize,
    /// Arithmetic, such as `f32`.
    pub dtype: &'static str,
    /// Kind of network, such as `static`.
    pub architecture: &'static str,
}

/// What a text is; some models and the term weights treat questions and documents differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// A search query, or an interest in a reader's words.
    Query,
    /// A title and abstract.
    Document,
}

/// The tokens of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Their ids.
    pub ids: Vec<u32>,
    /// True when the text was longer than the model reads and its end was left out.
    pub truncated: bool,
}

/// Memory that one thread computes in, kept from batch to batch.
#[derive(Debug, Default)]
pub struct Workspace(());

/// Threads that share the work of one sequence.
#[derive(Debug)]
pub struct Crew {
    threads: usize,
}

/// Threads could not be started.
#[derive(Debug, thiserror::Error)]
#[error("{threads} threads for splitting a sequence cannot be started: {reason}")]
pub struct CrewError {
    /// How many were wanted.
    pub threads: usize,
    /// What the system said.
    pub reason: String,
}

impl Crew {
    /// Starts threads; at least one.
    pub fn new(threads: usize) -> Result<Self, CrewError> {
        Ok(Self {
            threads: threads.max(1),
        })
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.threads
    }
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
}

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
}
