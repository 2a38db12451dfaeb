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

use crate::store::embedded::EmbeddedStore;
use crate::store::qdrant::QdrantStore;
use crate::store::{Store, StoreError};

/// Name of the service.
pub const NAME: &str = "indexing";
/// Its defaults.
pub const DEFAULTS: &str = include_str!("defaults.toml");
/// Papers a watcher may fall behind.
const WATCH_BUFFER: usize = 4_096;
/// Between two looks at something that does not answer yet.
const PAUSE: Duration = Duration::from_millis(200);

/// What holds the catalogue.
#[derive(Clone)]
pub enum Place {
    /// The embedded store, in a folder.
    Embedded(PathBuf),
    /// A Qdrant server.
    Qdrant {
        /// Its gRPC address.
        url: String,
        /// Its API key, where it wants one.
        api_key: Option<String>,
    },
}

/// Settings of the service.
#[derive(Clone)]
pub struct Config {
    /// What holds the catalogue.
    pub place: Place,
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
            place: Place::read(settings),
            embedding_url: settings.url("indexing.embedding_url", &["http://", "https://"]),
            token: common.grpc.token.clone(),
            dense_weight: settings.get("indexing.dense_weight", "must be a number from 0 to 10", |value| {
                value.as_float().filter(|weight| (0.0..=10.0).contains(weight))
            }),
        }
    }
}

impl Place {
    fn read(settings: &mut Settings) -> Self {
        let folder = settings.text("indexing.folder");
        let url = settings.optional_url("indexing.qdrant_url", &["http://", "https://"]);
        let api_key = settings.text("indexing.qdrant_api_key");
        if let Some(url) = url {
            return Self::Qdrant {
                url,
                api_key: Some(api_key).filter(|key| !key.is_empty()),
            };
        }
        if folder.is_empty() {
            settings.problem(
                "indexing.folder",
                "must be a folder to keep papers in, because indexing.qdrant_url names no server",
            );
        }
        Self::Embedded(PathBuf::from(folder))
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
        let Some(store) = open(&config.place, &encoder, dimension, &stop).await? else {
            return Ok(());
        };
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
        if !pause(stop).await {
            return Ok(None);
        }
    }
}

/// Opens the store. A server that does not answer yet is asked again; `None` when the stop came first.
async fn open(
    place: &Place,
    encoder: &EncoderId,
    dimension: usize,
    stop: &CancellationToken,
) -> Result<Option<Arc<dyn Store>>, ServiceError> {
    loop {
        match try_open(place, encoder, dimension).await {
            Ok(store) => return Ok(Some(store)),
            Err(error) if error.is_transient() => warn!(%error, "the store does not open yet"),
            Err(error) => return Err(ServiceError::start(NAME, error)),
        }
        if !pause(stop).await {
            return Ok(None);
        }
    }
}

async fn try_open(place: &Place, encoder: &EncoderId, dimension: usize) -> Result<Arc<dyn Store>, StoreError> {
    match place {
        Place::Embedded(folder) => {
            let (path, id) = (folder.clone(), encoder.clone());
            let opening = tokio::task::spawn_blocking(move || EmbeddedStore::open(&path, &id, dimension));
            let store = opening
                .await
                .map_err(|error| StoreError::Unavailable(error.to_string()))??;
            info!(
                %encoder, folder = %folder.display(),
                "catalogue open in the embedded store: exact, for this process alone and up to a few hundred thousand \
                 papers; for more, name a Qdrant server in indexing.qdrant_url"
            );
            let others = EmbeddedStore::others(folder, encoder);
            if !others.is_empty() && store.describe().await?.papers == 0 {
                warn!(
                    %encoder, ?others,
                    "the catalogue of this encoder is empty, and there are catalogues of others; their papers are found \
                     with their model in embedding.model"
                );
            }
            Ok(Arc::new(store))
        }
        Place::Qdrant { url, api_key } => {
            let store = QdrantStore::connect(url, api_key.as_deref(), encoder, dimension).await?;
            info!(%encoder, url, "catalogue open in Qdrant");
            Ok(Arc::new(store))
        }
    }
}

/// Waits a moment; false when the stop came.
async fn pause(stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(PAUSE) => true,
    }
}
