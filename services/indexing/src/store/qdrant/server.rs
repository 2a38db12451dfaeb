//! One Qdrant server: what is asked of it ends within a time, whatever the server does.
//!
//! It knows nothing of papers. Questions are asked once more where the first try met a failure that may pass; writes are
//! left to their caller, who knows what to do with them.

use std::time::Duration;

use qdrant_client::{Qdrant, QdrantError};
use tonic::Code;

use super::settings::Settings;
use crate::store::StoreError;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);
/// First release that writes on a condition, and that keeps metadata of a collection. Older ones ignore both silently.
const OLDEST: (u32, u32) = (1, 16);

/// A server, with connections of their own for questions and for writes, so that neither waits behind the other.
pub struct Server {
    /// Its gRPC address.
    pub url: String,
    questions: Lane,
    writes: Lane,
}

struct Lane {
    client: Qdrant,
    /// Longest wait, with all tries.
    patience: Duration,
}

impl Server {
    /// Prepares connections; none is made yet.
    pub fn new(url: &str, api_key: Option<&str>, timeout: Duration) -> Result<Self, StoreError> {
        Ok(Self {
            url: url.to_owned(),
            questions: Lane::new(url, api_key, timeout)?,
            writes: Lane::new(url, api_key, timeout * Settings::WRITES)?,
        })
    }

    /// For questions.
    pub fn reader(&self) -> &Qdrant {
        &self.questions.client
    }

    /// For writes.
    pub fn writer(&self) -> &Qdrant {
        &self.writes.client
    }

    /// Longest wait for an answer in whole seconds, for the server to give up by itself.
    pub fn seconds(&self) -> u64 {
        self.questions.patience.as_secs().max(1)
    }

    /// Asks, and asks once more after a failure that may pass.
    pub async fn ask<T, F>(&self, question: impl Fn() -> F + Send + Sync) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, QdrantError>> + Send,
    {
        self.try_asking(question).await?.map_err(failed)
    }

    /// As [`Server::ask`]; `None` where there is nothing of that name.
    pub async fn ask_for<T, F>(&self, question: impl Fn() -> F + Send + Sync) -> Result<Option<T>, StoreError>
    where
        F: Future<Output = Result<T, QdrantError>> + Send,
    {
        match self.try_asking(question).await? {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if code(&error) == Some(Code::NotFound) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes, once.
    pub async fn write<T>(
        &self,
        writing: impl Future<Output = Result<T, QdrantError>> + Send,
    ) -> Result<T, StoreError> {
        self.within(self.writes.patience, writing).await?.map_err(failed)
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

    async fn try_asking<T, F>(
        &self,
        question: impl Fn() -> F + Send + Sync,
    ) -> Result<Result<T, QdrantError>, StoreError>
    where
        F: Future<Output = Result<T, QdrantError>> + Send,
    {
        let tries = async {
            match question().await {
                Err(error) if may_pass(&error) => {
                    tokio::time::sleep(PAUSE).await;
                    question().await
                }
                answer => answer,
            }
        };
        self.within(self.questions.patience, tries).await
    }

    async fn within<T>(&self, patience: Duration, call: impl Future<Output = T>) -> Result<T, StoreError> {
        tokio::time::timeout(patience, call).await.map_err(|_| {
            let seconds = patience.as_secs_f32();
            StoreError::Unavailable(format!("no answer from {} within {seconds} seconds", self.url))
        })
    }
}

impl Lane {
    /// A try takes less than half of the wait: after one, the client gives up the connection and makes another, which is
    /// how it gets away from one whose other end has vanished.
    fn new(url: &str, api_key: Option<&str>, patience: Duration) -> Result<Self, StoreError> {
        let mut settings = Qdrant::from_url(url)
            .timeout(patience.mul_f32(0.45))
            .connect_timeout(patience.mul_f32(0.45))
            .skip_compatibility_check();
        settings.api_key = api_key.map(str::to_owned);
        let client = settings.build().map_err(|error| StoreError::Unusable {
            place: url.to_owned(),
            problem: error.to_string(),
        })?;
        Ok(Self { client, patience })
    }
}

fn code(error: &QdrantError) -> Option<Code> {
    match error {
        QdrantError::ResponseError { status } | QdrantError::ResourceExhaustedError { status, .. } => {
            Some(status.code())
        }
        _ => None,
    }
}

/// Whether it is worth asking again at once. A server that has no room now has none in a moment either.
fn may_pass(error: &QdrantError) -> bool {
    matches!(
        code(error),
        Some(Code::Unavailable | Code::Internal | Code::Cancelled | Code::Unknown | Code::Aborted)
    )
}

/// Only a refusal of what was sent is the sender's fault; everything else may pass, the server's being full or closed to
/// this key included.
fn failed(error: QdrantError) -> StoreError {
    let (QdrantError::ResponseError { status } | QdrantError::ResourceExhaustedError { status, .. }) = error else {
        return StoreError::Unavailable(error.to_string());
    };
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
