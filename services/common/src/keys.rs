//! Keys of callers: names, scopes and hashes in a file that the command line writes and every service watches.
//!
//! A key reads `bsk_<id>_<secret>`. The file has its id and the SHA-256 of its secret, which is 256 random bits: there is
//! nothing to guess, so a slow hash would only cost time. It never holds a key in clear.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::identity::hex;
use jiff::Timestamp;
use proto::access::Scope;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::clock::Clock;
use crate::toml_error::place_and_message;

const PREFIX: &str = "bsk";
/// Largest key file, in bytes.
const LARGEST_FILE: u64 = 1 << 20;
/// Between two looks at the file: how soon a revoked key is refused.
const INTERVAL: Duration = Duration::from_secs(1);
/// Valid keys of one name: the one in use and its successor.
const KEYS_PER_NAME: usize = 2;

/// What is wrong with a key file or with a change to it.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or written.
    #[error("{path}: {problem}")]
    File {
        /// Which file.
        path: String,
        /// Why.
        problem: String,
    },
    /// The change cannot be made.
    #[error("{0}")]
    Refused(String),
}

/// A key as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// Public part of the key.
    pub id: String,
    /// Whose it is, such as the name of a service or of an integrator.
    pub name: String,
    /// What it allows.
    #[serde(with = "scope_names")]
    pub scopes: Vec<Scope>,
    /// SHA-256 of its secret, in hexadecimal digits.
    pub sha256: String,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is refused; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// All keys of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// In the order in which they were made.
    #[serde(default, rename = "key")]
    pub keys: Vec<KeyRecord>,
}

/// Who calls, as the key says that was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHolder {
    /// Name of the key.
    pub name: Arc<str>,
    /// Id of the key.
    pub id: Arc<str>,
    scopes: Arc<[Scope]>,
}

impl KeyHolder {
    /// The caller of a platform that requires no key, which it does on loopback only.
    pub fn local() -> Self {
        Self {
            name: "local".into(),
            id: "".into(),
            scopes: Scope::ALL.into(),
        }
    }

    /// Whether the key has a scope.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// Why a presented key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefusal {
    /// It is not in the file, or no key at all.
    #[error("the key is not known; it may have been revoked")]
    Unknown,
    /// It has run out.
    #[error("the key has expired; ask the operator for its successor")]
    Expired,
}

impl KeyFile {
    /// Reads a file. One that is not there has no keys where `may_be_missing`.
    ///
    /// # Errors
    /// It cannot be read, is too large, or holds what is no key.
    pub fn read(path: &Path, may_be_missing: bool) -> Result<Self, KeyFileError> {
        let failed = |problem: String| KeyFileError::File {
            path: path.display().to_string(),
            problem,
        };
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if may_be_missing && error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error.to_string())),
        };
        let mut text = String::new();
        let read = file.take(LARGEST_FILE + 1).read_to_string(&mut text);
        read.map_err(|error| failed(error.to_string()))?;
        if text.len() as u64 > LARGEST_FILE {
            return Err(failed(format!("is larger than {LARGEST_FILE} bytes")));
        }
        let file: Self = toml::from_str(&text).map_err(|error| failed(place_and_message(&text, &error)))?;
        file.check().map_err(failed)?;
        Ok(file)
    }

    fn check(&self) -> Result<(), String> {
        let mut ids = HashSet::new();
        for key in &self.keys {
            let is_hash = key.sha256.len() == 64 && key.sha256.bytes().all(|digit| digit.is_ascii_hexdigit());
            if !is_hash {
                return Err(format!("key {}: sha256 must have 64 hexadecimal digits", key.id));
            }
            if key.scopes.is_empty() {
                return Err(format!("key {}: scopes is empty", key.id));
            }
            if !ids.insert(&key.id) {
                return Err(format!("key {} is there twice", key.id));
            }
        }
        Ok(())
    }

    /// Writes the file, for its owner alone, in one step.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), KeyFileError> {
        let text = toml::to_string(self).map_err(|error| KeyFileError::Refused(error.to_string()))?;
        let header = "# Keys of callers, as hashes. Written by `broadsheet keys`.\n\n";
        write_private(path, format!("{header}{text}").as_bytes()).map_err(|error| KeyFileError::File {
            path: path.display().to_string(),
            problem: error.to_string(),
        })
    }

    /// Makes a key, adds its record, and returns the key, which is kept nowhere.
    ///
    /// # Errors
    /// There are two valid keys of this name already, or the name or the scopes are not sound.
    pub fn make(
        &mut self,
        name: &str,
        scopes: &[Scope],
        expires: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<String, KeyFileError> {
        let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        if name.is_empty() || name.len() > 64 || !name.chars().all(sound) {
            return Err(KeyFileError::Refused(format!(
                "name {name:?} must have 1 to 64 letters, digits, hyphens or dots"
            )));
        }
        if scopes.is_empty() {
            return Err(KeyFileError::Refused("a key needs at least one scope".to_owned()));
        }
        let valid = self.keys.iter().filter(|key| key.name == name && !key.has_expired(now));
        if valid.count() >= KEYS_PER_NAME {
            return Err(KeyFileError::Refused(format!(
                "{name} has {KEYS_PER_NAME} valid keys; revoke the older one by its id first"
            )));
        }
        let (key, record) = new_key(name, scopes, expires, now);
        self.keys.push(record);
        Ok(key)
    }

    /// Removes the key of an id, or every key of a name, and returns what was removed.
    pub fn revoke(&mut self, id_or_name: &str) -> Vec<KeyRecord> {
        let matches = |key: &KeyRecord| key.id == id_or_name || key.name == id_or_name;
        let (removed, kept) = std::mem::take(&mut self.keys).into_iter().partition(matches);
        self.keys = kept;
        removed
    }
}

