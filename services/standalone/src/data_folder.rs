//! The one folder that holds everything a single machine's platform keeps, and the lock that lets only one use it.
//!
//! ```text
//! nats/ redis/ index/ mail/ logs/   data of each part, and the logs of the servers
//! qdrant/                           the catalogue, where Qdrant holds it instead of index/
//! lock                              locked by the running platform; holds its process id
//! endpoint.json                     where the running platform answers (see `Endpoint`)
//! nats.pid redis.pid qdrant.pid     the servers it started
//! ```
//!
//! It never looks inside the parts' folders.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::endpoint::{Endpoint, EndpointError};

const LOCK: &str = "lock";
const PARTS: [&str; 5] = ["nats", "redis", "index", "mail", "logs"];

/// Enough to notice a full disk before any server does.
const PROBE_BYTES: usize = 64 * 1024;

/// How often a lock file may vanish under us, because its holder just stopped.
const LOCK_ATTEMPTS: usize = 10;

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    #[error("no data folder: name one with --data, or set BROADSHEET_HOME, XDG_DATA_HOME or HOME")]
    NoDefault,
    #[error("the data folder {path} is not valid UTF-8; choose another name", path = path.display())]
    NotUtf8 { path: PathBuf },
    #[error("the data folder {path} cannot be written: {source}; make it writable, free space, or name another one with --data", path = path.display())]
    NotWritable { path: PathBuf, source: io::Error },
    #[error("the data folder {path} is in use by the platform with process id {pid}; stop that one, or name another folder with --data", path = path.display())]
    Held { path: PathBuf, pid: String },
}

/// `$BROADSHEET_HOME`, else `$XDG_DATA_HOME/broadsheet`, else `~/.local/share/broadsheet`.
pub fn default_data_folder() -> Result<PathBuf, DataFolderError> {
    folder_from_env("BROADSHEET_HOME", "XDG_DATA_HOME", ".local/share").ok_or(DataFolderError::NoDefault)
}

/// `$own`, else `$xdg/broadsheet`, else `~/under_home/broadsheet`. Empty variables count as unset.
pub(crate) fn folder_from_env(own: &str, xdg: &str, under_home: &str) -> Option<PathBuf> {
    let value = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base = || value(xdg).or_else(|| value("HOME").map(|home| home.join(under_home)));
    value(own).or_else(|| base().map(|base| base.join("broadsheet")))
}

/// A data folder that exists, can be written, and is locked by this process until dropped.
#[derive(Debug)]
pub struct DataFolder {
    root: PathBuf,
    /// Holds the lock; the file itself is removed on drop.
    _lock: File,
}

impl DataFolder {
    /// Creates the folder and its parts where absent (readable by their owner alone) and locks it.
    pub fn open(path: &Path) -> Result<Self, DataFolderError> {
        let not_writable = |source| DataFolderError::NotWritable {
            path: path.to_owned(),
            source,
        };
        create_private(path).map_err(not_writable)?;
        let root = fs::canonicalize(path).map_err(not_writable)?;
        if root.to_str().is_none() {
            return Err(DataFolderError::NotUtf8 { path: root });
        }
        let lock = lock(&root)?;
        let folder = Self { root, _lock: lock };
        folder.prepare().map_err(not_writable)?;
        Ok(folder)
    }

    fn prepare(&self) -> io::Result<()> {
        for part in PARTS {
            create_private(&self.root.join(part))?;
        }
        let mut probe = tempfile::Builder::new().prefix(".probe-").tempfile_in(&self.root)?;
        probe.write_all(&vec![0x5a; PROBE_BYTES])?;
        probe.as_file().sync_all()
    }

    /// Publishes where the platform answers; readers see the old endpoint or the new one, never a part.
    pub fn write_endpoint(&self, endpoint: &Endpoint) -> Result<(), EndpointError> {
        endpoint.write(&self.root)
    }

    /// Withdraws the endpoint on a clean stop. Fine when there is none; one that stays is recognised as dead.
    pub fn remove_endpoint(&self) {
        if let Err(error) = Endpoint::remove(&self.root) {
            tracing::warn!(%error, "cannot withdraw the endpoint");
        }
    }

    /// The endpoint of the platform that runs with a folder, which need not be ours.
    pub fn endpoint(folder: &Path) -> Result<Endpoint, EndpointError> {
        Endpoint::read(folder)
    }

