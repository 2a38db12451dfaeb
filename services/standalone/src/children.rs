//! Starts the servers that one machine needs, waits until they answer, and ends them with the platform.
//!
//! Servers left over by a killed platform are ended first. Only the servers that are named are started, and nothing listens
//! beyond loopback.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::data_folder::DataFolder;
use crate::server::{NATS_USER, ServerKind, ServerPassword, SyncInterval, free_port};
use crate::supervisor::{ChildCommand, ChildSupervisor};

/// Recovering a large store takes a while.
const READY_DEADLINE: Duration = Duration::from_mins(1);
/// One greeting, so that a server that accepts a connection and stays silent is greeted again.
const GREETING_DEADLINE: Duration = Duration::from_secs(1);
/// Time that a leftover has to end after each signal.
const LEFTOVER_DEADLINE: Duration = Duration::from_secs(10);
/// A port that was free may be taken before the server binds it.
const START_ATTEMPTS: u32 = 3;
const LOG_TAIL_LINES: usize = 15;

/// Why a server could not be supervised.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    #[error("{} cannot be prepared for {server}: {source}", folder.display())]
    Prepare {
        server: &'static str,
        folder: PathBuf,
        source: io::Error,
    },
    #[error("{server} {death} before it was ready; the end of {}:\n{tail}", log.display())]
    Died {
        server: &'static str,
        death: String,
        log: PathBuf,
        tail: String,
    },
    #[error("{server} was not ready after {seconds} s; the end of {}:\n{tail}", log.display())]
    NotReady {
        server: &'static str,
        seconds: u64,
        log: PathBuf,
        tail: String,
    },
    #[error("the {server} of an earlier run (process id {pid}) does not end; end it by hand, then start again")]
    Leftover { server: &'static str, pid: i32 },
    #[error("{server} is not running any more and is not started again: {death}")]
    Lost { server: &'static str, death: String },
}

/// The programs to run as children; `None` where a server of the user's own is used.
#[derive(Debug, Clone, Default)]
pub struct Programs {
    /// `nats-server`.
    pub nats: Option<PathBuf>,
    /// `redis-server` or `valkey-server`.
    pub redis: Option<PathBuf>,
    /// `qdrant`.
    pub qdrant: Option<PathBuf>,
}

impl Programs {
    fn each(self) -> [(ServerKind, Option<PathBuf>); 3] {
        [
            (ServerKind::Nats, self.nats),
            (ServerKind::Redis, self.redis),
            (ServerKind::Qdrant, self.qdrant),
        ]
    }
}

#[derive(Debug)]
struct RunningServer {
    server: ServerKind,
    port: u16,
    password: ServerPassword,
    supervisor: ChildSupervisor,
}

/// The running servers. Dropping it asks them to end; [`Children::stop`] also waits for that.
#[derive(Debug)]
pub struct Children {
    running: Vec<RunningServer>,
}

impl Children {
    /// Starts the programs with their data in `data` and returns once all of them answer.
    ///
    /// `launcher` is this program's own executable, whose subcommand `supervised-child PID -- PROGRAM ARGS…` calls
    /// [`crate::become_supervised_child`]; without it a child survives a supervisor that is killed.
    pub async fn start(
        data: &DataFolder,
        programs: Programs,
        launcher: Option<PathBuf>,
    ) -> Result<Self, SuperviseError> {
        Self::start_with(data, programs, launcher, SyncInterval::default()).await
    }

    /// The same with a choice of how often NATS forces its files to disk.
    pub async fn start_with(
        data: &DataFolder,
        programs: Programs,
        launcher: Option<PathBuf>,
        sync: SyncInterval,
    ) -> Result<Self, SuperviseError> {
        let programs = programs.each();
        // Also of a server that is no longer a child of ours: it would hold the folder for ever.
        for (server, _) in &programs {
            end_leftover(data, *server).await?;
        }
        let mut children = Self { running: Vec::new() };
        for (server, program) in programs {
            let Some(program) = program else { continue };
            match start_server(data, server, &program, launcher.as_deref(), sync).await {
                Ok(running) => children.running.push(running),
                Err(error) => {
                    children.stop().await;
                    return Err(error);
                }
            }
        }
        Ok(children)
    }

    /// `nats://USER:PASSWORD@127.0.0.1:PORT`, where NATS is a child. The same for as long as it is supervised.
    pub fn nats_url(&self) -> Option<String> {
        let nats = self.running(ServerKind::Nats)?;
        let (port, password) = (nats.port, nats.password.expose());
        Some(format!("nats://{NATS_USER}:{password}@127.0.0.1:{port}"))
    }

    /// `redis://:PASSWORD@127.0.0.1:PORT`, where Redis is a child. The same for as long as it is supervised.
    pub fn redis_url(&self) -> Option<String> {
        let redis = self.running(ServerKind::Redis)?;
        Some(format!("redis://:{}@127.0.0.1:{}", redis.password.expose(), redis.port))
    }

    /// `http://127.0.0.1:PORT`, its gRPC port, where Qdrant is a child. The same for as long as it is supervised.
    pub fn qdrant_url(&self) -> Option<String> {
        let qdrant = self.running(ServerKind::Qdrant)?;
        Some(format!("http://127.0.0.1:{}", qdrant.port))
    }

    /// What Qdrant wants of its clients, where it is a child.
    pub fn qdrant_api_key(&self) -> Option<String> {
        let qdrant = self.running(ServerKind::Qdrant)?;
        Some(qdrant.password.expose().to_owned())
    }

    /// Ends all servers and waits until they are gone; one that does not end within two seconds is killed.
    pub async fn stop(self) {
        let stopping = self.running.iter().map(|running| running.supervisor.stop());
        futures::future::join_all(stopping).await;
    }

    /// Returns when a server has ended for good, stopped or not; never where there is none.
    pub fn lost(&self) -> impl Future<Output = SuperviseError> + Send + use<> {
        let ends: Vec<_> = self
            .running
            .iter()
            .map(|running| {
                let (server, ended) = (running.server.name(), running.supervisor.ended());
                Box::pin(async move {
                    let death = ended.await;
                    SuperviseError::Lost { server, death }
                })
            })
            .collect();
        async move {
            if ends.is_empty() {
                return std::future::pending().await;
            }
            futures::future::select_all(ends).await.0
        }
    }

    fn running(&self, server: ServerKind) -> Option<&RunningServer> {
        self.running.iter().find(|running| running.server == server)
    }
}

async fn start_server(
    data: &DataFolder,
    server: ServerKind,
    program: &Path,
    launcher: Option<&Path>,
    sync: SyncInterval,
) -> Result<RunningServer, SuperviseError> {
    let log_file = server.log_file(data);
    if log_file.exists() {
        let prepare = |source| SuperviseError::Prepare {
            server: server.name(),
            folder: data.logs(),
            source,
        };
        fs::rename(&log_file, log_file.with_extension("log.old")).map_err(prepare)?;
    }
    let mut attempt = 1;
    loop {
        match start_once(data, server, program, launcher, sync).await {
            Err(SuperviseError::Died { death, .. }) if attempt < START_ATTEMPTS => {
                warn!(
                    server = server.name(),
                    death, attempt, "server did not start, trying another port"
                );
                attempt += 1;
            }
            result => return result,
        }
    }
}

async fn start_once(
    data: &DataFolder,
    server: ServerKind,
    program: &Path,
    launcher: Option<&Path>,
    sync: SyncInterval,
) -> Result<RunningServer, SuperviseError> {
    let name = server.name();
    let prepare = |source| SuperviseError::Prepare {
        server: name,
        folder: data.root().to_owned(),
        source,
    };
    let folder = server.folder(data);
    fs::create_dir_all(&folder).map_err(prepare)?;
    let port = free_port().map_err(prepare)?;
    let password = ServerPassword::random();
    let log = server.log_file(data);
    let command = ChildCommand {
        name,
        program: std::path::absolute(program).map_err(prepare)?,
        folder,
        arguments: server.arguments(data, port, sync, &password).map_err(prepare)?,
        launcher: launcher.map(Path::to_owned),
        log_file: log.clone(),
        pid_file: server.pid_file(data),
    };
    let began = Instant::now();
    let supervisor = ChildSupervisor::start(command).map_err(prepare)?;
    let outcome = tokio::select! {
        death = supervisor.ended() => Err(SuperviseError::Died { server: name, death, tail: tail(&log), log }),
        () = until_ready(server, port, &password) => Ok(()),
        () = sleep(READY_DEADLINE) => {
            Err(SuperviseError::NotReady { server: name, seconds: READY_DEADLINE.as_secs(), tail: tail(&log), log })
        }
    };
    if let Err(error) = outcome {
        supervisor.stop().await;
        return Err(error);
    }
    supervisor.confirm();
    info!(server = name, port, took = ?began.elapsed(), "server is ready");
    Ok(RunningServer {
        server,
        port,
        password,
        supervisor,
    })
}

async fn until_ready(server: ServerKind, port: u16, password: &ServerPassword) {
    let mut pause = Duration::from_millis(10);
    while !timeout(GREETING_DEADLINE, server.is_ready(port, password))
        .await
        .unwrap_or(false)
    {
        // A server that is starting has no other way to call us.
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(250));
    }
}

