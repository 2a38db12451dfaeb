//! Indexing: puts embedded papers into the catalogue, and finds them.
//!
//! It owns the store. It never computes a dense vector itself: the embedding service does.

mod catalogue;
mod config;
mod encoders;
mod grpc;
mod metrics;
mod opening;
mod pipeline;
mod rebuild;
mod scope;
mod search;
mod state;
pub mod store;
mod trending;
mod verify;
mod watching;

use std::sync::Arc;

use common::service::{Assembly, ServiceError};
use proto::index::v1::index_admin_service_server::IndexAdminServiceServer;
use proto::search::v1::search_service_server::SearchServiceServer;

pub use crate::config::{IndexingConfig, StoreLocation};
use crate::encoders::Encoders;
use crate::opening::Opening;
use crate::state::IndexingCell;
use crate::trending::TrendingPapers;
use crate::verify::RegistryClient;
use crate::watching::{PaperWatches, ResumeTokens};

/// Name of the service.
pub const NAME: &str = "indexing";
/// Its defaults.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Adds the service to a process. It becomes ready once the catalogue is open and the attention of the last days is read.
pub fn start(config: IndexingConfig, assembly: &mut Assembly) -> Result<(), ServiceError> {
    metrics::register_metrics();
    let resume_key = config
        .watching
        .key()
        .map_err(|error| ServiceError::start(NAME, error))?;
    let connect = |url: &str| {
        let channel = common::grpc::connect(url, &config.caller);
        channel.map_err(|error| ServiceError::start(NAME, error))
    };
    config.location.follow_certificates(assembly.clock(), &assembly.tasks());
    let trending = Arc::new(TrendingPapers::new(config.attention, assembly.clock()));
    let opening = Opening {
        encoders: Encoders::new(connect(&config.embedding_url)?, assembly.clock(), config.embed_timeout),
        registry: RegistryClient::new(connect(&config.ingest_url)?, assembly.clock()),
        config,
        trending: Arc::clone(&trending),
        cell: IndexingCell::default(),
        bus: assembly.bus().clone(),
        clock: assembly.clock(),
        tasks: assembly.tasks(),
    };
    let watches = PaperWatches::new(
        assembly.bus().clone(),
        assembly.clock(),
        assembly.tasks(),
        ResumeTokens::new(&resume_key, opening.config.watching.replay),
        opening.config.watching.limits,
    );
    assembly
        .tasks()
        .run_infallible("watched papers", Arc::clone(&watches).read());
    assembly.add_grpc(SearchServiceServer::new(grpc::SearchHandler {
        indexing: Arc::clone(&opening.cell),
        watches,
        clock: assembly.clock(),
        lists: search::pages::ResultLists::default(),
        trending_lists: search::pages::ResultLists::default(),
    }));
    assembly.add_grpc(IndexAdminServiceServer::new(grpc::IndexAdminHandler {
        indexing: Arc::clone(&opening.cell),
        clock: assembly.clock(),
        tasks: assembly.tasks(),
    }));
    assembly.collect_dead_letters(NAME);
    trending::replay::start(assembly, &trending);
    let not_ready = assembly.readiness.ticket();
    assembly.task("indexing", opening.run(not_ready));
    Ok(())
}
