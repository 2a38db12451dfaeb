//! Both servers for real: started, reached, started again after a kill, taken over, and gone at the end.

#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use standalone::{Children, DataFolder, Programs, SuperviseError, Toolbox};

fn programs() -> Programs {
    let toolbox = Toolbox::from_env();
    Programs {
        nats: Some(toolbox.nats_server().unwrap()),
        redis: Some(toolbox.redis_server().unwrap()),
        qdrant: None,
    }
}

fn pid_in(path: &Path) -> Option<i32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A zombie that nobody has collected is gone as well.
fn is_running(pid: i32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|arguments| !arguments.is_empty())
}

async fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1_500 {
        if let Some(value) = probe() {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never happened: {what}");
}

/// Sends a line where one is given, to Redis with its password before it, and returns the first line of the answer.
fn ask(url: &str, line: &str) -> Option<String> {
    let (password, address) = url.split_once("://").unwrap().1.rsplit_once('@').unwrap();
    let mut stream = TcpStream::connect(address).ok()?;
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut answer = String::new();
    if let Some(password) = password.strip_prefix(':') {
        stream.write_all(format!("AUTH {password}\r\n").as_bytes()).ok()?;
        answers.read_line(&mut answer).ok()?;
        assert_eq!(answer, "+OK\r\n");
        answer.clear();
    }
    stream.write_all(line.as_bytes()).ok()?;
    answers.read_line(&mut answer).ok()?;
    (!answer.is_empty()).then(|| answer.trim_end().to_owned())
}

#[tokio::test]
async fn servers_answer_survive_a_kill_and_end() {
    let temporary = tempfile::tempdir().unwrap();
    let data = DataFolder::open(&temporary.path().join("a folder")).unwrap();
    let children = Children::start(&data, programs(), None).await.unwrap();
    let (nats, redis) = (children.nats_url().unwrap(), children.redis_url().unwrap());
    let banner = ask(&nats, "").unwrap();
    assert!(
        banner.starts_with("INFO ") && banner.contains("\"jetstream\":true"),
        "{banner}"
    );
    assert_eq!(ask(&redis, "SET kept 1\r\n").as_deref(), Some("+OK"));
    assert_eq!(ask(&redis, "CONFIG GET appendonly\r\n").as_deref(), Some("*2"));

    let pid_files: [PathBuf; 2] = ["nats.pid", "redis.pid"].map(|name| data.root().join(name));
    for pid_file in &pid_files {
        let old = pid_in(pid_file).unwrap();
        kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
        eventually("a new process", || pid_in(pid_file).filter(|pid| *pid != old)).await;
    }
    eventually("nats answers again", || {
        ask(&nats, "").filter(|answer| answer.starts_with("INFO "))
    })
    .await;
    let kept = eventually("redis has read its file again", || {
        ask(&redis, "EXISTS kept\r\n").filter(|answer| !answer.starts_with('-'))
    });
    assert_eq!(kept.await, ":1");

    let pids = pid_files.map(|pid_file| pid_in(&pid_file).unwrap());
    let lost = children.lost();
    children.stop().await;
    let lost = lost.await.to_string();
    assert!(lost.contains("is not running any more"), "{lost}");
    for pid in pids {
        assert!(!is_running(pid), "process {pid} is still there");
    }
    assert!(ask(&nats, "").is_none());
    assert!(!data.root().join("nats.pid").exists());
}

/// The first line that a server answers to somebody without a password.
fn stranger(url: &str, lines: &str) -> String {
    let address = url.rsplit_once('@').unwrap().1;
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(lines.as_bytes()).unwrap();
    let mut answers = BufReader::new(stream).lines().map_while(Result::ok);
    answers.find(|line| !line.starts_with("INFO ")).unwrap()
}

#[tokio::test]
async fn strangers_on_the_machine_are_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let data = DataFolder::open(temporary.path()).unwrap();
    let children = Children::start(&data, programs(), None).await.unwrap();
    let (nats, redis) = (children.nats_url().unwrap(), children.redis_url().unwrap());
    let refused = stranger(&nats, "CONNECT {\"verbose\":false}\r\nPING\r\n");
    assert_eq!(refused, "-ERR 'Authorization Violation'");
    assert!(stranger(&redis, "KEYS *\r\n").starts_with("-NOAUTH"));
    let password = redis.rsplit_once('@').unwrap().0.rsplit_once(':').unwrap().1.to_owned();
    assert!(!format!("{children:?}").contains(&password));
    for file in ["nats/nats.conf", "redis/password.conf"] {
        let mode = std::fs::metadata(data.root().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let pid = pid_in(&data.root().join("redis.pid")).unwrap();
    let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(
        !arguments.contains(&password),
        "every user of the machine sees arguments"
    );
    children.stop().await;
}

#[tokio::test]
async fn a_server_left_over_is_ended_first() {
    let temporary = tempfile::tempdir().unwrap();
    let data = DataFolder::open(temporary.path()).unwrap();
    let redis_alone = Programs {
        nats: None,
        ..programs()
    };
    // As a supervisor that was killed leaves it: running on the folder, named in the pid file, watched by nobody.
    let mut leftover = Command::new(redis_alone.redis.as_ref().unwrap())
        .args(["--port", "0", "--set-proc-title", "no", "--dir"])
        .arg(data.redis())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::fs::write(data.root().join("redis.pid"), leftover.id().to_string()).unwrap();

    let children = Children::start(&data, redis_alone, None).await.unwrap();
    assert!(leftover.try_wait().unwrap().is_some(), "the leftover still runs");
    assert_eq!(
        ask(&children.redis_url().unwrap(), "PING\r\n").as_deref(),
        Some("+PONG")
    );
    children.stop().await;
}

#[tokio::test]
async fn a_server_that_cannot_start_tells_why() {
    let temporary = tempfile::tempdir().unwrap();
    let data = DataFolder::open(temporary.path()).unwrap();
    // A shell takes none of the arguments and says so.
    let wrong = Programs {
        nats: None,
        redis: Some("/bin/sh".into()),
        qdrant: None,
    };
    let error = Children::start(&data, wrong, None).await.unwrap_err();
    assert!(
        matches!(&error, SuperviseError::Died { tail, .. } if !tail.is_empty()),
        "{error}"
    );

    let absent = Programs {
        nats: Some("/nonexistent/nats-server".into()),
        ..Programs::default()
    };
    let error = Children::start(&data, absent, None).await.unwrap_err().to_string();
    assert!(error.contains("nats could not be started: No such file"), "{error}");
}
