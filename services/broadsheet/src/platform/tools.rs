//! The programs and models that a start needs, found or fetched.

use std::path::PathBuf;

use common::config::Settings;
use common::tasks;
use standalone::{DataFolder, PackageInstall, Programs, Toolbox};

use super::catalogue_store::{self, CatalogueStore};
use super::models::{self, ModelPair};
use crate::error::CommandError;

/// What a start needs on disk.
pub struct Tools {
    /// Servers to run as children.
    pub programs: Programs,
    /// Folders of the fetched models.
    pub models: ModelPair<PathBuf>,
}

/// What has to be found or fetched.
struct RequiredTools {
    nats: bool,
    redis: bool,
    /// What holds the catalogue, unless the configuration names a Qdrant server.
    catalogue: Option<CatalogueStore>,
    models: ModelPair<&'static str>,
}

/// Finds what the configuration leaves to the platform, and fetches what is missing.
pub async fn fetch(settings: &Settings, data: &DataFolder, install: PackageInstall) -> Result<Tools, CommandError> {
    let required = RequiredTools {
        nats: !settings.is_set("nats.url"),
        redis: !settings.is_set("notification.redis_url"),
        catalogue: (!settings.is_set("indexing.qdrant_url")).then(|| CatalogueStore::of(data)),
        models: models::required(settings),
    };
    tasks::blocking(move || find(&required, install)).await
}

fn find(required: &RequiredTools, install: PackageInstall) -> Result<Tools, CommandError> {
    let toolbox = Toolbox::from_env()
        .with_package_install(install)
        .on_progress(|line| eprintln!("{line}"));
    let qdrant = match required.catalogue {
        Some(store) => catalogue_store::server(&toolbox, store)?,
        None => None,
    };
    let nats = required.nats.then(|| toolbox.nats_server()).transpose();
    let redis = required.redis.then(|| toolbox.redis_server()).transpose();
    let programs = Programs {
        nats: nats.map_err(CommandError::other)?,
        redis: redis.map_err(CommandError::other)?,
        qdrant,
    };
    let model = |name: Option<&'static str>| name.map(|name| toolbox.model(name)).transpose();
    let models = ModelPair {
        papers: model(required.models.papers).map_err(CommandError::other)?,
        next: model(required.models.next).map_err(CommandError::other)?,
    };
    Ok(Tools { programs, models })
}