impl KeyRecord {
    /// Whether it has run out.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

/// A key and its record.
pub fn new_key(name: &str, scopes: &[Scope], expires: Option<Timestamp>, now: Timestamp) -> (String, KeyRecord) {
    let id = hex(&rand::random::<[u8; 8]>());
    let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let record = KeyRecord {
        id: id.clone(),
        name: name.to_owned(),
        scopes: scopes.to_vec(),
        sha256: hex(&Sha256::digest(&secret)),
        created: now,
        expires,
    };
    (format!("{PREFIX}_{id}_{secret}"), record)
}

/// The keys that callers may present now.
#[derive(Clone)]
pub struct Keyring {
    known: watch::Receiver<Arc<KnownKeys>>,
    clock: Clock,
}

/// Keys by id.
type KnownKeys = HashMap<String, (KeyRecord, KeyHolder)>;

/// Keeps a [`Keyring`] at what its file says.
pub struct KeyFileWatch {
    path: PathBuf,
    read: KeyFile,
    more: Vec<KeyRecord>,
    known: watch::Sender<Arc<KnownKeys>>,
    clock: Clock,
}

impl Keyring {
    /// The keys of a file, and some more that are in no file.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn open(path: &Path, more: Vec<KeyRecord>, clock: Clock) -> Result<(Self, KeyFileWatch), KeyFileError> {
        let read = KeyFile::read(path, false)?;
        let known = watch::Sender::new(Arc::new(known_keys(&read, &more)));
        let this = Self {
            known: known.subscribe(),
            clock: clock.clone(),
        };
        let watch = KeyFileWatch {
            path: path.to_owned(),
            read,
            more,
            known,
            clock,
        };
        Ok((this, watch))
    }

    /// Whose key this is.
    ///
    /// # Errors
    /// It is not known, or has run out.
    pub fn holder(&self, key: &str) -> Result<KeyHolder, KeyRefusal> {
        let mut parts = key.splitn(3, '_');
        let (Some(PREFIX), Some(id), Some(secret)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyRefusal::Unknown);
        };
        let known = Arc::clone(&self.known.borrow());
        let (record, holder) = known.get(id).ok_or(KeyRefusal::Unknown)?;
        let presented = hex(&Sha256::digest(secret));
        if !bool::from(
            presented
                .as_bytes()
                .ct_eq(record.sha256.to_ascii_lowercase().as_bytes()),
        ) {
            return Err(KeyRefusal::Unknown);
        }
        if record.has_expired(self.clock.now()) {
            return Err(KeyRefusal::Expired);
        }
        Ok(holder.clone())
    }
}

impl KeyFileWatch {
    /// Follows the file until the stop. While it cannot be used, the keys it had last are kept: a slip in an edit must not
    /// cut off every service.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut last_problem = String::new();
        while stop.run_until_cancelled(self.clock.sleep(INTERVAL)).await.is_some() {
            match KeyFile::read(&self.path, false) {
                Ok(read) if read == self.read => last_problem.clear(),
                Ok(read) => {
                    info!(keys = read.keys.len(), "the key file has changed");
                    self.known.send_replace(Arc::new(known_keys(&read, &self.more)));
                    self.read = read;
                    last_problem.clear();
                }
                Err(problem) => {
                    let problem = problem.to_string();
                    if problem != last_problem {
                        error!(problem, "the key file cannot be used; the keys it had last are kept");
                    }
                    last_problem = problem;
                }
            }
        }
    }
}

fn known_keys(file: &KeyFile, more: &[KeyRecord]) -> KnownKeys {
    let keys = file.keys.iter().chain(more);
    keys.map(|record| {
        let holder = KeyHolder {
            name: record.name.as_str().into(),
            id: record.id.as_str().into(),
            scopes: record.scopes.as_slice().into(),
        };
        (record.id.clone(), (record.clone(), holder))
    })
    .collect()
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys)", self.known.borrow().len())
    }
}

/// Writes a file that only its owner may read, in one step.
///
/// # Errors
/// It cannot be written.
pub fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(".{}", std::process::id()));
    let fresh = PathBuf::from(fresh);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)
}

