//! The release binary over a folder, as a process, and what it costs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use standalone::DataFolder;

pub struct Platform {
    child: Child,
    endpoint: standalone::Endpoint,
}

/// Seconds of processor time: of the platform, of the servers it supervises, and of this process with its sink.
pub struct Cpu {
    pub own: f64,
    pub stores: f64,
    pub here: f64,
}

impl Cpu {
    /// What was used since then.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            own: self.own - before.own,
            stores: self.stores - before.stores,
            here: self.here - before.here,
        }
    }
}

impl Platform {
    /// Starts it with the static model and waits until it is ready.
    pub fn start(folder: &Path, environment: &[(&str, String)]) -> anyhow::Result<Self> {
        let mut command = Command::new(binary()?);
        command.args(["up", "--data"]).arg(folder);
        for section in ["GRPC", "ADMIN", "WEB"] {
            command.env(format!("BROADSHEET_{section}__LISTEN"), "127.0.0.1:0");
        }
        command.env("BROADSHEET_TELEMETRY__LOG", "warn");
        command.env("BROADSHEET_EMBEDDING__MODEL", "static");
        command.envs(environment.iter().map(|(name, value)| (name, value)));
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

    pub fn grpc(&self) -> String {
        self.endpoint.grpc.clone()
    }

    /// Digests that held nothing, so that none was sent.
    pub fn empty(&self) -> usize {
        let of = |channel: &str| {
            let series = format!("broadsheet_notification_digests_total{{channel=\"{channel}\",outcome=\"empty\"}}");
            tests::counted(&self.endpoint.admin, &series)
        };
        usize::try_from(of("mail") + of("webhook")).unwrap_or(0)
    }

    /// Runs a command against it. Lines that are refused (exit status 65) are told of and left out.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(binary()?);
        command
            .args(arguments)
            .args(["--endpoint", &self.endpoint.grpc])
            .stdout(Stdio::null());
        let status = command.status()?;
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

    /// What was used so far.
    pub fn cpu(&self) -> anyhow::Result<Cpu> {
        let mut cpu = Cpu {
            own: 0.0,
            stores: 0.0,
            here: 0.0,
        };
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let Some((parent, seconds)) = times(pid) else {
                continue;
            };
            if pid == self.child.id() {
                cpu.own = seconds;
            } else if parent == self.child.id() {
                cpu.stores += seconds;
            } else if pid == std::process::id() {
                cpu.here = seconds;
            }
        }
        Ok(cpu)
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

/// Parent and seconds of a process, from `/proc/<pid>/stat` (proc(5)); a tick is a hundredth of a second on Linux.
fn times(pid: u32) -> Option<(u32, f64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some((fields.get(1)?.parse().ok()?, (ticks(11)? + ticks(12)?) / 100.0))
}

/// `target/release/examples/<this>` -> `target/release/broadsheet`.
fn binary() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let profile = this.parent().and_then(Path::parent).context("a folder")?;
    let binary = profile.join("broadsheet");
    ensure!(binary.exists(), "{} is not built", binary.display());
    Ok(binary)
}

/// Unpacks the first lines of a file of papers and answers their titles.
pub fn unpack(from: &Path, to: &Path, most: usize) -> anyhow::Result<Vec<String>> {
    let packed = std::fs::File::open(from)?;
    let unpacked = ruzstd::decoding::StreamingDecoder::new(BufReader::new(packed))?;
    let mut out = std::io::BufWriter::new(std::fs::File::create(to)?);
    let mut titles = Vec::with_capacity(most);
    for line in BufReader::new(unpacked).lines().take(most) {
        let mut paper: serde_json::Value = serde_json::from_str(&line?)?;
        if let Some(categories) = paper["categories"].as_array_mut() {
            // Whole lists of subject codes as one category are longer than a category may be.
            categories.retain(|category| category.as_str().is_some_and(|category| category.len() <= 64));
        }
        titles.push(paper["title"].as_str().context("a title")?.to_owned());
        writeln!(out, "{paper}")?;
    }
    out.flush()?;
    Ok(titles)
}
