//! EmbeddingService: texts from the wire to the engine and back.
//!
//! It checks what callers may ask for and turns outcomes into statuses; what is computed when is for the engine to say.

mod answer;
mod request;
mod stream;

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::time::{Duration, Instant};

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

use crate::encoders::Encoders;
use crate::engine::{Engine, Pending};

/// Most texts in one call.
pub const MAX_TEXTS: usize = 256;
/// Most bytes in one text.
pub const MAX_TEXT_BYTES: usize = 32_768;
/// Texts of one stream that are worked on before their results are taken. Enough to keep the encoder busy; a caller who
/// sends faster is slowed down by the connection, not refused.
pub const MAX_STREAM_TEXTS: usize = 64;
/// The largest message read: the most texts of the largest size, and a little for their frames.
const MAX_MESSAGE_BYTES: usize = MAX_TEXTS * (MAX_TEXT_BYTES + 64);

/// The service.
#[derive(Clone)]
pub struct Embedding {
    encoders: Encoders,
    stop: CancellationToken,
}

impl Embedding {
    /// Over the encoders that are offered. Streams end at the stop.
    pub fn new(encoders: Encoders, stop: CancellationToken) -> Self {
        Self { encoders, stop }
    }

    /// As a server that reads messages as large as the contract allows.
    pub fn into_server(self) -> EmbeddingServiceServer<Self> {
        EmbeddingServiceServer::new(self).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    fn engine(&self, encoder_id: &str) -> Result<&Engine, Status> {
        self.encoders
            .find(encoder_id)
            .map_err(|error| answer::not_offered(&error))
    }
}

/// When an answer has to leave to reach the caller before it stops waiting. The transport stops waiting too, and would
/// say CANCELLED; this is early enough for the caller to get DEADLINE_EXCEEDED instead.
fn deadline(metadata: &MetadataMap) -> Option<Instant> {
    const JOURNEY: Duration = Duration::from_millis(5);
    let left = grpc::time_left(metadata)?;
    Instant::now().checked_add(left.saturating_sub(JOURNEY.min(left / 10)))
}

#[tonic::async_trait]
impl EmbeddingService for Embedding {
    async fn embed(&self, request: Request<EmbedRequest>) -> Result<Response<EmbedResponse>, Status> {
        let deadline = deadline(request.metadata());
        let request = request.into_inner();
        let engine = self.engine(&request.encoder_id)?;
        let texts = request::texts(request)?;
        let pending = engine.submit(texts, deadline).map_err(answer::refused)?;
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
        let deadline = deadline(request.metadata());
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
        let pending = engine.submit(texts, deadline).map_err(answer::refused)?;
        let mut pending = pending.into_iter();
        let mut results = Vec::with_capacity(refusals.len());
        for refusal in refusals {
            let outcome = match refusal {
                Some(status) => Err(status),
                None => answered(pending.next()).await,
            };
            results.push(answer::result(outcome));
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
        let deadline = deadline(request.metadata());
        let results = stream::results(self.encoders.clone(), request.into_inner(), deadline, self.stop.clone());
        Ok(Response::new(Box::pin(results)))
    }

    async fn get_model(&self, request: Request<GetModelRequest>) -> Result<Response<GetModelResponse>, Status> {
        let engine = self.engine(&request.into_inner().encoder_id)?;
        Ok(Response::new(answer::model(engine, &self.encoders)))
    }
}

/// What became of a text that was queued. The field at fault, if one is, is its content.
async fn answered(pending: Option<Pending>) -> Result<proto::embedding::v1::TextEmbedding, Status> {
    // The engine gives as many answers as it was given texts.
    let pending = pending.ok_or_else(|| status::internal("no answer for a text"))?;
    let embedded = pending.answer().await;
    embedded
        .map(answer::embedding)
        .map_err(|error| answer::status("content", error))
}
