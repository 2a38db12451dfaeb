//! The register of papers: which content a paper id stands at, and which ids stand for the same text.
//!
//! Kept in a bucket of the bus. A paper is published before the register says so: a crash in between leads to the same
//! message under the same id again, never to a lost paper. It knows nothing of vectors or search.

mod claims;
mod records;
mod works;

#[cfg(test)]
pub mod tests;

use common::bus::{Bus, BusError};
use domain::submission::text_fingerprint;
use domain::{Paper, PaperId};
use jiff::Timestamp;
use proto::convert::to_wire_time;
use proto::papers::v1::{PaperAccepted, PaperWithdrawn};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

use claims::Claims;
use records::{Found, Record, Records, hash_of};

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

/// What became of a paper that was to be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resent {
    /// Its last event is on its way again.
    Sent {
        /// The revision it stands at.
        revision: u64,
    },
    /// No such paper.
    Unknown,
    /// Known, but its text is not kept any more; the next submission is accepted whatever it says.
    Gone {
        /// The revision it stands at.
        revision: u64,
    },
}

/// What the same text under two ids means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SameText {
    /// One paper.
    OnePaper,
    /// What the names say, which have been looked at.
    AsNamed,
}

pub use records::Page;

/// The register.
pub struct Registry {
    bus: Bus,
    records: Records,
    papers: Vec<Mutex<()>>,
    texts: Vec<Mutex<()>>,
    claims: Claims,
    names: Vec<Mutex<()>>,
}

impl Registry {
    /// Opens the bucket, making it at the first start.
    pub async fn open(bus: &Bus) -> Result<Self, RegistryError> {
        let records = Records::open(bus).await?;
        let claims = Claims::new(records.bucket());
        let locks = || (0..SHARDS).map(|_| Mutex::new(())).collect();
        Ok(Self {
            bus: bus.clone(),
            records,
            papers: locks(),
            texts: locks(),
            names: locks(),
            claims,
        })
    }

    /// Decides whether a paper is new, changed or known, and publishes it when it is news. One whose text is known under
    /// another id becomes an alias of that.
    pub async fn submit(&self, paper: Paper) -> Result<Decision, RegistryError> {
        self.decide(paper, SameText::OnePaper).await
    }

    async fn decide(&self, mut paper: Paper, same_text: SameText) -> Result<Decision, RegistryError> {
        let fingerprint = text_fingerprint(&paper);
        let asked = hash_of(paper.id.as_str());
        let _paper_lock = lock(&self.papers, &asked).await;
        let _text_lock = match &fingerprint {
            Some(fingerprint) => Some(lock(&self.texts, fingerprint).await),
            None => None,
        };
        let mut alias = false;
        for _ in 0..ATTEMPTS {
            let known = self.records.find(&paper.id).await?;
            if let Some(found) = &known
                && let Some(canonical) = &found.record.alias_of
            {
                alias = true;
                paper.id = PaperId::parse(canonical).map_err(unanswered)?;
                continue;
            }
            if let Some(found) = &known
                && (found.record.content_hash == paper.content_hash || alias)
            {
                let verdict = if alias { Verdict::Duplicate } else { Verdict::Unchanged };
                return Ok(Decision {
                    verdict,
                    id: paper.id,
                    revision: found.record.revision,
                });
            }
            if known.is_none()
                && same_text == SameText::OnePaper
                && let Some(decision) = self.known_by_text(&paper.id, fingerprint.as_deref()).await?
            {
                return Ok(decision);
            }
            paper.revision = known.as_ref().map_or(1, |found| found.record.revision + 1);
            let event = self.publish(&paper).await?;
            if self.records.write(&record_of(&paper, event), known.as_ref()).await? {
                if let Some(fingerprint) = &fingerprint {
                    self.records.remember_text(fingerprint, &paper.id).await?;
                }
                return Ok(Decision {
                    verdict: Verdict::Accepted,
                    id: paper.id,
                    revision: paper.revision,
                });
            }
        }
        Err(RegistryError::Contended(paper.id))
    }

    /// Withdraws a paper. `None` when it is not known.
    pub async fn withdraw(&self, id: PaperId, reason: &str) -> Result<Option<(PaperId, u64)>, RegistryError> {
        let mut id = id;
        for _ in 0..ATTEMPTS {
            let Some(found) = self.records.find(&id).await? else {
                return Ok(None);
            };
            if let Some(canonical) = &found.record.alias_of {
                id = PaperId::parse(canonical).map_err(unanswered)?;
                continue;
            }
            if found.record.withdrawn {
                return Ok(Some((id, found.record.revision)));
            }
            let mut record = found.record.clone();
            record.revision += 1;
            record.withdrawn = true;
            let message_id = format!("withdrawn:{id}:{}", record.revision);
            let event = withdrawal(&record, reason);
            record.event = self.bus.publish_numbered(&message_id, &event).await?;
            if self.records.write(&record, Some(&found)).await? {
                return Ok(Some((id, record.revision)));
            }
        }
        Err(RegistryError::Contended(id))
    }

