//! Python packages of other makers, pinned by hash and installed once into the user's cache.
//!
//! Nothing is installed for the user's own Python.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use uuid::Uuid;

/// A Python that has what a requirements file names, installed on first use.
pub fn with(name: &str, requirements: &Path) -> PathBuf {
    let content = std::fs::read(requirements).unwrap();
    let version = Uuid::new_v5(&Uuid::NAMESPACE_OID, &content).simple();
    let environment = cache().join(format!("venv-{name}-{version}"));
    if !environment.exists() {
        install(&environment, requirements);
    }
    environment.join("bin/python3")
}

/// A Python for the scripts in `tests/python`.
pub fn python() -> PathBuf {
    with("tests", &script("requirements.txt"))
}

/// A file in `tests/python`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name)
}

/// Installs beside and renames, so that nobody meets half an environment. Of two at once the first stays.
fn install(environment: &Path, requirements: &Path) {
    std::fs::create_dir_all(cache()).unwrap();
    let beside = tempfile::tempdir_in(cache()).unwrap();
    run(Command::new("python3").args(["-m", "venv"]).arg(beside.path()));
    run(Command::new(beside.path().join("bin/python3"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(["--require-hashes", "--only-binary", ":all:", "-r"])
        .arg(requirements));
    if let Err(error) = std::fs::rename(beside.path(), environment) {
        assert!(environment.exists(), "{}: {error}", environment.display());
    }
}

fn run(command: &mut Command) {
    let status = command.status();
    assert!(
        status.as_ref().is_ok_and(ExitStatus::success),
        "Python packages were not installed ({status:?}); python3 (3.11 or newer) with its venv module and a package \
         index are needed"
    );
}

fn cache() -> PathBuf {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("BROADSHEET_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("broadsheet")))
        .or_else(|| set("HOME").map(|folder| folder.join(".cache/broadsheet")))
        .expect("HOME, XDG_CACHE_HOME or BROADSHEET_CACHE is set")
}
