//! Static embeddings in the model2vec format (`potion-base-8M`): a text's vector is the mean of its tokens' rows.
//!
//! Tokens are taken without special ones, unknown ones are dropped, the mean is brought to length one. No neural network
//! runs, so order of words does not matter.

use std::path::Path;

use crate::bert::{Workspace, normalise};
use crate::error::{EncodeError, LoadError, TokenizeError};
use crate::files::corrupt;
use crate::layout::{self, Config};
use crate::model::{Description, Model, name_of};
use crate::options::Options;
use crate::tensors::Tensors;
use crate::tokens::{TextKind, TextReader, Tokens};

/// Most tokens read of a text: the default of the model's reference implementation, and above the length of nearly every
/// abstract. A lower `seq_length` in the model's `config.json` wins.
const MAX_TOKENS: usize = 512;
const TENSOR: &str = "embeddings";

/// A model2vec model in memory.
pub(crate) struct StaticModel {
    description: Description,
    reader: TextReader,
    /// One row of `dimension` values per token id.
    rows: Vec<f32>,
}

impl StaticModel {
    /// Loads a model from a folder with `model.safetensors` (one tensor `embeddings`, one row per token),
    /// `tokenizer.json` and `config.json`.
    pub(crate) fn load(folder: &Path, config: &Config, options: &Options) -> Result<Self, LoadError> {
        let tensors = Tensors::open(folder)?;
        let shape = tensors.shape(TENSOR)?.to_vec();
        let [rows, columns] = shape[..] else {
            return Err(unfit(&tensors, &shape));
        };
        if rows == 0 || columns == 0 {
            return Err(unfit(&tensors, &shape));
        }
        if config
            .optional_size("hidden_dim")?
            .is_some_and(|dimension| dimension != columns)
        {
            return Err(config.contradicts("hidden_dim", format!("{columns}, the columns of {TENSOR:?}")));
        }
        let max_tokens = match (options.max_tokens, config.optional_size("seq_length")?) {
            (Some(0), _) => {
                return Err(LoadError::Option {
                    option: "max_tokens",
                    value: "0".to_owned(),
                    expected: "at least 1".to_owned(),
                });
            }
            (Some(tokens), _) => tokens,
            (None, length) => length.map_or(MAX_TOKENS, |length| length.min(MAX_TOKENS)),
        };
        let prefixes = layout::prefixes(folder, options)?;
        let description = Description {
            name: name_of(folder, options),
            weights_sha256: tensors.sha256(options)?,
            dimension: columns,
            max_tokens,
            dtype: "f32",
            architecture: "static",
            instructions: "portable",
        };
        Ok(Self {
            reader: TextReader::without_special_tokens(folder, rows, max_tokens, prefixes)?,
            rows: tensors.read(TENSOR, &shape)?,
            description,
        })
    }

    fn encode_one(&self, position: usize, count: usize, ids: &[u32], out: &mut [f32]) -> Result<(), EncodeError> {
        let dimension = self.description.dimension;
        out.fill(0.0);
        for id in ids {
            let row = (*id as usize)
                .checked_mul(dimension)
                .and_then(|start| self.rows.get(start..start + dimension));
            let Some(row) = row else {
                return Err(EncodeError::UnknownId {
                    position,
                    count,
                    id: *id,
                    ids: self.rows.len() / dimension,
                });
            };
            for (sum, value) in out.iter_mut().zip(row) {
                *sum += value;
            }
        }
        // The mean and the sum differ by a factor that this takes away.
        normalise(out);
        if out.iter().all(|value| value.is_finite()) {
            Ok(())
        } else {
            Err(EncodeError::NotFinite { position, count })
        }
    }
}

fn unfit(tensors: &Tensors, shape: &[usize]) -> LoadError {
    let found = format!("tensor {TENSOR:?} of shape {shape:?}");
    corrupt(tensors.path(), found, "one row of values per token".to_owned())
}

impl Model for StaticModel {
    fn description(&self) -> &Description {
        &self.description
    }

    fn tokenize(&self, kind: TextKind, text: &str) -> Result<Tokens, TokenizeError> {
        self.reader.tokenize(kind, text)
    }

    fn encode(&self, batch: &[&[u32]], _workspace: &mut Workspace, out: &mut [f32]) -> Result<(), EncodeError> {
        let (count, dimension) = (batch.len(), self.description.dimension);
        if count.checked_mul(dimension) != Some(out.len()) {
            return Err(EncodeError::Room {
                found: out.len(),
                sequences: count,
                dimension,
            });
        }
        for ((position, ids), out) in (1..).zip(batch).zip(out.chunks_exact_mut(dimension)) {
            self.encode_one(position, count, ids, out)?;
        }
        Ok(())
    }
}
