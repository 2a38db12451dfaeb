//! The register of papers: which content a paper id stands at, and which ids stand for the same text.
//!
//! Kept in a bucket of the bus. A paper is published before the register says so: a crash in between leads to the same
//! message under the same id again, never to a lost paper. It knows nothing of vectors or search.

use async_nats::jetstream::kv;
use common::bus::{Bus, BusError};
use domain::identity::hex;
use domain::submission::text_fingerprint;
use domain::{Paper, PaperId};
use jiff::Timestamp;
use proto::convert::to_wire_time;
use proto::papers::v1::{PaperAccepted, PaperWithdrawn};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, MutexGuard};

const BUCKET: &str = "ingest-papers";
const SHARDS: usize = 256;
/// Other replicas that change the same paper at the same moment are let go first this often.
const ATTEMPTS: usize = 16;

/// What became of a sound paper.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// New or changed; published.
    Accepted,
    /// Known with this content.
    Unchanged,
    /// The same text is known under this other id.
    Duplicate,
}

/// The outcome for one paper.
#[derive(Debug)]
pub struct Decision {
    /// What became of it.
    pub verdict: Verdict,
    /// Canonical id.
    pub id: PaperId,
    /// The revision the paper is at now.
    pub revision: u64,
}

/// A register that does not answer, or contradicts itself. Callers try again.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The bucket.
    #[error("register of papers does not answer: {0}")]
    Bucket(String),
    /// Too many others change the same paper.
    #[error("paper {0} is being changed by others all the time")]
    Contended(PaperId),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    id: String,
    revision: u64,
    content_hash: String,
    #[serde(default)]
    withdrawn: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alias_of: Option<String>,
}

/// The register.
pub struct Registry {
    bus: Bus,
    bucket: kv::Store,
    papers: Vec<Mutex<()>>,
    texts: Vec<Mutex<()>>,
}

impl Registry {
    /// Opens the bucket, making it at the first start.
    pub async fn open(bus: &Bus) -> Result<Self, RegistryError> {
        let config = kv::Config {
            bucket: BUCKET.to_owned(),
            description: "which content each paper id stands at".to_owned(),
            history: 1,
            num_replicas: bus.replicas(),
            ..kv::Config::default()
        };
        let bucket = bus.jetstream().create_key_value(config).await.map_err(unanswered)?;
        let locks = || (0..SHARDS).map(|_| Mutex::new(())).collect();
        Ok(Self {
            bus: bus.clone(),
            bucket,
            papers: locks(),
            texts: locks(),
        })
    }

    /// Decides whether a paper is new, changed or known, and publishes it when it is news.
    pub async fn submit(&self, mut paper: Paper) -> Result<Decision, RegistryError> {
        let fingerprint = text_fingerprint(&paper);
        let asked = paper_key(&paper.id);
        let _paper_lock = lock(&self.papers, &asked).await;
        let _text_lock = match &fingerprint {
            Some(fingerprint) => Some(lock(&self.texts, fingerprint).await),
            None => None,
        };
        let mut alias = false;
        for _ in 0..ATTEMPTS {
            let known = self.record(&paper.id).await?;
            if let Some((record, _)) = &known
                && let Some(canonical) = &record.alias_of
            {
                alias = true;
                paper.id = PaperId::parse(canonical).map_err(unanswered)?;
                continue;
            }
            if let Some((record, _)) = &known
                && (record.content_hash == paper.content_hash || alias)
            {
                let verdict = if alias { Verdict::Duplicate } else { Verdict::Unchanged };
                return Ok(Decision {
                    verdict,
                    id: paper.id,
                    revision: record.revision,
                });
            }
            if known.is_none()
                && let Some(decision) = self.known_by_text(&paper.id, fingerprint.as_deref()).await?
            {
                return Ok(decision);
            }
            let (revision, expected) = known.map_or((1, None), |(record, entry)| (record.revision + 1, Some(entry)));
            paper.revision = revision;
            self.publish(&paper).await?;
            if self.write(&record_of(&paper), expected).await? {
                if let Some(fingerprint) = &fingerprint {
                    self.remember_text(fingerprint, &paper.id).await?;
                }
                return Ok(Decision {
                    verdict: Verdict::Accepted,
                    id: paper.id,
                    revision,
                });
            }
        }
        Err(RegistryError::Contended(paper.id))
    }

