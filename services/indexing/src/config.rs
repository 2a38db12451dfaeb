//! The settings of the service, and how what holds the catalogue is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::clock::Clock;
use common::config::{CallerConfig, CommonConfig, Settings, TlsKeys, without_userinfo};
use common::kept_secret;
use common::tasks::{self, Tasks};
use common::tls::{self, ClientTls};
use jiff::SignedDuration;
use tracing::{info, warn};

use crate::store::embedded::EmbeddedCollections;
use crate::store::qdrant::{QdrantAccess, QdrantCollections, QdrantSettings};
use crate::store::{Collections, StoreError};
use crate::trending::AttentionMemory;
use crate::watching::WatcherLimits;

/// The files of certificates for Qdrant.
const QDRANT_TLS: TlsKeys = TlsKeys {
    authorities: "indexing.qdrant_ca",
    certificate: "indexing.qdrant_client_certificate",
    key: "indexing.qdrant_client_key",
};

/// Settings of the service.
#[derive(Clone)]
pub struct IndexingConfig {
    /// What holds the catalogue.
    pub location: StoreLocation,
    /// Address of the embedding service.
    pub embedding_url: String,
    /// How long a search waits for the vectors of its query.
    pub embed_timeout: Duration,
    /// Address of the ingest service, which has the registry of accepted papers.
    pub ingest_url: String,
    /// How both are called.
    pub caller: CallerConfig,
    /// Who may watch papers, and for how long a watch may go on later.
    pub watching: WatchSettings,
    /// Weight of the dense leg; `None` is what was measured for the encoder.
    pub dense_weight: Option<f64>,
    /// What attention may take in memory.
    pub attention: AttentionMemory,
}

/// Who may watch papers, and for how long a watch may go on later.
#[derive(Clone)]
pub struct WatchSettings {
    /// How many may watch.
    pub limits: WatcherLimits,
    /// How far back a watch may go on.
    pub replay: SignedDuration,
    key: String,
    state_folder: PathBuf,
}

/// What holds the catalogue.
#[derive(Clone)]
pub enum StoreLocation {
    /// The embedded store, in a folder.
    Embedded(PathBuf),
    /// A Qdrant server.
    Qdrant {
        /// Its gRPC address.
        url: String,
        /// Its API key, where it wants one.
        api_key: Option<String>,
        /// Whom it trusts, and its certificate.
        tls: ClientTls,
        /// How collections are made and searched.
        settings: QdrantSettings,
    },
}

impl IndexingConfig {
    /// Reads the section.
    pub fn read(settings: &mut Settings, common: &CommonConfig) -> Self {
        let expected = "must be \"measured\" or a number from 0 to 10";
        Self {
            location: StoreLocation::read(settings),
            embedding_url: settings.grpc_url("indexing.embedding_url"),
            embed_timeout: Duration::from_millis(settings.integer("indexing.embed_timeout_ms", 10..=60_000)),
            ingest_url: settings.grpc_url("indexing.ingest_url"),
            caller: common.caller.clone(),
            watching: WatchSettings::read(settings),
            attention: AttentionMemory::of_bytes(settings.integer::<usize>("indexing.attention_mb", 8..=65_536) << 20),
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

impl WatchSettings {
    fn read(settings: &mut Settings) -> Self {
        let expected = "must be empty or have 32 characters at least";
        Self {
            limits: WatcherLimits {
                all: settings.integer("indexing.watchers", 1..=100_000),
                per_client: settings.integer("indexing.watchers_per_client", 1..=100_000),
            },
            replay: SignedDuration::from_hours(settings.integer("indexing.watch_replay_hours", 1..=8_760)),
            key: settings.get("indexing.resume_key", expected, |value| {
                let key = value.as_str()?;
                (key.is_empty() || key.len() >= 32).then(|| key.to_owned())
            }),
            state_folder: PathBuf::from(settings.text("indexing.state_folder")),
        }
    }

    /// The secret that signs resume tokens: the configured one, one that is made once and kept, or one for this start alone.
    ///
    /// # Errors
    /// The one that is kept cannot be used.
    pub(crate) fn key(&self) -> Result<Vec<u8>, String> {
        if !self.key.is_empty() {
            return Ok(self.key.clone().into_bytes());
        }
        if self.state_folder.as_os_str().is_empty() {
            warn!("indexing.resume_key is empty: watches cannot go on after a restart, or at another replica");
            return Ok(rand::random::<[u8; 32]>().to_vec());
        }
        kept_secret::read_or_make(&self.state_folder.join("resume.key"))
    }
}

impl StoreLocation {
    /// Reads what holds the catalogue.
    pub fn read(settings: &mut Settings) -> Self {
        let folder = settings.text("indexing.folder");
        let url = settings.optional_grpc_url("indexing.qdrant_url");
        let api_key = settings.text("indexing.qdrant_api_key");
        let tls = settings.store_tls(&QDRANT_TLS, "indexing.qdrant_url", "https://");
        let qdrant = QdrantSettings::read(settings);
        if let Some(url) = url {
            return Self::Qdrant {
                url,
                api_key: Some(api_key).filter(|key| !key.is_empty()),
                tls,
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

    /// Reads the certificates again when they change.
    pub fn follow_certificates(&self, clock: Clock, tasks: &Tasks) {
        if let Self::Qdrant { tls, .. } = self {
            tls::follow_client(tls, "qdrant", clock, tasks);
        }
    }

    /// Opens it. Waits for a server are timed by the clock.
    pub async fn open(&self, clock: &Clock) -> Result<Arc<dyn Collections>, StoreError> {
        match self {
            Self::Embedded(folder) => {
                let path = folder.clone();
                let opened = tasks::blocking(move || EmbeddedCollections::open(&path)).await?;
                info!(
                    folder = %folder.display(),
                    "the catalogue is in the embedded store: exact, for this process alone and up to a few hundred \
                     thousand papers; for more, copy it into a Qdrant server with `broadsheet index copy` and name that in \
                     indexing.qdrant_url"
                );
                Ok(Arc::new(opened))
            }
            Self::Qdrant {
                url,
                api_key,
                tls,
                settings,
            } => {
                let access = QdrantAccess {
                    url,
                    api_key: api_key.as_deref(),
                    tls,
                };
                let opened = QdrantCollections::connect(&access, settings.clone(), clock.clone()).await?;
                info!(url = without_userinfo(url), "the catalogue is in Qdrant");
                Ok(Arc::new(opened))
            }
        }
    }
}
