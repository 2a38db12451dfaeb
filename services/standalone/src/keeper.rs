//! Keeps one child process: starts it, waits for it, starts it again when it dies, and ends it when told to.
//!
//! Each child has a thread of its own that lives as long as the child is wanted, because the kernel's parent-death signal is
//! tied to the thread that spawned it. Whether the child does its work is not asked here.

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

/// What to run, and where its traces go.
#[derive(Debug)]
pub(crate) struct Launch {
    pub name: &'static str,
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    /// Where it works.
    pub folder: PathBuf,
    pub shim: Option<PathBuf>,
    pub log_file: PathBuf,
    pub pid_file: PathBuf,
}

impl Launch {
    fn spawn(&self) -> io::Result<Child> {
        let log = File::options().create(true).append(true).open(&self.log_file)?;
        let mut command = match &self.shim {
            Some(shim) => {
                let mut command = Command::new(shim);
                command
                    .arg("supervised-child")
                    .arg(std::process::id().to_string())
                    .arg("--")
                    .arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        // A group of its own: Ctrl-C in a terminal must reach us first, so that work in hand can be finished.
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
struct State {
    phase: Phase,
    pid: Option<Pid>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the back-off, or for the order to stop, and returns the phase then.
    fn pause(&self, backoff: Duration) -> Phase {
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), backoff, |state| state.phase != Phase::Stopping);
        waited.unwrap_or_else(PoisonError::into_inner).0.phase
    }
}

/// One kept child. Dropping it orders the child to end, without waiting.
#[derive(Debug)]
pub(crate) struct Keeper {
    name: &'static str,
    shared: Arc<Shared>,
    /// How the child ended, once it has ended for good.
    ended: watch::Receiver<Option<String>>,
}

impl Keeper {
    /// Starts the child. Until [`Keeper::confirm`] its death is final.
    pub fn start(launch: Launch) -> io::Result<Self> {
        let name = launch.name;
        let state = Mutex::new(State {
            phase: Phase::Starting,
            pid: None,
        });
        let shared = Arc::new(Shared {
            state,
            changed: Condvar::new(),
        });
        let (ended_sender, ended) = watch::channel(None);
        let shared_with_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(format!("keep-{name}"))
            .spawn(move || {
                let last_words = keep(&launch, &shared_with_thread);
                ended_sender.send_replace(Some(last_words));
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
    pub async fn ended(&self) -> String {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(last_words) => last_words.clone().unwrap_or_default(),
            Err(_) => "its keeper ended".to_owned(),
        }
    }

    /// Ends the child: SIGTERM, then SIGKILL when it does not follow. Returns when it is gone.
    pub async fn stop(&self) {
        self.order_to_end(Signal::SIGTERM);
        if tokio::time::timeout(GRACE, self.ended()).await.is_err() {
            warn!(server = self.name, grace = ?GRACE, "server did not end when asked, killing it");
            self.order_to_end(Signal::SIGKILL);
            self.ended().await;
        }
    }

    fn order_to_end(&self, signal: Signal) {
        let mut state = self.shared.lock();
        state.phase = Phase::Stopping;
        if let Some(pid) = state.pid {
            // Fails only when the child has just ended, which is what is wanted.
            let _ = kill(pid, signal);
        }
        self.shared.changed.notify_all();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.order_to_end(Signal::SIGTERM);
    }
}

/// The life of the thread. Returns how the child ended for good.
fn keep(launch: &Launch, shared: &Shared) -> String {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let began = Instant::now();
        let death = match run_once(launch, shared) {
            Ok(status) => format!("ended with {status}"),
            Err(error) => format!("could not be started: {error}"),
        };
        if shared.lock().phase != Phase::Serving {
            return death;
        }
        if began.elapsed() > STEADY {
            backoff = FIRST_BACKOFF;
        }
        warn!(server = launch.name, death, ?backoff, log = %launch.log_file.display(), "server died, starting it again");
        if shared.pause(backoff) == Phase::Stopping {
            return death;
        }
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}

/// Starts the child and waits until it ends.
fn run_once(launch: &Launch, shared: &Shared) -> io::Result<ExitStatus> {
    let mut child = {
        // Held over the start, so that an order to stop comes either before it or with a pid to signal.
        let mut state = shared.lock();
        if state.phase == Phase::Stopping {
            return Err(io::Error::other("it was told to stop"));
        }
        let child = launch.spawn()?;
        state.pid = i32::try_from(child.id()).ok().map(Pid::from_raw);
        child
    };
    if let Err(problem) = fs::write(&launch.pid_file, child.id().to_string()) {
        error!(path = %launch.pid_file.display(), %problem, "pid file cannot be written");
    }
    let status = child.wait();
    shared.lock().pid = None;
    // One that stays is recognised as stale by the next start.
    let _ = fs::remove_file(&launch.pid_file);
    status
}
