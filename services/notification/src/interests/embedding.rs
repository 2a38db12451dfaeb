//! Embeds words by the embedding service, in calls of a bounded size.

use std::time::Duration;

use async_trait::async_trait;
use common::config::CallerConfig;
use common::grpc::{ServiceChannel, connect};
use common::status::retry_delay;
use domain::{DenseVector, EncoderId};
use proto::embedding::v1::embedding_service_client::EmbeddingServiceClient;
use proto::embedding::v1::{EmbedPriority, EmbedRequest, EmbedResponse, TextKind};
use tonic::{Code, Status};

use super::{EmbedFailure, InterestEncoder};

/// Most texts of one call.
const MAX_TEXTS: usize = 256;
/// The same for texts of people whom nobody knows: few enough for the calls of several of them to take turns.
const MAX_BEST_EFFORT_TEXTS: usize = 8;
/// When to try again, if the service does not say.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The embedding service.
pub struct RemoteEncoder {
    client: EmbeddingServiceClient<ServiceChannel>,
}

impl RemoteEncoder {
    /// At an address.
    pub fn new(url: &str, caller: &CallerConfig) -> Result<Self, String> {
        let channel = connect(url, caller).map_err(|error| error.to_string())?;
        Ok(Self {
            client: EmbeddingServiceClient::new(channel),
        })
    }
}

/// Most texts of one call with this priority.
pub fn texts_per_call(priority: EmbedPriority) -> usize {
    match priority {
        EmbedPriority::BestEffort => MAX_BEST_EFFORT_TEXTS,
        _ => MAX_TEXTS,
    }
}

/// What a status of the embedding service means for the texts of the call.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub fn failure(status: Status) -> EmbedFailure {
    match status.code() {
        Code::ResourceExhausted => EmbedFailure::Busy {
            retry_after: retry_delay(&status).unwrap_or(RETRY_AFTER),
        },
        _ => EmbedFailure::Failed(status.message().to_owned()),
    }
}

impl RemoteEncoder {
    async fn call(&self, texts: &[String], priority: EmbedPriority) -> Result<EmbedResponse, EmbedFailure> {
        let request = EmbedRequest {
            texts: texts.to_vec(),
            kind: TextKind::Query.into(),
            priority: priority.into(),
            ..EmbedRequest::default()
        };
        let response = self.client.clone().embed(request).await.map_err(failure)?;
        Ok(response.into_inner())
    }
}

#[async_trait]
impl InterestEncoder for RemoteEncoder {
    async fn embed(
        &self,
        texts: &[String],
        priority: EmbedPriority,
    ) -> Result<(EncoderId, Vec<DenseVector>), EmbedFailure> {
        let mut encoder: Option<String> = None;
        let mut vectors = Vec::with_capacity(texts.len());
        for some in texts.chunks(texts_per_call(priority)) {
            let response = self.call(some, priority).await?;
            let same = encoder.get_or_insert_with(|| response.encoder_id.clone());
            if *same != response.encoder_id {
                return Err(format!("{} became {} between two calls", same, response.encoder_id).into());
            }
            for one in response.embeddings {
                vectors.push(DenseVector::new(one.dense).map_err(|error| error.to_string())?);
            }
        }
        let encoder = EncoderId::parse(&encoder.unwrap_or_default()).map_err(|error| error.to_string())?;
        Ok((encoder, vectors))
    }
}
