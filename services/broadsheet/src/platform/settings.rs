//! The configuration of every service in one process: their defaults, and what the platform fills in.

use std::path::{Path, PathBuf};

use common::clock::Clock;
use common::config::{COMMON_DEFAULTS, CommonConfig, Settings};
use common::keys::{KeyRecord, new_key};
use proto::access::Scope;
use standalone::{Children, DataFolder};

use super::models::{self, ModelPair};
use crate::StartArgs;
use crate::error::CommandError;

/// Every default, later ones over earlier ones.
pub const DEFAULTS: [&str; 7] = [
    COMMON_DEFAULTS,
    ingest::DEFAULTS,
    embedding::DEFAULTS,
    indexing::DEFAULTS,
    notification::DEFAULTS,
    web::DEFAULTS,
    include_str!("../defaults.toml"),
];

/// Settings that name servers which other platforms may use too.
const SHARED_SERVERS: [&str; 3] = ["nats.url", "notification.redis_url", "indexing.qdrant_url"];

/// The addresses of services that run in this process.
const OWN_ADDRESSES: [&str; 7] = [
    "indexing.embedding_url",
    "indexing.ingest_url",
    "notification.embedding_url",
    "notification.indexing_url",
    "web.search_url",
    "web.subscriptions_url",
    "web.attention_url",
];

/// The configuration of each service.
pub struct ServiceConfigs {
    pub common: CommonConfig,
    pub ingest: ingest::IngestConfig,
    pub embedding: embedding::EmbeddingConfig,
    pub indexing: indexing::IndexingConfig,
    pub notification: notification::NotificationConfig,
    pub web: web::WebConfig,
}

/// Reports every mistake of the configuration.
pub fn check(start: &StartArgs) -> Result<(), CommandError> {
    let mut settings = load(start);
    settings.set_default("embedding.model", models::DEFAULT_PROFILE, "fetched at start");
    settings.set_default("indexing.folder", "index", "the data folder");
    read(settings).map(drop)
}

/// Defaults, the file, and the environment over each other.
pub fn load(start: &StartArgs) -> Settings {
    Settings::load(&DEFAULTS, start.config.as_deref(), std::env::vars())
}

/// Reads what each service wants.
pub fn read(mut settings: Settings) -> Result<ServiceConfigs, CommandError> {
    let common = CommonConfig::read(&mut settings);
    let configs = ServiceConfigs {
        ingest: ingest::IngestConfig::read(&mut settings, &common),
        embedding: embedding::EmbeddingConfig::read(&mut settings, &common),
        indexing: indexing::IndexingConfig::read(&mut settings, &common),
        notification: notification::NotificationConfig::read(&mut settings, &common),
        web: web::WebConfig::read(&mut settings, &common),
        common,
    };
    settings.finish().map_err(CommandError::config)?;
    Ok(configs)
}

/// What notification is configured with, for a command that needs no platform. Mistakes of other services do not matter.
pub fn read_notification(config: Option<&Path>) -> Result<notification::NotificationConfig, CommandError> {
    let mut settings = Settings::load(&DEFAULTS, config, std::env::vars());
    let common = CommonConfig::read(&mut settings);
    let notification = notification::NotificationConfig::read(&mut settings, &common);
    settings.finish().map_err(CommandError::config)?;
    Ok(notification)
}

/// Takes free ports, and refuses servers that others use.
pub fn isolate(settings: &mut Settings) -> Result<(), CommandError> {
    for key in SHARED_SERVERS {
        if settings.is_set(key) {
            return Err(CommandError::config(format!(
                "{key} names a server that others use, and this command deletes what it stores; remove the setting from \
                 the configuration and the environment"
            )));
        }
    }
    for key in ["grpc.listen", "admin.listen", "web.listen"] {
        settings.replace(key, "127.0.0.1:0");
    }
    Ok(())
}

/// Where callers have to present a key and none is configured for the services here, makes one that ends with the process.
pub fn add_process_key(settings: &mut Settings, clock: &Clock) -> Option<KeyRecord> {
    if !settings.is_set("grpc.keys") || settings.is_set("grpc.key") {
        return None;
    }
    let (key, record) = new_key("up", &Scope::ALL, None, clock.now());
    settings.set_default("grpc.key", key, "made for this process");
    Some(record)
}

/// Fills in what each service would otherwise be configured with.
pub fn fill_in(settings: &mut Settings, children: &Children, data: &DataFolder, own: &str, models: ModelPair<PathBuf>) {
    for (key, url) in [
        ("nats.url", children.nats_url()),
        ("notification.redis_url", children.redis_url()),
        ("indexing.qdrant_url", children.qdrant_url()),
        ("indexing.qdrant_api_key", children.qdrant_api_key()),
    ] {
        if let Some(url) = url {
            settings.set_default(key, url, "a server started by this process");
        }
    }
    models::fill_in(settings, models);
    for key in OWN_ADDRESSES {
        settings.set_default(key, own, "this process");
    }
    for (key, folder) in [
        ("indexing.folder", data.index()),
        ("indexing.state_folder", data.root().to_owned()),
        ("notification.maildir", data.mail()),
        ("notification.state_folder", data.root().to_owned()),
        ("web.state_folder", data.root().to_owned()),
    ] {
        settings.set_default(key, folder.display().to_string(), "the data folder");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Named like secrets, but the names of files.
    const FILES: [&str; 5] = [
        "grpc.tls_key",
        "grpc.tls_client_key",
        "nats.tls_key",
        "indexing.qdrant_client_key",
        "notification.redis_client_key",
    ];

    #[test]
    fn what_is_named_like_a_secret_is_marked_as_one() {
        let settings = Settings::load(&DEFAULTS, None, []);
        let secrets: Vec<&str> = settings.secrets().collect();
        let words = ["password", "token", "key", "secret", "seed", "credentials"];
        let named = |key: &&str| words.iter().any(|word| key.ends_with(word));
        let unmarked = |key: &&str| !secrets.contains(key) && !FILES.contains(key);
        let missing: Vec<&str> = settings.keys().filter(named).filter(unmarked).collect();
        assert_eq!(
            missing,
            Vec::<&str>::new(),
            "end their lines in the defaults with `# secret`"
        );
        assert!(secrets.contains(&"notification.redis_url"), "it may hold a password");
    }
}
