//! Turns papers and queries into vectors: dense ones by meaning, sparse ones by words.
//!
//! The only crate that touches the model. It stores nothing and ranks nothing.

pub mod document;
pub mod encoder;
mod engine;
mod grpc;
pub mod metrics;
mod pipeline;
pub mod sparse;

use std::path::PathBuf;
use std::sync::Arc;

use common::config::{CommonConfig, Settings};
use common::service::{Assembly, ServiceError};
use proto::embedding::v1::embedding_service_server::EmbeddingServiceServer;

/// Name of the service.
pub const NAME: &str = "embedding";
/// Its defaults.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Settings of the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of the model; its last part is the model's name.
    pub model: PathBuf,
}

impl Config {
    /// Reads the section.
    pub fn read(settings: &mut Settings, _common: &CommonConfig) -> Self {
        let model = settings.text("embedding.model");
        if model.is_empty() {
            settings.problem(
                "embedding.model",
                "must be the folder of a model, such as /models/potion-base-8M",
            );
        }
        Self {
            model: PathBuf::from(model),
        }
    }
}

/// Adds the service to a process.
pub async fn start(config: Config, assembly: &mut Assembly) -> Result<(), ServiceError> {
    metrics::register();
    let folder = config.model;
    let name = folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let loading = tokio::task::spawn_blocking(move || encoder::StaticModel::load(&name, &folder));
    let model = loading.await.map_err(|error| ServiceError::start(NAME, error))?;
    let model = model.map_err(|error| ServiceError::start(NAME, error))?;
    let engine = engine::Engine::new(Arc::new(model));
    tracing::info!(encoder = %engine.description().id, "encoder loaded");
    assembly.add_grpc(EmbeddingServiceServer::new(grpc::Embedding::new(engine.clone())));
    assembly.stage(pipeline::Pipeline::new(engine));
    assembly.collect_dead_letters(NAME);
    Ok(())
}
