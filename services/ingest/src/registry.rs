//! The registry of papers: the newest content of each paper id, and which ids are aliases of the same paper.
//!
//! Stored in a bucket of the bus. A paper is published before the registry records it, so after a crash in between the same
//! message is published again under the same id, and no paper is lost. It knows nothing of vectors or search.
//!
//! Each source record is what one source says about a work. The registry finds the paper by the record's identifiers (arXiv
//! id, DOI and others), else by title, authors and date. It keeps the newest record of each source and publishes the merged
//! paper ([`domain::merging`]) if it changed. Two papers that turn out to be one work are merged; possible matches are
//! counted and logged, never merged. A paper submitted by a call is taken as it is, until a source reports something newer; only
//! a known date of publication stays.

mod dates;
mod linking;
mod records;
mod work;
mod work_store;

#[cfg(test)]
pub mod tests;

use common::bus::{self, Bus, BusError};
use common::clock::Clock;
use common::{flow, status};
use domain::submission::text_fingerprint;
use domain::{Paper, PaperId};
use jiff::Timestamp;
use proto::convert::to_wire_time;
use proto::papers::v1::{PaperAccepted, PaperWithdrawn};
use tokio::sync::{Mutex, MutexGuard};
use tonic::Status;
use uuid::Uuid;

use dates::{PaperDates, PaperOrigin};
use records::{PaperRecord, PaperRecords, VersionedRecord, hash_of};
use work_store::WorkStore;

const SHARDS: usize = 256;
/// Where an accepted paper needs room.
const STREAMS: [&str; 2] = [flow::STREAM, "KV_ingest-papers"];
/// How often a change is tried again because other replicas change the same paper at the same moment.
const ATTEMPTS: usize = 16;

/// What became of a valid paper.
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
    /// The current revision of the paper.
    pub revision: u64,
}

/// A registry that does not answer, or contradicts itself. Callers try again.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The bucket.
    #[error("the registry of papers does not answer: {0}")]
    Bucket(String),
    /// The bucket is at its limit.
    #[error("the registry of papers is full; it takes no more until its limit is raised (nats.registry_mb)")]
    Full,
    /// Something that this release cannot read.
    #[error("{what} in the registry cannot be read: {problem}; another release may have written it")]
    Unreadable {
        /// What was to be read.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Too many others change the same paper.
    #[error("paper {0} is constantly being changed by others; try again")]
    Contended(PaperId),
}

impl RegistryError {
    /// What a caller is told.
    pub fn to_status(&self) -> Status {
        match self {
            Self::Bus(error) => status::of_bus(error),
            Self::Full => status::full(self),
            Self::Bucket(_) | Self::Unreadable { .. } | Self::Contended(_) => status::unavailable(self),
        }
    }

    fn unreadable(what: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self::Unreadable {
            what: what.into(),
            problem: problem.to_string(),
        }
    }
}

/// What became of a paper whose last event was to be published again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepublishResult {
    /// Its last event was published again.
    Sent {
        /// Its current revision.
        revision: u64,
    },
    /// No such paper.
    Unknown,
    /// Known, but its event is no longer stored; the next submission is accepted whatever its content.
    Gone {
        /// Its current revision.
        revision: u64,
    },
}

pub use records::RecordPage;

/// The registry.
pub struct Registry {
    bus: Bus,
    clock: Clock,
    records: PaperRecords,
    works: WorkStore,
    papers: Vec<Mutex<()>>,
    texts: Vec<Mutex<()>>,
    keys: Vec<Mutex<()>>,
}

impl Registry {
    /// Opens the bucket, once it is there. Times are those of the bus's clock.
    pub async fn open(bus: &Bus) -> Result<Self, RegistryError> {
        let records = PaperRecords::open(bus).await?;
        let works = WorkStore::new(records.bucket());
        let locks = || (0..SHARDS).map(|_| Mutex::new(())).collect();
        Ok(Self {
            bus: bus.clone(),
            clock: bus.clock().clone(),
            records,
            works,
            papers: locks(),
            texts: locks(),
            keys: locks(),
        })
    }

    /// The clock that it goes by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Decides whether a paper is new, changed or known, and publishes it if it is new or changed. One whose text is known
    /// under another id becomes an alias of that.
    pub async fn submit(&self, paper: Paper) -> Result<Decision, RegistryError> {
        self.decide(paper, PaperOrigin::Call).await
    }

