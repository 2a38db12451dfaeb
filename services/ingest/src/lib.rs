//! Ingest: the front door. Identifies, normalises and de-duplicates what is submitted, and publishes what is new.
//!
//! It owns the identity and the revision of papers. It never embeds, stores or searches them.

mod attention;
mod grpc;
mod metrics;
mod registry;

use common::config::{CommonConfig, Settings};
use common::service::{Assembly, ServiceError};
use proto::attention::v1::attention_service_server::AttentionServiceServer;
use proto::ingest::v1::ingest_service_server::IngestServiceServer;

/// Name of the service.
pub const NAME: &str = "ingest";
/// Its defaults.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Settings of the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// Papers of one stream that are handled at the same time.
    pub concurrency: usize,
}

impl Config {
    /// Reads the section.
    pub fn read(settings: &mut Settings, _common: &CommonConfig) -> Self {
        Self {
            concurrency: usize::try_from(settings.number("ingest.concurrency", 1..=1024)).unwrap_or(1),
        }
    }
}

/// Adds the service to a process.
pub async fn start(config: Config, assembly: &mut Assembly) -> Result<(), ServiceError> {
    metrics::touch();
    let registry = registry::Registry::open(&assembly.bus)
        .await
        .map_err(|error| ServiceError::start(NAME, error))?;
    let service = grpc::Ingest::new(registry, config.concurrency);
    assembly.add_grpc(IngestServiceServer::new(service));
    assembly.add_grpc(AttentionServiceServer::new(attention::Attention::new(
        assembly.bus.clone(),
    )));
    Ok(())
}
