//! The whole platform in one process: servers as children where none are configured, every service, one data folder.
//!
//! It holds no rule of any service; it gives each what it would otherwise be configured with.

mod catalogue;
pub mod model;

use std::path::{Path, PathBuf};

use common::config::{COMMON_DEFAULTS, CommonConfig, Settings};
use common::lifecycle;
use common::service::{Assembly, Bound, ServiceError, bind};
use common::telemetry::Telemetry;
use standalone::{Children, DataFolder, Endpoint, Programs, Toolbox};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Start;
use crate::failure::Failure;

/// Every default, later ones over earlier ones.
pub const DEFAULTS: [&str; 7] = [
    COMMON_DEFAULTS,
    ingest::DEFAULTS,
    embedding::DEFAULTS,
    indexing::DEFAULTS,
    notification::DEFAULTS,
    web::DEFAULTS,
    include_str!("defaults.toml"),
];

/// Settings that name servers which other platforms may use too.
const SHARED_SERVERS: [&str; 3] = ["nats.url", "notification.redis_url", "indexing.qdrant_url"];

struct Configs {
    common: CommonConfig,
    ingest: ingest::Config,
    embedding: embedding::Config,
    indexing: indexing::Config,
    notification: notification::Config,
    web: web::Config,
}

/// A running platform.
pub struct Platform {
    /// Where it can be reached.
    pub endpoint: Endpoint,
    /// Cancel to stop it.
    pub stop: CancellationToken,
    running: JoinHandle<Result<(), ServiceError>>,
    children: Children,
    data: DataFolder,
    telemetry: Telemetry,
}

/// Says what is wrong with the configuration.
pub fn check(start: &Start) -> Result<(), Failure> {
    let mut settings = load(start);
    settings.set_default("embedding.model", model::DEFAULT, "fetched at start");
    settings.set_default("indexing.folder", "index", "the data folder");
    read(settings).map(drop)
}

fn load(start: &Start) -> Settings {
    Settings::load(&DEFAULTS, start.config.as_deref(), std::env::vars())
}

fn read(mut settings: Settings) -> Result<Configs, Failure> {
    let common = CommonConfig::read(&mut settings);
    let configs = Configs {
        ingest: ingest::Config::read(&mut settings, &common),
        embedding: embedding::Config::read(&mut settings, &common),
        indexing: indexing::Config::read(&mut settings, &common),
        notification: notification::Config::read(&mut settings, &common),
        web: web::Config::read(&mut settings, &common),
        common,
    };
    settings.finish().map_err(Failure::config)?;
    Ok(configs)
}

impl Platform {
    /// Starts everything and returns when it is ready. `log` is what is logged where the configuration says nothing.
    pub async fn start(start: &Start, log: &str) -> Result<Self, Failure> {
        check(start)?;
        let mut settings = load(start);
        settings.set_default("telemetry.log", log, "this command");
        catalogue::follow_environment(&mut settings);
        Box::pin(Self::begin(start, settings)).await
    }

    /// Starts everything over a folder of its own, on free ports, beside any other platform: with no server that others
    /// use, whatever the environment names.
    pub async fn start_aside(folder: &Path, config: Option<PathBuf>, log: &str) -> Result<Self, Failure> {
        let start = Start {
            data: Some(folder.to_owned()),
            config,
        };
        check(&start)?;
        let mut settings = load(&start);
        for key in SHARED_SERVERS {
            if settings.is_set(key) {
                return Err(Failure::config(format!(
                    "{key} names a server that others use, and this command fills and throws away what it starts; leave it \
                     out of the configuration and of the environment"
                )));
            }
        }
        for key in ["grpc.listen", "admin.listen", "web.listen"] {
            settings.replace(key, "127.0.0.1:0");
        }
        settings.set_default("telemetry.log", log, "this command");
        Box::pin(Self::begin(&start, settings)).await
    }

    async fn begin(start: &Start, mut settings: Settings) -> Result<Self, Failure> {
        let common = CommonConfig::read(&mut settings);
        let telemetry = Telemetry::start("broadsheet", &common.telemetry).map_err(Failure::other)?;
        let stop = CancellationToken::new();
        lifecycle::on_signals(stop.clone(), common.drain).map_err(Failure::other)?;
        let folder = data_folder(start)?;
        let data = DataFolder::open(&folder).map_err(Failure::other)?;
        let tools = fetch(&settings, &data).await?;
        let grpc = bind(common.grpc.listen, "grpc.listen").await.map_err(Failure::other)?;
        let admin = bind(common.admin_listen, "admin.listen")
            .await
            .map_err(Failure::other)?;
        let shim = std::env::current_exe().map_err(Failure::other)?;
        let children = Children::start(&data, tools.programs, Some(shim))
            .await
            .map_err(Failure::other)?;
        settle(&mut settings, &children, &data, &grpc, tools.models);
        let configs = read(settings)?;
        let pages = web::bind(&configs.web).await.map_err(Failure::other)?;
        let endpoint = endpoint_of(&grpc, &pages, &admin);
        match Box::pin(launch(configs, stop.clone(), grpc, admin, pages)).await {
            Ok(running) => {
                data.write_endpoint(&endpoint).map_err(Failure::other)?;
                Ok(Self {
                    endpoint,
                    stop,
                    running,
                    children,
                    data,
                    telemetry,
                })
            }
            Err(error) => {
                children.stop().await;
                Err(Failure::other(error))
            }
        }
    }