    async fn decide(&self, mut paper: Paper, origin: PaperOrigin) -> Result<Decision, RegistryError> {
        let said = PaperDates::of(&paper, &origin);
        let fingerprint = text_fingerprint(&paper);
        let _paper_lock = lock(&self.papers, &hash_of(paper.id.as_str())).await;
        let _text_lock = match &fingerprint {
            Some(fingerprint) => Some(lock(&self.texts, fingerprint).await),
            None => None,
        };
        let mut alias = false;
        for _ in 0..ATTEMPTS {
            let known = self.records.find(&paper.id).await?;
            if let Some(known) = &known
                && let Some(canonical) = known.canonical()?
            {
                alias = true;
                paper.id = canonical;
                continue;
            }
            let mut dates = said.clone();
            if let Some(known) = &known {
                let before = self.dates_of(known).await?;
                dates = before.revised(&said, &origin);
                let same_content = known.record.content_hash == paper.content_hash;
                // A date alone does not bring a withdrawn paper back.
                let is_known = same_content && (known.record.withdrawn || dates.same_day(&before));
                if alias || is_known {
                    let verdict = if alias { Verdict::Duplicate } else { Verdict::Unchanged };
                    return Ok(Decision {
                        verdict,
                        id: paper.id,
                        revision: known.record.revision,
                    });
                }
            } else if origin == PaperOrigin::Call
                && let Some(decision) = self.known_by_text(&paper.id, fingerprint.as_deref()).await?
            {
                return Ok(decision);
            }
            let accepted = self.accept(&mut paper, dates, known.as_ref(), fingerprint.as_deref());
            if let Some(decision) = accepted.await? {
                return Ok(decision);
            }
        }
        Err(RegistryError::Contended(paper.id))
    }

    /// Publishes a new or changed paper and records it. `None` if another replica was faster.
    async fn accept(
        &self,
        paper: &mut Paper,
        dates: PaperDates,
        known: Option<&VersionedRecord>,
        fingerprint: Option<&str>,
    ) -> Result<Option<Decision>, RegistryError> {
        paper.revision = known.map_or(1, |known| known.record.revision + 1);
        (paper.accepted, paper.published) = (dates.accepted, dates.published);
        let event = self.publish(paper).await?;
        if !self.records.write(&record_of(paper, dates, event), known).await? {
            return Ok(None);
        }
        if let Some(fingerprint) = fingerprint {
            self.records.remember_text(fingerprint, &paper.id).await?;
        }
        Ok(Some(Decision {
            verdict: Verdict::Accepted,
            id: paper.id.clone(),
            revision: paper.revision,
        }))
    }

    /// Withdraws a paper. `None` if it is unknown.
    pub async fn withdraw(&self, id: PaperId, reason: &str) -> Result<Option<(PaperId, u64)>, RegistryError> {
        let mut id = id;
        for _ in 0..ATTEMPTS {
            let Some(known) = self.records.find(&id).await? else {
                return Ok(None);
            };
            if let Some(canonical) = known.canonical()? {
                id = canonical;
                continue;
            }
            if known.record.withdrawn {
                return Ok(Some((id, known.record.revision)));
            }
            let mut record = known.record.clone();
            record.revision += 1;
            record.withdrawn = true;
            let message_id = format!("withdrawn:{id}:{}", record.revision);
            let event = withdrawal(&record, reason, self.clock.now());
            record.event = self.bus.publish_numbered(&message_id, &event).await?;
            if self.records.write(&record, Some(&known)).await? {
                return Ok(Some((id, record.revision)));
            }
        }
        Err(RegistryError::Contended(id))
    }

    /// At most `size` papers from where an earlier page ended; 0 is the beginning.
    pub async fn page(&self, after: u64, size: usize) -> Result<RecordPage, RegistryError> {
        self.records.page(after, size).await
    }

    /// Publishes the last event of a paper again, under a new message id: under its first one the stream would drop it as a
    /// duplicate for a while.
    pub async fn republish(&self, id: &PaperId) -> Result<RepublishResult, RegistryError> {
        let mut id = id.clone();
        for _ in 0..ATTEMPTS {
            let Some(known) = self.records.find(&id).await? else {
                return Ok(RepublishResult::Unknown);
            };
            if let Some(canonical) = known.canonical()? {
                id = canonical;
                continue;
            }
            let revision = known.record.revision;
            if self.publish_again(&known.record).await? {
                return Ok(RepublishResult::Sent { revision });
            }
            if self.clear_content_hash(&known).await? {
                return Ok(RepublishResult::Gone { revision });
            }
        }
        Err(RegistryError::Contended(id))
    }

    /// Lets the next submission be accepted whatever its content. `false` if another replica was faster.
    async fn clear_content_hash(&self, known: &VersionedRecord) -> Result<bool, RegistryError> {
        if known.record.content_hash.is_empty() {
            return Ok(true);
        }
        let mut record = known.record.clone();
        record.content_hash.clear();
        self.records.write(&record, Some(known)).await
    }

