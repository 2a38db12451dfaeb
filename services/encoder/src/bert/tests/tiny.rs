//! A tiny BERT with random weights, in a temporary folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::Pooling;

pub(super) const HIDDEN: usize = 32;
pub(super) const HEADS: usize = 2;
pub(super) const LAYERS: usize = 2;
pub(super) const INNER: usize = 48;
pub(super) const POSITIONS: usize = 40;
pub(super) const VOCABULARY: u32 = 50;

pub(super) const TOKENIZER: &str = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
    "pre_tokenizer":{"type":"Whitespace"},"decoder":null,
    "post_processor":{"type":"BertProcessing","sep":["[SEP]",2],"cls":["[CLS]",1]},
    "model":{"type":"WordLevel","unk_token":"[UNK]","vocab":{"[PAD]":0,"[CLS]":1,"[SEP]":2,"[UNK]":3,"a":4,"b":5,"c":6}}}"#;

/// The folder, and the tensors of its weights file: names to shapes and values.
pub(super) struct TinyBert {
    folder: tempfile::TempDir,
    pub pooling: Pooling,
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl TinyBert {
    pub(super) fn new(pooling: Pooling) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let tiny = Self {
            folder,
            pooling,
            tensors: tensors(),
        };
        fs::create_dir(tiny.path().join("1_Pooling")).expect("a folder");
        tiny.write("config.json", CONFIG.as_bytes());
        tiny.write("tokenizer.json", TOKENIZER.as_bytes());
        tiny.write("sentence_bert_config.json", br#"{"max_seq_length": 32}"#);
        tiny.write("modules.json", MODULES.as_bytes());
        let is_mean = pooling == Pooling::Mean;
        let modes = format!(
            r#"{{"pooling_mode_mean_tokens": {is_mean}, "pooling_mode_cls_token": {}}}"#,
            !is_mean
        );
        tiny.write("1_Pooling/config.json", modes.as_bytes());
        tiny.write("model.safetensors", &tiny.weights("F32", encode_f32));
        tiny
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path().join(name), content).expect("a written file");
    }

    pub(super) fn tensor(&self, name: &str) -> &[f32] {
        &self.tensors[name].1
    }

    /// The weights as a safetensors file.
    pub(super) fn weights(&self, dtype: &str, encode: fn(f32) -> Vec<u8>) -> Vec<u8> {
        let (mut header, mut bytes) = (serde_json::Map::new(), Vec::new());
        for (name, (shape, values)) in &self.tensors {
            let start = bytes.len();
            bytes.extend(values.iter().copied().flat_map(encode));
            let tensor = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [start, bytes.len()]});
            header.insert(name.clone(), tensor);
        }
        let header = serde_json::to_vec(&header).expect("JSON");
        [&(header.len() as u64).to_le_bytes(), &header[..], &bytes[..]].concat()
    }
}

pub(super) fn encode_f32(value: f32) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

pub(super) fn encode_bf16(value: f32) -> Vec<u8> {
    value.to_le_bytes()[2..].to_vec()
}

pub(super) const CONFIG: &str = r#"{"model_type": "bert", "hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2,
    "intermediate_size": 48, "max_position_embeddings": 40, "vocab_size": 50, "hidden_act": "gelu",
    "layer_norm_eps": 1e-12, "type_vocab_size": 2}"#;

const MODULES: &str = r#"[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]"#;

fn tensors() -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let mut tensors = BTreeMap::new();
    let mut state = 1_u64;
    let mut add = |name: String, shape: &[usize], middle: f32, spread: f32| {
        let values = (0..shape.iter().product()).map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            middle + spread * ((state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0)
        });
        tensors.insert(name, (shape.to_vec(), values.collect()));
    };
    add(
        "embeddings.word_embeddings.weight".to_owned(),
        &[VOCABULARY as usize, HIDDEN],
        0.0,
        1.0,
    );
    add(
        "embeddings.position_embeddings.weight".to_owned(),
        &[POSITIONS, HIDDEN],
        0.0,
        0.5,
    );
    add(
        "embeddings.token_type_embeddings.weight".to_owned(),
        &[2, HIDDEN],
        0.0,
        0.5,
    );
    let mut norms = vec!["embeddings.LayerNorm".to_owned()];
    for layer in 0..LAYERS {
        let linears = [
            ("attention.self.query", HIDDEN, HIDDEN),
            ("attention.self.key", HIDDEN, HIDDEN),
            ("attention.self.value", HIDDEN, HIDDEN),
            ("attention.output.dense", HIDDEN, HIDDEN),
            ("intermediate.dense", HIDDEN, INNER),
            ("output.dense", INNER, HIDDEN),
        ];
        for (name, inputs, outputs) in linears {
            add(
                format!("encoder.layer.{layer}.{name}.weight"),
                &[outputs, inputs],
                0.0,
                0.5,
            );
            add(format!("encoder.layer.{layer}.{name}.bias"), &[outputs], 0.0, 0.3);
        }
        norms.push(format!("encoder.layer.{layer}.attention.output.LayerNorm"));
        norms.push(format!("encoder.layer.{layer}.output.LayerNorm"));
    }
    for norm in norms {
        add(format!("{norm}.weight"), &[HIDDEN], 1.0, 0.3);
        add(format!("{norm}.bias"), &[HIDDEN], 0.0, 0.3);
    }
    tensors
}
