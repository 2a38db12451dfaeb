//! Where a running platform answers, written into its data folder so that client commands find it.
//!
//! It never decides whether the platform is healthy; it only says where it is, or that it is not running.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

const FILE: &str = "endpoint.json";

/// Why no endpoint can be had from a data folder.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("no platform is running with the data folder {folder}; start it with `broadsheet up --data {folder}`", folder = folder.display())]
    NotRunning { folder: PathBuf },
    #[error("the platform with process id {pid} that used the data folder {folder} is gone; start it again with `broadsheet up --data {folder}`", folder = folder.display())]
    Gone { folder: PathBuf, pid: u32 },
    #[error("{path} cannot be read: {source}", path = path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} is not an endpoint file: {source}", path = path.display())]
    Damaged { path: PathBuf, source: serde_json::Error },
    #[error("{path} cannot be written: {source}", path = path.display())]
    NotWritable { path: PathBuf, source: io::Error },
}

/// The addresses of a running platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub pid: u32,
    /// URL of the gRPC services.
    pub grpc: String,
    /// URL of the pages for readers.
    pub web: String,
    /// URL of `/metrics`, `/livez` and `/readyz`.
    pub admin: String,
    /// When it began to serve, RFC 3339.
    pub started: String,
    /// Version of the platform.
    pub version: String,
}

impl Endpoint {
    /// Reads the endpoint of the platform that runs with a data folder; the caller need not hold the folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, EndpointError> {
        let path = folder.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(EndpointError::NotRunning {
                    folder: folder.to_owned(),
                });
            }
            Err(source) => return Err(EndpointError::Unreadable { path, source }),
        };
        let endpoint: Self = serde_json::from_slice(&text).map_err(|source| EndpointError::Damaged { path, source })?;
        if !is_alive(endpoint.pid) {
            return Err(EndpointError::Gone {
                folder: folder.to_owned(),
                pid: endpoint.pid,
            });
        }
        Ok(endpoint)
    }

    /// Writes the file atomically: a reader sees the old one or the new one.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), EndpointError> {
        let path = folder.join(FILE);
        let written = serde_json::to_vec_pretty(self)
            .map_err(io::Error::from)
            .and_then(|mut text| {
                text.push(b'\n');
                let mut file = tempfile::Builder::new().prefix(".endpoint-").tempfile_in(folder)?;
                file.write_all(&text)?;
                file.persist(&path).map_err(|error| error.error)
            });
        written
            .map(drop)
            .map_err(|source| EndpointError::NotWritable { path, source })
    }

    /// Removes the file on a clean stop. One that is already gone is no error.
    pub(crate) fn remove(folder: &Path) -> Result<(), EndpointError> {
        let path = folder.join(FILE);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(EndpointError::NotWritable { path, source }),
            _ => Ok(()),
        }
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
    use crate::data_folder::DataFolder;

    fn endpoint(pid: u32) -> Endpoint {
        Endpoint {
            pid,
            grpc: "http://127.0.0.1:7100".to_owned(),
            web: "http://127.0.0.1:7180".to_owned(),
            admin: "http://127.0.0.1:7190".to_owned(),
            started: "2026-01-02T03:04:05Z".to_owned(),
            version: "0.1.0".to_owned(),
        }
    }

    #[test]
    fn an_endpoint_exists_while_the_platform_runs() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(temporary.path()).unwrap();
        let written = endpoint(std::process::id());
        folder.write_endpoint(&written).unwrap();
        assert_eq!(Endpoint::read(temporary.path()).unwrap(), written);
        folder.remove_endpoint();
        Endpoint::remove(folder.root()).unwrap();
        let missing = Endpoint::read(temporary.path()).unwrap_err().to_string();
        assert!(missing.contains("broadsheet up --data"), "{missing}");
    }

    #[test]
    fn a_file_left_by_a_killed_platform_is_recognised() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(temporary.path()).unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        folder.write_endpoint(&endpoint(child.id())).unwrap();
        assert!(matches!(Endpoint::read(temporary.path()), Err(EndpointError::Gone { pid, .. }) if pid == child.id()));
    }

    #[test]
    fn a_damaged_file_is_refused_by_name() {
        let temporary = tempfile::tempdir().unwrap();
        fs::write(temporary.path().join(FILE), "{").unwrap();
        let refused = Endpoint::read(temporary.path()).unwrap_err().to_string();
        assert!(refused.contains("endpoint.json is not an endpoint file"), "{refused}");
    }
}
