//! The release binary over a folder, as a process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use standalone::DataFolder;

pub struct Platform {
    child: Child,
    folder: PathBuf,
    endpoint: standalone::Endpoint,
}

impl Platform {
    /// Starts it and waits until it is ready.
    pub fn start(folder: PathBuf, model: &str) -> anyhow::Result<Self> {
        Self::start_with(folder, model, &[])
    }

    /// The same with more environment.
    pub fn start_with(folder: PathBuf, model: &str, environment: &[(&str, String)]) -> anyhow::Result<Self> {
        let mut command = Command::new(binary()?);
        command.args(["up", "--data"]).arg(&folder);
        for section in ["GRPC", "ADMIN", "WEB"] {
            command.env(format!("BROADSHEET_{section}__LISTEN"), "127.0.0.1:0");
        }
        command.env("BROADSHEET_TELEMETRY__LOG", "warn");
        command.env("BROADSHEET_EMBEDDING__MODEL", model);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let deadline = Instant::now() + Duration::from_mins(5);
        let endpoint = loop {
            if let Ok(endpoint) = DataFolder::endpoint(&folder)
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
        Ok(Self {
            child,
            folder,
            endpoint,
        })
    }

    pub fn grpc(&self) -> String {
        self.endpoint.grpc.clone()
    }

    /// Runs a command against it. Lines that are refused (exit status 65) are told of and left out.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let status = Command::new(binary()?)
            .args(arguments)
            .args(["--endpoint", &self.endpoint.grpc])
            .stdout(Stdio::null())
            .status()?;
        let refused = arguments.first() == Some(&"ingest") && status.code() == Some(65);
        ensure!(status.success() || refused, "{arguments:?} ended with {status}");
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

    /// Prints how long the parts of a search took on average.
    pub fn print_parts(&self) {
        let (_, metrics) = tests::get(&format!("{}/metrics", self.endpoint.admin));
        let value = |name: &str| -> f64 {
            let line = metrics.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
                .unwrap_or(f64::NAN)
        };
        let seconds = "broadsheet_indexing_search_seconds";
        let mean = value(&format!("{seconds}_sum")) / value(&format!("{seconds}_count"));
        println!(
            "both rounds in the store and the ranking: {:.2} ms on average over all loads",
            mean * 1_000.0
        );
    }

    /// Stops it, and says where its data is.
    pub fn stop(mut self) -> anyhow::Result<PathBuf> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id())?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        ensure!(self.child.wait()?.success(), "the platform did not end well");
        Ok(std::mem::take(&mut self.folder))
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

/// Unpacks a file of JSON lines, or the first of them. Some papers have a whole list of subject codes as one category, which is
/// longer than a category may be; it is left out.
pub fn unpack(from: &Path, to: &Path, most: Option<usize>) -> anyhow::Result<()> {
    let packed = std::fs::File::open(from)?;
    let unpacked = ruzstd::decoding::StreamingDecoder::new(BufReader::new(packed))?;
    let mut out = std::io::BufWriter::new(std::fs::File::create(to)?);
    for line in BufReader::new(unpacked).lines().take(most.unwrap_or(usize::MAX)) {
        let mut paper: serde_json::Value = serde_json::from_str(&line?)?;
        if let Some(categories) = paper["categories"].as_array_mut() {
            categories.retain(|category| category.as_str().is_some_and(|category| category.len() <= 64));
        }
        writeln!(out, "{paper}")?;
    }
    out.flush()?;
    Ok(())
}
