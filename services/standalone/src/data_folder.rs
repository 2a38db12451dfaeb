//! The one folder where a machine's data lives: its layout, its single owner, and where the running platform can be reached.
//!
//! A folder is owned through a lock that the operating system drops with its holder, so nothing is left to clean up after a
//! crash. What lies inside the sub-folders is their users' business.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    #[error("data folder {} is in use by the process with pid {pid}; stop it, or name another folder in BROADSHEET_HOME", path.display())]
    InUse { path: PathBuf, pid: String },
    #[error("data folder {} cannot be used: {source}; it must be writable and have free space", path.display())]
    Unusable { path: PathBuf, source: io::Error },
}

/// Why the running platform cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("broadsheet is not running on data folder {}; start it with `broadsheet up`", folder.display())]
    NotRunning { folder: PathBuf },
    #[error("broadsheet on data folder {} has died (pid {pid}); start it with `broadsheet up`", folder.display())]
    Dead { folder: PathBuf, pid: u32 },
    #[error("{} cannot be read: {problem}; restart the platform with `broadsheet up`", path.display())]
    Unreadable { path: PathBuf, problem: String },
}

/// `$BROADSHEET_HOME`, else `$XDG_DATA_HOME/broadsheet`, else `~/.local/share/broadsheet`.
pub fn default_data_folder() -> PathBuf {
    folder_from_env("BROADSHEET_HOME", "XDG_DATA_HOME", ".local/share")
}

/// `$own`, else `$xdg/broadsheet`, else `~/under_home/broadsheet`. Empty variables count as unset.
pub(crate) fn folder_from_env(own: &str, xdg: &str, under_home: &str) -> PathBuf {
    let value = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(folder) = value(own) {
        return folder;
    }
    let base = value(xdg).unwrap_or_else(|| value("HOME").unwrap_or_default().join(under_home));
    base.join("broadsheet")
}

/// A data folder that this process owns until the value is dropped.
#[derive(Debug)]
pub struct DataFolder {
    root: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Creates the folder where needed, takes its lock, and checks that it can be written to.
    pub fn open(path: &Path) -> Result<Self, DataFolderError> {
        let unusable = |source| DataFolderError::Unusable {
            path: path.to_owned(),
            source,
        };
        // Subscribers' addresses and mails lie inside: for the owner alone.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(unusable)?;
        let root = path.canonicalize().map_err(unusable)?;
        let mut options = OpenOptions::new();
        let mut lock = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(root.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                lock.read_to_string(&mut pid).map_err(unusable)?;
                return Err(DataFolderError::InUse {
                    path: root,
                    pid: pid.trim().to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        write_pid(&mut lock).map_err(unusable)?;
        let folder = Self { root, _lock: lock };
        for subfolder in [
            folder.nats(),
            folder.redis(),
            folder.index(),
            folder.mail(),
            folder.logs(),
        ] {
            fs::create_dir_all(&subfolder).map_err(|source| DataFolderError::Unusable {
                path: subfolder,
                source,
            })?;
        }
        folder.check_writable().map_err(unusable)?;
        Ok(folder)
    }

    /// The folder itself, absolute and without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What `nats-server` keeps: its configuration and its streams.
    pub fn nats(&self) -> PathBuf {
        self.root.join("nats")
    }

    /// What Redis keeps: its append-only file.
    pub fn redis(&self) -> PathBuf {
        self.root.join("redis")
    }

    /// What the embedded index keeps.
    pub fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// The maildir that mails go to when no relay is configured.
    pub fn mail(&self) -> PathBuf {
        self.root.join("mail")
    }

    /// Logs of the supervised servers.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// A full disk often still takes an empty file, so something is written and synced.
    fn check_writable(&self) -> io::Result<()> {
        let mut probe = tempfile::NamedTempFile::new_in(&self.root)?;
        probe.write_all(&vec![0; 1 << 16])?;
        probe.as_file().sync_all()
    }
}

fn write_pid(lock: &mut File) -> io::Result<()> {
    lock.rewind()?;
    lock.set_len(0)?;
    writeln!(lock, "{}", std::process::id())
}

/// Where the platform that runs on a data folder can be reached: the file `endpoint.json` inside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The process that serves.
    pub pid: u32,
    /// URL of the gRPC endpoint, `http://host:port`.
    pub grpc: String,
    /// URL of the web pages.
    pub web: String,
    /// URL of metrics and probes.
    pub admin: String,
    /// When it began to serve.
    pub started: Timestamp,
    /// The version of the program.
    pub version: String,
}

impl Endpoint {
    const FILE: &str = "endpoint.json";

    /// Publishes the endpoint; readers see the old file or the new one, never a part.
    pub fn write(&self, folder: &DataFolder) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder.root())?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.persist(folder.root().join(Self::FILE))?;
        Ok(())
    }