/// Scopes by their names.
mod scope_names {
    use proto::access::Scope;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(scopes: &[Scope], serializer: S) -> Result<S::Ok, S::Error> {
        let names: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
        names.serialize(serializer)
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<Scope>, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let scopes = names.iter().map(|name| {
            Scope::parse(name).ok_or_else(|| {
                let allowed = Scope::ALL.map(Scope::name).join(", ");
                D::Error::custom(format!("scope {name:?} is not one of {allowed}"))
            })
        });
        scopes.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-12-01T09:00:00Z".parse().expect("a timestamp")
    }

    fn later(hours: i64) -> Timestamp {
        now()
            .saturating_add(jiff::SignedDuration::from_hours(hours))
            .expect("a timestamp")
    }

    #[test]
    fn a_key_names_its_holder_until_it_expires() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys.toml");
        let mut file = KeyFile::default();
        let key = file
            .make("web", &[Scope::Read, Scope::Readers], Some(later(1)), now())
            .expect("a key");
        file.write(&path).expect("written");
        assert!(!std::fs::read_to_string(&path).expect("read").contains(&key));
        let (clock, hand) = Clock::manual(now());
        let (keyring, _watch) = Keyring::open(&path, Vec::new(), clock).expect("a keyring");
        let holder = keyring.holder(&key).expect("known");
        assert_eq!(&*holder.name, "web");
        assert!(holder.allows(Scope::Readers) && !holder.allows(Scope::Operate));
        let id = key.split('_').nth(1).expect("an id");
        for wrong in [
            "",
            "x",
            "bsk",
            &key[..key.len() - 1],
            &format!("bsk_{id}_"),
            &key.replacen("bsk", "key", 1),
        ] {
            assert_eq!(keyring.holder(wrong), Err(KeyRefusal::Unknown), "{wrong}");
        }
        hand.advance(Duration::from_hours(1));
        assert_eq!(keyring.holder(&key), Err(KeyRefusal::Expired));
    }

    #[test]
    fn two_keys_of_a_name_are_valid_and_a_third_is_refused() {
        let mut file = KeyFile::default();
        file.make("web", &[Scope::Read], Some(later(1)), now())
            .expect("the first");
        file.make("web", &[Scope::Read], None, now()).expect("its successor");
        let refusal = file.make("web", &[Scope::Read], None, now()).expect_err("a third");
        assert!(refusal.to_string().contains("revoke the older one"), "{refusal}");
        file.make("web", &[Scope::Read], None, later(2))
            .expect("the first has run out");
        assert_eq!(file.revoke("web").len(), 3);
        assert!(file.keys.is_empty());
        for name in ["", "a b", "x_y", &"n".repeat(65)] {
            assert!(file.make(name, &[Scope::Read], None, now()).is_err(), "{name}");
        }
        assert!(file.make("x", &[], None, now()).is_err());
    }

    #[test]
    fn a_broken_key_file_says_what_is_wrong() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys.toml");
        assert!(KeyFile::read(&path, false).is_err());
        assert_eq!(KeyFile::read(&path, true).expect("none"), KeyFile::default());
        let key = |sha256: &str, scopes: &str| {
            format!(
                "[[key]]\nid = \"a\"\nname = \"n\"\nscopes = [{scopes}]\nsha256 = \"{sha256}\"\ncreated = \"2026-12-01T09:00:00Z\"\n"
            )
        };
        let hash = "0".repeat(64);
        for (text, problem) in [
            ("nonsense".to_owned(), "line 1"),
            (key("12", "\"read\""), "64 hexadecimal digits"),
            (key(&hash, ""), "scopes is empty"),
            (key(&hash, "\"root\""), "is not one of read, submit, readers, operate"),
            (key(&hash, "\"read\"").repeat(2), "twice"),
        ] {
            std::fs::write(&path, &text).expect("written");
            let refusal = KeyFile::read(&path, false).expect_err("refused").to_string();
            assert!(refusal.contains(problem), "{refusal}");
        }
    }

    #[tokio::test]
    async fn a_revoked_key_is_refused_and_a_slip_keeps_the_rest() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys.toml");
        let mut file = KeyFile::default();
        let [kept, revoked] =
            ["kept", "revoked"].map(|name| file.make(name, &[Scope::Read], None, now()).expect("a key"));
        file.write(&path).expect("written");
        let clock = Clock::system();
        let (keyring, watch) = Keyring::open(&path, Vec::new(), clock.clone()).expect("a keyring");
        let stop = CancellationToken::new();
        let supervisor = crate::tasks::Supervisor::new(stop.clone());
        supervisor.tasks().run_infallible("key file", watch.run(stop.clone()));
        let mut known = keyring.known.clone();
        known.mark_unchanged();
        std::fs::write(&path, "nonsense").expect("written");
        file.revoke("revoked");
        file.write(&path).expect("written");
        known.changed().await.expect("watched");
        assert!(keyring.holder(&kept).is_ok());
        assert_eq!(keyring.holder(&revoked), Err(KeyRefusal::Unknown));
        stop.cancel();
        supervisor.run().await.expect("a clean end");
    }
}
