//! The paper records of the registry, in a bucket of the bus.
//!
//! The first record of a paper is never changed; later versions have a key of their own. So each paper keeps its position in
//! the bucket's stream for ever, and all of them can be read page by page, each exactly once, whatever changes meanwhile. It
//! decides nothing about papers.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::kv;
use common::bus::Bus;
use common::{flow, streams};
use domain::PaperId;
use domain::identity::hex;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::dates::PaperDates;
use super::{RegistryError, parse_stored_id, unavailable, unwritten};

/// Concurrent look-ups of one page.
const LOOK_UPS: usize = 64;
/// The least number of records fetched at once, so that a page with many aliases is not fetched one by one.
const FETCH_AT_LEAST: usize = 64;
/// How long the server keeps a reader that disappeared in the middle of a page.
const READER_FORGOTTEN: Duration = Duration::from_secs(30);

/// The state of a paper id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PaperRecord {
    /// The id.
    pub id: String,
    /// Its newest revision; 0 for an alias.
    pub revision: u64,
    /// Of the newest content; empty if the next submission is to be accepted whatever its content.
    pub content_hash: String,
    /// True if the newest revision withdrew the paper.
    pub withdrawn: bool,
    /// The canonical id, if this one is an alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias_of: Option<String>,
    /// Sequence of the event of the newest revision in the stream of papers; 0 for an alias.
    pub event: u64,
    /// The dates that revisions keep; none for an alias, and in records of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dates: Option<PaperDates>,
}

/// A record and its version, for a conditional write.
#[derive(Debug)]
pub struct VersionedRecord {
    /// The record.
    pub record: PaperRecord,
    /// When the first record of the paper was written.
    pub first_written: Timestamp,
    version: RecordVersion,
}

#[derive(Debug)]
enum RecordVersion {
    /// The first record; nothing has changed since.
    First,
    /// A later record, at this revision of the bucket.
    Later(u64),
}

impl VersionedRecord {
    /// The canonical id, if this one is an alias.
    pub fn canonical(&self) -> Result<Option<PaperId>, RegistryError> {
        let canonical = self.record.alias_of.as_ref();
        canonical.map(|id| parse_stored_id(id.as_bytes())).transpose()
    }
}

/// Some papers in the order of their first records.
#[derive(Debug)]
pub struct RecordPage {
    /// Their newest records; no aliases.
    pub records: Vec<PaperRecord>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<u64>,
}

/// The records.
pub struct PaperRecords {
    bucket: kv::Store,
}

impl PaperRecords {
    /// Opens the bucket, once it is there.
    pub async fn open(bus: &Bus) -> Result<Self, RegistryError> {
        let bucket = streams::bucket(bus, flow::PAPERS_BUCKET).await?;
        Ok(Self { bucket })
    }

    /// The bucket, for what is stored beside the records.
    pub fn bucket(&self) -> kv::Store {
        self.bucket.clone()
    }

    /// The newest record of an id.
    pub async fn find(&self, id: &PaperId) -> Result<Option<VersionedRecord>, RegistryError> {
        let hash = hash_of(id.as_str());
        let Some((first, entry)) = self.read(first_key(&hash)).await? else {
            return Ok(None);
        };
        let first_written = Timestamp::from_nanosecond(entry.created.unix_timestamp_nanos()).unwrap_or(Timestamp::MAX);
        let (record, version) = match self.read(later_key(&hash)).await? {
            Some((record, entry)) => (record, RecordVersion::Later(entry.revision)),
            None => (first, RecordVersion::First),
        };
        Ok(Some(VersionedRecord {
            record,
            first_written,
            version,
        }))
    }

