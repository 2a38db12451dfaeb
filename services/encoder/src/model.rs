//! The port of this crate: what every model can do, whatever its architecture.

use crate::error::{EncodeError, TokenizeError};
use crate::thread_pool::ThreadPool;
use crate::tokens::{TextKind, Tokens};
use crate::workspace::Workspace;

/// A model that turns text into vectors of length one. Every method computes on the calling thread and blocks it.
pub trait Model: Send + Sync {
    /// The model's identity and limits.
    fn description(&self) -> &ModelDescription;

    /// Splits a text into token ids: the model's prefix for this kind of text and special tokens are included, and the
    /// list is truncated to [`ModelDescription::max_tokens`]. A text that the model cannot read has none, so that its vector is
    /// zero.
    fn tokenize(&self, kind: TextKind, text: &str) -> Result<Tokens, TokenizeError>;

    /// Encodes token sequences, packed one after the other without padding. `out` is row-major, one row of
    /// [`ModelDescription::dimension`] values per sequence, each of length one; a sequence without any token, or one whose
    /// tokens cancel out, gives zeros. A row does not depend on the sequences beside it.
    fn encode(&self, batch: &[&[u32]], workspace: &mut Workspace, out: &mut [f32]) -> Result<(), EncodeError>;

    /// Encodes one sequence on several threads, for the lowest latency when the machine is otherwise idle. The result is
    /// the same as that of [`Model::encode`].
    fn encode_split(
        &self,
        ids: &[u32],
        thread_pool: &ThreadPool,
        workspace: &mut Workspace,
        out: &mut [f32],
    ) -> Result<(), EncodeError> {
        let _ = thread_pool;
        self.encode(&[ids], workspace, out)
    }
}

/// A model's identity and limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelDescription {
    /// Name of the model.
    pub name: String,
    /// SHA-256 of `model.safetensors`, hex, computed when it was loaded.
    pub weights_sha256: String,
    /// Values in a vector.
    pub dimension: usize,
    /// Most tokens of one text, special tokens included; longer texts are truncated.
    pub max_tokens: usize,
    /// Number format of the arithmetic: `int16` or `f32`.
    pub dtype: &'static str,
    /// `bert` or `static`.
    pub architecture: &'static str,
    /// CPU instructions in use: `avx512vnni`, `avx2` or `portable`.
    pub instructions: &'static str,
}
