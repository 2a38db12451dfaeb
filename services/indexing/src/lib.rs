//! Indexing: puts embedded papers into the catalogue, and finds them.
//!
//! It owns the store. It never computes a vector of its own: queries are embedded by the embedding service.

mod grpc;
mod metrics;
mod pipeline;
mod search;
pub mod store;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::config::{CommonConfig, Settings};
use common::grpc::{ServiceChannel, channel};
use common::service::{Assembly, ServiceError};
use common::stage;
use domain::EncoderId;
use proto::embedding::v1::GetModelRequest;
use proto::embedding::v1::embedding_service_client::EmbeddingServiceClient;
use proto::index::v1::index_admin_service_server::IndexAdminServiceServer;
use proto::search::v1::search_service_server::SearchServiceServer;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::store::Store;
use crate::store::embedded::EmbeddedStore;

/// Name of the service.
pub const NAME: &str = "indexing";
/// Its defaults.
pub const DEFAULTS: &str = include_str!("defaults.toml");
/// Papers a watcher may fall behind.
const WATCH_BUFFER: usize = 4_096;

/// Settings of the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of the embedded store.
    pub folder: PathBuf,
    /// Encoder and dimension are asked here at start.
    pub embedding_url: String,
    /// Token for it.
    pub token: Option<String>,
    /// Weight of the dense leg.
    pub dense_weight: f64,
}

impl Config {
    /// Reads the section.
    pub fn read(settings: &mut Settings, common: &CommonConfig) -> Self {
        Self {
            folder: PathBuf::from(settings.text("indexing.folder")),
            embedding_url: settings.url("indexing.embedding_url", &["http://", "https://"]),
            token: common.grpc.token.clone(),
            dense_weight: settings.get("indexing.dense_weight", "must be a number from 0 to 10", |value| {
                value.as_float().filter(|weight| (0.0..=10.0).contains(weight))
            }),
        }
    }
}

/// The catalogue, once it is open.
pub(crate) struct Catalogue {
    store: Arc<dyn Store>,
    search: search::Search,
}

/// Shared by the calls; empty until the embedding service has said which encoder it runs.
pub(crate) type CatalogueCell = Arc<OnceLock<Catalogue>>;

/// Adds the service to a process. It becomes ready once the embedding service has said which encoder it runs.
pub fn start(config: Config, assembly: &mut Assembly) -> Result<(), ServiceError> {
    metrics::touch();
    if config.folder.as_os_str().is_empty() {
        return Err(ServiceError::start(
            NAME,
            "indexing.folder is empty; set it to the folder the papers are kept in",
        ));
    }
    let channel = channel(&config.embedding_url, config.token.as_deref());
    let embedding = EmbeddingServiceClient::new(channel.map_err(|error| ServiceError::start(NAME, error))?);
    let cell = CatalogueCell::default();
    let (news, _) = broadcast::channel(WATCH_BUFFER);
    assembly.add_grpc(SearchServiceServer::new(grpc::Searching {
        catalogue: Arc::clone(&cell),
        news: news.clone(),
        stop: assembly.stop.clone(),
    }));
    assembly.add_grpc(IndexAdminServiceServer::new(grpc::Administration {
        catalogue: Arc::clone(&cell),
    }));
    assembly.collect_dead_letters(NAME);
    let not_ready = assembly.readiness.ticket();
    let (bus, stop) = (assembly.bus.clone(), assembly.stop.clone());
    assembly.task(async move {
        let Some((encoder, dimension)) = ask_encoder(embedding.clone(), &stop).await? else {
            return Ok(());
        };
        let store = open(&config, &encoder, dimension).await?;
        info!(%encoder, "catalogue open");
        let search = search::Search::new(Arc::clone(&store), embedding, encoder, config.dense_weight);
        // Nobody else fills the cell.
        let _ = cell.set(Catalogue {
            store: Arc::clone(&store),
            search,
        });
        drop(not_ready);
        let embedded = pipeline::Embedded {
            store: Arc::clone(&store),
            news,
        };
        let withdrawn = pipeline::Withdrawn { store };
        tokio::try_join!(
            stage::run(bus.clone(), Arc::new(embedded), stop.clone()),
            stage::run(bus, Arc::new(withdrawn), stop),
        )?;
        Ok(())
    });
    Ok(())
}

/// Asks until there is an answer. `None` when the stop came first.
async fn ask_encoder(
    mut embedding: EmbeddingServiceClient<ServiceChannel>,
    stop: &CancellationToken,
) -> Result<Option<(EncoderId, usize)>, ServiceError> {
    loop {
        match embedding.get_model(GetModelRequest {}).await {
            Ok(model) => {
                let model = model.into_inner();
                let encoder = EncoderId::parse(&model.encoder_id).map_err(|error| ServiceError::start(NAME, error))?;
                return Ok(Some((encoder, model.dimension as usize)));
            }
            Err(error) => warn!(code = ?error.code(), "embedding does not say its encoder yet"),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
    }
}

async fn open(config: &Config, encoder: &EncoderId, dimension: usize) -> Result<Arc<dyn Store>, ServiceError> {
    let (folder, encoder) = (config.folder.clone(), encoder.clone());
    let opening = tokio::task::spawn_blocking(move || EmbeddedStore::open(&folder, &encoder, dimension));
    let store = opening.await.map_err(|error| ServiceError::start(NAME, error))?;
    Ok(Arc::new(store.map_err(|error| ServiceError::start(NAME, error))?))
}
