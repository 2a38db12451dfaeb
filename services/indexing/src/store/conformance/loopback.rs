//! A Qdrant server to test against: the one that `QDRANT_URL` names, else one made of Qdrant's own Python package on a
//! free loopback port, which ends with the test.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use uuid::Uuid;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/qdrant-loopback");

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

/// A Python with the packages, installed on first use into the user's cache.
async fn python() -> PathBuf {
    let requirements = Path::new(SCRIPTS).join("requirements.txt");
    let content = std::fs::read(&requirements).expect("the requirements");
    let version = Uuid::new_v5(&Uuid::NAMESPACE_OID, &content).simple();
    let environment = cache().join(format!("venv-qdrant-{version}"));
    if !environment.exists() {
        install(&environment, &requirements).await;
    }
    environment.join("bin/python3")
}

/// Installs beside and renames, so that nobody meets half an environment. Of two at once the first stays.
async fn install(environment: &Path, requirements: &Path) {
    std::fs::create_dir_all(cache()).expect("the cache folder");
    let beside = tempfile::tempdir_in(cache()).expect("a folder");
    run(Command::new("python3").args(["-m", "venv"]).arg(beside.path())).await;
    run(Command::new(beside.path().join("bin/python3"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(["--require-hashes", "--only-binary", ":all:", "-r"])
        .arg(requirements))
    .await;
    if let Err(error) = std::fs::rename(beside.path(), environment) {
        assert!(environment.exists(), "{}: {error}", environment.display());
    }
}

async fn run(command: &mut Command) {
    let status = command.status().await;
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "Qdrant's Python package was not installed ({status:?}); python3 (3.11 or newer) with its venv module and a \
         package index are needed, or set QDRANT_URL to a server's gRPC address"
    );
}

fn cache() -> PathBuf {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("BROADSHEET_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("broadsheet")))
        .or_else(|| set("HOME").map(|folder| folder.join(".cache/broadsheet")))
        .expect("HOME, XDG_CACHE_HOME or BROADSHEET_CACHE is set")
}
