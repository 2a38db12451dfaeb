//! Turns papers and queries into vectors: dense ones by meaning, sparse ones by words.
//!
//! The only crate that touches the model. It stores nothing and ranks nothing.

pub mod engine;
pub mod grpc;
pub mod metrics;
mod pipeline;

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use common::config::{CommonConfig, Settings};
use common::service::{Assembly, ServiceError};
use encoder::{Instructions, Model, Options, Precision};
use engine::{Capacity, Engine, EngineConfig};

/// Name of the service.
pub const NAME: &str = "embedding";
/// Its defaults.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Settings of the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of the model.
    pub model: PathBuf,
    /// How it is loaded.
    pub options: Options,
    /// How the engine runs. Zero threads stand for as many as the machine is good for.
    pub engine: EngineConfig,
}

impl Config {
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
        let mut number = |key, allowed| usize::try_from(settings.number(key, allowed)).unwrap_or(usize::MAX);
        let engine = EngineConfig {
            threads: number("embedding.threads", 0..=1024),
            tokenizer_threads: number("embedding.tokenizer_threads", 0..=1024),
            capacity: Capacity {
                queries: number("embedding.waiting_query_tokens", 512..=1 << 30),
                documents: number("embedding.waiting_document_tokens", 512..=1 << 30),
            },
            query_cache: number("embedding.query_cache", 0..=1 << 20),
        };
        Self {
            model: PathBuf::from(model),
            options,
            engine,
        }
    }
}

fn read_options(settings: &mut Settings) -> Options {
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    Options {
        name: some(settings.text("embedding.model_name")),
        weights_sha256: settings.get(
            "embedding.weights_sha256",
            "must be empty or 64 hexadecimal digits",
            |value| {
                let text = value.as_str()?;
                let sound = text.is_empty() || text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                sound.then(|| some(text.to_lowercase()))
            },
        ),
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
        query_prefix: some(settings.text("embedding.query_prefix")),
        document_prefix: some(settings.text("embedding.document_prefix")),
        ..Options::default()
    }
}

/// Adds the service to a process.
pub async fn start(config: Config, assembly: &mut Assembly) -> Result<(), ServiceError> {
    let metrics = metrics::registered();
    let (folder, options) = (config.model, config.options);
    let loading = tokio::task::spawn_blocking(move || encoder::load(&folder, &options));
    let model = loading.await.map_err(|error| ServiceError::start(NAME, error))?;
    let model = model.map_err(|error| ServiceError::start(NAME, error))?;
    let model: Arc<dyn Model> = Arc::from(model);
    let engine_config = with_threads(config.engine, model.as_ref());
    let engine = Engine::start(model, engine_config, metrics).map_err(|error| ServiceError::start(NAME, error))?;
    tracing::info!(
        encoder = %engine.encoder(),
        dtype = engine.description().dtype,
        instructions = engine.description().instructions,
        threads = engine_config.threads,
        tokenizer_threads = engine_config.tokenizer_threads,
        "encoder loaded"
    );
    let service = grpc::Embedding::new(engine.clone(), assembly.stop.clone());
    assembly.add_grpc(service.into_server());
    assembly.stage(pipeline::Pipeline::new(engine));
    assembly.collect_dead_letters(NAME);
    Ok(())
}

/// Puts numbers in the place of zero threads: one per core computes; one splits texts into tokens, and with a static
/// model, where that is nearly all of the work, one per core does that too.
pub fn with_threads(config: EngineConfig, model: &dyn Model) -> EngineConfig {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let tokenizers = if model.description().architecture == "static" {
        cores
    } else {
        1
    };
    let or = |asked, otherwise| if asked == 0 { otherwise } else { asked };
    EngineConfig {
        threads: or(config.threads, cores),
        tokenizer_threads: or(config.tokenizer_threads, tokenizers),
        ..config
    }
}
