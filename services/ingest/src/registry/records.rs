//! The records of the register, in a bucket of the bus.
//!
//! The first record of a paper is never touched again; what the paper comes to stand at later lies under a key of its
//! own. So each paper keeps its place in the bucket's stream for ever, and all of them can be read page by page, each
//! exactly once, whatever changes meanwhile. It decides nothing about papers.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::kv;
use common::bus::Bus;
use domain::PaperId;
use domain::identity::hex;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{RegistryError, unanswered};

const BUCKET: &str = "ingest-papers";
/// Look-ups of one page that are under way at the same time.
const LOOK_UPS: usize = 64;
/// Records fetched at once at least, so that a page is not fetched one by one where many ids stand for other papers.
const FETCH_AT_LEAST: usize = 64;
/// After which the server forgets a reader that went away in the middle of a page.
const READER_FORGOTTEN: Duration = Duration::from_secs(30);

/// What a paper id stands at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The id.
    pub id: String,
    /// Its newest revision; 0 for an alias.
    pub revision: u64,
    /// Of the newest content; empty where the next submission is to be accepted whatever it says.
    pub content_hash: String,
    /// True when the newest revision withdrew the paper.
    #[serde(default)]
    pub withdrawn: bool,
    /// The id that this one stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias_of: Option<String>,
    /// Sequence of the event of the newest revision in the stream of papers; 0 where it is not known, as in records of
    /// older releases.
    #[serde(default)]
    pub event: u64,
}

/// A record and where it lies.
#[derive(Debug)]
pub struct Found {
    /// The record.
    pub record: Record,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Nothing has changed since the first record.
    First,
    /// A later record, in this entry of the bucket.
    Later(u64),
}

/// Some papers in the order of their first records.
#[derive(Debug)]
pub struct Page {
    /// What they stand at; no aliases.
    pub records: Vec<Record>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<u64>,
}

/// The records.
pub struct Records {
    bucket: kv::Store,
}

impl Records {
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
        Ok(Self { bucket })
    }

    /// The bucket, for what lies beside the records.
    pub fn bucket(&self) -> kv::Store {
        self.bucket.clone()
    }

    /// The newest record of an id.
    pub async fn find(&self, id: &PaperId) -> Result<Option<Found>, RegistryError> {
        let hash = hash_of(id.as_str());
        let Some((first, _)) = self.read(first_key(&hash)).await? else {
            return Ok(None);
        };
        Ok(Some(match self.read(later_key(&hash)).await? {
            Some((record, entry)) => Found {
                record,
                place: Place::Later(entry),
            },
            None => Found {
                record: first,
                place: Place::First,
            },
        }))
    }

    /// Writes a record where what was found, or nothing, still stands. `false` when another replica was faster.
    pub async fn write(&self, record: &Record, over: Option<&Found>) -> Result<bool, RegistryError> {
        let hash = hash_of(&record.id);
        let value = serde_json::to_vec(record).map_err(unanswered)?.into();
        let key = match over.map(|found| &found.place) {
            None => first_key(&hash),
            Some(Place::First) => later_key(&hash),
            Some(Place::Later(entry)) => {
                return match self.bucket.update(later_key(&hash), value, *entry).await {
                    Ok(_) => Ok(true),
                    Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => Ok(false),
                    Err(error) => Err(unanswered(error)),
                };
            }
        };
        match self.bucket.create(key, value).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(unanswered(error)),
        }
    }

    /// The id that a text was first accepted under.
    pub async fn id_of_text(&self, fingerprint: &str) -> Result<Option<PaperId>, RegistryError> {
        let Some(value) = self.bucket.get(text_key(fingerprint)).await.map_err(unanswered)? else {
            return Ok(None);
        };
        let id = std::str::from_utf8(&value).map_err(unanswered)?;
        PaperId::parse(id).map(Some).map_err(unanswered)
    }

    /// Remembers the id of a text.
    pub async fn remember_text(&self, fingerprint: &str, id: &PaperId) -> Result<(), RegistryError> {
        let value = id.as_str().to_owned().into();
        self.bucket
            .put(text_key(fingerprint), value)
            .await
            .map(drop)
            .map_err(unanswered)
    }

    /// So many papers at most, from where an earlier page ended; 0 is the beginning.
    pub async fn page(&self, after: u64, size: usize) -> Result<Page, RegistryError> {
        let reader = pull::Config {
            filter_subject: format!("{}{}", self.bucket.prefix, first_key("*")),
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: after + 1,
            },
            ack_policy: AckPolicy::None,
            inactive_threshold: READER_FORGOTTEN,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let reader = self.bucket.stream.create_consumer(reader).await.map_err(unanswered)?;
        let read = firsts(&reader, after, size).await;
        // The server forgets it anyway, only later.
        let _ = self.bucket.stream.delete_consumer(&reader.cached_info().name).await;
        let (firsts, next) = read?;
        let newest = stream::iter(firsts).map(|first| self.newest(first)).buffered(LOOK_UPS);
        let mut records: Vec<Record> = newest.try_collect().await?;
        // Some turned out to be another paper after their first record.
        records.retain(|record| record.alias_of.is_none());
        Ok(Page { records, next })
    }

    async fn newest(&self, first: Record) -> Result<Record, RegistryError> {
        let later = self.read(later_key(&hash_of(&first.id))).await?;
        Ok(later.map_or(first, |(record, _)| record))
    }

    async fn read(&self, key: String) -> Result<Option<(Record, u64)>, RegistryError> {
        let Some(entry) = self.bucket.entry(key).await.map_err(unanswered)? else {
            return Ok(None);
        };
        if entry.operation != kv::Operation::Put {
            return Ok(None);
        }
        let record = serde_json::from_slice(&entry.value).map_err(unanswered)?;
        Ok(Some((record, entry.revision)))
    }
}

/// First records without aliases, and where to go on.
async fn firsts(
    reader: &async_nats::jetstream::consumer::Consumer<pull::Config>,
    after: u64,
    size: usize,
) -> Result<(Vec<Record>, Option<u64>), RegistryError> {
    let mut records: Vec<Record> = Vec::new();
    let (mut last, mut received) = (after, 0);
    let mut more = reader.cached_info().num_pending > 0;
    while more && records.len() < size {
        let wanted = (size - records.len()).max(FETCH_AT_LEAST);
        let fetched = reader.fetch().max_messages(wanted).messages().await;
        let mut fetched = fetched.map_err(unanswered)?;
        let before = received;
        while records.len() < size
            && let Some(message) = fetched.next().await
        {
            let message = message.map_err(unanswered)?;
            let info = message.info().map_err(unanswered)?;
            received += 1;
            if info.consumer_sequence != received {
                return Err(unanswered("a record was lost on the way"));
            }
            (last, more) = (info.stream_sequence, info.pending > 0);
            let record: Record = serde_json::from_slice(&message.payload).map_err(unanswered)?;
            if record.alias_of.is_none() {
                records.push(record);
            }
        }
        if received == before {
            return Err(unanswered("records that should be there did not come"));
        }
    }
    Ok((records, more.then_some(last)))
}

fn first_key(hash: &str) -> String {
    format!("paper.{hash}")
}

fn later_key(hash: &str) -> String {
    format!("later.{hash}")
}

fn text_key(fingerprint: &str) -> String {
    format!("text.{fingerprint}")
}

/// Bucket keys allow few characters, ids allow many.
pub fn hash_of(id: &str) -> String {
    hex(&Sha256::digest(id))
}
