//! A Qdrant server to test against: the one that `QDRANT_URL` names, else one made of Qdrant's own Python package on a
//! free loopback port, which ends with the test.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

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
    child: Option<Child>,
}

impl Server {
    /// Starts it, or uses the one that is there.
    pub async fn start() -> Self {
        if let Ok(url) = std::env::var("QDRANT_URL") {
            return Self {
                url,
                api_key: std::env::var("QDRANT_API_KEY").ok(),
                child: None,
            };
        }
        let mut child = Command::new(python().await)
            .arg(Path::new(SCRIPTS).join("server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the loopback server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let line = lines.next_line().await.expect("its output");
        let line = line.expect("the loopback server ended at once; its errors are above");
        let said: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
        Self {
            url: format!("http://127.0.0.1:{}", said["port"]),
            api_key: None,
            child: Some(child),
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
