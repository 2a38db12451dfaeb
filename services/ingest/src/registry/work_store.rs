//! Where works are stored, and the index that finds a paper by its identifiers and title: in the bucket of the registry,
//! beside the paper records.
//!
//! A key is assigned once and never taken away, so two replicas that meet a work at the same moment agree on its paper. It
//! decides nothing about papers.

use async_nats::jetstream::kv;
use domain::PaperId;
use domain::identity::hex;
use sha2::{Digest as _, Sha256};

use super::work::Work;
use super::{RegistryError, hash_of, parse_stored_id, unavailable, unwritten};

/// The store.
pub struct WorkStore {
    bucket: kv::Store,
}

impl WorkStore {
    /// In the bucket of the registry.
    pub fn new(bucket: kv::Store) -> Self {
        Self { bucket }
    }

    /// What sources say about a paper, and the revision of the entry.
    pub async fn read(&self, id: &PaperId) -> Result<(Work, u64), RegistryError> {
        match self.bucket.entry(work_key(id)).await.map_err(unavailable)? {
            Some(entry) if entry.operation == kv::Operation::Put => {
                let work = serde_json::from_slice(&entry.value);
                let work = work.map_err(|error| RegistryError::unreadable(format!("the work of {id}"), error))?;
                Ok((work, entry.revision))
            }
            Some(entry) => Ok((Work::default(), entry.revision)),
            None => Ok((Work::default(), 0)),
        }
    }

    /// Writes over a revision. `false` if another replica was faster.
    pub async fn write(&self, id: &PaperId, work: &Work, over: u64) -> Result<bool, RegistryError> {
        let value = serde_json::to_vec(work).map_err(unavailable)?.into();
        match self.bucket.update(work_key(id), value, over).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => Ok(false),
            Err(error) => Err(unwritten(&error)),
        }
    }

    /// The paper that a key was assigned to.
    pub async fn paper_of(&self, key: &str) -> Result<Option<PaperId>, RegistryError> {
        let value = self.bucket.get(index_key(key)).await.map_err(unavailable)?;
        value.map(|value| parse_stored_id(&value)).transpose()
    }

    /// Assigns a key to a paper, unless another paper has it. Returns the paper that has it now.
    pub async fn assign(&self, key: &str, id: &PaperId) -> Result<PaperId, RegistryError> {
        let value = id.as_str().to_owned().into();
        match self.bucket.create(index_key(key), value).await {
            Ok(_) => Ok(id.clone()),
            Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => {
                Ok(self.paper_of(key).await?.unwrap_or_else(|| id.clone()))
            }
            Err(error) => Err(unwritten(&error)),
        }
    }
}

fn work_key(id: &PaperId) -> String {
    format!("work.{}", hash_of(id.as_str()))
}

/// Bucket keys allow few characters, identifiers allow many.
fn index_key(key: &str) -> String {
    format!("index.{}", hex(&Sha256::digest(key)))
}
