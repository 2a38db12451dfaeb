//! A supervisor that is killed leaves no server behind.
//!
//! Without the test harness, because this one program plays all parts: the test, the supervisor that is killed, and the
//! supervisor's launcher.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test, though the harness does not know it"
)]

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use standalone::{Children, DataFolder, Programs, Toolbox, become_supervised_child};

fn main() {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match arguments.get(1).and_then(|argument| argument.to_str()) {
        Some("supervised-child") => {
            let parent = arguments[2].to_str().unwrap().parse().unwrap();
            panic!("{}", become_supervised_child(parent, &arguments[4], &arguments[5..]));
        }
        Some("supervisor") => supervise(&arguments[2]),
        // What a test runner calls beside a plain run.
        Some("--list") => println!("a_killed_supervisor_leaves_no_server: test"),
        _ => a_killed_supervisor_leaves_no_server(),
    }
}

#[tokio::main]
async fn supervise(folder: &OsString) {
    let data = DataFolder::open(folder.as_ref()).unwrap();
    let toolbox = Toolbox::from_env();
    let programs = Programs {
        nats: Some(toolbox.nats_server().unwrap()),
        redis: Some(toolbox.redis_server().unwrap()),
        qdrant: None,
    };
    let children = Children::start(&data, programs, Some(std::env::current_exe().unwrap()))
        .await
        .unwrap();
    println!("ready");
    std::future::pending::<()>().await;
    drop(children);
}

fn a_killed_supervisor_leaves_no_server() {
    if !cfg!(target_os = "linux") {
        println!("skipped: only Linux tells children that their parent has died");
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let mut supervisor = Command::new(std::env::current_exe().unwrap())
        .arg("supervisor")
        .arg(temporary.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(supervisor.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    assert_eq!(ready, "ready\n");
    let pids = ["nats.pid", "redis.pid"].map(|name| std::fs::read_to_string(temporary.path().join(name)).unwrap());
    assert!(pids.iter().all(|pid| is_running(pid)));

    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    for pid in &pids {
        let gone = (0..1_500).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            !is_running(pid)
        });
        assert!(gone, "server {pid} outlived its supervisor");
    }
    println!("a_killed_supervisor_leaves_no_server: ok");
}

fn is_running(pid: &str) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|arguments| !arguments.is_empty())
}
