//! BERT sentence encoders on packed sequences.
//!
//! The rows of all sequences of a batch are stored one after the other without padding; only attention needs to know where
//! a sequence ends. [`load`] reads the tensors, [`linear`] and [`attention`] compute, and [`forward`] combines them.

mod attention;
mod forward;
mod linear;
mod load;
#[cfg(test)]
mod tests;

use crate::error::{EncodeError, TokenizeError};
use crate::kernel::{EncoderKernel, LayerNorm};
use crate::model::{Model, ModelDescription};
use crate::options::Pooling;
use crate::thread_pool::ThreadPool;
use crate::tokens::{TextKind, TextTokenizer, Tokens};
use crate::workspace::Workspace;

use attention::AttentionShape;
use linear::Linear;

/// A BERT encoder in memory, its weights packed.
pub(crate) struct Bert {
    description: ModelDescription,
    tokenizer: TextTokenizer,
    kernel: &'static dyn EncoderKernel,
    pooling: Pooling,
    shape: AttentionShape,
    embeddings: EmbeddingTables,
    layers: Vec<BertLayer>,
}

/// The input of the first layer: embeddings of tokens and of positions, which are added and normalised.
struct EmbeddingTables {
    /// One row of `hidden` values per token id.
    words: Vec<f32>,
    /// One row per position; the row of token type 0, the only type in use, is already added.
    positions: Vec<f32>,
    norm: LayerNorm,
}

struct BertLayer {
    /// Queries, keys and values in one; queries are already divided by the square root of the head's width.
    qkv: Linear,
    output: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    output_norm: LayerNorm,
}

impl Bert {
    fn hidden(&self) -> usize {
        self.description.dimension
    }

    /// Number of positions, and so the length of the longest sequence.
    fn positions(&self) -> usize {
        self.embeddings.positions.len() / self.hidden()
    }

    fn vocabulary(&self) -> usize {
        self.embeddings.words.len() / self.hidden()
    }

    fn check(&self, batch: &[&[u32]], out_length: usize) -> Result<(), EncodeError> {
        let (count, dimension) = (batch.len(), self.hidden());
        if count.checked_mul(dimension) != Some(out_length) {
            return Err(EncodeError::OutputSize {
                found: out_length,
                sequences: count,
                dimension,
            });
        }
        for (position, ids) in (1..).zip(batch) {
            if ids.len() > self.positions() {
                return Err(EncodeError::TooLong {
                    position,
                    count,
                    tokens: ids.len(),
                    max_tokens: self.positions(),
                });
            }
            if let Some(id) = ids.iter().copied().find(|id| *id as usize >= self.vocabulary()) {
                return Err(EncodeError::UnknownId {
                    position,
                    count,
                    id,
                    ids: self.vocabulary(),
                });
            }
        }
        Ok(())
    }
}

impl Model for Bert {
    fn description(&self) -> &ModelDescription {
        &self.description
    }

    fn tokenize(&self, kind: TextKind, text: &str) -> Result<Tokens, TokenizeError> {
        self.tokenizer.tokenize(kind, text)
    }

    fn encode(&self, batch: &[&[u32]], workspace: &mut Workspace, out: &mut [f32]) -> Result<(), EncodeError> {
        self.check(batch, out.len())?;
        self.forward(batch, None, workspace, out)
    }

    fn encode_split(
        &self,
        ids: &[u32],
        thread_pool: &ThreadPool,
        workspace: &mut Workspace,
        out: &mut [f32],
    ) -> Result<(), EncodeError> {
        self.check(&[ids], out.len())?;
        thread_pool.install(|| self.forward(&[ids], Some(thread_pool), workspace, out))
    }
}