    /// Publishes the event of a record again. `false` if the stream no longer has it.
    async fn publish_again(&self, record: &PaperRecord) -> Result<bool, RegistryError> {
        let resend_id = Uuid::new_v4().simple().to_string();
        let message_id = format!("again:{}:{}:{resend_id}", record.id, record.revision);
        if record.withdrawn {
            let stored: Option<PaperWithdrawn> = self.event_of(record).await?;
            let stored = stored.filter(|event| event.paper_id == record.id && event.revision == record.revision);
            // A withdrawal whose event is lost has lost only its reason.
            let event = stored.unwrap_or_else(|| withdrawal(record, "", self.clock.now()));
            self.bus.publish(&message_id, &event).await?;
            return Ok(true);
        }
        let stored: Option<PaperAccepted> = self.event_of(record).await?;
        let is_it = |paper: &proto::papers::v1::Paper| paper.id == record.id && paper.revision == record.revision;
        let Some(mut event) = stored.filter(|event| event.paper.as_ref().is_some_and(is_it)) else {
            return Ok(false);
        };
        event.resend_id = resend_id;
        self.bus.require_room(&STREAMS)?;
        self.bus.publish(&message_id, &event).await?;
        Ok(true)
    }

    /// The dates of a known paper. Earlier releases kept none: then those of its last event, if that is still stored.
    async fn dates_of(&self, known: &VersionedRecord) -> Result<PaperDates, RegistryError> {
        if let Some(dates) = &known.record.dates {
            return Ok(dates.clone());
        }
        let event: Option<PaperAccepted> = self.event_of(&known.record).await?;
        let paper = event
            .and_then(|event| event.paper)
            .filter(|paper| paper.id == known.record.id);
        let paper = paper.and_then(|paper| Paper::try_from(paper).ok());
        let accepted = known.first_written.min(self.clock.now());
        Ok(PaperDates::of_earlier_release(accepted, paper.as_ref()))
    }

    async fn event_of<M: prost::Message + prost::Name + Default>(
        &self,
        record: &PaperRecord,
    ) -> Result<Option<M>, RegistryError> {
        if record.event == 0 {
            return Ok(None);
        }
        Ok(self.bus.stored(record.event).await?)
    }

    async fn publish(&self, paper: &Paper) -> Result<u64, RegistryError> {
        self.bus.require_room(&STREAMS)?;
        let published = paper.published.map_or_else(String::new, |time| time.to_string());
        let message_id = format!(
            "accepted:{}:{}:{}:{published}",
            paper.id, paper.revision, paper.content_hash
        );
        let event = PaperAccepted {
            paper: Some(paper.into()),
            ..PaperAccepted::default()
        };
        Ok(self.bus.publish_numbered(&message_id, &event).await?)
    }

    /// A new id whose text is known under another id becomes an alias of that one.
    async fn known_by_text(&self, id: &PaperId, fingerprint: Option<&str>) -> Result<Option<Decision>, RegistryError> {
        let Some(fingerprint) = fingerprint else {
            return Ok(None);
        };
        let Some(canonical) = self.records.id_of_text(fingerprint).await? else {
            return Ok(None);
        };
        if canonical == *id {
            return Ok(None);
        }
        // Without a record the other submission was never completed, and this one replaces it.
        let Some(known) = self.records.find(&canonical).await? else {
            return Ok(None);
        };
        let alias = PaperRecord {
            id: id.to_string(),
            revision: 0,
            content_hash: String::new(),
            withdrawn: false,
            alias_of: Some(canonical.to_string()),
            event: 0,
            dates: None,
        };
        self.records.write(&alias, None).await?;
        Ok(Some(Decision {
            verdict: Verdict::Duplicate,
            id: canonical,
            revision: known.record.revision,
        }))
    }
}

fn record_of(paper: &Paper, dates: PaperDates, event: u64) -> PaperRecord {
    PaperRecord {
        id: paper.id.to_string(),
        revision: paper.revision,
        content_hash: paper.content_hash.clone(),
        withdrawn: false,
        alias_of: None,
        event,
        dates: Some(dates),
    }
}

fn withdrawal(record: &PaperRecord, reason: &str, now: Timestamp) -> PaperWithdrawn {
    PaperWithdrawn {
        paper_id: record.id.clone(),
        revision: record.revision,
        reason: reason.to_owned(),
        withdrawn_time: Some(to_wire_time(now)),
    }
}

/// Serialises submissions of one paper or one text within this process.
async fn lock<'a>(locks: &'a [Mutex<()>], key: &str) -> MutexGuard<'a, ()> {
    locks[shard_of(key)].lock().await
}

fn shard_of(key: &str) -> usize {
    let hash = key.bytes().fold(0_usize, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(usize::from(byte))
    });
    hash % SHARDS
}

fn unavailable(error: impl std::fmt::Display) -> RegistryError {
    RegistryError::Bucket(error.to_string())
}

/// Why a bucket did not take an entry.
fn unwritten(error: &(dyn std::error::Error + 'static)) -> RegistryError {
    if bus::is_full(error) {
        return RegistryError::Full;
    }
    unavailable(error)
}

/// An id as it was stored.
fn parse_stored_id(value: &[u8]) -> Result<PaperId, RegistryError> {
    let unreadable = |error: &dyn std::fmt::Display| RegistryError::unreadable("a paper id", error);
    let id = std::str::from_utf8(value).map_err(|error| unreadable(&error))?;
    PaperId::parse(id).map_err(|error| unreadable(&error))
}
