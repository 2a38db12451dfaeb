//! Embeds words by the embedding service.

use async_trait::async_trait;
use common::grpc::{ServiceChannel, channel};
use domain::{DenseVector, EncoderId};
use proto::embedding::v1::embedding_service_client::EmbeddingServiceClient;
use proto::embedding::v1::{EmbedRequest, TextKind};

use super::InterestEncoder;

/// The embedding service.
pub struct RemoteEncoder {
    client: EmbeddingServiceClient<ServiceChannel>,
}

impl RemoteEncoder {
    /// At an address.
    pub fn new(url: &str, key: Option<&str>) -> Result<Self, String> {
        let channel = channel(url, key).map_err(|error| error.to_string())?;
        Ok(Self {
            client: EmbeddingServiceClient::new(channel),
        })
    }
}

#[async_trait]
impl InterestEncoder for RemoteEncoder {
    async fn embed(&self, texts: &[String]) -> Result<(EncoderId, Vec<DenseVector>), String> {
        let request = EmbedRequest {
            texts: texts.to_vec(),
            kind: TextKind::Query.into(),
            ..EmbedRequest::default()
        };
        let response = self
            .client
            .clone()
            .embed(request)
            .await
            .map_err(|status| status.message().to_owned())?;
        let response = response.into_inner();
        let encoder = EncoderId::parse(&response.encoder_id).map_err(|error| error.to_string())?;
        let vectors: Result<Vec<DenseVector>, _> = response
            .embeddings
            .into_iter()
            .map(|embedding| DenseVector::new(embedding.dense))
            .collect();
        Ok((encoder, vectors.map_err(|error| error.to_string())?))
    }
}