    /// Absolute, with symbolic links resolved.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where JetStream keeps its streams.
    pub fn nats(&self) -> PathBuf {
        self.root.join("nats")
    }

    /// Where Redis keeps its append-only file.
    pub fn redis(&self) -> PathBuf {
        self.root.join("redis")
    }

    /// Where the embedded store keeps the catalogue.
    pub fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// Where a Qdrant server keeps the catalogue; made when there is one.
    pub fn qdrant(&self) -> PathBuf {
        self.root.join("qdrant")
    }

    /// The maildir used when no SMTP server is configured.
    pub fn mail(&self) -> PathBuf {
        self.root.join("mail")
    }

    /// Logs of the supervised servers.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        // Still locked here, so nobody else can hold this file; whoever waits for it sees that it is gone and creates a new one.
        if let Err(error) = fs::remove_file(self.root.join(LOCK)) {
            tracing::warn!(path = %self.root.display(), %error, "cannot remove the lock file");
        }
    }
}

fn create_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn lock(root: &Path) -> Result<File, DataFolderError> {
    let path = root.join(LOCK);
    let not_writable = |source| DataFolderError::NotWritable {
        path: root.to_owned(),
        source,
    };
    for _ in 0..LOCK_ATTEMPTS {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(not_writable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(held(root, file)),
            Err(fs::TryLockError::Error(error)) => return Err(not_writable(error)),
        }
        if !is_same_file(&file, &path) {
            continue;
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(not_writable)?;
        write!(file, "{}", std::process::id()).map_err(not_writable)?;
        return Ok(file);
    }
    Err(DataFolderError::Held {
        path: root.to_owned(),
        pid: "unknown".to_owned(),
    })
}

fn held(root: &Path, mut file: File) -> DataFolderError {
    let mut pid = String::new();
    if file.read_to_string(&mut pid).is_err() || pid.trim().is_empty() {
        "unknown".clone_into(&mut pid);
    }
    DataFolderError::Held {
        path: root.to_owned(),
        pid: pid.trim().to_owned(),
    }
}

/// Whether the opened file is still the one at the path: its last holder removes it while holding the lock.
fn is_same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => ours.dev() == there.dev() && ours.ino() == there.ino(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_user_is_refused_with_the_process_id_of_the_first() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("deep/data");
        let first = DataFolder::open(&path).unwrap();
        let refused = DataFolder::open(&path).unwrap_err().to_string();
        assert!(
            refused.contains(&format!("process id {}", std::process::id())),
            "{refused}"
        );
        assert!(refused.contains(&path.display().to_string()), "{refused}");
        drop(first);
        assert!(!path.join(LOCK).exists(), "no lock stays behind");
        DataFolder::open(&path).unwrap();
    }

    #[test]
    fn a_lock_left_by_a_killed_platform_does_not_matter() {
        let temporary = tempfile::tempdir().unwrap();
        fs::write(temporary.path().join(LOCK), "999999999999").unwrap();
        let folder = DataFolder::open(temporary.path()).unwrap();
        assert_eq!(
            fs::read_to_string(folder.root().join(LOCK)).unwrap(),
            std::process::id().to_string()
        );
    }

    #[test]
    fn every_part_exists_and_only_its_owner_may_look() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(&temporary.path().join("data")).unwrap();
        for part in [
            folder.nats(),
            folder.redis(),
            folder.index(),
            folder.mail(),
            folder.logs(),
        ] {
            assert_eq!(fs::metadata(&part).unwrap().mode() & 0o777, 0o700, "{}", part.display());
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_refused_by_name() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below"), PathBuf::from("/proc/broadsheet")] {
            let refused = DataFolder::open(&path).unwrap_err();
            assert!(
                matches!(&refused, DataFolderError::NotWritable { path: named, .. } if *named == path),
                "{refused}"
            );
        }
    }

    #[test]
    fn many_openers_at_once_end_with_exactly_one_holder() {
        let temporary = tempfile::tempdir().unwrap();
        let holders: Vec<_> = std::thread::scope(|scope| {
            let openers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| DataFolder::open(temporary.path()).ok()))
                .collect();
            openers
                .into_iter()
                .filter_map(|opener| opener.join().unwrap())
                .collect()
        });
        assert_eq!(holders.len(), 1);
    }
}