    /// Withdraws the endpoint. Fine when there is none.
    pub fn remove(folder: &DataFolder) -> io::Result<()> {
        match fs::remove_file(folder.root().join(Self::FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// The endpoint of the platform that runs on `folder`, which need not be ours.
    pub fn read(folder: &Path) -> Result<Self, EndpointError> {
        let path = folder.join(Self::FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(EndpointError::NotRunning {
                    folder: folder.to_owned(),
                });
            }
            Err(error) => {
                return Err(EndpointError::Unreadable {
                    path,
                    problem: error.to_string(),
                });
            }
        };
        let endpoint: Self = serde_json::from_slice(&text).map_err(|error| EndpointError::Unreadable {
            path,
            problem: error.to_string(),
        })?;
        if !is_alive(endpoint.pid) {
            return Err(EndpointError::Dead {
                folder: folder.to_owned(),
                pid: endpoint.pid,
            });
        }
        Ok(endpoint)
    }
}

fn is_alive(pid: u32) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    // Not permitted means that it is there, under another user.
    matches!(kill(Pid::from_raw(pid), None), Ok(()) | Err(Errno::EPERM))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(pid: u32) -> Endpoint {
        Endpoint {
            pid,
            grpc: "http://127.0.0.1:7100".to_owned(),
            web: "http://127.0.0.1:7180".to_owned(),
            admin: "http://127.0.0.1:7190".to_owned(),
            started: "2026-03-01T08:00:00Z".parse().unwrap(),
            version: "0.1.0".to_owned(),
        }
    }

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("new/data");
        let owner = DataFolder::open(&path).unwrap();
        let refusal = DataFolder::open(&path).unwrap_err().to_string();
        assert!(refusal.contains(&format!("pid {};", std::process::id())), "{refusal}");
        drop(owner);
        DataFolder::open(&path).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("file");
        fs::write(&file, "").unwrap();
        let refusal = DataFolder::open(&file.join("data")).unwrap_err().to_string();
        assert!(refusal.contains("file/data cannot be used"), "{refusal}");
    }

    #[test]
    fn an_endpoint_is_found_while_its_process_lives() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(temporary.path()).unwrap();
        let absent = Endpoint::read(temporary.path()).unwrap_err();
        assert!(matches!(absent, EndpointError::NotRunning { .. }), "{absent}");

        endpoint(std::process::id()).write(&folder).unwrap();
        assert_eq!(Endpoint::read(temporary.path()).unwrap(), endpoint(std::process::id()));

        endpoint(u32::MAX).write(&folder).unwrap();
        let dead = Endpoint::read(temporary.path()).unwrap_err().to_string();
        assert!(dead.contains("start it with `broadsheet up`"), "{dead}");

        Endpoint::remove(&folder).unwrap();
        Endpoint::remove(&folder).unwrap();
        assert!(matches!(
            Endpoint::read(temporary.path()),
            Err(EndpointError::NotRunning { .. })
        ));
    }
}
