//! Supervises one child process: starts it, waits for it, starts it again when it dies, and ends it on request.
//!
//! Each child has a thread of its own for as long as it is supervised, because the kernel's parent-death signal is tied to
//! the thread that spawned it. The end of that thread, also by a panic, is reported by [`ChildSupervisor::ended`]. Whether
//! the child does its work is not checked here.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;
use tracing::{error, warn};

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);
/// A child that lived this long starts again with the first back-off.
const STEADY: Duration = Duration::from_mins(1);
/// Time to end by itself after SIGTERM: the platform stops within five seconds.
const GRACE: Duration = Duration::from_secs(2);

/// What to run, and the files that belong to it.
#[derive(Debug)]
pub(crate) struct ChildCommand {
    pub name: &'static str,
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    /// Its working directory.
    pub folder: PathBuf,
    /// This program, whose subcommand becomes the server; see [`crate::become_supervised_child`].
    pub launcher: Option<PathBuf>,
    pub log_file: PathBuf,
    pub pid_file: PathBuf,
}

impl ChildCommand {
    fn spawn(&self) -> io::Result<Child> {
        let log = File::options().create(true).append(true).open(&self.log_file)?;
        let mut command = match &self.launcher {
            Some(launcher) => {
                let mut command = Command::new(launcher);
                command
                    .arg("supervised-child")
                    .arg(std::process::id().to_string())
                    .arg("--")
                    .arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        // A process group of its own: Ctrl-C in a terminal must reach the platform first, so that it can finish its work.
        command.args(&self.arguments).process_group(0);
        command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
    }
}

/// Whether a death is answered by a new start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not yet known to work: a death is final.
    Starting,
    Serving,
    Stopping,
}

#[derive(Debug)]
struct ChildState {
    phase: Phase,
    pid: Option<Pid>,
}

#[derive(Debug)]
struct SharedChild {
    state: Mutex<ChildState>,
    changed: Condvar,
}

impl SharedChild {
    fn lock(&self) -> MutexGuard<'_, ChildState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the back-off or for the stop, and returns the phase then.
    fn pause(&self, backoff: Duration) -> Phase {
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), backoff, |state| state.phase != Phase::Stopping);
        waited.unwrap_or_else(PoisonError::into_inner).0.phase
    }
}

/// One supervised child. Dropping it tells the child to end, without waiting.
#[derive(Debug)]
pub(crate) struct ChildSupervisor {
    name: &'static str,
    shared: Arc<SharedChild>,
    /// How the child ended, once it has ended for good.
    ended: watch::Receiver<Option<String>>,
}

impl ChildSupervisor {
    /// Starts the child. Until [`ChildSupervisor::confirm`] its death is final.
    pub fn start(command: ChildCommand) -> io::Result<Self> {
        let name = command.name;
        let state = Mutex::new(ChildState {
            phase: Phase::Starting,
            pid: None,
        });
        let shared = Arc::new(SharedChild {
            state,
            changed: Condvar::new(),
        });
        let (ended_sender, ended) = watch::channel(None);
        let shared_with_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(format!("child-{name}"))
            .spawn(move || {
                let death = supervise(&command, &shared_with_thread);
                ended_sender.send_replace(Some(death));
            })?;
        Ok(Self { name, shared, ended })
    }

    /// The child works: from now on it is started again when it dies.
    pub fn confirm(&self) {
        let mut state = self.shared.lock();
        if state.phase == Phase::Starting {
            state.phase = Phase::Serving;
        }
    }

    /// Waits until the child has ended for good, and says how.
    pub fn ended(&self) -> impl Future<Output = String> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            match ended.wait_for(Option::is_some).await {
                Ok(death) => death.clone().unwrap_or_default(),
                Err(_) => "the thread that supervises it panicked".to_owned(),
            }
        }
    }

    /// Ends the child: SIGTERM, then SIGKILL when it does not follow. Returns when it is gone.
    pub async fn stop(&self) {
        self.signal_end(Signal::SIGTERM);
        if tokio::time::timeout(GRACE, self.ended()).await.is_err() {
            warn!(server = self.name, grace = ?GRACE, "server did not end on SIGTERM, killing it");
            self.signal_end(Signal::SIGKILL);
            self.ended().await;
        }
    }

    fn signal_end(&self, signal: Signal) {
        let mut state = self.shared.lock();
        state.phase = Phase::Stopping;
        if let Some(pid) = state.pid {
            // Fails only when the child has just ended, which is what is wanted.
            let _ = kill(pid, signal);
        }
        self.shared.changed.notify_all();
    }
}

impl Drop for ChildSupervisor {
    fn drop(&mut self) {
        self.signal_end(Signal::SIGTERM);
    }
}

/// What the thread does. Returns how the child ended for good.
fn supervise(command: &ChildCommand, shared: &SharedChild) -> String {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let began = Instant::now();
        let death = match run_once(command, shared) {
            Ok(status) => format!("ended with {status}"),
            Err(error) => format!("could not be started: {error}"),
        };
        if shared.lock().phase != Phase::Serving {
            return death;
        }
        if began.elapsed() > STEADY {
            backoff = FIRST_BACKOFF;
        }
        warn!(server = command.name, death, ?backoff, log = %command.log_file.display(), "server died, starting it again");
        if shared.pause(backoff) == Phase::Stopping {
            return death;
        }
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}

/// Starts the child and waits until it ends.
fn run_once(command: &ChildCommand, shared: &SharedChild) -> io::Result<ExitStatus> {
    let mut child = {
        // Held during the start, so that a stop comes either before it or with a process id to signal.
        let mut state = shared.lock();
        if state.phase == Phase::Stopping {
            return Err(io::Error::other("it was stopped before it started"));
        }
        let child = command.spawn()?;
        state.pid = i32::try_from(child.id()).ok().map(Pid::from_raw);
        child
    };
    if let Err(problem) = fs::write(&command.pid_file, child.id().to_string()) {
        error!(path = %command.pid_file.display(), %problem, "pid file cannot be written");
    }
    let status = child.wait();
    shared.lock().pid = None;
    // One that stays behind is recognised as stale by the next start.
    let _ = fs::remove_file(&command.pid_file);
    status
}
