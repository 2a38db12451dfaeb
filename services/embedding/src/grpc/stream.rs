//! A stream of texts in, a stream of results out, each as soon as it is ready.
//!
//! The number of texts read ahead of their results is limited, so a fast sender is slowed down rather than refused. A bad
//! text never ends a stream. A stop and the deadline do, after answering what was read until then.

use std::time::Instant;

use common::clock::Clock;
use common::status;
use futures::{Stream, StreamExt as _, future, stream};
use proto::embedding::v1::{EmbedStreamRequest, EmbedStreamResponse, TextEmbedding, TextInput};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::{MAX_STREAM_TEXTS, answer, await_embedding, request};
use crate::encoders::EncoderSet;
use crate::engine::Engine;

/// The results of the texts of a stream.
pub fn results(
    encoders: EncoderSet,
    texts: Streaming<EmbedStreamRequest>,
    deadline: Option<Instant>,
    clock: Clock,
    stop: CancellationToken,
) -> impl Stream<Item = Result<EmbedStreamResponse, Status>> + Send {
    let ended = ended(deadline, clock.clone(), stop.clone());
    texts
        .take_until(ended)
        .map(move |item| embed_one(encoders.clone(), item, deadline))
        .buffer_unordered(MAX_STREAM_TEXTS)
        .chain(stream::once(future::lazy(move |_| final_status(deadline, &clock, &stop))).filter_map(future::ready))
}

async fn embed_one(
    encoders: EncoderSet,
    item: Result<EmbedStreamRequest, Status>,
    deadline: Option<Instant>,
) -> Result<EmbedStreamResponse, Status> {
    let EmbedStreamRequest {
        reference,
        text,
        encoder_id,
    } = item?;
    let (encoder_id, result) = match encoders.find(&encoder_id) {
        Ok(engine) => {
            let result = embed_text(engine, text.unwrap_or_default(), deadline).await;
            (engine.encoder().to_string(), result)
        }
        Err(error) => (encoder_id, Err(answer::unknown_encoder(&error))),
    };
    Ok(EmbedStreamResponse {
        reference,
        encoder_id,
        result: Some(answer::result(result)),
    })
}

async fn embed_text(engine: &Engine, text: TextInput, deadline: Option<Instant>) -> Result<TextEmbedding, Status> {
    let text = request::text(text)?;
    let pending = engine.submit(vec![text], deadline).map_err(answer::queue_full)?;
    await_embedding(pending.into_iter().next()).await
}

/// Returns at the deadline or at the stop.
async fn ended(deadline: Option<Instant>, clock: Clock, stop: CancellationToken) {
    let passed = async {
        match deadline {
            Some(deadline) => clock.sleep(deadline.saturating_duration_since(clock.instant())).await,
            None => future::pending().await,
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = passed => {}
    }
}

/// The error that the stream ends with when texts may have been left unread.
fn final_status(
    deadline: Option<Instant>,
    clock: &Clock,
    stop: &CancellationToken,
) -> Option<Result<EmbedStreamResponse, Status>> {
    if deadline.is_some_and(|deadline| deadline <= clock.instant()) {
        return Some(Err(Status::deadline_exceeded(
            "the deadline passed before the stream ended",
        )));
    }
    stop.is_cancelled().then(|| {
        Err(status::unavailable(
            "this server is stopping and does not read the rest of the stream",
        ))
    })
}
