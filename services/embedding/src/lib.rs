//! Turns papers and queries into vectors: dense ones by meaning, sparse ones by words.
//!
//! The only crate that touches the model. It stores nothing and ranks nothing.

mod encoders;
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
pub use encoders::{Encoders, NotOffered, SameEncoder};
use engine::{Capacity, Engine, EngineConfig};

/// Name of the service.
pub const NAME: &str = "embedding";
/// Its defaults.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Settings of the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// The model that papers are embedded with.
    pub model: ModelConfig,
    /// How its engine runs. Zero threads stand for as many as the machine is good for.
    pub engine: EngineConfig,
    /// A second model that is offered, so that an index can be built for it.
    pub next: Option<NextConfig>,
}

/// A model and how it is loaded.
#[derive(Debug, Clone)]
pub struct ModelConfig {
    /// Its folder.
    pub folder: PathBuf,
    /// How it is loaded.
    pub options: Options,
}

/// The model that is to take the place of the first one.
#[derive(Debug, Clone)]
pub struct NextConfig {
    /// The model.
    pub model: ModelConfig,
    /// Threads that compute its vectors; zero stands for half of the cores.
    pub threads: usize,
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
        let next = read_next(settings, &options);
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
            model: ModelConfig {
                folder: PathBuf::from(model),
                options,
            },
            engine,
            next,
        }
    }
}

fn read_options(settings: &mut Settings) -> Options {
    Options {
        name: some(settings.text("embedding.model_name")),
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
        query_prefix: some(settings.text("embedding.query_prefix")),
        document_prefix: some(settings.text("embedding.document_prefix")),
        ..Options::default()
    }
}

/// The next model. What it has no settings of its own for is as with the first one.
fn read_next(settings: &mut Settings, first: &Options) -> Option<NextConfig> {
    let folder = settings.text("embedding.next_model");
    let options = Options {
        name: some(settings.text("embedding.next_model_name")),
        weights_sha256: sha256(settings, "embedding.next_weights_sha256"),
        query_prefix: some(settings.text("embedding.next_query_prefix")),
        document_prefix: some(settings.text("embedding.next_document_prefix")),
        ..first.clone()
    };
    let threads = usize::try_from(settings.number("embedding.next_threads", 0..=1024)).unwrap_or(0);
    if folder.is_empty() {
        return None;
    }
    let folder = PathBuf::from(folder);
    Some(NextConfig {
        model: ModelConfig { folder, options },
        threads,
    })
}

fn sha256(settings: &mut Settings, key: &str) -> Option<String> {
    settings.get(key, "must be empty or 64 hexadecimal digits", |value| {
        let text = value.as_str()?;
        let sound = text.is_empty() || text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        sound.then(|| some(text.to_lowercase()))
    })
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// Adds the service to a process.
pub async fn start(config: Config, assembly: &mut Assembly) -> Result<(), ServiceError> {
    let papers = start_engine(config.model, config.engine).await?;
    let next = match config.next {
        Some(next) => Some(start_engine(next.model, beside_the_first(config.engine, next.threads)).await?),
        None => None,
    };
    let encoders = Encoders::new(papers, next).map_err(|error| ServiceError::start(NAME, error))?;
    let pipeline = pipeline::Pipeline::new(encoders.papers().clone());
    let service = grpc::Embedding::new(encoders, assembly.stop.clone());
    assembly.add_grpc(service.into_server());
    assembly.stage(pipeline);
    assembly.collect_dead_letters(NAME);
    Ok(())
}

async fn start_engine(model: ModelConfig, config: EngineConfig) -> Result<Engine, ServiceError> {
    let loading = tokio::task::spawn_blocking(move || encoder::load(&model.folder, &model.options));
    let model = loading.await.map_err(|error| ServiceError::start(NAME, error))?;
    let model = model.map_err(|error| ServiceError::start(NAME, error))?;
    let model: Arc<dyn Model> = Arc::from(model);
    let config = with_threads(config, model.as_ref());
    let engine = Engine::start(model, config, metrics::registered());
    let engine = engine.map_err(|error| ServiceError::start(NAME, error))?;
    tracing::info!(
        encoder = %engine.encoder(),
        dtype = engine.description().dtype,
        instructions = engine.description().instructions,
        threads = config.threads,
        tokenizer_threads = config.tokenizer_threads,
        "encoder loaded"
    );
    Ok(engine)
}

/// How the next encoder's engine runs. What it is mostly asked for is an index's worth of documents in the background, and
/// the system divides the cores by thread: with half of them at most, the searches and papers of the first encoder keep
/// the larger share.
fn beside_the_first(first: EngineConfig, threads: usize) -> EngineConfig {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let half = (cores / 2).max(1);
    EngineConfig {
        threads: if threads == 0 { half } else { threads },
        tokenizer_threads: 1,
        ..first
    }
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