    /// Withdraws a paper. `None` when it is not known.
    pub async fn withdraw(&self, id: PaperId, reason: &str) -> Result<Option<(PaperId, u64)>, RegistryError> {
        let mut id = id;
        for _ in 0..ATTEMPTS {
            let Some((mut record, entry)) = self.record(&id).await? else {
                return Ok(None);
            };
            if let Some(canonical) = &record.alias_of {
                id = PaperId::parse(canonical).map_err(unanswered)?;
                continue;
            }
            if record.withdrawn {
                return Ok(Some((id, record.revision)));
            }
            record.revision += 1;
            record.withdrawn = true;
            let event = PaperWithdrawn {
                paper_id: id.to_string(),
                revision: record.revision,
                reason: reason.to_owned(),
                withdrawn_time: Some(to_wire_time(Timestamp::now())),
            };
            self.bus
                .publish(&format!("withdrawn:{id}:{}", record.revision), &event)
                .await?;
            if self.write(&record, Some(entry)).await? {
                return Ok(Some((id, record.revision)));
            }
        }
        Err(RegistryError::Contended(id))
    }

    async fn publish(&self, paper: &Paper) -> Result<(), RegistryError> {
        let message_id = format!("accepted:{}:{}:{}", paper.id, paper.revision, paper.content_hash);
        Ok(self
            .bus
            .publish(
                &message_id,
                &PaperAccepted {
                    paper: Some(paper.into()),
                },
            )
            .await?)
    }

    /// A new id whose text is known under another id becomes an alias of that one.
    async fn known_by_text(&self, id: &PaperId, fingerprint: Option<&str>) -> Result<Option<Decision>, RegistryError> {
        let Some(fingerprint) = fingerprint else {
            return Ok(None);
        };
        let Some(value) = self.bucket.get(text_key(fingerprint)).await.map_err(unanswered)? else {
            return Ok(None);
        };
        let canonical = std::str::from_utf8(&value).map_err(unanswered)?;
        let canonical = PaperId::parse(canonical).map_err(unanswered)?;
        if canonical == *id {
            return Ok(None);
        }
        // Without a record the other submission never came through, and this one takes its place.
        let Some((record, _)) = self.record(&canonical).await? else {
            return Ok(None);
        };
        let alias = Record {
            id: id.to_string(),
            revision: 0,
            content_hash: String::new(),
            withdrawn: false,
            alias_of: Some(canonical.to_string()),
        };
        self.write(&alias, None).await?;
        Ok(Some(Decision {
            verdict: Verdict::Duplicate,
            id: canonical,
            revision: record.revision,
        }))
    }

    async fn remember_text(&self, fingerprint: &str, id: &PaperId) -> Result<(), RegistryError> {
        self.bucket
            .put(text_key(fingerprint), id.as_str().to_owned().into())
            .await
            .map_err(unanswered)?;
        Ok(())
    }

    async fn record(&self, id: &PaperId) -> Result<Option<(Record, u64)>, RegistryError> {
        let Some(entry) = self.bucket.entry(paper_key(id)).await.map_err(unanswered)? else {
            return Ok(None);
        };
        if entry.operation != kv::Operation::Put {
            return Ok(None);
        }
        let record = serde_json::from_slice(&entry.value).map_err(unanswered)?;
        Ok(Some((record, entry.revision)))
    }

    /// Writes a record where it still stands as expected. `false` when another replica was faster.
    async fn write(&self, record: &Record, expected: Option<u64>) -> Result<bool, RegistryError> {
        let key = hashed_key(&record.id);
        let value = serde_json::to_vec(record).map_err(unanswered)?.into();
        let Some(revision) = expected else {
            return match self.bucket.create(key, value).await {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(unanswered(error)),
            };
        };
        match self.bucket.update(key, value, revision).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => Ok(false),
            Err(error) => Err(unanswered(error)),
        }
    }
}

fn record_of(paper: &Paper) -> Record {
    Record {
        id: paper.id.to_string(),
        revision: paper.revision,
        content_hash: paper.content_hash.clone(),
        withdrawn: false,
        alias_of: None,
    }
}

/// In-process order among submissions of one paper or one text: first come, first served.
async fn lock<'a>(locks: &'a [Mutex<()>], key: &str) -> MutexGuard<'a, ()> {
    let shard = key.bytes().fold(0_usize, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(usize::from(byte))
    });
    locks[shard % locks.len()].lock().await
}

fn paper_key(id: &PaperId) -> String {
    hashed_key(id.as_str())
}

/// Bucket keys allow few characters, ids allow many.
fn hashed_key(id: &str) -> String {
    format!("paper.{}", hex(&Sha256::digest(id)))
}

fn text_key(fingerprint: &str) -> String {
    format!("text.{fingerprint}")
}

fn unanswered(error: impl std::fmt::Display) -> RegistryError {
    RegistryError::Bucket(error.to_string())
}
