//! A Qdrant server to test against: the one that `QDRANT_URL` names, else one made of Qdrant's own Python package on a
//! free loopback port, which ends with the test.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::python;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/qdrant-loopback");

/// A server that answers.
pub struct Server {
    /// Its gRPC address.
    pub url: String,
    /// Its key, if it wants one.
    pub api_key: Option<String>,
    /// Whether it is a server of somebody else, which others may use too.
    pub shared: bool,
    port: u64,
    child: Option<Child>,
    folder: Option<TempDir>,
}

impl Server {
    /// Starts it, or uses the one that is there.
    pub async fn start() -> Self {
        if let Ok(url) = std::env::var("QDRANT_URL") {
            return Self {
                url,
                api_key: std::env::var("QDRANT_API_KEY").ok(),
                shared: true,
                port: 0,
                child: None,
                folder: None,
            };
        }
        Self::own(None).await
    }

    /// One of the test's own, even where `QDRANT_URL` names another, which keeps its data over a restart.
    pub async fn with_data() -> Self {
        Self::own(Some(tempfile::tempdir().unwrap())).await
    }

    async fn own(folder: Option<TempDir>) -> Self {
        let (child, port) = spawn(folder.as_ref().map(TempDir::path), 0).await;
        Self {
            url: format!("http://127.0.0.1:{port}"),
            api_key: None,
            shared: false,
            port,
            child: Some(child),
            folder,
        }
    }

    /// Ends it, if it is ours. Says whether it was.
    pub async fn stop(&mut self) -> bool {
        let Some(mut child) = self.child.take() else {
            return false;
        };
        drop(child.stdin.take());
        child.wait().await.expect("the loopback server ends with its input");
        true
    }

    /// Kills it at once; it must be ours.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs and is ours");
        child.kill().await.expect("it ends");
    }

    /// Starts it again where it was, with what it kept.
    pub async fn again(&mut self) {
        assert!(self.child.is_none() && !self.shared, "it has ended and is ours");
        let (child, port) = spawn(self.folder.as_ref().map(TempDir::path), self.port).await;
        assert_eq!(port, self.port);
        self.child = Some(child);
    }

    /// Stops it in the middle of what it does: connections stay, and nothing answers.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().and_then(Child::id).expect("it runs and is ours");
        let id = Pid::from_raw(i32::try_from(id).expect("a process id"));
        kill(id, signal).expect("it takes the signal");
    }
}

async fn spawn(folder: Option<&Path>, port: u64) -> (Child, u64) {
    let mut command = Command::new(python().await);
    command.arg(Path::new(SCRIPTS).join("server.py"));
    command.args(["--port", &port.to_string()]);
    if let Some(folder) = folder {
        command.arg("--folder").arg(folder);
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the loopback server starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let line = lines.next_line().await.expect("its output");
    let line = line.expect("the loopback server ended at once; its errors are above");
    let said: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
    (child, said["port"].as_u64().expect("a port"))
}

/// An executable that behaves as `qdrant` does, made of the same package: it says its version, and serves what
/// `--config-path` says until it is told to end. It keeps nothing.
pub fn program(folder: &Path) -> PathBuf {
    let requirements = Path::new(SCRIPTS).join("requirements.txt");
    let python = python::with("qdrant", &requirements);
    let path = folder.join("qdrant");
    let script = format!("#!/bin/sh\nexec '{}' '{SCRIPTS}/server.py' \"$@\"\n", python.display());
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A Python with the packages.
async fn python() -> PathBuf {
    let requirements = Path::new(SCRIPTS).join("requirements.txt");
    let installing = tokio::task::spawn_blocking(move || python::with("qdrant", &requirements));
    installing
        .await
        .expect("Qdrant's Python package, or QDRANT_URL set to a server's gRPC address")
}
