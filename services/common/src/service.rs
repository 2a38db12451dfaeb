//! Puts services together into a process: one bus, one gRPC server, one operator's port, tasks that run until the stop.
//!
//! The same parts make one service per process on Kubernetes and the whole platform in one process on a laptop. It knows
//! no service by name.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures::FutureExt as _;
use proto::operations::v1::operations_service_server::OperationsServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::{Routes, RoutesBuilder};
use tonic::transport::Server;
use tracing::{error, info, info_span, warn};

use crate::access::{self, AccessGuard};
use crate::admin::{self, Readiness};
use crate::audit::AuditLog;
use crate::bus::{Bus, BusError};
use crate::clock::Clock;
use crate::config::{COMMON_DEFAULTS, CommonConfig, EXIT_CONFIG, Settings};
use crate::connections::{ConnectionLimits, ConnectionTable};
use crate::flow::{self, StreamStorage};
use crate::keys::Keyring;
use crate::operations::Operations;
use crate::storage::MEGABYTE;
use crate::tasks::{Supervisor, TaskFailure, Tasks};
use crate::telemetry::Telemetry;
use crate::{dead_letters, grpc_limits, http_server, lifecycle, metrics, stream_use, streams, telemetry, tls};

/// What keeps a process from starting or makes it end.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A port that cannot be had.
    #[error("cannot listen on {address} ({key}): {problem}; choose another address or stop what listens there")]
    Listen {
        /// Address and port.
        address: SocketAddr,
        /// The setting that names it.
        key: &'static str,
        /// Why.
        problem: std::io::Error,
    },
    /// Something a service needs at its start.
    #[error("{service} cannot start: {problem}")]
    Start {
        /// Which service.
        service: &'static str,
        /// Why, with what to do.
        problem: String,
    },
    /// A task ended that should run until the stop.
    #[error(transparent)]
    Task(#[from] TaskFailure),
}

impl ServiceError {
    /// A service cannot start.
    pub fn start(service: &'static str, problem: impl std::fmt::Display) -> Self {
        Self::Start {
            service,
            problem: problem.to_string(),
        }
    }
}

/// Between the stop and the end of every connection. Calls take far less, and every effect is idempotent; without an end a
/// client that hangs in the middle of a request would hold the process until the drain deadline.
const LAST_CALLS: Duration = Duration::from_secs(3);
/// The same for the operator's port, once the rest has drained.
const LAST_LOOK: Duration = Duration::from_millis(500);
/// Connections to the operator's port: probes of its readiness, and those who read its numbers.
const ADMIN_CONNECTIONS: usize = 128;

/// A listener for HTTP, bound before anything else starts.
pub struct Bound {
    listener: TcpListener,
    /// The address, with the port the system chose where 0 was asked for.
    pub address: SocketAddr,
}

/// Binds a port.
pub async fn bind(address: SocketAddr, key: &'static str) -> Result<Bound, ServiceError> {
    let listen_error = |problem| ServiceError::Listen { address, key, problem };
    let listener = TcpListener::bind(address).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    Ok(Bound { listener, address })
}

/// What services add themselves to.
pub struct Assembly {
    /// `None` in the process of a service that has nothing to do with the bus.
    bus: Option<Bus>,
    /// Cancelled at the stop.
    pub stop: CancellationToken,
    /// Held by parts that are not ready yet.
    pub readiness: Readiness,
    clock: Clock,
    /// The streams that the process uses.
    streams: Vec<&'static StreamStorage>,
    supervisor: Supervisor,
    routes: RoutesBuilder,
    names: Vec<&'static str>,
    audit: AuditLog,
}

impl Assembly {
    /// Connects the bus, where the flow table has a use for it in this process, and sees to its streams. Nothing is served yet.
    pub async fn connect(
        config: &CommonConfig,
        process: &'static str,
        stop: CancellationToken,
    ) -> Result<Self, ServiceError> {
        let clock = Clock::system();
        let bus = if flow::process_uses_bus(process) {
            let bus = Bus::connect(config.bus.clone(), process, clock.clone()).await?;
            streams::ensure(&bus).await?;
            Some(bus)
        } else {
            None
        };
        let supervisor = Supervisor::new(stop.clone());
        let (audit, publisher) = AuditLog::new(bus.as_ref(), process, &clock);
        supervisor
            .tasks()
            .run_infallible("audit log", publisher.run(stop.clone()));
        follow_certificates(config, &clock, &supervisor.tasks());
        if let Some(bus) = &bus {
            watch_streams(bus, process, &supervisor.tasks(), &stop);
        }
        Ok(Self {
            bus,
            readiness: Readiness::new(stop.clone()),
            clock,
            streams: stream_use::streams_of(process),
            supervisor,
            stop,
            routes: RoutesBuilder::default(),
            names: Vec::new(),
            audit,
        })
    }

