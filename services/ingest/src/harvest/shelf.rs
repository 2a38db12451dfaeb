//! Where the states of sources lie: a bucket of the bus, changed by compare-and-swap alone.
//!
//! A change is a closure over the newest state; it is made again where another replica or an operator was faster. So what a
//! closure checks (such as who holds the source) holds at the moment the change is made. It decides nothing.

use async_nats::jetstream::kv;
use common::bus::Bus;
use futures::{Stream, StreamExt as _};

use super::state::SourceState;

const BUCKET: &str = "ingest-sources";
/// Others that change the same source at the same moment are let go first this often.
const ATTEMPTS: usize = 32;

/// A shelf that does not answer.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// The bucket.
    #[error("the states of sources cannot be had: {0}")]
    Bucket(String),
    /// Too many others change the same source.
    #[error("source {0} is being changed by others all the time")]
    Contended(String),
}

/// The shelf.
#[derive(Clone)]
pub struct Shelf {
    bucket: kv::Store,
}

impl Shelf {
    /// Opens the bucket, making it at the first start.
    pub async fn open(bus: &Bus) -> Result<Self, ShelfError> {
        let config = kv::Config {
            bucket: BUCKET.to_owned(),
            description: "Where each source of papers stands".to_owned(),
            history: 1,
            num_replicas: bus.replicas(),
            ..kv::Config::default()
        };
        let bucket = bus.jetstream().create_key_value(config).await.map_err(failed)?;
        Ok(Self { bucket })
    }

    /// A source as it stands; one that nobody has touched yet stands at its default.
    pub async fn read(&self, name: &str) -> Result<SourceState, ShelfError> {
        Ok(self.find(name).await?.0)
    }

    /// Changes a source. Where the closure refuses, nothing is changed and its answer comes back.
    pub async fn change<T, R>(
        &self,
        name: &str,
        mut change: impl FnMut(&mut SourceState) -> Result<T, R>,
    ) -> Result<Result<(T, SourceState), R>, ShelfError> {
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
        Err(ShelfError::Contended(name.to_owned()))
    }

    /// Follows a source: its state now, then after every change. Ends with the connection.
    pub async fn follow(
        &self,
        name: &str,
    ) -> Result<impl Stream<Item = SourceState> + Send + Unpin + use<>, ShelfError> {
        let entries = self.bucket.watch_with_history(name).await.map_err(failed)?;
        let states = entries.filter_map(async |entry| {
            let entry = entry.ok()?;
            serde_json::from_slice(&entry.value).ok()
        });
        Ok(Box::pin(states))
    }

    async fn find(&self, name: &str) -> Result<(SourceState, Option<u64>), ShelfError> {
        match self.bucket.entry(name).await.map_err(failed)? {
            Some(entry) if entry.operation == kv::Operation::Put => {
                let state = serde_json::from_slice(&entry.value).map_err(failed)?;
                Ok((state, Some(entry.revision)))
            }
            Some(entry) => Ok((SourceState::default(), Some(entry.revision))),
            None => Ok((SourceState::default(), None)),
        }
    }

    /// Writes over a revision. `false` when somebody else was faster.
    async fn write(&self, name: &str, state: &SourceState, over: Option<u64>) -> Result<bool, ShelfError> {
        let value = serde_json::to_vec(state).map_err(failed)?.into();
        match self.bucket.update(name, value, over.unwrap_or(0)).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }
}

fn failed(error: impl std::fmt::Display) -> ShelfError {
    ShelfError::Bucket(error.to_string())
}
