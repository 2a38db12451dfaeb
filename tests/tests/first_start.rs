//! The first start: quiet when all is well, and clear about what is missing when it is not.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tests::{Platform, Ran, binary, ran};

#[test]
fn a_first_start_logs_no_warning() {
    let (data, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = logs.path().join("log");
    let platform = Platform::start_logged(data.path(), &log);
    platform.must(&["status"]);
    assert_eq!(platform.stop(), 0);
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("INFO"), "the log is in another place: {text}");
    let loud: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("WARN") || line.contains("ERROR"))
        .collect();
    assert!(loud.is_empty(), "{}", loud.join("\n"));
}

/// Runs a command on a machine that has an apt-get, which notes that it was called, and nothing else.
fn run_on_a_bare_machine(machine: &Path, arguments: &[&str]) -> Ran {
    let programs = machine.join("bin");
    std::fs::create_dir_all(&programs).unwrap();
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> '{}'\nexit 1\n",
        machine.join("calls").display()
    );
    std::fs::write(programs.join("apt-get"), script).unwrap();
    std::fs::set_permissions(programs.join("apt-get"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(binary());
    command.args(arguments).arg("--data").arg(machine.join("data"));
    command.env_clear().env("HOME", machine).env("PATH", programs);
    ran(command.output().unwrap())
}

#[test]
fn a_missing_package_is_named_and_not_installed_unasked() {
    let machine = tempfile::tempdir().unwrap();
    let calls = machine.path().join("calls");
    for command in [["up"].as_slice(), &["demo", "--once"]] {
        let refused = run_on_a_bare_machine(machine.path(), command);
        assert_eq!(refused.status, 1, "{refused:?}");
        assert!(refused.err.contains("apt-get install -y python3-pip"), "{refused:?}");
        assert!(!calls.exists(), "{command:?} called apt-get");
    }
    // Only root can install; anybody else is told so.
    let allowed = run_on_a_bare_machine(machine.path(), &["up", "--install-packages"]);
    assert_eq!(allowed.status, 1, "{allowed:?}");
    assert_eq!(
        std::fs::read_to_string(&calls).is_ok_and(|calls| calls.contains("python3-pip")),
        nix::unistd::geteuid().is_root(),
        "{allowed:?}"
    );
}
