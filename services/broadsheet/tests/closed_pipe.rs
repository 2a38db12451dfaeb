//! What is printed into a pipe that nobody reads any more.

use std::process::{Command, Stdio};

/// Runs a command whose standard output is closed before it writes: its exit status and what it says about it.
fn run_into_closed_pipe(arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_broadsheet"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command");
    drop(child.stdout.take());
    drop(child.stdin.take());
    let ended = child.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    (ended.status.code(), said)
}

#[test]
fn output_into_a_closed_pipe_ends_quietly() {
    for arguments in [
        &["up", "--print-config"][..],
        &["nats", "permissions"],
        &["sources", "example"],
    ] {
        let (status, said) = run_into_closed_pipe(arguments);
        assert_eq!((status, said.as_str()), (Some(0), ""), "{arguments:?}");
    }
}
