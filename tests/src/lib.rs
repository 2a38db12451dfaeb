//! A platform under test: the real binary over its own folder and ports, spoken to as a user would.
//!
//! It knows no internals: what a test needs, it gets from the command line, gRPC, pages and the maildir.
#![expect(
    clippy::unwrap_used,
    reason = "a broken test environment should stop a test where it breaks"
)]

pub mod certificates;
pub mod data;
pub mod dkim;
pub mod dns;
pub mod feeds;
pub mod killable;
pub mod mail;
pub mod nats;
pub mod otlp;
pub mod prometheus;
pub mod proxy;
pub mod python;
pub mod qdrant;
pub mod servers;
pub mod services;
pub mod smtp;
pub mod tls_front;
pub mod transport;
pub mod webhooks;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The `broadsheet` binary.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| binaries().join("broadsheet"))
}

/// The folder of the binaries under test, built once per test program; nothing happens when they are fresh.
pub fn binaries() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--workspace", "--bins"]);
        // As this test was built: times of a debug build say nothing.
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        // What cargo tells this test about its own package changes what build scripts see: they would run again, and
        // everything above them be compiled anew, now and at the next build outside a test.
        for (name, _) in std::env::vars_os() {
            let of_this_test = ["CARGO_PKG_", "CARGO_MANIFEST_"];
            if of_this_test
                .iter()
                .any(|prefix| name.to_string_lossy().starts_with(prefix))
            {
                build.env_remove(name);
            }
        }
        assert!(
            build.status().unwrap().success(),
            "the binaries under test do not build"
        );
        // target/<profile>/deps/<this test> -> target/<profile>
        let this = std::env::current_exe().unwrap();
        this.parent().unwrap().parent().unwrap().to_owned()
    })
}

/// Asks until there is an answer: for what has no way to call us. `what` says what was waited for in vain.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// [`until`] for questions over gRPC.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, ask: impl Fn() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let answer = tokio::time::timeout(PATIENCE, asking).await;
    answer.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// Longest wait for anything, on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Status and body of a page; the status is 0 where nobody answers.
pub fn get(url: &str) -> (u16, String) {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let agent = ureq::Agent::new_with_config(config);
    match agent.get(url).call() {
        Ok(mut answer) => (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap()),
        Err(_) => (0, String::new()),
    }
}

/// Posts a form.
pub fn post(url: &str, form: &[(&str, &str)]) -> (u16, String) {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let agent = ureq::Agent::new_with_config(config);
    let mut answer = agent.post(url).send_form(form.iter().copied()).unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

/// The value of a counter, with its labels as they are printed; 0 where it is not.
pub fn counted(admin: &str, series: &str) -> u64 {
    let (_, text) = get(&format!("{admin}/metrics"));
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap())
}

/// A running platform. Dropping it ends the process at once.
pub struct Platform {
    process: Child,
    folder: PathBuf,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// Exit status.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// The one JSON object a command printed.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Platform {
    /// Starts one over a folder, on free ports, and returns when it is ready.
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// The same with more environment.
    pub fn start_with(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = up(folder);
        command.envs(environment.iter().copied());
        Self::spawn(command, folder, Stdio::inherit())
    }

    /// The same with its log in a file.
    pub fn start_logged(folder: &Path, log: &Path) -> Self {
        Self::spawn(up(folder), folder, File::create(log).unwrap().into())
    }

    /// The same from a command of the test's own, to which only folder and ports are added.
    pub fn start_command(mut command: Command, folder: &Path) -> Self {
        over(&mut command, folder);
        Self::spawn(command, folder, Stdio::inherit())
    }

