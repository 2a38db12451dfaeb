//! Static embeddings in the model2vec format (`potion-base-8M`): a text's vector is the mean of its tokens' rows.
//!
//! Tokens are taken without special ones, unknown ones are dropped, the mean is brought to length one. No neural network
//! runs, so order of words does not matter. It never fetches files and never checks them against a pinned hash.

use std::fs;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use domain::identity::hex;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokenizers::Tokenizer;

use super::{Description, EncodeError, LoadError, Model, TextKind, TokenizeError, Tokens, Workspace};

/// Most tokens read of a text: the default of the model's reference implementation, and above the length of nearly every
/// abstract. A lower `seq_length` in the model's `config.json` wins.
const MAX_TOKENS: usize = 512;
/// Bytes of text looked at per token read, so that a huge text costs no more than a long one.
const MAX_BYTES_PER_TOKEN: usize = 64;
/// Largest weights file read, so that a wrong path does not fill the memory.
const MAX_WEIGHTS_BYTES: u64 = 1 << 30;
const UNKNOWN_TOKEN: &str = "[UNK]";
const TENSOR: &str = "embeddings";

/// A model2vec model in memory. The weights are held once, as the bytes of their file.
pub struct StaticModel {
    description: Description,
    tokenizer: Tokenizer,
    unknown: Option<u32>,
    weights: Weights,
}

struct Weights {
    file: Vec<u8>,
    values: Range<usize>,
    rows: usize,
    columns: usize,
}

#[derive(Deserialize)]
struct Config {
    hidden_dim: Option<usize>,
    seq_length: Option<usize>,
}

impl StaticModel {
    /// Loads a model by name from a folder with `model.safetensors` (one F32 tensor `embeddings`, one row per token),
    /// `tokenizer.json` and `config.json`.
    pub fn load(name: &str, folder: &Path) -> Result<Self, LoadError> {
        let (weights, sha256) = Weights::read(&folder.join("model.safetensors"))?;
        let config = read_config(&folder.join("config.json"), weights.columns)?;
        let tokenizer = read_tokenizer(&folder.join("tokenizer.json"), weights.rows)?;
        let max_tokens = config.seq_length.map_or(MAX_TOKENS, |length| length.min(MAX_TOKENS));
        let description = Description {
            name: name.to_owned(),
            weights_sha256: sha256,
            dimension: weights.columns,
            max_tokens,
            dtype: "f32",
            architecture: "static",
        };
        Ok(Self {
            description,
            unknown: tokenizer.token_to_id(UNKNOWN_TOKEN),
            tokenizer,
            weights,
        })
    }
}

impl Model for StaticModel {
    fn description(&self) -> &Description {
        &self.description
    }

    fn tokenize(&self, _kind: TextKind, text: &str) -> Result<Tokens, TokenizeError> {
        let max_tokens = self.description.max_tokens;
        let read = &text[..text.floor_char_boundary(max_tokens * MAX_BYTES_PER_TOKEN)];
        let encoding = self.tokenizer.encode_fast(read, false).map_err(|error| TokenizeError {
            reason: error.to_string(),
        })?;
        let mut known = encoding.get_ids().iter().filter(|id| Some(**id) != self.unknown);
        let ids: Vec<u32> = known.by_ref().take(max_tokens).copied().collect();
        let truncated = known.next().is_some() || read.len() < text.len();
        Ok(Tokens { ids, truncated })
    }

    fn encode(&self, batch: &[&[u32]], _workspace: &mut Workspace, out: &mut [f32]) -> Result<(), EncodeError> {
        let columns = self.weights.columns;
        if out.len() != batch.len() * columns {
            return Err(EncodeError::Room {
                found: out.len(),
                sequences: batch.len(),
                dimension: columns,
            });
        }
        for (position, (ids, sum)) in (1..).zip(batch.iter().zip(out.chunks_exact_mut(columns))) {
            if let Some(id) = ids.iter().find(|id| **id as usize >= self.weights.rows) {
                return Err(EncodeError::UnknownId {
                    position,
                    count: batch.len(),
                    id: *id,
                    ids: self.weights.rows,
                });
            }
            sum.fill(0.0);
            for id in *ids {
                self.weights.add_row(*id as usize, sum);
            }
            // The length of the mean and of the sum differ by a factor that normalising takes away.
            normalise(sum);
        }
        Ok(())
    }
}

