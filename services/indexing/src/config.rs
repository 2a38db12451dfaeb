//! The settings of the service, and how what holds the catalogue is opened.

use std::path::PathBuf;
use std::sync::Arc;

use common::clock::Clock;
use common::config::{CommonConfig, Secret, Settings, without_userinfo};
use common::tasks;
use tracing::info;

use crate::store::embedded::EmbeddedCollections;
use crate::store::qdrant::{QdrantCollections, QdrantSettings};
use crate::store::{Collections, StoreError};

/// Settings of the service.
#[derive(Clone)]
pub struct IndexingConfig {
    /// What holds the catalogue.
    pub location: StoreLocation,
    /// Address of the embedding service.
    pub embedding_url: String,
    /// Address of the ingest service, which has the registry of accepted papers.
    pub ingest_url: String,
    /// Token for both.
    pub key: Option<Secret>,
    /// Weight of the dense leg; `None` is what was measured for the encoder.
    pub dense_weight: Option<f64>,
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
            embedding_url: settings.url("indexing.embedding_url", &["http://", "https://"]),
            ingest_url: settings.url("indexing.ingest_url", &["http://", "https://"]),
            key: common.grpc.key.clone(),
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

impl StoreLocation {
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
            Self::Qdrant { url, api_key, settings } => {
                let clock = clock.clone();
                let opened = QdrantCollections::connect(url, api_key.as_deref(), settings.clone(), clock).await?;
                info!(url = without_userinfo(url), "the catalogue is in Qdrant");
                Ok(Arc::new(opened))
            }
        }
    }
}
