//! What differs between the servers: their arguments, and how each one shows that it is ready.
//!
//! Nothing is started here. All listen on loopback alone and want a password, which is made for each start: other users of the
//! machine can reach loopback, too.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::data_folder::DataFolder;

/// Bytes that the streams of one machine may reserve together: more than anybody does. Each stream has a limit of its own, and
/// below the sum of those that there were the server would refuse to lower any.
const MAX_FILE_STORE: u64 = 1 << 40;

/// How often JetStream forces its files to disk. Acknowledgements do not wait for the interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncInterval {
    /// A power cut may take what was acknowledged within the last second; a killed process takes nothing.
    #[default]
    EverySecond,
    /// Before every acknowledgement, at a small fraction of the speed.
    Always,
}

impl SyncInterval {
    fn as_setting(self) -> &'static str {
        match self {
            Self::EverySecond => "1s",
            Self::Always => "always",
        }
    }
}

/// The user of the platform in NATS.
pub(crate) const NATS_USER: &str = "broadsheet";

/// What a server wants of its clients; `{:?}` does not show it.
#[derive(Clone)]
pub(crate) struct ServerPassword(String);

impl ServerPassword {
    /// One that nobody can guess. It begins with a letter, because nats-server takes some texts with a digit for numbers.
    pub fn random() -> Self {
        Self(format!("p{:032x}", rand::random::<u128>()))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ServerPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

/// A server that can be supervised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerKind {
    Nats,
    Redis,
    Qdrant,
}

impl ServerKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Nats => "nats",
            Self::Redis => "redis",
            Self::Qdrant => "qdrant",
        }
    }

    /// Written when the server starts, removed when it has ended.
    pub fn pid_file(self, data: &DataFolder) -> PathBuf {
        data.root().join(format!("{}.pid", self.name()))
    }

    /// Where it works: a server that writes beside itself writes there.
    pub fn folder(self, data: &DataFolder) -> PathBuf {
        match self {
            Self::Nats => data.nats(),
            Self::Redis => data.redis(),
            Self::Qdrant => data.qdrant(),
        }
    }

    pub fn log_file(self, data: &DataFolder) -> PathBuf {
        data.logs().join(format!("{}.log", self.name()))
    }

    /// Writes the configuration where the server wants a file, and returns the arguments.
    ///
    /// The arguments name the data folder, which is how a server left over by a crash is recognised.
    pub fn arguments(
        self,
        data: &DataFolder,
        port: u16,
        sync: SyncInterval,
        password: &ServerPassword,
    ) -> io::Result<Vec<OsString>> {
        match self {
            Self::Nats => {
                let config_file = data.nats().join("nats.conf");
                let config = nats_config(&data.nats().join("store"), port, sync, password)?;
                write_private(&config_file, &config)?;
                Ok(vec!["-c".into(), config_file.into()])
            }
            Self::Redis => {
                // Arguments can be seen by every user of the machine.
                let config_file = data.redis().join("password.conf");
                write_private(&config_file, &format!("requirepass {}\n", password.expose()))?;
                let port = port.to_string();
                let mut arguments: Vec<OsString> =
                    vec!["--port".into(), port.into(), "--dir".into(), data.redis().into()];
                arguments.extend(
                    [
                        "--bind",
                        "127.0.0.1",
                        "--appendonly",
                        "yes",
                        "--appendfsync",
                        "everysec",
                    ]
                    .map(OsString::from),
                );
                // Without a title of its own the process keeps showing its arguments.
                arguments.extend(["--save", "", "--set-proc-title", "no"].map(OsString::from));
                // A subscriber's hash with its vector stays compact.
                arguments.extend(["--hash-max-listpack-value", "2048"].map(OsString::from));
                arguments.extend(["--include".into(), config_file.into()]);
                Ok(arguments)
            }
            Self::Qdrant => {
                let config_file = data.qdrant().join("config.yaml");
                write_private(
                    &config_file,
                    &qdrant_config(&data.qdrant(), free_port()?, port, password),
                )?;
                Ok(vec!["--config-path".into(), config_file.into()])
            }
        }
    }

    /// Whether the server on this port answers as a ready one.
    pub async fn is_ready(self, port: u16, password: &ServerPassword) -> bool {
        self.greet(port, password).await.unwrap_or(false)
    }

    async fn greet(self, port: u16, password: &ServerPassword) -> io::Result<bool> {
        let mut stream = TcpStream::connect(loopback(port)).await?;
        let mut answer = [0; 5];
        match self {
            // The banner is sent once JetStream has recovered its streams.
            Self::Nats => {
                stream.read_exact(&mut answer).await?;
                Ok(&answer == b"INFO ")
            }
            // While the append-only file is read the answer is -LOADING.
            Self::Redis => {
                let greeting = format!("AUTH {}\r\nPING\r\n", password.expose());
                stream.write_all(greeting.as_bytes()).await?;
                stream.read_exact(&mut answer).await?;
                if &answer != b"+OK\r\n" {
                    return Ok(false);
                }
                stream.read_exact(&mut answer).await?;
                Ok(&answer == b"+PONG")
            }
            // The gRPC port opens once the collections are loaded.
            Self::Qdrant => Ok(true),
        }
    }
}

/// The configuration format is a superset of JSON, which takes care of odd characters in paths.
fn nats_config(store: &Path, port: u16, sync: SyncInterval, password: &ServerPassword) -> io::Result<String> {
    let Some(store) = store.to_str() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path is not UTF-8, which nats-server needs",
        ));
    };
    let config = json!({
        "server_name": "broadsheet",
        "listen": loopback(port).to_string(),
        "authorization": { "user": NATS_USER, "password": password.expose() },
        // The default of two minutes is what a power cut would take.
        "jetstream": { "store_dir": store, "sync_interval": sync.as_setting(), "max_file_store": MAX_FILE_STORE },
    });
    Ok(format!("{config:#}\n"))
}

/// JSON is YAML too, which takes care of odd characters in paths.
fn qdrant_config(folder: &Path, http_port: u16, grpc_port: u16, password: &ServerPassword) -> String {
    let config = json!({
        "storage": { "storage_path": folder.join("storage"), "snapshots_path": folder.join("snapshots") },
        "service": {
            "host": Ipv4Addr::LOCALHOST, "http_port": http_port, "grpc_port": grpc_port, "api_key": password.expose(),
        },
        "telemetry_disabled": true,
    });
    format!("{config:#}\n")
}

/// Writes a file that only its owner can read.
fn write_private(path: &Path, content: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // One that an earlier release left keeps the mode it had.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(content.as_bytes())
}

/// A loopback port that nobody listens on.
///
/// Taken from below the range of outgoing connections: there, a client that keeps reconnecting to a server that is down may
/// be given the very port it dials, and then holds it against the server.
pub(crate) fn free_port() -> io::Result<u16> {
    let mut refusal = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..100 {
        match TcpListener::bind(loopback(rand::random_range(20_000..30_000))) {
            Ok(listener) => return Ok(listener.local_addr()?.port()),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nats_configuration_quotes_its_path() {
        let config = nats_config(
            Path::new("/data/a \"b\"/nats"),
            20_001,
            SyncInterval::Always,
            &ServerPassword("secret".to_owned()),
        )
        .unwrap();
        let read: serde_json::Value = serde_json::from_str(&config).unwrap();
        assert_eq!(read["jetstream"]["store_dir"], "/data/a \"b\"/nats");
        assert_eq!(read["listen"], "127.0.0.1:20001");
        assert_eq!(read["jetstream"]["sync_interval"], "always");
        assert_eq!(read["authorization"]["password"], "secret");
    }
}