impl Weights {
    /// Reads and checks the weights; also returns the file's SHA-256, hex.
    fn read(path: &Path) -> Result<(Self, String), LoadError> {
        let expected = || format!("a safetensors file with one tensor {TENSOR:?}, F32, one row per token");
        let corrupt = |found: String| corrupt(path, found, expected());

        let file = read_limited(path)?;
        let (header, metadata) = SafeTensors::read_metadata(&file).map_err(|error| {
            corrupt(format!(
                "{} bytes that are no whole safetensors file ({error})",
                file.len()
            ))
        })?;
        let Some(tensor) = metadata.info(TENSOR) else {
            return Err(corrupt(format!("tensors {:?}", metadata.offset_keys())));
        };
        if tensor.dtype != Dtype::F32 {
            return Err(corrupt(format!("tensor {TENSOR:?} of type {}", tensor.dtype)));
        }
        let [rows, columns] = tensor.shape[..] else {
            return Err(corrupt(format!("tensor {TENSOR:?} of shape {:?}", tensor.shape)));
        };
        if rows == 0 || columns == 0 {
            return Err(corrupt(format!("tensor {TENSOR:?} of shape {:?}", tensor.shape)));
        }
        // The header is preceded by its length, 8 bytes.
        let start = 8 + header;
        let values = start + tensor.data_offsets.0..start + tensor.data_offsets.1;
        let sha256 = hex(&Sha256::digest(&file));
        let weights = Self {
            file,
            values,
            rows,
            columns,
        };
        if let Some(row) = (0..rows).find(|row| !weights.row(*row).all(f32::is_finite)) {
            return Err(corrupt(format!("a value in row {row} that is not a finite number")));
        }
        Ok((weights, sha256))
    }

    fn row(&self, row: usize) -> impl Iterator<Item = f32> {
        let start = self.values.start + row * self.columns * size_of::<f32>();
        let bytes = &self.file[start..start + self.columns * size_of::<f32>()];
        bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value))
    }

    fn add_row(&self, row: usize, sum: &mut [f32]) {
        for (total, value) in sum.iter_mut().zip(self.row(row)) {
            *total += value;
        }
    }
}

