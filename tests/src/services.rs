//! The five services as processes of their own over real servers, configured by environment alone, as on Kubernetes.
//!
//! Every process gets the settings of all; only the ports are its own. Its log goes to a file, which a failure names.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use standalone::Toolbox;
use tempfile::TempDir;

use crate::servers::Servers;
use crate::{Ran, binaries, get, ran, transport, until};

/// The services, in the order a paper takes.
pub const NAMES: [&str; 5] = ["ingest", "embedding", "indexing", "notification", "web"];

/// One service.
pub struct Service {
    name: &'static str,
    process: Child,
    /// Where it speaks gRPC.
    pub grpc: String,
    /// Where its metrics and probes are.
    pub admin: String,
    log: PathBuf,
    asked_to_stop: AtomicBool,
}

/// All five, ready. In a suite with certificates every one of them has one, and asks for one.
pub struct Services {
    running: Vec<Service>,
    /// Where the pages are.
    pub web: String,
    servers: Option<Servers>,
    folder: TempDir,
}

impl Services {
    /// Starts servers and services, and returns when every service says it is ready.
    pub async fn start(environment: &[(&'static str, &str)]) -> Self {
        Self::start_each(environment, |_| Vec::new()).await
    }

    /// The same with settings of each service's own, which win.
    pub async fn start_each(
        environment: &[(&'static str, &str)],
        own: impl Fn(&'static str) -> Vec<(&'static str, String)>,
    ) -> Self {
        let servers = Servers::start().await;
        let folder = tempfile::tempdir().unwrap();
        let ports = free_ports::<11>();
        let web = format!("127.0.0.1:{}", ports[10]);
        make_keys(folder.path());
        let mut shared = settings(&servers, folder.path(), &ports, &web);
        if environment
            .iter()
            .all(|(name, _)| *name != "BROADSHEET_NOTIFICATION__SMTP_URL")
        {
            let maildir = folder.path().join("mail").display().to_string();
            shared.push(("BROADSHEET_NOTIFICATION__MAILDIR", maildir));
        }
        shared.extend(environment.iter().map(|&(name, value)| (name, value.to_owned())));
        let running = NAMES.iter().enumerate().map(|(index, name)| {
            let (grpc, admin) = (ports[2 * index], ports[2 * index + 1]);
            let settings: Vec<_> = shared.iter().cloned().chain(own(name)).collect();
            Service::spawn(name, grpc, admin, &settings, folder.path())
        });
        let mut this = Self {
            running: running.collect(),
            web: format!("http://{web}"),
            servers: Some(servers),
            folder,
        };
        for service in &mut this.running {
            service.until_ready();
        }
        this
    }

    /// The key of the operator, which has every scope.
    pub fn operator_key(&self) -> String {
        self.key("operator")
    }

    /// The key of a service, or of the operator.
    pub fn key(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name).join("grpc.key")).unwrap()
    }

    /// The file of all keys.
    pub fn key_file(&self) -> PathBuf {
        self.folder.path().join("keys.toml")
    }

    /// One of them.
    pub fn of(&self, name: &str) -> &Service {
        self.running.iter().find(|service| service.name == name).unwrap()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Service> {
        self.running.iter()
    }

    /// Ends NATS and Redis under the services, for good.
    pub async fn lose_servers(&mut self) {
        if let Some(servers) = self.servers.take() {
            servers.stop().await;
        }
    }

    /// Asks all to stop, waits until they have, and gives their exit statuses. Then the servers are ended.
    pub async fn stop(mut self) -> Vec<(&'static str, Option<i32>)> {
        for service in &self.running {
            service.terminate();
        }
        let ended = self.running.iter_mut().map(|service| (service.name, service.wait()));
        let ended: Vec<_> = ended.collect();
        self.lose_servers().await;
        ended
    }
}

impl Service {
    fn spawn(name: &'static str, grpc: u16, admin: u16, settings: &[(&'static str, String)], folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        let (listen, admin) = (format!("127.0.0.1:{grpc}"), format!("127.0.0.1:{admin}"));
        let mut command = Command::new(binaries().join(name));
        command
            .env_clear()
            .envs(settings.iter().map(|(name, value)| (name, value)));
        // Ingest and embedding call no other service and have no key.
        if let Ok(key) = std::fs::read_to_string(folder.join(name).join("grpc.key")) {
            command.env("BROADSHEET_GRPC__KEY", key);
        }
        let process = command
            .env("BROADSHEET_GRPC__LISTEN", &listen)
            .env("BROADSHEET_ADMIN__LISTEN", &admin)
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self {
            name,
            process,
            grpc: url(grpc),
            admin: format!("http://{admin}"),
            log,
            asked_to_stop: AtomicBool::new(false),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Status and body at its operator's port.
    pub fn ask(&self, path: &str) -> (u16, String) {
        get(&format!("{}{path}", self.admin))
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Asks it to stop, once: a second signal would mean "at once".
    pub fn terminate(&self) {
        if self.asked_to_stop.swap(true, Ordering::Relaxed) {
            return;
        }
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
    }

    /// Waits for its end, which the drain deadline bounds.
    fn wait(&mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }

    fn until_ready(&mut self) {
        until(&format!("{} becomes ready", self.name), || {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "{} ended ({ended:?}): {}", self.name, self.log());
            (self.ask("/readyz").0 == 200).then_some(())
        });
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Fails where the test has ended it already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs one service that is expected to end by itself, with nothing in its environment but this.
pub fn run(name: &str, environment: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(binaries().join(name));
    command.env_clear().envs(environment.iter().copied());
    ran(command.output().unwrap())
}

/// A key for each service that calls others and one for the operator, as an operator makes them.
fn make_keys(folder: &Path) {
    let mut command = Command::new(binaries().join("broadsheet"));
    command
        .env_clear()
        .args(["keys", "init", "--output"])
        .arg(folder)
        .arg("--file")
        .arg(folder.join("keys.toml"));
    let ran = ran(command.output().unwrap());
    assert_eq!(ran.status, 0, "{ran:?}");
}

fn settings(servers: &Servers, folder: &Path, ports: &[u16], web: &str) -> Vec<(&'static str, String)> {
    let grpc = |name: &str| {
        let index = NAMES.iter().position(|known| *known == name).unwrap();
        url(ports[2 * index])
    };
    let model = Toolbox::from_env().model("potion-base-8M").unwrap();
    let mut settings = vec![
        ("BROADSHEET_NATS__URL", servers.nats()),
        ("BROADSHEET_GRPC__KEYS", folder.join("keys.toml").display().to_string()),
        ("BROADSHEET_TELEMETRY__LOG_FORMAT", "json".to_owned()),
        ("BROADSHEET_EMBEDDING__MODEL", model.display().to_string()),
        (
            "BROADSHEET_INDEXING__FOLDER",
            folder.join("index").display().to_string(),
        ),
        ("BROADSHEET_INDEXING__EMBEDDING_URL", grpc("embedding")),
        ("BROADSHEET_INDEXING__INGEST_URL", grpc("ingest")),
        // On a busy machine a query may take longer than a reader would wait.
        ("BROADSHEET_INDEXING__EMBED_TIMEOUT_MS", "10000".to_owned()),
        ("BROADSHEET_INDEXING__RESUME_KEY", "fedcba9876543210".repeat(2)),
        ("BROADSHEET_NOTIFICATION__REDIS_URL", servers.redis()),
        ("BROADSHEET_NOTIFICATION__EMBEDDING_URL", grpc("embedding")),
        ("BROADSHEET_NOTIFICATION__INDEXING_URL", grpc("indexing")),
        (
            "BROADSHEET_NOTIFICATION__FROM",
            "Broadsheet <digest@example.org>".to_owned(),
        ),
        ("BROADSHEET_NOTIFICATION__PUBLIC_URL", format!("http://{web}")),
        ("BROADSHEET_NOTIFICATION__TOKEN_KEY", "0123456789abcdef".repeat(2)),
        ("BROADSHEET_WEB__COOKIE_KEY", "0123456789abcdef".repeat(2)),
        ("BROADSHEET_WEB__LISTEN", web.to_owned()),
        ("BROADSHEET_WEB__SEARCH_URL", grpc("indexing")),
        ("BROADSHEET_WEB__SUBSCRIPTIONS_URL", grpc("notification")),
        ("BROADSHEET_WEB__ATTENTION_URL", grpc("ingest")),
    ];
    settings.extend(transport::environment());
    settings
}

/// Where gRPC is spoken on a port.
fn url(port: u16) -> String {
    let scheme = if transport::certificates().is_some() {
        "https"
    } else {
        "http"
    };
    format!("{scheme}://127.0.0.1:{port}")
}

/// Ports that nobody listened on a moment ago.
pub fn free_ports<const N: usize>() -> [u16; N] {
    // All are held until the last is found, else the system might give one twice.
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}