    /// So many papers at most, from where an earlier page ended; 0 is the beginning.
    pub async fn page(&self, after: u64, size: usize) -> Result<Page, RegistryError> {
        self.records.page(after, size).await
    }

    /// Sends the last event of a paper again, under a message id of its own: under its first one the stream would drop
    /// it as a duplicate for a while.
    pub async fn resend(&self, id: &PaperId) -> Result<Resent, RegistryError> {
        let mut id = id.clone();
        for _ in 0..ATTEMPTS {
            let Some(found) = self.records.find(&id).await? else {
                return Ok(Resent::Unknown);
            };
            if let Some(canonical) = &found.record.alias_of {
                id = PaperId::parse(canonical).map_err(unanswered)?;
                continue;
            }
            let revision = found.record.revision;
            if self.publish_again(&found.record).await? {
                return Ok(Resent::Sent { revision });
            }
            if self.forget_content(&found).await? {
                return Ok(Resent::Gone { revision });
            }
        }
        Err(RegistryError::Contended(id))
    }

    /// Lets the next submission be accepted whatever it says. `false` when another replica was faster.
    async fn forget_content(&self, found: &Found) -> Result<bool, RegistryError> {
        if found.record.content_hash.is_empty() {
            return Ok(true);
        }
        let mut forgetful = found.record.clone();
        forgetful.content_hash.clear();
        self.records.write(&forgetful, Some(found)).await
    }

    /// Publishes the event of a record again. `false` when the stream does not hold it.
    async fn publish_again(&self, record: &Record) -> Result<bool, RegistryError> {
        let repetition = Uuid::new_v4().simple().to_string();
        let message_id = format!("again:{}:{}:{repetition}", record.id, record.revision);
        if record.withdrawn {
            let kept: Option<PaperWithdrawn> = self.event_of(record).await?;
            let kept = kept.filter(|event| event.paper_id == record.id && event.revision == record.revision);
            // All that a lost withdrawal takes along is its reason.
            let event = kept.unwrap_or_else(|| withdrawal(record, ""));
            self.bus.publish(&message_id, &event).await?;
            return Ok(true);
        }
        let kept: Option<PaperAccepted> = self.event_of(record).await?;
        let is_it = |paper: &proto::papers::v1::Paper| paper.id == record.id && paper.revision == record.revision;
        let Some(mut event) = kept.filter(|event| event.paper.as_ref().is_some_and(is_it)) else {
            return Ok(false);
        };
        event.repetition = repetition;
        self.bus.publish(&message_id, &event).await?;
        Ok(true)
    }

    async fn event_of<M: prost::Message + prost::Name + Default>(
        &self,
        record: &Record,
    ) -> Result<Option<M>, RegistryError> {
        if record.event == 0 {
            return Ok(None);
        }
        Ok(self.bus.stored(record.event).await?)
    }

    async fn publish(&self, paper: &Paper) -> Result<u64, RegistryError> {
        let message_id = format!("accepted:{}:{}:{}", paper.id, paper.revision, paper.content_hash);
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
        // Without a record the other submission never came through, and this one takes its place.
        let Some(known) = self.records.find(&canonical).await? else {
            return Ok(None);
        };
        let alias = Record {
            id: id.to_string(),
            revision: 0,
            content_hash: String::new(),
            withdrawn: false,
            alias_of: Some(canonical.to_string()),
            event: 0,
        };
        self.records.write(&alias, None).await?;
        Ok(Some(Decision {
            verdict: Verdict::Duplicate,
            id: canonical,
            revision: known.record.revision,
        }))
    }
}

fn record_of(paper: &Paper, event: u64) -> Record {
    Record {
        id: paper.id.to_string(),
        revision: paper.revision,
        content_hash: paper.content_hash.clone(),
        withdrawn: false,
        alias_of: None,
        event,
    }
}

fn withdrawal(record: &Record, reason: &str) -> PaperWithdrawn {
    PaperWithdrawn {
        paper_id: record.id.clone(),
        revision: record.revision,
        reason: reason.to_owned(),
        withdrawn_time: Some(to_wire_time(Timestamp::now())),
    }
}

/// In-process order among submissions of one paper or one text: first come, first served.
async fn lock<'a>(locks: &'a [Mutex<()>], key: &str) -> MutexGuard<'a, ()> {
    locks[shard_of(key)].lock().await
}

fn shard_of(key: &str) -> usize {
    let hash = key.bytes().fold(0_usize, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(usize::from(byte))
    });
    hash % SHARDS
}

fn unanswered(error: impl std::fmt::Display) -> RegistryError {
    RegistryError::Bucket(error.to_string())
}
