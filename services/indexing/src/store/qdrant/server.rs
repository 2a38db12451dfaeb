//! One Qdrant server: every call ends within a time, whatever the server does.
//!
//! It knows nothing of papers. Reads are tried twice where the first failure may pass; writes are tried once, because only the
//! caller knows whether to repeat them.

use std::time::Duration;

use common::clock::Clock;
use common::config::without_userinfo;
use tonic::{Code, Status};

use super::client::{QdrantAccess, QdrantCalls};
use super::settings::QdrantSettings;
use crate::store::StoreError;

/// Between two tries of a read.
const PAUSE: Duration = Duration::from_millis(50);
/// The first release with conditional writes and metadata of collections. Older ones ignore both silently.
const OLDEST: (u32, u32) = (1, 16);

/// A server, with separate connections for reads and for writes, so that neither waits behind the other.
pub struct QdrantServer {
    /// Its gRPC address.
    pub url: String,
    reads: ServerConnection,
    writes: ServerConnection,
    clock: Clock,
}

struct ServerConnection {
    calls: QdrantCalls,
    /// Longest wait, with all tries.
    limit: Duration,
}

impl QdrantServer {
    /// Prepares connections; none is made yet.
    pub fn new(access: &QdrantAccess<'_>, timeout: Duration, clock: Clock) -> Result<Self, StoreError> {
        Ok(Self {
            url: without_userinfo(access.url),
            reads: ServerConnection::new(access, timeout)?,
            writes: ServerConnection::new(access, timeout * QdrantSettings::WRITES)?,
            clock,
        })
    }

    /// For reads.
    pub fn reader(&self) -> &QdrantCalls {
        &self.reads.calls
    }

    /// For writes.
    pub fn writer(&self) -> &QdrantCalls {
        &self.writes.calls
    }

    /// Longest wait for an answer in whole seconds, for the server to give up by itself.
    pub fn seconds(&self) -> u64 {
        self.reads.limit.as_secs().max(1)
    }

    /// Reads, and reads once more after a failure that may pass.
    pub async fn ask<T, F>(&self, read: impl Fn() -> F + Send + Sync) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Status>> + Send,
    {
        self.try_twice(read).await?.map_err(|status| failed(&status))
    }

    /// Like [`QdrantServer::ask`]; `None` where there is nothing of that name.
    pub async fn ask_for<T, F>(&self, read: impl Fn() -> F + Send + Sync) -> Result<Option<T>, StoreError>
    where
        F: Future<Output = Result<T, Status>> + Send,
    {
        match self.try_twice(read).await? {
            Ok(answer) => Ok(Some(answer)),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(failed(&status)),
        }
    }

    /// Writes, once.
    pub async fn write<T>(&self, writing: impl Future<Output = Result<T, Status>> + Send) -> Result<T, StoreError> {
        let written = self.within(self.writes.limit, writing).await?;
        written.map_err(|status| failed(&status))
    }

    /// Whether it answers, and is new enough.
    pub async fn check(&self) -> Result<(), StoreError> {
        let said = self.ask(|| self.reader().health_check()).await?;
        if release(&said.version).is_none_or(|release| release < OLDEST) {
            let (major, minor) = OLDEST;
            return Err(self.unusable(format!(
                "the server says it is {} {}; Qdrant {major}.{minor} or newer is needed",
                said.title, said.version
            )));
        }
        Ok(())
    }

    /// An operator must act.
    pub fn unusable(&self, problem: String) -> StoreError {
        StoreError::Unusable {
            place: self.url.clone(),
            problem,
        }
    }

    async fn try_twice<T, F>(&self, read: impl Fn() -> F + Send + Sync) -> Result<Result<T, Status>, StoreError>
    where
        F: Future<Output = Result<T, Status>> + Send,
    {
        let tries = async {
            match read().await {
                Err(status) if may_pass(&status) => {
                    self.clock.sleep(PAUSE).await;
                    read().await
                }
                answer => answer,
            }
        };
        self.within(self.reads.limit, tries).await
    }

    async fn within<T>(&self, limit: Duration, call: impl Future<Output = T>) -> Result<T, StoreError> {
        // Boxed, because the calls of the client are large.
        self.clock.timeout(limit, Box::pin(call)).await.ok_or_else(|| {
            let seconds = limit.as_secs_f32();
            StoreError::Unavailable(format!("no answer from {} within {seconds} seconds", self.url))
        })
    }
}

impl ServerConnection {
    /// A try takes less than half of the limit: after one, the client drops the connection and makes another, and so gets rid
    /// of one whose other end has vanished.
    fn new(access: &QdrantAccess<'_>, limit: Duration) -> Result<Self, StoreError> {
        let calls = QdrantCalls::new(access, limit.mul_f32(0.45)).map_err(|problem| StoreError::Unusable {
            place: without_userinfo(access.url),
            problem,
        })?;
        Ok(Self { calls, limit })
    }
}

/// Whether a second try at once makes sense. A server that has no room now has none in a moment either.
fn may_pass(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::Internal | Code::Cancelled | Code::Unknown | Code::Aborted
    )
}

/// Only an invalid request is the sender's fault; everything else may pass, also that the server is full or refuses the key.
fn failed(status: &Status) -> StoreError {
    match status.code() {
        Code::InvalidArgument => StoreError::Refused(status.message().to_owned()),
        code => StoreError::Unavailable(format!("{code}: {}", status.message())),
    }
}

/// Major and minor number of a version such as `1.19.0`.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_as_numbers() {
        assert!(release("1.9.2") < Some(OLDEST));
        assert!(release("1.16.0") >= Some(OLDEST));
        assert!(release("1.20.0-dev") >= Some(OLDEST));
        assert_eq!(release("dev"), None);
    }
}
