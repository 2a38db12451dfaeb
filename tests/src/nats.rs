//! A nats-server of a test's own, with users, rights and TLS as the test says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use standalone::Toolbox;
use tempfile::TempDir;

use crate::services::free_ports;
use crate::{PATIENCE, binary, ran, until};

/// The server. It ends with the test.
pub struct NatsServer {
    process: Child,
    folder: TempDir,
    /// Where it listens on loopback.
    pub port: u16,
}

/// The password of a user of [`NatsServer::with_permissions`].
pub fn password_of(user: &str) -> String {
    format!("p4ss-of-{user}")
}

impl NatsServer {
    /// With the users and rights that `broadsheet nats permissions` prints.
    pub async fn with_permissions() -> Self {
        let printed = ran(Command::new(binary()).args(["nats", "permissions"]).output().unwrap());
        assert_eq!(printed.status, 0, "{printed:?}");
        Self::start(&printed.out).await
    }

    /// With this in its configuration, beside what each test needs.
    pub async fn start(config: &str) -> Self {
        let program = tokio::task::spawn_blocking(|| Toolbox::from_env().nats_server().unwrap());
        let program = program.await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let [port] = free_ports::<1>();
        write_config(&folder, port, config);
        let log = std::fs::File::create(folder.path().join("nats.log")).unwrap();
        let mut command = Command::new(program);
        for user in ["ingest", "embedding", "indexing", "notification", "operator"] {
            command.env(format!("NATS_{}_PASSWORD", user.to_uppercase()), password_of(user));
        }
        let process = command
            .arg("-c")
            .arg(config_file(&folder))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut this = Self { process, folder, port };
        until("nats-server listens", || {
            let ended = this.process.try_wait().unwrap();
            assert!(ended.is_none(), "nats-server ended: {}", this.log());
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        this
    }

    /// Its address, without a user.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Everything it said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("nats.log")).unwrap()
    }

    /// Gives it another configuration while it runs.
    pub fn reconfigure(&self, config: &str) {
        write_config(&self.folder, self.port, config);
        let reloads = || self.log().matches("Reloaded server configuration").count();
        let before = reloads();
        kill(Pid::from_raw(i32::try_from(self.process.id()).unwrap()), Signal::SIGHUP).unwrap();
        until("nats-server has read its configuration again", || {
            (reloads() > before).then_some(())
        });
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn config_file(folder: &TempDir) -> PathBuf {
    folder.path().join("nats.conf")
}

fn write_config(folder: &TempDir, port: u16, config: &str) {
    let store = folder.path().join("store").display().to_string();
    let text = format!("listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{store}\" }}\n{config}\n");
    std::fs::write(config_file(folder), text).unwrap();
}

/// How the server took something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// Let through.
    Allowed,
    /// Refused, with the server's words.
    Refused(String),
}

/// A connection that speaks NATS itself, so that each refusal belongs to one line that was sent.
pub struct RawNats {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
    inbox: String,
    requests: u32,
    /// The last message that came.
    kept: Option<Vec<u8>>,
}

impl RawNats {
    /// Connects as a user, or as nobody; an error is the server's words.
    pub fn connect(port: u16, login: Option<(&str, &str)>) -> Result<Self, String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let answers = BufReader::new(stream.try_clone().unwrap());
        let user = login.map_or("nobody", |(user, _)| user);
        let mut this = Self {
            stream,
            answers,
            inbox: format!("_INBOX_{user}.raw"),
            requests: 0,
            kept: None,
        };
        let mut connect =
            serde_json::json!({ "verbose": false, "pedantic": false, "headers": true, "no_responders": true });
        if let Some((user, password)) = login {
            connect["user"] = user.into();
            connect["pass"] = password.into();
        }
        match this.attempt(&format!("CONNECT {connect}\r\n")) {
            Taken::Allowed => Ok(this),
            Taken::Refused(why) => Err(why),
        }
    }

    /// Publishes.
    pub fn publish(&mut self, subject: &str, payload: &[u8]) -> Taken {
        let text = String::from_utf8_lossy(payload);
        self.attempt(&format!("PUB {subject} {}\r\n{text}\r\n", payload.len()))
    }

    /// Subscribes, and forgets it again.
    pub fn subscribe(&mut self, subject: &str) -> Taken {
        let taken = self.attempt(&format!("SUB {subject} 77\r\n"));
        self.attempt("UNSUB 77\r\n");
        taken
    }

    /// Sends a request to the server's API and gives its answer, or how it was refused.
    pub fn request(&mut self, subject: &str, body: &Value) -> Result<Value, String> {
        self.requests += 1;
        let inbox = format!("{}.{}", self.inbox, self.requests);
        let body = body.to_string();
        let lines = format!("SUB {inbox} 1\r\nPUB {subject} {inbox} {}\r\n{body}\r\n", body.len());
        self.kept = None;
        if let Taken::Refused(why) = self.attempt(&lines) {
            self.attempt("UNSUB 1\r\n");
            return Err(why);
        }
        let answer = self.message();
        self.attempt("UNSUB 1\r\n");
        let answer: Value = serde_json::from_slice(&answer).unwrap_or(Value::Null);
        match answer.get("error") {
            Some(error) => Err(error.to_string()),
            None => Ok(answer),
        }
    }

    /// Sends lines and a PING: whatever the server has against them it says before its PONG. Messages may come before it, too;
    /// only the last one is kept.
    fn attempt(&mut self, lines: &str) -> Taken {
        self.stream.write_all(format!("{lines}PING\r\n").as_bytes()).unwrap();
        let mut refused = None;
        loop {
            let line = self.line();
            match line.split(' ').next().unwrap_or_default() {
                "PONG" => return refused.map_or(Taken::Allowed, Taken::Refused),
                // The server hangs up behind it.
                "-ERR" if line.contains("Authorization Violation") => return Taken::Refused(line),
                "-ERR" => refused = Some(line),
                "PING" => self.stream.write_all(b"PONG\r\n").unwrap(),
                "MSG" | "HMSG" => self.keep_message(&line),
                "INFO" | "+OK" => {}
                other => panic!("nats-server says {other}"),
            }
        }
    }

    fn message(&mut self) -> Vec<u8> {
        loop {
            if let Some(kept) = self.kept.take() {
                return kept;
            }
            let line = self.line();
            match line.split(' ').next().unwrap_or_default() {
                "MSG" | "HMSG" => self.keep_message(&line),
                "PING" => self.stream.write_all(b"PONG\r\n").unwrap(),
                _ => {}
            }
        }
    }

    fn keep_message(&mut self, line: &str) {
        let length: usize = line.rsplit(' ').next().unwrap().parse().unwrap();
        let mut payload = vec![0; length + 2];
        self.answers.read_exact(&mut payload).unwrap();
        payload.truncate(length);
        self.kept = Some(payload);
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "nats-server hung up");
        line.trim_end().to_owned()
    }
}
