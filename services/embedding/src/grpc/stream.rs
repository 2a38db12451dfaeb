//! A stream of texts in, a stream of results out, each as soon as it is ready.
//!
//! It reads only so far ahead of its results, so a fast sender is slowed down rather than refused, and one bad text
//! never ends a stream. The stop and the deadline do: what was read by then is still answered.

use std::time::Instant;

use common::status;
use futures::{Stream, StreamExt as _, future, stream};
use proto::embedding::v1::{EmbedStreamRequest, EmbedStreamResponse, TextEmbedding, TextInput};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::{MAX_STREAM_TEXTS, answer, answered, request};
use crate::encoders::Encoders;
use crate::engine::Engine;

/// The results of the texts of a stream.
pub fn results(
    encoders: Encoders,
    texts: Streaming<EmbedStreamRequest>,
    deadline: Option<Instant>,
    stop: CancellationToken,
) -> impl Stream<Item = Result<EmbedStreamResponse, Status>> + Send {
    let ended = ended(deadline, stop.clone());
    texts
        .take_until(ended)
        .map(move |item| one(encoders.clone(), item, deadline))
        .buffer_unordered(MAX_STREAM_TEXTS)
        .chain(stream::once(future::lazy(move |_| farewell(deadline, &stop))).filter_map(future::ready))
}

async fn one(
    encoders: Encoders,
    item: Result<EmbedStreamRequest, Status>,
    deadline: Option<Instant>,
) -> Result<EmbedStreamResponse, Status> {
    let EmbedStreamRequest {
        reference,
        text,
        encoder_id,
    } = item?;
    let (encoder_id, outcome) = match encoders.find(&encoder_id) {
        Ok(engine) => {
            let outcome = embedded(engine, text.unwrap_or_default(), deadline).await;
            (engine.encoder().to_string(), outcome)
        }
        Err(error) => (encoder_id, Err(answer::not_offered(&error))),
    };
    Ok(EmbedStreamResponse {
        reference,
        encoder_id,
        result: Some(answer::result(outcome)),
    })
}

async fn embedded(engine: &Engine, text: TextInput, deadline: Option<Instant>) -> Result<TextEmbedding, Status> {
    let text = request::text(text)?;
    let pending = engine.submit(vec![text], deadline).map_err(answer::refused)?;
    answered(pending.into_iter().next()).await
}

async fn ended(deadline: Option<Instant>, stop: CancellationToken) {
    let passed = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => future::pending().await,
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = passed => {}
    }
}

/// How the stream ends: well, unless texts may have been left unread.
fn farewell(deadline: Option<Instant>, stop: &CancellationToken) -> Option<Result<EmbedStreamResponse, Status>> {
    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
        return Some(Err(Status::deadline_exceeded(
            "the deadline passed before the stream ended",
        )));
    }
    stop.is_cancelled().then(|| {
        Err(status::unavailable(
            "this server is stopping and reads no more of the stream",
        ))
    })
}