    fn spawn(mut command: Command, folder: &Path, log: Stdio) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = lines.any(|line| line.unwrap().starts_with("Stop it with"));
        assert!(ready, "the platform ended before it was up: {:?}", process.wait());
        Self {
            process,
            folder: folder.to_owned(),
        }
    }

    /// Runs a client command against it.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with_input(arguments, "")
    }

    /// Runs a client command with standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        let mut client = Command::new(binary())
            .args(arguments)
            .arg("--data")
            .arg(&self.folder)
            .envs(transport::environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        client.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        ran(client.wait_with_output().unwrap())
    }

    /// Runs a client command that must succeed.
    pub fn must(&self, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {ran:?}");
        ran
    }

    /// The same with standard input.
    pub fn must_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        let ran = self.run_with_input(arguments, input);
        assert_eq!(ran.status, 0, "{arguments:?}: {ran:?}");
        ran
    }

    /// Where it can be reached: `grpc`, `web` or `admin`.
    pub fn endpoint(&self, which: &str) -> String {
        let text = std::fs::read_to_string(self.folder.join("endpoint.json")).unwrap();
        let endpoint: Value = serde_json::from_str(&text).unwrap();
        endpoint[which].as_str().unwrap().to_owned()
    }

    /// Address and port of the same.
    pub fn address(&self, which: &str) -> String {
        let url = self.endpoint(which);
        url.split_once("://").unwrap().1.to_owned()
    }

    /// Messages of papers and of attention that the bus has now.
    pub fn messages(&self) -> u64 {
        let status = self.must(&["status", "--json"]).json();
        let streams = status["streams"].as_array().unwrap().iter();
        let of_flow = streams.filter(|one| one["name"] == "PAPERS" || one["name"] == "ATTENTION");
        of_flow.map(|one| one["messages"].as_u64().unwrap()).sum()
    }

    /// Every mail it delivered into its maildir, whole.
    pub fn mails(&self) -> Vec<String> {
        mails(&self.folder)
    }

    /// The token of a link to the account of an address, which the platform has mailed.
    pub fn account_token(&self, email: &str) -> String {
        let to = format!("To: {email}\r\n");
        let links = || {
            let mails = self.mails().into_iter();
            let accounts = mails.filter(|mail| mail.contains(&to) && mail.contains("valid for one hour"));
            accounts.map(|mail| token(&mail, "preferences")).collect::<Vec<_>>()
        };
        let known = links();
        let (status, page) = post(&format!("{}/account", self.endpoint("web")), &[("email", email)]);
        assert_eq!(status, 200, "{page}");
        until("a link to the account is mailed", || {
            let now = links();
            // Two of the same second are the same.
            let fresh = now.iter().find(|link| !known.contains(link)).or(now.first()).cloned();
            fresh.filter(|_| now.len() > known.len())
        })
    }

    /// The HTML part of the digest that it delivered to an address.
    pub fn digest_of(&self, email: &str) -> String {
        let to = format!("To: {email}\r\n");
        let mut mails = raw_mails(&self.folder).into_iter();
        let digest = mails.find(|mail| mail.contains(&to) && mail.contains("List-Unsubscribe: "));
        let html = digest.as_deref().and_then(mail::html);
        html.unwrap_or_else(|| panic!("no digest with HTML to {email}: {digest:?}"))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Kills it without warning.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks it to stop and gives its exit status.
    pub fn stop(mut self) -> i32 {
        let status = Command::new("kill")
            .args(["-TERM", &self.process.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
        self.process.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // Fails where the test has ended it already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `up` over a folder on free ports, not started yet.
pub fn up(folder: &Path) -> Command {
    let mut command = Command::new(binary());
    command.arg("up");
    over(&mut command, folder);
    command
}

fn over(command: &mut Command, folder: &Path) {
    command.arg("--data").arg(folder);
    command.envs(transport::environment());
    for section in ["GRPC", "ADMIN", "WEB"] {
        command.env(format!("BROADSHEET_{section}__LISTEN"), "127.0.0.1:0");
    }
    // The cheap model, where the model is not what is tested.
    command.env("BROADSHEET_EMBEDDING__MODEL", "static");
    // On a busy machine a query may take longer than a reader would wait.
    command.env("BROADSHEET_INDEXING__EMBED_TIMEOUT_MS", "10000");
    // A server that other tests use is not shared: each platform has a catalogue of its own.
    command.env("QDRANT_URL", "");
}

/// What a finished process printed.
pub fn ran(output: Output) -> Ran {
    Ran {
        status: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Every mail in the maildir of a data folder, whole, with soft line breaks undone.
pub fn mails(folder: &Path) -> Vec<String> {
    let undone = |mail: String| {
        // What a line must not begin with is escaped, too.
        ["=\r\n", "=2E", "=46", "=3D"]
            .iter()
            .zip(["", ".", "F", "="])
            .fold(mail, |mail, (escape, plain)| mail.replace(escape, plain))
    };
    raw_mails(folder).into_iter().map(undone).collect()
}

/// The same as they went over the wire.
pub fn raw_mails(folder: &Path) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(folder.join("mail/new")) else {
        return Vec::new();
    };
    files
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect()
}

/// The token of the first link to a page in a mail.
pub fn token(mail: &str, page: &str) -> String {
    let start = mail
        .find(&format!("/{page}?token="))
        .unwrap_or_else(|| panic!("no link to {page} in {mail}"));
    let rest = &mail[start + page.len() + "/?token=".len()..];
    rest.chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        .collect()
}

/// Processes whose command line names a folder, for "nothing is left running".
pub fn processes_over(folder: &Path) -> Vec<String> {
    let needle = folder.display().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(command) = std::fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if command.contains(&needle) {
            found.push(command);
        }
    }
    found
}
