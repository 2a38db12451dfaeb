//! Ingest: accepts papers. Identifies, normalises and deduplicates what is submitted, and publishes what is new.
//!
//! It owns the identity and the revision of papers. It never embeds, stores or searches them.

mod attention;
mod grpc;
mod harvest;
mod metrics;
mod registry;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::allowances::PerMinute;
use common::config::{CommonConfig, Settings};
use common::service::{Assembly, ServiceError};
use proto::attention::v1::attention_service_server::AttentionServiceServer;
use proto::ingest::v1::ingest_service_server::IngestServiceServer;

/// Name of the service.
pub const NAME: &str = "ingest";
/// Its defaults.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// A file of sources with every kind and every key: two to begin with, the others commented out.
pub fn sources_example() -> String {
    let mut example = include_str!("sources.toml").to_owned();
    example.push_str("\n# Every kind with its keys and their defaults:\n#\n");
    for line in sources::DEFAULTS.lines().skip_while(|line| !line.is_empty()) {
        let line = line
            .strip_prefix('[')
            .map_or_else(|| line.to_owned(), |name| format!("[sources.{name}"));
        example.push_str(format!("# {line}").trim_end());
        example.push('\n');
    }
    example
}

/// Settings of the service.
#[derive(Debug, Clone)]
pub struct IngestConfig {
    /// Papers of one stream or page that are handled at the same time.
    pub concurrency: usize,
    /// The sources to harvest; none if no file names them.
    pub sources: harvest::SourcesConfig,
    /// How long a replica that reads a source may send no heartbeat before another takes over.
    pub source_lease: Duration,
    /// Acts of attention that are recorded.
    pub attention: PerMinute,
}

impl IngestConfig {
    /// Reads the section.
    pub fn read(settings: &mut Settings, _common: &CommonConfig) -> Self {
        let file = settings.text("ingest.sources");
        let sources = match file.as_str() {
            "" => harvest::SourcesConfig::default(),
            file => harvest::read(Path::new(file)).unwrap_or_else(|error| {
                settings.problem("ingest.sources", &error.to_string());
                harvest::SourcesConfig::default()
            }),
        };
        Self {
            concurrency: settings.integer("ingest.concurrency", 1..=1024),
            sources,
            source_lease: Duration::from_millis(settings.number("ingest.source_lease_ms", 500..=600_000)),
            attention: PerMinute {
                each: settings.integer("ingest.attention_per_minute_per_reader", 0..=1_000_000),
                all: settings.integer("ingest.attention_per_minute", 0..=1_000_000),
            },
        }
    }
}

/// Adds the service to a process.
pub async fn start(config: IngestConfig, assembly: &mut Assembly) -> Result<(), ServiceError> {
    metrics::register_metrics();
    let registry = registry::Registry::open(assembly.bus())
        .await
        .map_err(|error| ServiceError::start(NAME, error))?;
    let registry = Arc::new(registry);
    let service = grpc::IngestApi::new(Arc::clone(&registry), config.concurrency);
    assembly.add_grpc(IngestServiceServer::new(service));
    assembly.add_grpc(AttentionServiceServer::new(attention::AttentionApi::new(
        assembly.bus().clone(),
        config.attention,
    )));
    harvest::start(
        config.sources,
        config.source_lease,
        registry,
        config.concurrency,
        assembly,
    )
    .await
}
