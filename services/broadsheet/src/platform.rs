//! The whole platform in one process: servers as children where none are configured, every service, one data folder.
//!
//! It holds no rule of any service; it gives each service what it would otherwise be configured with.

mod catalogue_store;
pub mod models;
mod settings;
mod tools;

use std::future::Future;

use common::clock::Clock;
use common::config::Secret;
use common::lifecycle;
use common::service::{Assembly, Bound, ServiceError, bind};
use common::tasks::{Job, Supervisor};
use common::telemetry::Telemetry;
use standalone::{Children, DataFolder, Endpoint, SuperviseError};
use tokio_util::sync::CancellationToken;

use crate::error::CommandError;
use crate::{StartArgs, client};
use settings::ServiceConfigs;
pub use settings::{DEFAULTS, check};

/// A running platform.
pub struct Platform {
    /// Where it can be reached.
    pub endpoint: Endpoint,
    /// The key that calls to it may present, where it requires one.
    pub key: Option<Secret>,
    /// Cancel to stop it.
    pub stop: CancellationToken,
    running: Job<Result<(), ServiceError>>,
    children: Children,
    data: DataFolder,
    telemetry: Telemetry,
}

impl Platform {
    /// Starts everything and returns when it is ready. `log` is what is logged unless the configuration says otherwise.
    pub async fn start(start: &StartArgs, log: &str, clock: Clock) -> Result<Self, CommandError> {
        check(start)?;
        let mut settings = settings::load(start);
        settings.set_default("telemetry.log", log, "this command");
        catalogue_store::follow_environment(&mut settings);
        Box::pin(Self::begin(start, settings, clock)).await
    }

    /// Starts everything on free ports, beside any other platform, and with no server that others use, whatever the
    /// environment names.
    pub async fn start_isolated(start: &StartArgs, log: &str, clock: Clock) -> Result<Self, CommandError> {
        check(start)?;
        let mut settings = settings::load(start);
        settings::isolate(&mut settings)?;
        settings.set_default("telemetry.log", log, "this command");
        Box::pin(Self::begin(start, settings, clock)).await
    }

    async fn begin(
        start: &StartArgs,
        mut settings: common::config::Settings,
        clock: Clock,
    ) -> Result<Self, CommandError> {
        let common = common::config::CommonConfig::read(&mut settings);
        let telemetry = Telemetry::start("broadsheet", &common.telemetry).map_err(CommandError::other)?;
        let stop = CancellationToken::new();
        lifecycle::on_signals(stop.clone(), common.drain).map_err(CommandError::other)?;
        let folder = client::data_folder(start.data.as_deref())?;
        let data = DataFolder::open(&folder).map_err(CommandError::other)?;
        let tools = tools::fetch(&settings, &data, start.install.packages()).await?;
        let grpc = listen(common.grpc.listen, "grpc.listen").await?;
        let admin = listen(common.admin_listen, "admin.listen").await?;
        let launcher = std::env::current_exe().map_err(CommandError::other)?;
        let children = Children::start(&data, tools.programs, Some(launcher))
            .await
            .map_err(CommandError::other)?;
        settings::fill_in(&mut settings, &children, &data, &grpc, tools.models);
        let process_key = settings::add_process_key(&mut settings, &clock);
        let mut configs = settings::read(settings)?;
        configs.common.grpc.process_key = process_key;
        let key = configs.common.grpc.key.clone();
        let pages = web::bind(&configs.web).await.map_err(CommandError::other)?;
        let endpoint = endpoint_of([&grpc, &pages, &admin], &clock);
        match Box::pin(launch(configs, &children, stop.clone(), [grpc, admin, pages])).await {
            Ok(running) => {
                data.write_endpoint(&endpoint).map_err(CommandError::other)?;
                Ok(Self {
                    endpoint,
                    key,
                    stop,
                    running,
                    children,
                    data,
                    telemetry,
                })
            }
            Err(error) => {
                children.stop().await;
                Err(CommandError::other(error))
            }
        }
    }

    /// Waits for the stop, ends the servers and removes the endpoint.
    pub async fn until_stopped(self) -> Result<(), CommandError> {
        let ended = self.running.result().await;
        self.data.remove_endpoint();
        self.children.stop().await;
        self.telemetry.shutdown();
        ended.map_err(CommandError::other)?.map_err(CommandError::other)
    }
}

async fn listen(address: std::net::SocketAddr, key: &'static str) -> Result<Bound, CommandError> {
    bind(address, key).await.map_err(CommandError::other)
}

fn endpoint_of([grpc, pages, admin]: [&Bound; 3], clock: &Clock) -> Endpoint {
    Endpoint {
        pid: std::process::id(),
        grpc: format!("http://{}", grpc.address),
        web: format!("http://{}", pages.address),
        admin: format!("http://{}", admin.address),
        started: clock.now().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Starts every service and returns when all are ready.
async fn launch(
    configs: ServiceConfigs,
    children: &Children,
    stop: CancellationToken,
    [grpc, admin, pages]: [Bound; 3],
) -> Result<Job<Result<(), ServiceError>>, ServiceError> {
    let public_url = format!("http://{}", pages.address);
    let mut assembly = Assembly::connect(&configs.common, "up", stop.clone()).await?;
    assembly.task("supervision of the servers", until_lost(stop.clone(), children.lost()));
    ingest::start(configs.ingest, &mut assembly).await?;
    embedding::start(configs.embedding, &mut assembly).await?;
    indexing::start(configs.indexing, &mut assembly)?;
    notification::start(configs.notification.with_default_public_url(&public_url), &mut assembly).await?;
    web::start(&configs.web, pages, &mut assembly)?;
    let readiness = assembly.readiness.clone();
    let common = configs.common;
    // A supervisor of its own: the assembly waits for the tasks of its own one.
    let running = Supervisor::new(stop)
        .tasks()
        .job("platform", async move { assembly.run(&common, grpc, admin).await });
    readiness.wait().await;
    Ok(running)
}

/// Fails when a server is lost before the stop.
async fn until_lost(stop: CancellationToken, lost: impl Future<Output = SuperviseError>) -> Result<(), SuperviseError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        error = lost => Err(error),
    }
}
