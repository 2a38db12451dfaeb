//! Turns results of the engine into responses and gRPC statuses. The only place that maps errors to codes.

use std::time::Duration;

use common::status;
use proto::embedding::v1::embed_result::Outcome;
use proto::embedding::v1::{EmbedError, EmbedResult, GetModelResponse, TextEmbedding};
use tonic::Status;

use super::{MAX_STREAM_TEXTS, MAX_TEXT_BYTES, MAX_TEXTS};
use crate::encoders::{EncoderSet, UnknownEncoder};
use crate::engine::{EmbeddedText, Engine, SubmitError, TextError};

/// The vectors of one text.
pub fn embedding(embedded: EmbeddedText) -> TextEmbedding {
    TextEmbedding {
        dense: embedded.dense.into_vec(),
        sparse: Some((&embedded.sparse).into()),
        tokens: embedded.tokens,
        truncated: embedded.truncated,
        queue_time: Some(duration(embedded.queue_time)),
        compute_time: Some(duration(embedded.compute_time)),
        cached: embedded.cached,
    }
}

/// The status of a text that failed; `field` is its field in the request.
pub fn status(field: &str, error: TextError) -> Status {
    match error {
        TextError::TooLong { .. } => status::invalid(field, error.to_string()),
        TextError::Deadline => Status::deadline_exceeded(error.to_string()),
        TextError::Stopped => status::unavailable(error),
        TextError::Tokenize(_)
        | TextError::Encode(_)
        | TextError::Vector(_)
        | TextError::Sparse(_)
        | TextError::Panicked(_) => status::internal(error),
    }
}

/// The status of texts that were refused because too much waits.
pub fn queue_full(error: SubmitError) -> Status {
    status::exhausted(error.to_string(), error.retry_after)
}

/// The status of a call or a text that asks for an unknown encoder.
pub fn unknown_encoder(error: &UnknownEncoder) -> Status {
    status::not_offered("encoder", &error.requested, &error.offered)
}

/// The result of one text among several.
pub fn result(result: Result<TextEmbedding, Status>) -> EmbedResult {
    let outcome = match result {
        Ok(embedding) => Outcome::Embedding(embedding),
        Err(status) => Outcome::Error(EmbedError {
            code: status.code().into(),
            message: status.message().to_owned(),
            field: status::blamed_field(&status).unwrap_or_default(),
            retry_delay: status::retry_delay(&status).map(duration),
        }),
    };
    EmbedResult { outcome: Some(outcome) }
}

/// An encoder, the limits of requests to it, and the ids of all encoders.
pub fn model(engine: &Engine, encoders: &EncoderSet) -> GetModelResponse {
    let model = engine.description();
    let capacity = engine.capacity();
    GetModelResponse {
        encoder_id: engine.encoder().to_string(),
        name: model.name.clone(),
        weights_sha256: model.weights_sha256.clone(),
        dimension: as_u32(model.dimension),
        max_tokens: as_u32(model.max_tokens),
        architecture: model.architecture.to_owned(),
        dtype: model.dtype.to_owned(),
        max_texts: as_u32(MAX_TEXTS),
        max_text_bytes: as_u32(MAX_TEXT_BYTES),
        max_stream_texts: as_u32(MAX_STREAM_TEXTS),
        max_waiting_query_tokens: capacity.interactive as u64,
        max_waiting_document_tokens: capacity.bulk as u64,
        max_waiting_best_effort_tokens: capacity.best_effort as u64,
        encoder_ids: encoders.ids(),
    }
}

fn as_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn duration(duration: Duration) -> prost_types::Duration {
    // Only durations of more than two hundred billion years do not fit.
    prost_types::Duration::try_from(duration).unwrap_or_default()
}
