//! Static embeddings in the model2vec format (`potion-base-8M`): a text's vector is the mean of its tokens' rows.
//!
//! No special tokens are added, unknown tokens are dropped, and the mean is scaled to length one. There is no neural
//! network, so the order of words does not matter.

use std::path::Path;

use crate::error::{EncodeError, LoadError, TokenizeError};
use crate::files::corrupt;
use crate::layout::{self, ConfigJson};
use crate::model::{Model, ModelDescription};
use crate::options::LoadOptions;
use crate::tensors::Tensors;
use crate::tokens::{TextKind, TextTokenizer, Tokens};
use crate::vectors::normalise;
use crate::workspace::Workspace;

/// Most tokens of a text: the default of the reference implementation, more than nearly every abstract has. A lower
/// `seq_length` in the model's `config.json` takes precedence.
const MAX_TOKENS: usize = 512;
const TENSOR: &str = "embeddings";

/// A model2vec model in memory.
pub(crate) struct StaticModel {
    description: ModelDescription,
    tokenizer: TextTokenizer,
    /// One row of `dimension` values per token id.
    rows: Vec<f32>,
}

impl StaticModel {
    /// Loads a model from a folder with `model.safetensors` (one tensor `embeddings`, one row per token),
    /// `tokenizer.json` and `config.json`.
    pub(crate) fn load(folder: &Path, config: &ConfigJson, options: &LoadOptions) -> Result<Self, LoadError> {
        let tensors = Tensors::open(folder)?;
        let shape = tensors.shape(TENSOR)?.to_vec();
        let [rows, columns] = shape[..] else {
            return Err(wrong_shape(&tensors, &shape));
        };
        if rows == 0 || columns == 0 {
            return Err(wrong_shape(&tensors, &shape));
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
        let description = ModelDescription {
            name: layout::model_name(folder, options),
            weights_sha256: tensors.sha256(options)?,
            dimension: columns,
            max_tokens,
            dtype: "f32",
            architecture: "static",
            instructions: "portable",
        };
        Ok(Self {
            tokenizer: TextTokenizer::without_special_tokens(folder, rows, max_tokens, prefixes)?,
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
        // Normalising the sum gives the same vector as normalising the mean.
        normalise(out);
        if out.iter().all(|value| value.is_finite()) {
            Ok(())
        } else {
            Err(EncodeError::NotFinite { position, count })
        }
    }
}

fn wrong_shape(tensors: &Tensors, shape: &[usize]) -> LoadError {
    let found = format!("tensor {TENSOR:?} of shape {shape:?}");
    corrupt(tensors.path(), found, "one row of values per token".to_owned())
}

impl Model for StaticModel {
    fn description(&self) -> &ModelDescription {
        &self.description
    }

    fn tokenize(&self, kind: TextKind, text: &str) -> Result<Tokens, TokenizeError> {
        self.tokenizer.tokenize(kind, text)
    }

    fn encode(&self, batch: &[&[u32]], _workspace: &mut Workspace, out: &mut [f32]) -> Result<(), EncodeError> {
        let (count, dimension) = (batch.len(), self.description.dimension);
        if count.checked_mul(dimension) != Some(out.len()) {
            return Err(EncodeError::OutputSize {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;
    use std::fs;
    use tempfile::TempDir;

    /// Rows: [UNK], "a", "b", "c"; two columns.
    const ROWS: [[f32; 2]; 4] = [[9.0, 9.0], [3.0, 0.0], [0.0, 4.0], [0.0, 0.0]];
    const CONFIG: &str = r#"{"hidden_dim": 2, "seq_length": 3}"#;

    fn weights(dtype: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
        let header = format!(
            r#"{{"embeddings":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{}]}}}}"#,
            bytes.len()
        );
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), bytes].concat()
    }

    fn values(rows: &[[f32; 2]]) -> Vec<u8> {
        rows.as_flattened()
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }

    fn tokenizer(highest: u32) -> String {
        format!(
            r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
            "pre_tokenizer":{{"type":"Whitespace"}},"post_processor":null,"decoder":null,
            "model":{{"type":"WordLevel","unk_token":"[UNK]","vocab":{{"[UNK]":0,"a":1,"b":2,"c":{highest}}}}}}}"#
        )
    }

    fn model_folder() -> TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).expect("a written file");
        write("model.safetensors", &weights("F32", "[4,2]", &values(&ROWS)));
        write("tokenizer.json", tokenizer(3).as_bytes());
        write("config.json", CONFIG.as_bytes());
        folder
    }

    /// The vector of a text, its tokens, and whether it was cut.
    fn encode(content: &str) -> ([f32; 2], usize, bool) {
        let model = load(model_folder().path(), &LoadOptions::default()).expect("a valid model");
        let tokens = model.tokenize(TextKind::Document, content).expect("tokens");
        let mut out = [0.0; 2];
        model
            .encode(&[&tokens.ids], &mut Workspace::default(), &mut out)
            .expect("a vector");
        (out, tokens.ids.len(), tokens.truncated)
    }

    /// The error for a folder in which one file has this content.
    fn refusal(name: &str, content: &[u8]) -> String {
        let folder = model_folder();
        fs::write(folder.path().join(name), content).expect("a written file");
        let error = load(folder.path(), &LoadOptions::default())
            .err()
            .expect("a refusal")
            .to_string();
        assert!(
            error.contains(name) && error.contains("fetch the model again"),
            "{error}"
        );
        error
    }

    #[test]
    fn a_vector_is_the_normalised_mean_of_known_rows() {
        assert_eq!(encode("a what b"), ([0.6, 0.8], 2, false));
    }

    #[test]
    fn text_without_known_tokens_is_all_zeros() {
        for content in ["", "what is this"] {
            assert_eq!(encode(content), ([0.0, 0.0], 0, false));
        }
    }

    #[test]
    fn text_beyond_the_limit_is_cut_off_and_reported() {
        assert_eq!(encode("a a a b"), ([1.0, 0.0], 3, true));
        assert!(!encode("a a what a").2);
        assert!(encode(&format!("a{}", " ".repeat(3 * 64))).2);
    }

    #[test]
    fn an_id_without_a_row_is_refused() {
        let model = load(model_folder().path(), &LoadOptions::default()).expect("a valid model");
        let result = model.encode(&[&[1], &[4]], &mut Workspace::default(), &mut [0.0; 4]);
        let error = result.expect_err("a refusal").to_string();
        assert_eq!(error, "sequence 2 of 2 has token id 4; the model's ids are below 4");
    }

    #[test]
    fn corrupt_weights_are_refused_by_name() {
        let whole = weights("F32", "[4,2]", &values(&ROWS));
        let file = "model.safetensors";
        assert!(refusal(file, &whole[..whole.len() - 1]).contains("not a complete safetensors file"));
        assert!(refusal(file, b"").contains("0 bytes"));
        assert!(refusal(file, &weights("I32", "[4,2]", &values(&ROWS))).contains("of type I32"));
        assert!(refusal(file, &weights("F32", "[8]", &values(&ROWS))).contains("of shape [8]"));
        assert!(refusal(file, &weights("F32", "[0,2]", &[])).contains("of shape [0, 2]"));
        let renamed = String::from_utf8(weights("F32", "[0,2]", &[]))
            .expect("text")
            .replace("embeddings", "embeddingz");
        assert!(refusal(file, renamed.as_bytes()).contains("1 tensors (embeddingz, …) and no \"embeddings\""));
        let nan = values(&[[1.0, 2.0], [3.0, f32::NAN], [0.0, 0.0], [0.0, 0.0]]);
        assert!(refusal(file, &weights("F32", "[4,2]", &nan)).contains("at 3, that is not a finite number"));
    }

    #[test]
    fn corrupt_json_files_are_refused_by_name() {
        assert!(refusal("tokenizer.json", b"{\"version\"").contains("unexpected JSON"));
        let larger = refusal("tokenizer.json", tokenizer(4).as_bytes());
        assert!(larger.contains("token id 4") && larger.contains("below 4"), "{larger}");
        assert!(refusal("config.json", b"[").contains("unexpected JSON"));
        assert!(refusal("config.json", br#"{"hidden_dim": 256}"#).contains("\"hidden_dim\" 256"));
        assert!(refusal("config.json", br#"{"seq_length": 0}"#).contains("\"seq_length\" 0"));
    }
}