    /// The bus.
    ///
    /// # Panics
    /// In the process of a service that has no place in the flow table: a mistake in this program that its first test run shows.
    pub fn bus(&self) -> &Bus {
        self.bus.as_ref().expect("a service with a place in the flow table")
    }

    /// The clock of the process.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// What starts supervised tasks.
    pub fn tasks(&self) -> Tasks {
        self.supervisor.tasks()
    }

    /// Adds a gRPC service, with health under its name.
    pub fn add_grpc<S>(&mut self, service: S)
    where
        S: tower::Service<http::Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.names.push(S::NAME);
        self.routes.add_service(service);
    }

    /// Runs a part of the process until the stop. When it ends earlier, with an error or with a panic, the process is not
    /// ready, stops, and ends with that failure.
    pub fn task<E: std::fmt::Display + 'static>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.tasks().run(name, task);
    }

    /// Runs a stage of the flow.
    pub fn stage<S: crate::stage::Stage>(&mut self, stage: S) {
        let (bus, stop) = (self.bus().clone(), self.stop.clone());
        self.task(
            std::any::type_name::<S>(),
            crate::stage::run(bus, Arc::new(stage), stop),
        );
    }

    /// Collects the dead letters of a service, and keeps the metrics of its consumers.
    pub fn collect_dead_letters(&mut self, service: &'static str) {
        let (bus, stop) = (self.bus().clone(), self.stop.clone());
        self.tasks()
            .run_infallible("metrics of the flow", metrics::watch(bus, service, stop));
        let (bus, stop) = (self.bus().clone(), self.stop.clone());
        self.task("collection of dead letters", dead_letters::collect(bus, service, stop));
    }

    /// Serves HTTP until the stop. `server` is its name in metrics.
    pub fn serve_http(&mut self, server: &'static str, bound: Bound, router: Router, limits: ConnectionLimits) {
        let stop = self.stop.clone();
        let table = ConnectionTable::new(server, limits, self.clock());
        self.task("http server", async move {
            let serving = http_server::serve(bound.listener, router, table, stop.clone());
            until_cut(&stop, serving.map(Ok::<(), Infallible>)).await
        });
    }

    /// Serves gRPC and the operator's port, and runs everything until the stop. The operator's port outlives the rest:
    /// it says "not ready" while the process drains, and its last numbers can still be read.
    pub async fn run(mut self, config: &CommonConfig, grpc: Bound, admin: Bound) -> Result<(), ServiceError> {
        let drained = CancellationToken::new();
        let operators = ConnectionTable::new("admin", ConnectionLimits::new(ADMIN_CONNECTIONS), self.clock());
        let answering = admin::router(self.readiness.clone(), self.bus.clone());
        let answering = http_server::serve(admin.listener, answering, operators, drained.clone());
        // Not supervised: it has to outlive the supervisor, to say what became of the others.
        let answering = Supervisor::new(drained.clone())
            .tasks()
            .job("operator's port", answering);
        let limits = ConnectionLimits::new(config.grpc.connections).keeping_idle_http2();
        let callers = ConnectionTable::new("grpc", limits, self.clock());
        let routes = self.finished_routes(config).await?;
        let routes = grpc_limits::watched(routes, Arc::clone(&callers));
        let server = grpc_limits::limited(server_builder()).add_routes(routes);
        let (stop, clock) = (self.stop.clone(), self.clock());
        let tls = config.grpc.tls.clone();
        self.task("grpc server", async move {
            let incoming = grpc_limits::incoming(&callers, grpc.listener);
            let stopped = stop.clone().cancelled_owned();
            let serving = async {
                match tls {
                    Some(tls) => {
                        let incoming = tls::accept(incoming, tls, clock);
                        until_cut(&stop, server.serve_with_incoming_shutdown(incoming, stopped)).await
                    }
                    None => until_cut(&stop, server.serve_with_incoming_shutdown(incoming, stopped)).await,
                }
            };
            tokio::select! {
                ended = serving => ended,
                () = callers.sweep() => Ok(()),
            }
        });
        info!(grpc = %grpc.address, services = ?self.names, "serving");
        let ended = self.until_stopped().await;
        drained.cancel();
        // A look at the last numbers may end; whoever keeps a connection open without asking is not waited for.
        if tokio::time::timeout(LAST_LOOK, answering.result()).await.is_err() {
            tracing::debug!("the operator's port was cut off");
        }
        ended
    }

    async fn until_stopped(self) -> Result<(), ServiceError> {
        let ended = self.supervisor.run().await;
        if let Some(bus) = &self.bus
            && let Err(error) = bus.client.flush().await
        {
            tracing::debug!(%error, "bus not flushed");
        }
        Ok(ended?)
    }

    /// All gRPC services with operations, health and reflection, behind the guard.
    async fn finished_routes(&mut self, config: &CommonConfig) -> Result<Routes, ServiceError> {
        if let Some(bus) = self.bus.clone() {
            self.add_grpc(OperationsServiceServer::new(Operations::new(bus, self.streams.clone())));
        }
        let (health, health_service) = tonic_health::server::health_reporter();
        for name in &self.names {
            health
                .set_service_status(name, tonic_health::ServingStatus::Serving)
                .await;
        }
        self.routes.add_service(health_service);
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let broken = |error| ServiceError::start("grpc reflection", error);
        self.routes.add_service(reflection().build_v1().map_err(broken)?);
        self.routes.add_service(reflection().build_v1alpha().map_err(broken)?);
        let (names, stop) = (self.names.clone(), self.stop.clone());
        self.tasks().run_infallible("grpc health", async move {
            stop.cancelled().await;
            for name in names {
                health
                    .set_service_status(name, tonic_health::ServingStatus::NotServing)
                    .await;
            }
        });
        let guard = AccessGuard::new(self.keyring(config)?, self.audit.clone());
        let routes = std::mem::take(&mut self.routes).routes();
        let guarded = routes
            .into_axum_router()
            .layer(axum::middleware::from_fn_with_state(guard, access::enforce));
        Ok(Routes::from(guarded))
    }

    /// The keys that callers may present, kept up to date; `None` where none is required.
    fn keyring(&self, config: &CommonConfig) -> Result<Option<Keyring>, ServiceError> {
        let Some(path) = &config.grpc.keys else { return Ok(None) };
        let own = config.grpc.process_key.iter().cloned().collect();
        let (keyring, watch) =
            Keyring::open(path, own, self.clock()).map_err(|error| ServiceError::start("grpc.keys", error))?;
        self.tasks().run_infallible("key file", watch.run(self.stop.clone()));
        Ok(Some(keyring))
    }
}

