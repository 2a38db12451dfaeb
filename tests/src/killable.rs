//! A process that a test kills and starts again over the same data and port.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The process. It ends with the test.
pub struct Killable {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    running: Child,
}

impl Killable {
    /// Starts it. What it says goes to a file in the folder, all runs one after the other.
    pub fn start(
        name: &str,
        program: &Path,
        arguments: Vec<OsString>,
        environment: Vec<(String, String)>,
        folder: &Path,
    ) -> Self {
        let log = folder.join(format!("{name}.log"));
        Self {
            running: spawn(program, &arguments, &environment, &log),
            program: program.to_owned(),
            arguments,
            environment,
            log,
        }
    }

    /// Ends it without warning, and starts it again.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.running.wait().unwrap();
        self.again();
    }

    /// Starts it again if it ended by itself, as a supervisor does.
    pub fn supervise(&mut self) {
        if self.running.try_wait().unwrap().is_some() {
            self.again();
        }
    }

    /// Makes it stand still, or go on.
    pub fn signal(&self, signal: Signal) {
        // Fails where it has ended by itself.
        let _ = kill(Pid::from_raw(i32::try_from(self.running.id()).unwrap()), signal);
    }

    /// The end of what it said.
    pub fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn again(&mut self) {
        self.running = spawn(&self.program, &self.arguments, &self.environment, &self.log);
    }
}

impl Drop for Killable {
    fn drop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}

fn spawn(program: &Path, arguments: &[OsString], environment: &[(String, String)], log: &Path) -> Child {
    let log = OpenOptions::new().create(true).append(true).open(log).unwrap();
    Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
