//! The gRPC service: passes texts to the engine and returns its results.
//!
//! It validates requests and turns errors into statuses; the engine decides what is computed when.

mod answer;
mod request;
mod stream;

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::time::{Duration, Instant};

use common::clock::Clock;
use common::{grpc, status};
use futures::Stream;
use proto::embedding::v1::embedding_service_server::{EmbeddingService, EmbeddingServiceServer};
use proto::embedding::v1::{
    EmbedBatchRequest, EmbedBatchResponse, EmbedRequest, EmbedResponse, EmbedStreamRequest, EmbedStreamResponse,
    GetModelRequest, GetModelResponse,
};
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::encoders::EncoderSet;
use crate::engine::{Engine, PendingAnswer};

/// Most texts in one call.
pub const MAX_TEXTS: usize = 256;
/// Most bytes in one text.
pub const MAX_TEXT_BYTES: usize = 32_768;
/// Texts of one stream that are processed before their results are read: enough to keep the encoder busy. A caller that
/// sends faster is slowed down by flow control, not refused.
pub const MAX_STREAM_TEXTS: usize = 64;
/// The largest message accepted: the most texts of the largest size, and a little for their encoding.
const MAX_MESSAGE_BYTES: usize = MAX_TEXTS * (MAX_TEXT_BYTES + 64);

/// Implements `EmbeddingService`.
#[derive(Clone)]
pub struct EmbeddingGrpc {
    encoders: EncoderSet,
    clock: Clock,
    stop: CancellationToken,
}

impl EmbeddingGrpc {
    /// The service over these encoders. The clock must be the one of their engines. Streams end at the stop.
    pub fn new(encoders: EncoderSet, clock: Clock, stop: CancellationToken) -> Self {
        Self { encoders, clock, stop }
    }

    /// The server, which accepts messages as large as the contract allows.
    pub fn into_server(self) -> EmbeddingServiceServer<Self> {
        EmbeddingServiceServer::new(self).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    fn engine(&self, encoder_id: &str) -> Result<&Engine, Status> {
        self.encoders
            .find(encoder_id)
            .map_err(|error| answer::unknown_encoder(&error))
    }

    /// When an answer must be sent to reach the caller before it stops waiting. The transport stops waiting too, and would
    /// answer CANCELLED; this is early enough for the caller to get DEADLINE_EXCEEDED instead.
    fn deadline(&self, metadata: &MetadataMap) -> Option<Instant> {
        const MARGIN: Duration = Duration::from_millis(5);
        let left = grpc::time_left(metadata)?;
        let margin = MARGIN.min(left / 10);
        self.clock.instant().checked_add(left.saturating_sub(margin))
    }
}

#[tonic::async_trait]
impl EmbeddingService for EmbeddingGrpc {
    async fn embed(&self, request: Request<EmbedRequest>) -> Result<Response<EmbedResponse>, Status> {
        let deadline = self.deadline(request.metadata());
        let request = request.into_inner();
        let engine = self.engine(&request.encoder_id)?;
        let texts = request::texts(request)?;
        let pending = engine.submit(texts, deadline).map_err(answer::queue_full)?;
        let mut embeddings = Vec::with_capacity(pending.len());
        for (index, one) in pending.into_iter().enumerate() {
            let answer = one.answer().await;
            let embedded = answer.map_err(|error| answer::status(&format!("texts[{index}]"), error))?;
            embeddings.push(answer::embedding(embedded));
        }
        Ok(Response::new(EmbedResponse {
            encoder_id: engine.encoder().to_string(),
            embeddings,
        }))
    }

    async fn embed_batch(&self, request: Request<EmbedBatchRequest>) -> Result<Response<EmbedBatchResponse>, Status> {
        let deadline = self.deadline(request.metadata());
        let EmbedBatchRequest {
            texts: inputs,
            encoder_id,
        } = request.into_inner();
        let engine = self.engine(&encoder_id)?;
        request::check_count(inputs.len())?;
        let mut texts = Vec::with_capacity(inputs.len());
        let mut refusals = Vec::with_capacity(inputs.len());
        for input in inputs {
            let parsed = request::text(input);
            refusals.push(parsed.as_ref().err().cloned());
            texts.extend(parsed);
        }
        let pending = engine.submit(texts, deadline).map_err(answer::queue_full)?;
        let mut pending = pending.into_iter();
        let mut results = Vec::with_capacity(refusals.len());
        for refusal in refusals {
            let result = match refusal {
                Some(status) => Err(status),
                None => await_embedding(pending.next()).await,
            };
            results.push(answer::result(result));
        }
        Ok(Response::new(EmbedBatchResponse {
            encoder_id: engine.encoder().to_string(),
            results,
        }))
    }

    type EmbedStreamStream = Pin<Box<dyn Stream<Item = Result<EmbedStreamResponse, Status>> + Send>>;

    async fn embed_stream(
        &self,
        request: Request<Streaming<EmbedStreamRequest>>,
    ) -> Result<Response<Self::EmbedStreamStream>, Status> {
        let deadline = self.deadline(request.metadata());
        let results = stream::results(
            self.encoders.clone(),
            request.into_inner(),
            deadline,
            self.clock.clone(),
            self.stop.clone(),
        );
        Ok(Response::new(Box::pin(results)))
    }

    async fn get_model(&self, request: Request<GetModelRequest>) -> Result<Response<GetModelResponse>, Status> {
        let engine = self.engine(&request.into_inner().encoder_id)?;
        Ok(Response::new(answer::model(engine, &self.encoders)))
    }
}

/// The embedding of a queued text. When the text is at fault, the field is its content.
async fn await_embedding(pending: Option<PendingAnswer>) -> Result<proto::embedding::v1::TextEmbedding, Status> {
    // The engine returns one answer per text.
    let pending = pending.ok_or_else(|| status::internal("no answer for a text"))?;
    let embedded = pending.answer().await;
    embedded
        .map(answer::embedding)
        .map_err(|error| answer::status("content", error))
}