/// Reads the certificates of gRPC again when they change.
fn follow_certificates(config: &CommonConfig, clock: &Clock, tasks: &Tasks) {
    tls::register_metrics();
    if let Some(server) = &config.grpc.tls {
        tls::follow_server(server, "grpc_server", clock.clone(), tasks);
    }
    tls::follow_client(&config.caller.tls, "grpc_client", clock.clone(), tasks);
}

/// Looks how full the streams are, and makes room in them where that is this process' part.
fn watch_streams(bus: &Bus, process: &'static str, tasks: &Tasks, stop: &CancellationToken) {
    let looking = stream_use::watch(bus.clone(), process, stop.clone());
    tasks.run_infallible("use of the streams", looking);
    if flow::makes_streams(process) {
        let trimming = stream_use::trim_papers(bus.clone(), stop.clone());
        tasks.run_infallible("trimming of handled papers", trimming);
    }
}

/// Serves until it ends by itself, or [`LAST_CALLS`] after the stop.
async fn until_cut<E>(stop: &CancellationToken, served: impl Future<Output = Result<(), E>>) -> Result<(), E> {
    let cut = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_CALLS).await;
    };
    tokio::select! {
        ended = served => ended,
        () = cut => {
            warn!("connections that did not end after the stop are cut off");
            Ok(())
        }
    }
}

fn server_builder() -> Server {
    Server::builder().trace_fn(|request| {
        let path = request.uri().path().trim_start_matches('/');
        let span = info_span!("rpc", otel.name = path, otel.kind = "server");
        telemetry::set_parent_from_http(&span, request.headers());
        span
    })
}

