//! The service in a separate process, so that its CPU time can be measured.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use common::clock::Clock;
use embedding::engine::{Engine, EngineConfig, QueueCapacity};
use embedding::grpc::EmbeddingGrpc;
use embedding::{EncoderSet, metrics, with_threads};
use encoder::{LoadOptions, Model};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;

/// The argument that makes this program the service.
pub const ARGUMENT: &str = "serve";

/// The service's defaults, except for the query cache, which would hide what is measured.
const CONFIG: EngineConfig = EngineConfig {
    threads: 0,
    tokenizer_threads: 0,
    capacity: QueueCapacity {
        interactive: 16_384,
        bulk: 131_072,
        best_effort: 8_192,
    },
    query_cache: 0,
};

/// Serves a model until standard input ends; prints its address on standard output.
pub async fn serve(folder: &Path) -> anyhow::Result<()> {
    let model: Arc<dyn Model> = Arc::from(encoder::load(folder, &LoadOptions::default())?);
    let config = with_threads(CONFIG, model.as_ref());
    let clock = Clock::system();
    let engine = Engine::start(model, config, clock.clone(), metrics::registered())?;
    let stop = CancellationToken::new();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut out = std::io::stdout();
    writeln!(out, "http://{}", listener.local_addr()?)?;
    out.flush()?;
    let ended = stop.clone();
    std::thread::Builder::new().spawn(move || {
        // Ends when the parent process ends.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ended.cancel();
    })?;
    let service = EmbeddingGrpc::new(EncoderSet::new(engine, None)?, clock, stop.clone()).into_server();
    let server = tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(service);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    server
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await?;
    Ok(())
}

/// The service's process.
pub struct Server {
    /// Its address.
    pub url: String,
    /// Its process id.
    pub pid: u32,
    /// Time from its start until it was ready.
    pub ready_after: Duration,
    process: Child,
    stdin: Option<ChildStdin>,
}

impl Server {
    /// Starts this program again as the service and returns when it is ready.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut process = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = process.stdout.take().context("standard output is piped")?;
        let mut url = String::new();
        BufReader::new(out).read_line(&mut url)?;
        Ok(Self {
            url: url.trim().to_owned(),
            pid: process.id(),
            ready_after: started.elapsed(),
            stdin: process.stdin.take(),
            process,
        })
    }

    /// The most memory it has used, if the system reports it.
    pub fn peak_megabytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kilobytes / 1024)
    }

    /// Ends it.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        drop(self.stdin.take());
        let status = self.process.wait()?;
        anyhow::ensure!(status.success(), "the service ended with {status}");
        Ok(())
    }
}
