//! Indexing: puts embedded papers into the catalogue, and finds them.
//!
//! It owns the store. It never computes a vector by meaning of its own: the embedding service does.

mod catalogue;
mod encoders;
mod grpc;
mod metrics;
mod pipeline;
mod rebuild;
mod search;
pub mod store;
mod trending;
mod verify;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::config::{CommonConfig, Settings};
use common::grpc::channel;
use common::service::{Assembly, ServiceError};
use common::stage;
use proto::index::v1::index_admin_service_server::IndexAdminServiceServer;
use proto::search::v1::search_service_server::SearchServiceServer;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::catalogue::Catalogue;
use crate::encoders::{Encoders, Offer};
use crate::rebuild::Rebuilds;
use crate::search::{Search, Weights};
use crate::store::embedded::EmbeddedCollections;
use crate::store::qdrant::{QdrantCollections, Settings as QdrantSettings};
use crate::store::{Collections, StoreError};
use crate::trending::Trending;
use crate::verify::Register;

/// Name of the service.
pub const NAME: &str = "indexing";
/// Its defaults.
pub const DEFAULTS: &str = include_str!("defaults.toml");
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
        /// How collections are made and searched.
        settings: QdrantSettings,
    },
}

/// Settings of the service.
#[derive(Clone)]
pub struct Config {
    /// What holds the catalogue.
    pub place: Place,
    /// Makes vectors.
    pub embedding_url: String,
    /// Has the register of accepted papers.
    pub ingest_url: String,
    /// Token for both.
    pub token: Option<String>,
    /// Weight of the dense leg; `None` is what was measured for the encoder.
    pub dense_weight: Option<f64>,
}

impl Config {
    /// Reads the section.
    pub fn read(settings: &mut Settings, common: &CommonConfig) -> Self {
        let expected = "must be \"measured\" or a number from 0 to 10";
        Self {
            place: Place::read(settings),
            embedding_url: settings.url("indexing.embedding_url", &["http://", "https://"]),
            ingest_url: settings.url("indexing.ingest_url", &["http://", "https://"]),
            token: common.grpc.token.clone(),
            dense_weight: settings.get("indexing.dense_weight", expected, |value| {
                if value.as_str() == Some("measured") {
                    return Some(None);
                }
                let number = value.as_float().or(value.as_integer().map(|number| number as f64))?;
                (0.0..=10.0).contains(&number).then_some(Some(number))
            }),
        }
    }
}

