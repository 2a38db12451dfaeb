//! Reads and validates the configuration files of a model folder; no later code checks a size again.
//!
//! The files are those of Hugging Face transformers (`config.json`) and sentence-transformers (`modules.json`,
//! `1_Pooling/config.json`, `sentence_bert_config.json`, `config_sentence_transformers.json`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::error::LoadError;
use crate::files::{corrupt, read_json, read_optional_json, unsupported};
use crate::kernel::{MAX_KEYS, PANEL};
use crate::options::{LoadOptions, Pooling};

/// The architectures that this crate computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Architecture {
    Bert,
    Static,
}

/// `config.json` as it was read; fields are validated when they are asked for.
#[derive(Debug)]
pub(crate) struct ConfigJson {
    path: PathBuf,
    fields: serde_json::Map<String, Value>,
}

/// The sizes of a BERT model, validated against each other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BertShape {
    pub hidden: usize,
    pub heads: usize,
    pub layers: usize,
    pub inner: usize,
    pub positions: usize,
    pub types: usize,
    pub vocabulary: usize,
    pub epsilon: f32,
}

impl ConfigJson {
    pub(crate) fn read(folder: &Path) -> Result<Self, LoadError> {
        let path = folder.join("config.json");
        let fields = read_json(&path, "a JSON object that describes the model")?;
        Ok(Self { path, fields })
    }

    /// The architecture that `model_type` names; static models have no such field.
    pub(crate) fn architecture(&self) -> Result<Architecture, LoadError> {
        match self.fields.get("model_type").map(Value::as_str) {
            Some(Some("bert")) => Ok(Architecture::Bert),
            Some(Some("model2vec")) | None => Ok(Architecture::Static),
            _ => Err(self.unsupported("model_type", "\"bert\" and \"model2vec\"")),
        }
    }

    /// The sizes of a BERT model.
    pub(crate) fn bert(&self) -> Result<BertShape, LoadError> {
        self.supported("hidden_act", "gelu", "gelu")?;
        self.supported("position_embedding_type", "absolute", "absolute")?;
        let shape = BertShape {
            hidden: self.size("hidden_size", 1 << 14)?,
            heads: self.size("num_attention_heads", 1 << 10)?,
            layers: self.size("num_hidden_layers", 1 << 10)?,
            inner: self.size("intermediate_size", 1 << 16)?,
            positions: self.size("max_position_embeddings", MAX_KEYS)?,
            types: self.size_or("type_vocab_size", 1 << 10, 2)?,
            vocabulary: self.size("vocab_size", 1 << 24)?,
            epsilon: self.epsilon()?,
        };
        if !shape.hidden.is_multiple_of(shape.heads) {
            let found = format!(
                "\"hidden_size\" {} and \"num_attention_heads\" {}",
                shape.hidden, shape.heads
            );
            return Err(corrupt(
                &self.path,
                found,
                "heads that divide the hidden size".to_owned(),
            ));
        }
        let sizes = [
            ("hidden_size / num_attention_heads", shape.hidden / shape.heads),
            ("intermediate_size", shape.inner),
        ];
        for (name, size) in sizes {
            if !size.is_multiple_of(PANEL) {
                return Err(unsupported(&self.path, format!("{name} {size}"), "multiples of 16"));
            }
        }
        Ok(shape)
    }

    /// A whole number from 1 to `limit`.
    fn size(&self, name: &str, limit: usize) -> Result<usize, LoadError> {
        let number = self.fields.get(name).and_then(Value::as_u64);
        let size = number.and_then(|number| usize::try_from(number).ok());
        size.filter(|size| (1..=limit).contains(size)).ok_or_else(|| {
            let expected = format!("a whole number from 1 to {limit}");
            corrupt(&self.path, self.quote(name), expected)
        })
    }

    fn size_or(&self, name: &str, limit: usize, otherwise: usize) -> Result<usize, LoadError> {
        if self.fields.contains_key(name) {
            self.size(name, limit)
        } else {
            Ok(otherwise)
        }
    }

    /// A size of a static model that may be absent.
    pub(crate) fn optional_size(&self, name: &str) -> Result<Option<usize>, LoadError> {
        if self.fields.get(name).is_none_or(Value::is_null) {
            return Ok(None);
        }
        self.size(name, usize::MAX >> 1).map(Some)
    }

    /// The error for a field whose value contradicts another file.
    pub(crate) fn contradicts(&self, name: &str, expected: String) -> LoadError {
        corrupt(&self.path, self.quote(name), expected)
    }

    fn epsilon(&self) -> Result<f32, LoadError> {
        let name = "layer_norm_eps";
        #[expect(clippy::cast_possible_truncation, reason = "f32 holds any valid epsilon")]
        let epsilon = self
            .fields
            .get(name)
            .map_or(Some(1e-12), Value::as_f64)
            .map(|value| value as f32);
        let valid = epsilon.filter(|epsilon| (0.0..0.1).contains(epsilon));
        valid.ok_or_else(|| corrupt(&self.path, self.quote(name), "a number from 0 to 0.1".to_owned()))
    }

    fn supported(&self, name: &str, only: &str, otherwise: &str) -> Result<(), LoadError> {
        let value = self.fields.get(name).map_or(Some(otherwise), Value::as_str);
        if value == Some(only) {
            return Ok(());
        }
        Err(self.unsupported(name, &format!("{only:?}")))
    }

    fn unsupported(&self, name: &str, expected: &str) -> LoadError {
        unsupported(&self.path, self.quote(name), expected)
    }

    fn quote(&self, name: &str) -> String {
        match self.fields.get(name) {
            Some(value) => format!("{name:?} {}", shorten(&value.to_string())),
            None => format!("no {name:?}"),
        }
    }
}

