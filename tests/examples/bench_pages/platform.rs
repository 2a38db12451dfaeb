//! The release binary over a folder, as a process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use standalone::DataFolder;

pub struct Platform {
    child: Child,
    endpoint: standalone::Endpoint,
}

impl Platform {
    /// Starts it with the static model and waits until it is ready.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(binary()?);
        command.args(["up", "--data"]).arg(folder);
        for section in ["GRPC", "ADMIN", "WEB"] {
            command.env(format!("BROADSHEET_{section}__LISTEN"), "127.0.0.1:0");
        }
        command.env("BROADSHEET_TELEMETRY__LOG", "warn");
        command.env("BROADSHEET_EMBEDDING__MODEL", "static");
        // Votes without cookies count at once.
        command.env("BROADSHEET_WEB__READER_MINUTES", "0");
        command.env("QDRANT_URL", "");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let deadline = Instant::now() + Duration::from_mins(5);
        let endpoint = loop {
            if let Ok(endpoint) = DataFolder::endpoint(folder)
                && endpoint.pid == child.id()
            {
                break endpoint;
            }
            if let Some(status) = child.try_wait()? {
                bail!("the platform ended: {status}");
            }
            ensure!(Instant::now() < deadline, "the platform is not ready");
            std::thread::sleep(Duration::from_millis(5));
        };
        Ok(Self { child, endpoint })
    }

    /// Where the pages are.
    pub fn web(&self) -> String {
        self.endpoint.web.clone()
    }

    /// Takes papers in and returns when they can be found. Lines that are refused (exit status 65) are told of and left out.
    pub fn ingest(&self, papers: &Path) -> anyhow::Result<()> {
        let status = Command::new(binary()?)
            .arg("ingest")
            .arg(papers)
            .args(["--wait", "--wait-timeout", "1800", "--endpoint", &self.endpoint.grpc])
            .stdout(Stdio::null())
            .status()?;
        ensure!(
            status.success() || status.code() == Some(65),
            "the papers were not taken in: {status}"
        );
        Ok(())
    }

    /// Resident memory of the process, without the servers it supervises.
    pub fn rss_mb(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .context("VmRSS")?;
        let kilobytes: u64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
        Ok(kilobytes / 1_024)
    }

    /// Stops it.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id())?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        ensure!(self.child.wait()?.success(), "the platform did not end well");
        Ok(())
    }
}

/// One that was not stopped, because something failed, goes with this process.
impl Drop for Platform {
    fn drop(&mut self) {
        // Its servers end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `target/release/examples/<this>` -> `target/release/broadsheet`.
fn binary() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let profile = this.parent().and_then(Path::parent).context("a folder")?;
    let binary = profile.join("broadsheet");
    ensure!(binary.exists(), "{} is not built", binary.display());
    Ok(binary)
}
