//! The machine's package manager: which command installs Python's pip here, and whether we may run it.
//!
//! Nothing is installed unless the operator allows it: by default the command is only named.

use std::process::Command;

use crate::command::run;
use crate::progress::ProgressSink;

/// Whether a missing system package may be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PackageInstall {
    /// Say what is missing, and the command that installs it.
    #[default]
    Never,
    /// Run that command, where we may: as root on Debian.
    Allowed,
}

/// Package managers, and the command of each that installs pip.
const INSTALL_PIP: &[(&str, &str)] = &[
    ("apt-get", "apt-get install -y python3-pip"),
    ("dnf", "dnf install -y python3-pip"),
    ("apk", "apk add py3-pip"),
    ("pacman", "pacman -S python-pip"),
    ("brew", "brew install python"),
];

impl PackageInstall {
    /// Allowed where `BROADSHEET_INSTALL_PACKAGES` is set to `true`, as in the test command and in CI.
    pub fn from_env() -> Self {
        match std::env::var("BROADSHEET_INSTALL_PACKAGES").as_deref() {
            Ok("true") => Self::Allowed,
            _ => Self::Never,
        }
    }
}

/// The command that installs pip on this machine, for a person to run.
pub(crate) fn pip_command() -> String {
    let known = INSTALL_PIP.iter().find(|(manager, _)| is_on_path(manager));
    let command = known.map_or(INSTALL_PIP[0].1, |(_, command)| command);
    let needs_root = known.is_none_or(|(manager, _)| *manager != "brew");
    if needs_root && !nix::unistd::geteuid().is_root() {
        format!("sudo {command}")
    } else {
        command.to_owned()
    }
}

/// Installs pip with apt-get.
pub(crate) fn install_pip(report: ProgressSink<'_>) -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() || !is_on_path("apt-get") {
        return Err("a package can be installed only as root on Debian".to_owned());
    }
    report("installing python3-pip with apt-get, because python3 has no working pip");
    // The lists may be absent (a fresh container) or fine without a refresh (an offline mirror): a failure here decides nothing.
    let _ = run(Command::new("apt-get").args(["update", "-q"]));
    let mut install = Command::new("apt-get");
    install
        .args(["install", "-y", "-q", "--no-install-recommends", "python3-pip"])
        .env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut install).map(drop)
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
