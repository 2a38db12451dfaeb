//! The settings of the service: reads and checks the section `[embedding]`.

use std::path::PathBuf;

use common::config::{CommonConfig, Settings};
use encoder::{Instructions, LoadOptions, Precision};

use crate::engine::{EngineConfig, QueueCapacity};

/// Settings of the service.
#[derive(Debug, Clone)]
pub struct EmbeddingConfig {
    /// The model that papers are embedded with.
    pub model: ModelConfig,
    /// How its engine runs. Zero threads mean that the number is chosen for the machine and the model.
    pub engine: EngineConfig,
    /// An optional second model, so that an index can be built for it.
    pub next: Option<NextModelConfig>,
}

/// A model and how it is loaded.
#[derive(Debug, Clone)]
pub struct ModelConfig {
    /// The folder that holds its files.
    pub folder: PathBuf,
    /// How it is loaded.
    pub options: LoadOptions,
}

/// The model that is to replace the first one.
#[derive(Debug, Clone)]
pub struct NextModelConfig {
    /// The model.
    pub model: ModelConfig,
    /// Threads that compute its vectors; zero means half of the cores.
    pub threads: usize,
}

impl EmbeddingConfig {
    /// Reads the section.
    pub fn read(settings: &mut Settings, _common: &CommonConfig) -> Self {
        let model = settings.text("embedding.model");
        if model.is_empty() {
            settings.problem(
                "embedding.model",
                "must be the folder of a model, such as /models/all-MiniLM-L6-v2",
            );
        }
        let options = read_options(settings);
        let next = read_next(settings, &options);
        let engine = EngineConfig {
            threads: settings.integer("embedding.threads", 0..=1024),
            tokenizer_threads: settings.integer("embedding.tokenizer_threads", 0..=1024),
            capacity: QueueCapacity {
                interactive: settings.integer("embedding.waiting_query_tokens", 512..=1 << 30),
                bulk: settings.integer("embedding.waiting_document_tokens", 512..=1 << 30),
                best_effort: settings.integer("embedding.waiting_best_effort_tokens", 512..=1 << 30),
            },
            query_cache: settings.integer("embedding.query_cache", 0..=1 << 20),
        };
        Self {
            model: ModelConfig {
                folder: PathBuf::from(model),
                options,
            },
            engine,
            next,
        }
    }
}

fn read_options(settings: &mut Settings) -> LoadOptions {
    LoadOptions {
        name: not_empty(settings.text("embedding.model_name")),
        weights_sha256: sha256(settings, "embedding.weights_sha256"),
        precision: settings.get("embedding.precision", "must be int16 or f32", |value| {
            match value.as_str()? {
                "int16" => Some(Precision::Int16),
                "f32" => Some(Precision::F32),
                _ => None,
            }
        }),
        instructions: settings.get(
            "embedding.instructions",
            "must be auto, avx2 or portable",
            |value| match value.as_str()? {
                "auto" => Some(Instructions::Auto),
                "avx2" => Some(Instructions::Avx2),
                "portable" => Some(Instructions::Portable),
                _ => None,
            },
        ),
        query_prefix: not_empty(settings.text("embedding.query_prefix")),
        document_prefix: not_empty(settings.text("embedding.document_prefix")),
        ..LoadOptions::default()
    }
}

/// The next model. It shares precision and instructions with the first one.
fn read_next(settings: &mut Settings, first: &LoadOptions) -> Option<NextModelConfig> {
    let folder = settings.text("embedding.next_model");
    let options = LoadOptions {
        name: not_empty(settings.text("embedding.next_model_name")),
        weights_sha256: sha256(settings, "embedding.next_weights_sha256"),
        query_prefix: not_empty(settings.text("embedding.next_query_prefix")),
        document_prefix: not_empty(settings.text("embedding.next_document_prefix")),
        ..first.clone()
    };
    let threads = settings.integer("embedding.next_threads", 0..=1024);
    if folder.is_empty() {
        return None;
    }
    let folder = PathBuf::from(folder);
    Some(NextModelConfig {
        model: ModelConfig { folder, options },
        threads,
    })
}

fn sha256(settings: &mut Settings, key: &str) -> Option<String> {
    settings.get(key, "must be empty or 64 hexadecimal digits", |value| {
        let text = value.as_str()?;
        let valid = text.is_empty() || text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        valid.then(|| not_empty(text.to_lowercase()))
    })
}

fn not_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