    /// Writes a record over a version, or over none. `false` if another replica was faster.
    pub async fn write(&self, record: &PaperRecord, over: Option<&VersionedRecord>) -> Result<bool, RegistryError> {
        let hash = hash_of(&record.id);
        let value = serde_json::to_vec(record).map_err(unavailable)?.into();
        let key = match over.map(|known| &known.version) {
            None => first_key(&hash),
            Some(RecordVersion::First) => later_key(&hash),
            Some(RecordVersion::Later(entry)) => {
                return match self.bucket.update(later_key(&hash), value, *entry).await {
                    Ok(_) => Ok(true),
                    Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => Ok(false),
                    Err(error) => Err(unwritten(&error)),
                };
            }
        };
        match self.bucket.create(key, value).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(unwritten(&error)),
        }
    }

    /// The id that a text was first accepted under.
    pub async fn id_of_text(&self, fingerprint: &str) -> Result<Option<PaperId>, RegistryError> {
        let value = self.bucket.get(text_key(fingerprint)).await.map_err(unavailable)?;
        value.map(|value| parse_stored_id(&value)).transpose()
    }

    /// Stores the id of a text.
    pub async fn remember_text(&self, fingerprint: &str, id: &PaperId) -> Result<(), RegistryError> {
        let value = id.as_str().to_owned().into();
        self.bucket
            .put(text_key(fingerprint), value)
            .await
            .map(drop)
            .map_err(|error| unwritten(&error))
    }

    /// At most `size` papers from where an earlier page ended; 0 is the beginning.
    pub async fn page(&self, after: u64, size: usize) -> Result<RecordPage, RegistryError> {
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
        let reader = self.bucket.stream.create_consumer(reader).await.map_err(unavailable)?;
        let read = firsts(&reader, after, size).await;
        // Otherwise the server drops it later by itself.
        let _ = self.bucket.stream.delete_consumer(&reader.cached_info().name).await;
        let (firsts, next) = read?;
        let newest = stream::iter(firsts).map(|first| self.newest(first)).buffered(LOOK_UPS);
        let mut records: Vec<PaperRecord> = newest.try_collect().await?;
        // Some became an alias after their first record.
        records.retain(|record| record.alias_of.is_none());
        Ok(RecordPage { records, next })
    }

    async fn newest(&self, first: PaperRecord) -> Result<PaperRecord, RegistryError> {
        let later = self.read(later_key(&hash_of(&first.id))).await?;
        Ok(later.map_or(first, |(record, _)| record))
    }

    async fn read(&self, key: String) -> Result<Option<(PaperRecord, kv::Entry)>, RegistryError> {
        let Some(entry) = self.bucket.entry(key).await.map_err(unavailable)? else {
            return Ok(None);
        };
        if entry.operation != kv::Operation::Put {
            return Ok(None);
        }
        Ok(Some((decode(&entry.value)?, entry)))
    }
}

/// First records without aliases, and where to go on.
async fn firsts(
    reader: &async_nats::jetstream::consumer::Consumer<pull::Config>,
    after: u64,
    size: usize,
) -> Result<(Vec<PaperRecord>, Option<u64>), RegistryError> {
    let mut records: Vec<PaperRecord> = Vec::new();
    let (mut last, mut received) = (after, 0);
    let mut more = reader.cached_info().num_pending > 0;
    while more && records.len() < size {
        let count = (size - records.len()).max(FETCH_AT_LEAST);
        let fetched = reader.fetch().max_messages(count).messages().await;
        let mut fetched = fetched.map_err(unavailable)?;
        let before = received;
        while records.len() < size
            && let Some(message) = fetched.next().await
        {
            let message = message.map_err(unavailable)?;
            let info = message.info().map_err(unavailable)?;
            received += 1;
            if info.consumer_sequence != received {
                return Err(unavailable("a record was lost on the way"));
            }
            (last, more) = (info.stream_sequence, info.pending > 0);
            let record = decode(&message.payload)?;
            if record.alias_of.is_none() {
                records.push(record);
            }
        }
        if received == before {
            return Err(unavailable("expected records did not come"));
        }
    }
    Ok((records, more.then_some(last)))
}

fn decode(value: &[u8]) -> Result<PaperRecord, RegistryError> {
    serde_json::from_slice(value).map_err(|error| RegistryError::unreadable("a paper record", error))
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