fn read_limited(path: &Path) -> Result<Vec<u8>, LoadError> {
    let read = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = fs::File::open(path).map_err(read)?;
    let size = file.metadata().map_err(read)?.len();
    if size > MAX_WEIGHTS_BYTES {
        let expected = format!("at most {MAX_WEIGHTS_BYTES} bytes");
        return Err(corrupt(path, format!("{size} bytes"), expected));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    file.read_to_end(&mut bytes).map_err(read)?;
    Ok(bytes)
}

fn read_config(path: &Path, columns: usize) -> Result<Config, LoadError> {
    let expected = format!("a JSON object whose \"hidden_dim\" is {columns} and whose \"seq_length\" is above 0");
    let config: Config = serde_json::from_slice(&read_limited(path)?)
        .map_err(|error| corrupt(path, format!("no such JSON ({error})"), expected.clone()))?;
    if let Some(dimension) = config.hidden_dim.filter(|dimension| *dimension != columns) {
        return Err(corrupt(path, format!("\"hidden_dim\" {dimension}"), expected));
    }
    if config.seq_length == Some(0) {
        return Err(corrupt(path, "\"seq_length\" 0".to_owned(), expected));
    }
    Ok(config)
}

fn read_tokenizer(path: &Path, rows: usize) -> Result<Tokenizer, LoadError> {
    let expected = format!("a tokenizer in JSON whose token ids are below {rows}, the rows of model.safetensors");
    let mut tokenizer = Tokenizer::from_bytes(read_limited(path)?)
        .map_err(|error| corrupt(path, format!("no such JSON ({error})"), expected.clone()))?;
    let highest = tokenizer.get_vocab(true).into_values().max();
    match highest {
        None => return Err(corrupt(path, "no token".to_owned(), expected)),
        Some(id) if id as usize >= rows => return Err(corrupt(path, format!("token id {id}"), expected)),
        Some(_) => {}
    }
    tokenizer
        .with_padding(None)
        .with_truncation(None)
        .map_err(|error| corrupt(path, format!("settings that cannot be changed ({error})"), expected))?;
    Ok(tokenizer)
}

fn corrupt(path: &Path, found: String, expected: String) -> LoadError {
    LoadError::Corrupt {
        path: PathBuf::from(path),
        found,
        expected,
    }
}

fn normalise(values: &mut [f32]) {
    let norm = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    if norm == 0.0 {
        return;
    }
    for value in values {
        *value /= norm;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    fn model() -> StaticModel {
        StaticModel::load("tiny", model_folder().path()).expect("a sound model")
    }

    fn encode(content: &str) -> (Vec<f32>, Tokens) {
        let model = model();
        let tokens = model.tokenize(TextKind::Document, content).expect("tokens");
        let mut out = vec![f32::NAN; 2];
        model
            .encode(&[&tokens.ids], &mut Workspace::default(), &mut out)
            .expect("a vector");
        (out, tokens)
    }

    /// The refusal of a folder in which one file has this content.
    fn refusal(name: &str, content: &[u8]) -> String {
        let folder = model_folder();
        fs::write(folder.path().join(name), content).expect("a written file");
        let error = StaticModel::load("tiny", folder.path())
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
        let (vector, tokens) = encode("a what b");
        assert_eq!(vector, [0.6, 0.8]);
        assert_eq!((tokens.ids, tokens.truncated), (vec![1, 2], false));
    }

    #[test]
    fn text_without_known_tokens_is_all_zeros() {
        for content in ["", "what is this"] {
            let (vector, tokens) = encode(content);
            assert_eq!(vector, [0.0, 0.0]);
            assert_eq!((tokens.ids, tokens.truncated), (vec![], false));
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_reported() {
        let (vector, tokens) = encode("a a a b");
        assert_eq!(vector, [1.0, 0.0]);
        assert_eq!((tokens.ids.len(), tokens.truncated), (3, true));
        assert!(!encode("a a what a").1.truncated);
        assert!(encode(&format!("a{}", " ".repeat(3 * MAX_BYTES_PER_TOKEN))).1.truncated);
    }

    #[test]
    fn sequences_of_one_batch_do_not_touch_each_other() {
        let mut out = vec![f32::NAN; 6];
        let batch: [&[u32]; 3] = [&[1], &[], &[2, 2]];
        model()
            .encode(&batch, &mut Workspace::default(), &mut out)
            .expect("vectors");
        assert_eq!(out, [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn ids_and_room_that_do_not_fit_the_weights_are_refused() {
        let refusal = |ids: &[u32], values: usize| {
            let mut out = vec![0.0; values];
            let refused = model().encode(&[ids], &mut Workspace::default(), &mut out);
            refused.expect_err("a refusal").to_string()
        };
        assert!(refusal(&[4], 2).contains("token id 4"));
        assert!(refusal(&[1], 3).contains("room for 3 values"));
    }

    #[test]
    fn the_description_says_what_was_loaded() {
        let model = model();
        let description = model.description();
        assert_eq!(
            (description.name.as_str(), description.weights_sha256.len()),
            ("tiny", 64)
        );
        assert_eq!((description.dimension, description.max_tokens), (2, 3));
    }

    #[test]
    fn corrupt_weights_are_refused_by_name() {
        let whole = weights("F32", "[4,2]", &values(&ROWS));
        let file = "model.safetensors";
        assert!(refusal(file, &whole[..whole.len() - 1]).contains("no whole safetensors file"));
        assert!(refusal(file, b"<html>not found</html>").contains("no whole safetensors file"));
        assert!(refusal(file, b"").contains("0 bytes"));
        assert!(refusal(file, &weights("F16", "[8,2]", &values(&ROWS))).contains("of type F16"));
        assert!(refusal(file, &weights("F32", "[8]", &values(&ROWS))).contains("of shape [8]"));
        assert!(refusal(file, &weights("F32", "[0,2]", &[])).contains("of shape [0, 2]"));
        let renamed = String::from_utf8(weights("F32", "[0,2]", &[]))
            .expect("text")
            .replace("embeddings", "embeddingz");
        assert!(refusal(file, renamed.as_bytes()).contains("tensors [\"embeddingz\"]"));
        let nan = values(&[[1.0, 2.0], [3.0, f32::NAN], [0.0, 0.0], [0.0, 0.0]]);
        assert!(refusal(file, &weights("F32", "[4,2]", &nan)).contains("row 1"));
    }

    #[test]
    fn corrupt_tokenizers_and_configurations_are_refused_by_name() {
        assert!(refusal("tokenizer.json", b"{\"version\"").contains("no such JSON"));
        assert!(refusal("tokenizer.json", b"{}").contains("no such JSON"));
        let larger = refusal("tokenizer.json", tokenizer(4).as_bytes());
        assert!(larger.contains("token id 4") && larger.contains("below 4"), "{larger}");
        assert!(refusal("config.json", b"[").contains("no such JSON"));
        assert!(refusal("config.json", br#"{"hidden_dim": 256}"#).contains("\"hidden_dim\" 256"));
        assert!(refusal("config.json", br#"{"seq_length": 0}"#).contains("\"seq_length\" 0"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = model_folder();
        fs::remove_file(folder.path().join("tokenizer.json")).expect("a removed file");
        let error = StaticModel::load("tiny", folder.path()).err().expect("a refusal");
        assert!(matches!(&error, LoadError::Read { .. }));
        assert!(error.to_string().contains("tokenizer.json"));
    }
}