/// How token vectors are pooled: from the options, or else from `modules.json` and the pooling file.
pub(crate) fn pooling(folder: &Path, hidden: usize, options: &LoadOptions) -> Result<Pooling, LoadError> {
    let named = pooling_folder(folder)?;
    if let Some(pooling) = options.pooling {
        return Ok(pooling);
    }
    let path = folder.join(named.as_deref().unwrap_or("1_Pooling")).join("config.json");
    let expected = "a JSON object that says how token vectors are pooled; or give the option pooling";
    let fields: serde_json::Map<String, Value> = read_json(&path, expected)?;
    let is_set = |name: &str| fields.get(name) == Some(&Value::Bool(true));
    if let Some(dimension) = fields
        .get("word_embedding_dimension")
        .filter(|value| value.as_u64() != Some(hidden as u64))
    {
        let found = format!("\"word_embedding_dimension\" {}", shorten(&dimension.to_string()));
        return Err(corrupt(&path, found, format!("{hidden}, the model's hidden size")));
    }
    if fields.get("include_prompt") == Some(&Value::Bool(false)) {
        return Err(unsupported(&path, "\"include_prompt\" false".to_owned(), "true"));
    }
    let mut modes: Vec<&str> = fields.keys().map(String::as_str).filter(|name| is_set(name)).collect();
    modes.retain(|name| name.starts_with("pooling_mode_"));
    match modes[..] {
        ["pooling_mode_mean_tokens"] => Ok(Pooling::Mean),
        ["pooling_mode_cls_token"] => Ok(Pooling::Cls),
        _ => {
            let expected = "one of \"pooling_mode_mean_tokens\" and \"pooling_mode_cls_token\"";
            Err(unsupported(&path, format!("pooling modes {modes:?}"), expected))
        }
    }
}

#[derive(Deserialize)]
struct PipelineModule {
    path: String,
    r#type: String,
}

/// The folder of the pooling file, if `modules.json` names one. Refuses pipelines with an unsupported step.
fn pooling_folder(folder: &Path) -> Result<Option<String>, LoadError> {
    let path = folder.join("modules.json");
    let expected = "a JSON list of objects with \"path\" and \"type\"";
    let modules: Option<Vec<PipelineModule>> = read_optional_json(&path, expected)?;
    let mut pooling = None;
    for module in modules.unwrap_or_default() {
        match module.r#type.rsplit('.').next() {
            Some("Transformer") if module.path.is_empty() => {}
            Some("Normalize") => {}
            Some("Pooling") if is_plain(&module.path) => pooling = Some(module.path),
            _ => {
                let found = format!("a module {} at {:?}", shorten(&module.r#type), shorten(&module.path));
                return Err(unsupported(&path, found, "Transformer at \"\", Pooling and Normalize"));
            }
        }
    }
    Ok(pooling)
}

/// True for a single folder name, which cannot lead out of the model's folder.
fn is_plain(path: &str) -> bool {
    !path.is_empty() && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[derive(Deserialize)]
struct SentenceBertConfig {
    max_seq_length: Option<usize>,
}

/// Most tokens of a text: from the options, or else from the model's files, and never more than its positions.
pub(crate) fn max_tokens(folder: &Path, positions: usize, options: &LoadOptions) -> Result<usize, LoadError> {
    if let Some(tokens) = options.max_tokens {
        if !(3..=positions).contains(&tokens) {
            return Err(LoadError::Option {
                option: "max_tokens",
                value: tokens.to_string(),
                expected: format!("3 to {positions}, the model's positions"),
            });
        }
        return Ok(tokens);
    }
    let path = folder.join("sentence_bert_config.json");
    let expected = "a JSON object whose \"max_seq_length\" is at least 3";
    let config: Option<SentenceBertConfig> = read_optional_json(&path, expected)?;
    match config.and_then(|config| config.max_seq_length) {
        Some(length) if length < 3 => Err(corrupt(
            &path,
            format!("\"max_seq_length\" {length}"),
            expected.to_owned(),
        )),
        Some(length) => Ok(length.min(positions)),
        None => Ok(positions),
    }
}

/// The text put before each text, by kind.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Prefixes {
    pub query: String,
    pub document: String,
}

#[derive(Deserialize, Default)]
struct SentenceTransformersConfig {
    #[serde(default)]
    prompts: HashMap<String, String>,
    default_prompt_name: Option<String>,
}

/// The prefixes: from the options, or else from the prompts of `config_sentence_transformers.json`.
pub(crate) fn prefixes(folder: &Path, options: &LoadOptions) -> Result<Prefixes, LoadError> {
    let path = folder.join("config_sentence_transformers.json");
    let expected = "a JSON object whose \"prompts\", if any, are texts by name";
    let config: SentenceTransformersConfig = read_optional_json(&path, expected)?.unwrap_or_default();
    let default = config.default_prompt_name.as_deref().unwrap_or_default();
    let prompt = |names: &[&str]| {
        let found = names.iter().find_map(|name| config.prompts.get(*name));
        found
            .or_else(|| config.prompts.get(default))
            .cloned()
            .unwrap_or_default()
    };
    Ok(Prefixes {
        query: options.query_prefix.clone().unwrap_or_else(|| prompt(&["query"])),
        document: options
            .document_prefix
            .clone()
            .unwrap_or_else(|| prompt(&["document", "passage"])),
    })
}

/// The name of the model: from the options, or else the folder's name.
pub(crate) fn model_name(folder: &Path, options: &LoadOptions) -> String {
    let of_folder = || folder.file_name().map(|name| name.to_string_lossy().into_owned());
    options.name.clone().or_else(of_folder).unwrap_or_default()
}

/// The start of a value, short enough for an error text.
pub(crate) fn shorten(text: &str) -> &str {
    &text[..text.floor_char_boundary(60)]
}