/// Ends the server that a killed platform left on this data folder, if there is one.
async fn end_leftover(data: &DataFolder, server: ServerKind) -> Result<(), SuperviseError> {
    let pid_file = server.pid_file(data);
    let Some(pid) = fs::read_to_string(&pid_file)
        .ok()
        .and_then(|text| text.trim().parse::<i32>().ok())
    else {
        return Ok(());
    };
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        if !works_in(pid, data.root()) {
            return Ok(());
        }
        warn!(server = server.name(), pid, %signal, "ending the server of an earlier run");
        // Fails only when it has just ended.
        let _ = kill(Pid::from_raw(pid), signal);
        let deadline = Instant::now() + LEFTOVER_DEADLINE;
        while works_in(pid, data.root()) && Instant::now() < deadline {
            // It is not our child, so there is nothing to wait on.
            sleep(Duration::from_millis(20)).await;
        }
    }
    if works_in(pid, data.root()) {
        return Err(SuperviseError::Leftover {
            server: server.name(),
            pid,
        });
    }
    Ok(())
}

/// Whether the process exists and one of its arguments lies in the folder: its id may belong to another program by now.
fn works_in(pid: i32, folder: &Path) -> bool {
    if cfg!(target_os = "linux") {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments);
        return arguments
            .split('\0')
            .any(|argument| Path::new(argument).starts_with(folder));
    }
    let listed = Command::new("ps")
        .args(["-ww", "-o", "command=", "-p", &pid.to_string()])
        .output();
    listed.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(&*folder.to_string_lossy()))
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_recognised_by_a_folder_in_its_arguments() {
        let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(sleeper.id()).unwrap();
        assert!(!works_in(pid, Path::new("/data")));
        assert!(!works_in(i32::MAX, Path::new("/data")));
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();

        let mut shell = Command::new("sh")
            .args(["-c", "echo running; read -r _", "/data2/nats.conf"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Only what runs has arguments; the start returns a moment earlier.
        let mut running = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(shell.stdout.take().unwrap()), &mut running).unwrap();
        let pid = i32::try_from(shell.id()).unwrap();
        assert!(works_in(pid, Path::new("/data2")));
        assert!(!works_in(pid, Path::new("/data")), "a longer name is another folder");
        shell.kill().unwrap();
        shell.wait().unwrap();
    }

    #[test]
    fn the_tail_is_the_end_of_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let lines: Vec<String> = (1..=40).map(|line| line.to_string()).collect();
        fs::write(&log, lines.join("\n")).unwrap();
        assert_eq!(tail(&log).lines().next(), Some("26"));
        assert_eq!(tail(&log).lines().last(), Some("40"));
        assert_eq!(tail(&folder.path().join("absent")), "");
    }
}
