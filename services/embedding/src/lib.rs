//! The embedding service: turns papers and queries into vectors, dense ones by a model and sparse ones of term weights.
//!
//! It is the only service that uses the model. It stores nothing and ranks nothing.

mod config;
mod encoders;
pub mod engine;
pub mod grpc;
pub mod metrics;
mod pipeline;
pub mod priority;
#[cfg(test)]
mod testing;

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use common::service::{Assembly, ServiceError};
use common::tasks;
use encoder::Model;
use engine::{Engine, EngineConfig};

pub use config::{EmbeddingConfig, ModelConfig, NextModelConfig};
pub use encoders::{DuplicateEncoder, EncoderSet, UnknownEncoder};

/// Name of the service.
pub const NAME: &str = "embedding";
/// Its default settings.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Adds the service to a process. Fails when a model cannot be loaded, or both models are the same encoder.
pub async fn start(config: EmbeddingConfig, assembly: &mut Assembly) -> Result<(), ServiceError> {
    let papers = start_engine(config.model, config.engine, assembly).await?;
    let next = match config.next {
        Some(next) => {
            let engine = config_of_next(config.engine, next.threads);
            Some(start_engine(next.model, engine, assembly).await?)
        }
        None => None,
    };
    let encoders = EncoderSet::new(papers, next).map_err(|error| ServiceError::start(NAME, error))?;
    let stage = pipeline::EmbeddingStage::new(encoders.papers().clone());
    let service = grpc::EmbeddingGrpc::new(encoders, assembly.clock(), assembly.stop.clone());
    assembly.add_grpc(service.into_server());
    assembly.stage(stage);
    assembly.collect_dead_letters(NAME);
    Ok(())
}

async fn start_engine(
    model: ModelConfig,
    config: EngineConfig,
    assembly: &mut Assembly,
) -> Result<Engine, ServiceError> {
    let model = tasks::blocking(move || encoder::load(&model.folder, &model.options)).await;
    let model: Arc<dyn Model> = Arc::from(model.map_err(|error| ServiceError::start(NAME, error))?);
    let config = with_threads(config, model.as_ref());
    let engine = Engine::start(model, config, assembly.clock(), metrics::registered());
    let engine = engine.map_err(|error| ServiceError::start(NAME, error))?;
    supervise(&engine, assembly);
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

/// Ends the process when a thread of the engine panics, since its requests would never be answered.
fn supervise(engine: &Engine, assembly: &mut Assembly) {
    let (failure, stop) = (engine.thread_failure(), assembly.stop.clone());
    assembly.task("encoder threads", async move {
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            failure = failure => Err(failure),
        }
    });
}

/// How the next encoder's engine runs. It mostly embeds an index's worth of documents in the background, and the system
/// divides the cores among threads: with half of the cores at most, the first encoder keeps the larger share for searches
/// and papers.
fn config_of_next(first: EngineConfig, threads: usize) -> EngineConfig {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let half = (cores / 2).max(1);
    EngineConfig {
        threads: if threads == 0 { half } else { threads },
        tokenizer_threads: 1,
        ..first
    }
}

/// Replaces zero threads: one compute thread per core; and one tokenizer thread, or one per core for a static model, for
/// which tokenizing is nearly all of the work.
pub fn with_threads(config: EngineConfig, model: &dyn Model) -> EngineConfig {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let tokenizers = if model.description().architecture == "static" {
        cores
    } else {
        1
    };
    let or = |configured, default| if configured == 0 { default } else { configured };
    EngineConfig {
        threads: or(config.threads, cores),
        tokenizer_threads: or(config.tokenizer_threads, tokenizers),
        ..config
    }
}