    /// Waits for the stop and leaves nothing behind.
    pub async fn until_stopped(self) -> Result<(), Failure> {
        let ended = self.running.await.map_err(Failure::other)?;
        self.data.remove_endpoint();
        self.children.stop().await;
        self.telemetry.shutdown();
        ended.map_err(Failure::other)
    }
}

struct Tools {
    programs: Programs,
    models: model::Each<PathBuf>,
}

async fn fetch(settings: &Settings, data: &DataFolder) -> Result<Tools, Failure> {
    let needs_nats = !settings.is_set("nats.url");
    let needs_redis = !settings.is_set("notification.redis_url");
    let wanted = model::wanted(settings);
    let keeping = if settings.is_set("indexing.qdrant_url") {
        None
    } else {
        Some(catalogue::kept(data))
    };
    let fetching = tokio::task::spawn_blocking(move || {
        let toolbox = Toolbox::from_env().on_progress(|line| eprintln!("{line}"));
        let qdrant = match keeping {
            Some(kept) => catalogue::server(&toolbox, kept)?,
            None => None,
        };
        let programs = Programs {
            nats: needs_nats
                .then(|| toolbox.nats_server())
                .transpose()
                .map_err(Failure::other)?,
            redis: needs_redis
                .then(|| toolbox.redis_server())
                .transpose()
                .map_err(Failure::other)?,
            qdrant,
        };
        let fetched = |name: Option<&'static str>| name.map(|name| toolbox.model(name)).transpose();
        let models = model::Each {
            papers: fetched(wanted.papers).map_err(Failure::other)?,
            next: fetched(wanted.next).map_err(Failure::other)?,
        };
        Ok(Tools { programs, models })
    });
    fetching.await.map_err(Failure::other)?
}

/// Tells each service what it would otherwise be configured with.
fn settle(settings: &mut Settings, children: &Children, data: &DataFolder, grpc: &Bound, models: model::Each<PathBuf>) {
    let child = "a server started by this process";
    if let Some(url) = children.nats_url() {
        settings.set_default("nats.url", url, child);
    }
    if let Some(url) = children.redis_url() {
        settings.set_default("notification.redis_url", url, child);
    }
    if let Some(url) = children.qdrant_url() {
        settings.set_default("indexing.qdrant_url", url, child);
    }
    model::settle(settings, models);
    let own = format!("http://{}", grpc.address);
    for key in [
        "indexing.embedding_url",
        "indexing.ingest_url",
        "notification.embedding_url",
        "notification.indexing_url",
        "web.search_url",
        "web.subscriptions_url",
        "web.attention_url",
    ] {
        settings.set_default(key, own.clone(), "this process");
    }
    let folder = "the data folder";
    settings.set_default("indexing.folder", data.index().display().to_string(), folder);
    settings.set_default("notification.maildir", data.mail().display().to_string(), folder);
    settings.set_default("notification.state_folder", data.root().display().to_string(), folder);
}

fn endpoint_of(grpc: &Bound, pages: &Bound, admin: &Bound) -> Endpoint {
    Endpoint {
        pid: std::process::id(),
        grpc: format!("http://{}", grpc.address),
        web: format!("http://{}", pages.address),
        admin: format!("http://{}", admin.address),
        started: jiff::Timestamp::now().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

async fn launch(
    configs: Configs,
    stop: CancellationToken,
    grpc: Bound,
    admin: Bound,
    pages: Bound,
) -> Result<JoinHandle<Result<(), ServiceError>>, ServiceError> {
    let public = format!("http://{}", pages.address);
    let mut assembly = Assembly::connect(&configs.common, "up", stop).await?;
    ingest::start(configs.ingest, &mut assembly).await?;
    embedding::start(configs.embedding, &mut assembly).await?;
    indexing::start(configs.indexing, &mut assembly)?;
    notification::start(configs.notification.with_default_public_url(&public), &mut assembly).await?;
    web::start(&configs.web, pages, &mut assembly)?;
    let readiness = assembly.readiness.clone();
    let common = configs.common;
    let running = tokio::spawn(async move { assembly.run(&common, grpc, admin).await });
    readiness.wait().await;
    Ok(running)
}

fn data_folder(start: &Start) -> Result<PathBuf, Failure> {
    match &start.data {
        Some(folder) => Ok(folder.clone()),
        None => standalone::default_data_folder().map_err(Failure::other),
    }
}
