//! Where the states of sources are stored: a bucket of the bus, changed by compare-and-swap alone.
//!
//! A change is a closure over the newest state. It is applied again if another replica or an operator was faster, so what it
//! checks (such as who holds the lease) is true at the moment of the change. It decides nothing. A state that cannot be
//! read is an error.

use async_nats::jetstream::kv;
use common::bus::Bus;
use common::{flow, streams};
use futures::{Stream, StreamExt as _};

use super::state::SourceState;

/// How often a change is tried again because others change the same source at the same moment.
const ATTEMPTS: usize = 32;

/// A state that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateStoreError {
    /// The bucket does not answer.
    #[error("the bucket of sources does not answer: {0}")]
    Bucket(String),
    /// A state that this release cannot read.
    #[error("the stored state of source {name} cannot be read: {problem}; another release may have written it")]
    Unreadable {
        /// The source.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Too many others change the same source.
    #[error("source {0} is constantly being changed by others; try again")]
    Contended(String),
}

/// The store.
#[derive(Clone)]
pub struct SourceStateStore {
    bucket: kv::Store,
}

impl SourceStateStore {
    /// Opens the bucket, once it is there.
    pub async fn open(bus: &Bus) -> Result<Self, StateStoreError> {
        let bucket = streams::bucket(bus, flow::SOURCES_BUCKET).await.map_err(failed)?;
        Ok(Self { bucket })
    }

    /// The state of a source; the default for one that was never stored.
    pub async fn read(&self, name: &str) -> Result<SourceState, StateStoreError> {
        Ok(self.find(name).await?.0)
    }

    /// Changes the state of a source. If the closure refuses, nothing is changed and its answer is returned.
    pub async fn change<T, R>(
        &self,
        name: &str,
        mut change: impl FnMut(&mut SourceState) -> Result<T, R>,
    ) -> Result<Result<(T, SourceState), R>, StateStoreError> {
        for _ in 0..ATTEMPTS {
            let (mut state, revision) = self.find(name).await?;
            let answer = match change(&mut state) {
                Ok(answer) => answer,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if self.write(name, &state, revision).await? {
                return Ok(Ok((answer, state)));
            }
        }
        Err(StateStoreError::Contended(name.to_owned()))
    }

    /// Follows a source: its state now, then after every change. Ends with the connection.
    pub async fn follow(
        &self,
        name: &str,
    ) -> Result<impl Stream<Item = Result<SourceState, StateStoreError>> + Send + Unpin + use<>, StateStoreError> {
        let entries = self.bucket.watch_with_history(name).await.map_err(failed)?;
        let name = name.to_owned();
        let states = entries.map(move |entry| decode(&name, &entry.map_err(failed)?));
        Ok(Box::pin(states))
    }

    async fn find(&self, name: &str) -> Result<(SourceState, Option<u64>), StateStoreError> {
        match self.bucket.entry(name).await.map_err(failed)? {
            Some(entry) => Ok((decode(name, &entry)?, Some(entry.revision))),
            None => Ok((SourceState::default(), None)),
        }
    }

    /// Writes over a revision. `false` if somebody else was faster.
    async fn write(&self, name: &str, state: &SourceState, over: Option<u64>) -> Result<bool, StateStoreError> {
        let value = serde_json::to_vec(state).map_err(failed)?.into();
        match self.bucket.update(name, value, over.unwrap_or(0)).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }
}

/// The state in an entry; the default in one that was deleted.
fn decode(name: &str, entry: &kv::Entry) -> Result<SourceState, StateStoreError> {
    if entry.operation != kv::Operation::Put {
        return Ok(SourceState::default());
    }
    serde_json::from_slice(&entry.value).map_err(|error| StateStoreError::Unreadable {
        name: name.to_owned(),
        problem: error.to_string(),
    })
}

fn failed(error: impl std::fmt::Display) -> StateStoreError {
    StateStoreError::Bucket(error.to_string())
}