impl Place {
    /// Reads what holds the catalogue.
    pub fn read(settings: &mut Settings) -> Self {
        let folder = settings.text("indexing.folder");
        let url = settings.optional_url("indexing.qdrant_url", &["http://", "https://"]);
        let api_key = settings.text("indexing.qdrant_api_key");
        let qdrant = QdrantSettings::read(settings);
        if let Some(url) = url {
            return Self::Qdrant {
                url,
                api_key: Some(api_key).filter(|key| !key.is_empty()),
                settings: qdrant,
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

    /// Opens it.
    pub async fn open(&self) -> Result<Arc<dyn Collections>, StoreError> {
        match self {
            Self::Embedded(folder) => {
                let path = folder.clone();
                let opening = tokio::task::spawn_blocking(move || EmbeddedCollections::open(&path)).await;
                let opened = opening.map_err(|error| StoreError::Unavailable(error.to_string()))??;
                info!(
                    folder = %folder.display(),
                    "the catalogue is in the embedded store: exact, for this process alone and up to a few hundred \
                     thousand papers; for more, copy it into a Qdrant server with `broadsheet index copy` and name that in \
                     indexing.qdrant_url"
                );
                Ok(Arc::new(opened))
            }
            Self::Qdrant { url, api_key, settings } => {
                let opened = QdrantCollections::connect(url, api_key.as_deref(), settings.clone()).await?;
                info!(url, "the catalogue is in Qdrant");
                Ok(Arc::new(opened))
            }
        }
    }
}

/// What the calls need, once the catalogue is open.
pub(crate) struct Indexing {
    catalogue: Arc<Catalogue>,
    search: Search,
    trending: Arc<Trending>,
    rebuilds: Arc<Rebuilds>,
    register: Register,
}

/// Shared by the calls; empty until the embedding service has said which encoders it offers.
pub(crate) type IndexingCell = Arc<OnceLock<Indexing>>;

/// Adds the service to a process. It becomes ready once the embedding service has said which encoders it offers.
pub fn start(config: Config, assembly: &mut Assembly) -> Result<(), ServiceError> {
    metrics::touch();
    let connect = |url: &str| {
        let channel = channel(url, config.token.as_deref());
        channel.map_err(|error| ServiceError::start(NAME, error))
    };
    let encoders = Encoders::new(connect(&config.embedding_url)?);
    let register = Register::new(connect(&config.ingest_url)?);
    let cell = IndexingCell::default();
    assembly.add_grpc(SearchServiceServer::new(grpc::Searching {
        indexing: Arc::clone(&cell),
        bus: assembly.bus.clone(),
        stop: assembly.stop.clone(),
        pages: search::pages::Pages::default(),
        trending_pages: search::pages::Pages::default(),
    }));
    assembly.add_grpc(IndexAdminServiceServer::new(grpc::Administration {
        indexing: Arc::clone(&cell),
        stop: assembly.stop.clone(),
    }));
    assembly.collect_dead_letters(NAME);
    let trending = Arc::new(Trending::default());
    let reading = trending::reading::fill(
        assembly.bus.clone(),
        Arc::clone(&trending),
        assembly.readiness.ticket(),
        assembly.stop.clone(),
    );
    assembly.task(async move { Ok(reading.await?) });
    let reading = trending::reading::fill_signals(
        assembly.bus.clone(),
        Arc::clone(&trending),
        assembly.readiness.ticket(),
        assembly.stop.clone(),
    );
    assembly.task(async move { Ok(reading.await?) });
    let not_ready = assembly.readiness.ticket();
    let (bus, stop) = (assembly.bus.clone(), assembly.stop.clone());
    assembly.task(async move {
        let Some(offers) = ask_encoders(&encoders, &stop).await else {
            return Ok(());
        };
        let Some(catalogue) = open(&config.place, encoders, &offers, &stop).await? else {
            return Ok(());
        };
        let rebuilds = Arc::new(Rebuilds::new(Arc::clone(&catalogue), stop.clone()));
        // Nobody else fills the cell.
        let _ = cell.set(Indexing {
            catalogue: Arc::clone(&catalogue),
            search: Search::new(
                Arc::clone(&catalogue),
                Arc::clone(&trending),
                Weights::new(config.dense_weight),
            ),
            trending,
            rebuilds: Arc::clone(&rebuilds),
            register,
        });
        drop(not_ready);
        tokio::spawn(catch_up(Arc::clone(&catalogue), rebuilds, offers));
        let following = async {
            catalogue.follow(&stop).await;
            Ok(())
        };
        let embedded = stage::run(
            bus.clone(),
            Arc::new(pipeline::Embedded(Arc::clone(&catalogue))),
            stop.clone(),
        );
        let withdrawn = stage::run(bus, Arc::new(pipeline::Withdrawn(Arc::clone(&catalogue))), stop.clone());
        tokio::try_join!(embedded, withdrawn, following)?;
        Ok(())
    });
    Ok(())
}

/// Asks until there is an answer. `None` when the stop came first.
async fn ask_encoders(encoders: &Encoders, stop: &CancellationToken) -> Option<Vec<Offer>> {
    loop {
        match encoders.offered().await {
            Ok(offers) => return Some(offers),
            Err(error) => warn!(%error, "embedding does not say its encoders yet"),
        }
        if !pause(stop).await {
            return None;
        }
    }
}

/// Opens the catalogue. A server that does not answer yet is asked again; `None` when the stop came first.
async fn open(
    place: &Place,
    encoders: Encoders,
    offers: &[Offer],
    stop: &CancellationToken,
) -> Result<Option<Arc<Catalogue>>, ServiceError> {
    let Some(papers) = offers.first() else {
        return Err(ServiceError::start(NAME, "the embedding service offers no encoder"));
    };
    loop {
        let opening = async {
            let collections = place.open().await?;
            Catalogue::open(collections, encoders.clone(), papers).await
        };
        match opening.await {
            Ok(catalogue) => return Ok(Some(Arc::new(catalogue))),
            Err(error) if error.is_transient() => warn!(%error, "the store does not open yet"),
            Err(error) => return Err(ServiceError::start(NAME, error)),
        }
        if !pause(stop).await {
            return Ok(None);
        }
    }
}

/// Goes on with a rebuild that was cut off. And where the model was replaced outright, builds the index for the new one and
/// switches to it; until then searches go by words alone.
async fn catch_up(catalogue: Arc<Catalogue>, rebuilds: Arc<Rebuilds>, offers: Vec<Offer>) {
    let view = catalogue.view();
    let offered = |encoder: &domain::EncoderId| offers.iter().any(|offer| offer.encoder == *encoder);
    let replaced = !offered(&view.current.encoder);
    let unfinished = view.next.as_ref().map(|next| next.encoder.clone()).filter(offered);
    let wanted = match unfinished {
        Some(encoder) => Some(encoder),
        None if replaced => offers.first().map(|offer| offer.encoder.clone()),
        None => None,
    };
    let Some(encoder) = wanted else { return };
    if replaced {
        warn!(
            current = %view.current.encoder, new = %encoder,
            "the model of the index is not offered any more: searching by words alone until the index for the new model is \
             built"
        );
    }
    if let Err(error) = rebuilds.begin(Some(encoder), replaced).await {
        warn!(%error, "the rebuild does not begin; `broadsheet index rebuild` tries again");
    }
}

/// Waits a moment; false when the stop came.
async fn pause(stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(PAUSE) => true,
    }
}