/// The `main` of a service that runs as a process of its own: reads the configuration, starts, drains, and says what went
/// wrong with an exit status that scripts can use.
pub fn main<C, S>(
    name: &'static str,
    defaults: &[&str],
    read: impl FnOnce(&mut Settings, &CommonConfig) -> C,
    start: S,
) -> ExitCode
where
    C: Send + 'static,
    S: AsyncFnOnce(C, &mut Assembly) -> Result<(), ServiceError>,
{
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(text) => return complain(name, &text),
    };
    let documents: Vec<&str> = std::iter::once(COMMON_DEFAULTS)
        .chain(defaults.iter().copied())
        .collect();
    if let Arguments::Print = arguments {
        return print(&documents.join("\n"));
    }
    let (file, check_only) = match &arguments {
        Arguments::Run { config } => (config.as_deref(), false),
        Arguments::Check { config } => (config.as_deref(), true),
        Arguments::Help => return print(&usage(name)),
        Arguments::Print => (None, true),
    };
    let mut settings = Settings::load(&documents, file, std::env::vars());
    let common = CommonConfig::read(&mut settings);
    let config = read(&mut settings, &common);
    if let Err(mistakes) = settings.finish() {
        return complain(name, &mistakes.to_string());
    }
    if check_only {
        return print(&format!("the configuration holds\n{}", reserved(&common)));
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(name, &error.to_string()),
    };
    match runtime.block_on(run_process(name, &common, config, start)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(%error, "stopped");
            complain_with(name, &error.to_string(), ExitCode::FAILURE)
        }
    }
}

async fn run_process<C, S>(name: &'static str, common: &CommonConfig, config: C, start: S) -> Result<(), ServiceError>
where
    S: AsyncFnOnce(C, &mut Assembly) -> Result<(), ServiceError>,
{
    let telemetry = Telemetry::start(name, &common.telemetry).map_err(|error| ServiceError::start(name, error))?;
    let stop = CancellationToken::new();
    lifecycle::on_signals(stop.clone(), common.drain).map_err(|error| ServiceError::start(name, error))?;
    let grpc = bind(common.grpc.listen, "grpc.listen").await?;
    let admin = bind(common.admin_listen, "admin.listen").await?;
    let mut assembly = Assembly::connect(common, name, stop).await?;
    start(config, &mut assembly).await?;
    let ended = assembly.run(common, grpc, admin).await;
    telemetry.shutdown();
    ended
}

/// What the streams reserve, which the server is asked for at the start.
fn reserved(common: &CommonConfig) -> String {
    let megabytes = common.bus.limits.total() / MEGABYTE;
    format!(
        "all streams together reserve {megabytes} MB on each nats-server (nats.*_mb): max_file_store must be at least that\n"
    )
}

enum Arguments {
    Run { config: Option<PathBuf> },
    Check { config: Option<PathBuf> },
    Print,
    Help,
}

impl Arguments {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut config = None;
        let mut check = false;
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--config" => config = Some(PathBuf::from(arguments.next().ok_or("--config needs a file")?)),
                "--check-config" => check = true,
                "--print-config" => return Ok(Self::Print),
                "--help" | "-h" => return Ok(Self::Help),
                other => return Err(format!("{other:?} is not an option; see --help")),
            }
        }
        Ok(if check {
            Self::Check { config }
        } else {
            Self::Run { config }
        })
    }
}

fn usage(name: &str) -> String {
    format!(
        "The {name} service of Broadsheet.\n\nUsage: {name} [--config FILE] [--check-config]\n\n         --config FILE    TOML that overrides the defaults\n         --check-config   say what is wrong with the configuration and exit\n         --print-config   print the defaults with their meaning and exit\n\n         Environment: BROADSHEET_<SECTION>__<KEY> overrides the file.\n         Exit status: 0 after a clean stop, 64 for mistakes in the configuration or the arguments, 1 for other errors,\n         130 when it was not drained in time.\n"
    )
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(name: &str, text: &str) -> ExitCode {
    complain_with(name, text, ExitCode::from(EXIT_CONFIG))
}

fn complain_with(name: &str, text: &str, status: ExitCode) -> ExitCode {
    // Where standard error is closed there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{name}: {}", text.trim_end());
    status
}
