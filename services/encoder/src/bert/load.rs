//! Reads a BERT encoder from its folder and packs its weights.
//!
//! Several threads pack layers while another one hashes the file. A tensor is dropped once it is packed, so the whole file
//! is never in memory.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::error::LoadError;
use crate::kernel::{self, LayerNorm};
use crate::layout::{self, BertShape, ConfigJson};
use crate::model::ModelDescription;
use crate::options::{LoadOptions, Precision};
use crate::tensors::Tensors;
use crate::tokens::TextTokenizer;

use super::attention::AttentionShape;
use super::linear::{Activation, Linear};
use super::{Bert, BertLayer, EmbeddingTables};

/// Most threads that pack layers; more would hold more of the file in memory and save little time.
const MOST_PACKERS: usize = 4;

impl Bert {
    pub(crate) fn load(folder: &Path, config: &ConfigJson, options: &LoadOptions) -> Result<Self, LoadError> {
        let shape = config.bert()?;
        let pooling = layout::pooling(folder, shape.hidden, options)?;
        let max_tokens = layout::max_tokens(folder, shape.positions, options)?;
        let prefixes = layout::prefixes(folder, options)?;
        let tensors = Tensors::open(folder)?;
        let weights = WeightReader {
            tensors: &tensors,
            shape: &shape,
            precision: options.precision,
        };
        let (weights_sha256, tokenizer, embeddings, layers) = thread::scope(|scope| {
            let hash = scope.spawn(|| tensors.sha256(options));
            let tokenizer =
                scope.spawn(|| TextTokenizer::with_special_tokens(folder, shape.vocabulary, max_tokens, prefixes));
            let layers = weights.layers();
            let embeddings = weights.embeddings();
            (join(hash), join(tokenizer), embeddings, layers)
        });
        let kernel = kernel::choose(options.instructions);
        let description = ModelDescription {
            name: layout::model_name(folder, options),
            weights_sha256: weights_sha256?,
            dimension: shape.hidden,
            max_tokens,
            dtype: options.precision.as_str(),
            architecture: "bert",
            instructions: kernel.name(),
        };
        Ok(Self {
            description,
            tokenizer: tokenizer?,
            kernel,
            pooling,
            shape: AttentionShape {
                heads: shape.heads,
                width: shape.hidden / shape.heads,
                precision: options.precision,
            },
            embeddings: embeddings?,
            layers: layers?,
        })
    }
}

fn join<T>(handle: thread::ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Reads and packs the tensors of a weights file, given the sizes that they must have.
struct WeightReader<'a> {
    tensors: &'a Tensors,
    shape: &'a BertShape,
    precision: Precision,
}

impl WeightReader<'_> {
    fn embeddings(&self) -> Result<EmbeddingTables, LoadError> {
        let BertShape {
            hidden,
            positions,
            types,
            vocabulary,
            ..
        } = *self.shape;
        let words = self.read("embeddings.word_embeddings.weight", &[vocabulary, hidden])?;
        let mut rows = self.read("embeddings.position_embeddings.weight", &[positions, hidden])?;
        let token_types = self.read("embeddings.token_type_embeddings.weight", &[types, hidden])?;
        for row in rows.chunks_exact_mut(hidden) {
            for (value, token_type) in row.iter_mut().zip(&token_types) {
                *value += token_type;
            }
        }
        Ok(EmbeddingTables {
            words,
            positions: rows,
            norm: self.norm("embeddings.LayerNorm")?,
        })
    }

    /// All layers, packed by several threads; a thread that is free takes the next layer.
    fn layers(&self) -> Result<Vec<BertLayer>, LoadError> {
        let next = AtomicUsize::new(0);
        let pack = || {
            let mut packed = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= self.shape.layers {
                    return packed;
                }
                packed.push((number, self.layer(number)));
            }
        };
        let packers = thread::available_parallelism().map_or(1, usize::from).min(MOST_PACKERS);
        let mut layers = thread::scope(|scope| {
            let handles: Vec<_> = (0..packers).map(|_| scope.spawn(pack)).collect();
            handles.into_iter().flat_map(join).collect::<Vec<_>>()
        });
        layers.sort_by_key(|(number, _)| *number);
        layers.into_iter().map(|(_, layer)| layer).collect()
    }

    fn layer(&self, number: usize) -> Result<BertLayer, LoadError> {
        let BertShape { hidden, inner, .. } = *self.shape;
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let linear = |part: &str, depth, columns, activation| {
            let weights = self.read(&name(&format!("{part}.weight")), &[columns, depth])?;
            let bias = self.read(&name(&format!("{part}.bias")), &[columns])?;
            Ok(Linear::pack(&weights, bias, activation, self.precision))
        };
        Ok(BertLayer {
            qkv: self.projection(&name("attention.self"))?,
            output: linear("attention.output.dense", hidden, hidden, Activation::Identity)?,
            attention_norm: self.norm(&name("attention.output.LayerNorm"))?,
            up: linear("intermediate.dense", hidden, inner, Activation::Gelu)?,
            down: linear("output.dense", inner, hidden, Activation::Identity)?,
            output_norm: self.norm(&name("output.LayerNorm"))?,
        })
    }

    /// Queries, keys and values as one layer.
    fn projection(&self, name: &str) -> Result<Linear, LoadError> {
        let hidden = self.shape.hidden;
        let factor = 1.0 / ((hidden / self.shape.heads) as f32).sqrt();
        let mut weights = self.read(&format!("{name}.query.weight"), &[hidden, hidden])?;
        let mut bias = self.read(&format!("{name}.query.bias"), &[hidden])?;
        for value in weights.iter_mut().chain(&mut bias) {
            *value *= factor;
        }
        for part in ["key", "value"] {
            weights.extend(self.read(&format!("{name}.{part}.weight"), &[hidden, hidden])?);
            bias.extend(self.read(&format!("{name}.{part}.bias"), &[hidden])?);
        }
        Ok(Linear::pack(&weights, bias, Activation::Identity, self.precision))
    }

    fn norm(&self, name: &str) -> Result<LayerNorm, LoadError> {
        // Old checkpoints call the gain `gamma` and the shift `beta`.
        let part = |names: [&str; 2]| {
            let [new, old] = names.map(|part| format!("{name}.{part}"));
            let is_old = self.tensors.find(&[&new, &format!("bert.{new}")]).is_none()
                && self.tensors.find(&[&old, &format!("bert.{old}")]).is_some();
            self.read(if is_old { &old } else { &new }, &[self.shape.hidden])
        };
        Ok(LayerNorm {
            gain: part(["weight", "gamma"])?,
            shift: part(["bias", "beta"])?,
            epsilon: self.shape.epsilon,
        })
    }

    /// A tensor by its name, before which some files put `bert.`.
    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let prefixed = format!("bert.{name}");
        self.tensors
            .read(self.tensors.find(&[name, &prefixed]).unwrap_or(name), shape)
    }
}
