//! BERT sentence encoders on packed sequences.
//!
//! The rows of all sequences of a batch lie one after the other, without padding; only attention looks at where one ends.
//! The parts: [`load`] reads the tensors, [`linear`] and [`attention`] compute, [`forward`] strings them together.

mod attention;
mod forward;
mod linear;
mod load;
#[cfg(test)]
mod tests;
mod workspace;

use crate::crew::Crew;
use crate::error::{EncodeError, TokenizeError};
use crate::kernel::{Kernel, Norm};
use crate::model::{Description, Model};
use crate::options::Pooling;
use crate::tokens::{TextKind, TextReader, Tokens};

use attention::Shape;
pub(crate) use forward::normalise;
use linear::Linear;
pub use workspace::Workspace;

/// A BERT encoder in memory, its weights packed.
pub(crate) struct Bert {
    description: Description,
    reader: TextReader,
    kernel: &'static dyn Kernel,
    pooling: Pooling,
    shape: Shape,
    embeddings: Embeddings,
    layers: Vec<Layer>,
}

/// What a token and its place become before the first layer.
struct Embeddings {
    /// One row of `hidden` values per token id.
    words: Vec<f32>,
    /// One row per position; the row of the only token type in use is already added.
    positions: Vec<f32>,
    norm: Norm,
}

struct Layer {
    /// Queries, keys and values in one; queries are already divided by the square root of the head's width.
    project: Linear,
    output: Linear,
    attention_norm: Norm,
    up: Linear,
    down: Linear,
    output_norm: Norm,
}

impl Bert {
    fn hidden(&self) -> usize {
        self.description.dimension
    }

    /// The longest sequence there are positions for.
    fn positions(&self) -> usize {
        self.embeddings.positions.len() / self.hidden()
    }

    fn vocabulary(&self) -> usize {
        self.embeddings.words.len() / self.hidden()
    }

    fn check(&self, batch: &[&[u32]], room: usize) -> Result<(), EncodeError> {
        let (count, dimension) = (batch.len(), self.hidden());
        if count.checked_mul(dimension) != Some(room) {
            return Err(EncodeError::Room {
                found: room,
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
    fn description(&self) -> &Description {
        &self.description
    }

    fn tokenize(&self, kind: TextKind, text: &str) -> Result<Tokens, TokenizeError> {
        self.reader.tokenize(kind, text)
    }

    fn encode(&self, batch: &[&[u32]], workspace: &mut Workspace, out: &mut [f32]) -> Result<(), EncodeError> {
        self.check(batch, out.len())?;
        self.forward(batch, None, workspace, out)
    }

    fn encode_split(
        &self,
        ids: &[u32],
        crew: &Crew,
        workspace: &mut Workspace,
        out: &mut [f32],
    ) -> Result<(), EncodeError> {
        self.check(&[ids], out.len())?;
        crew.install(|| self.forward(&[ids], Some(crew), workspace, out))
    }
}
