//! Replays: messages of the flow that every replica reads anew at its start, or follows from a place on.
//!
//! Nothing is acknowledged, so nothing is lost by a crash. A message that a replay cannot use becomes a dead letter, once
//! however many replicas come upon it, and the ones behind it are read all the same.

use std::panic::{AssertUnwindSafe, catch_unwind};

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::DeliverPolicy;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use jiff::Timestamp;
use prost::{Message, Name};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::admin::NotReady;
use crate::bus::{Bus, BusError, request};
use crate::streams::{self, StoredMessage};
use crate::{dead_letters, flow};

/// A message that was replayed.
#[derive(Debug)]
pub struct ReplayedMessage<M> {
    /// The message.
    pub message: M,
    /// Its headers, for the trace.
    pub headers: Option<HeaderMap>,
}

/// A message that is followed.
#[derive(Debug)]
pub struct FollowedMessage<M> {
    /// The message.
    pub message: M,
    /// Its sequence in the stream, to go on behind it.
    pub sequence: u64,
}

/// Replays all messages of a type since a moment, then takes new ones as they come, until the stop. Drops `not_ready` once
/// everything that was there at the start has been handled. `handle` returns why it could not use a message; such a
/// message, or one that does not decode, becomes a dead letter of `consumer`.
pub async fn run<M: Message + Name + Default>(
    bus: &Bus,
    consumer: &'static str,
    since: Timestamp,
    not_ready: NotReady,
    stop: &CancellationToken,
    mut handle: impl FnMut(ReplayedMessage<M>) -> Result<(), String>,
) -> Result<(), BusError> {
    flow::assert_reader(consumer);
    let from = DeliverPolicy::ByStartTime {
        start_time: time_of(since),
    };
    let subject = flow::subject_of::<M>();
    let (waiting, mut messages) =
        streams::read_in_order(bus, flow::stream_of_message::<M>(), Some(subject), from).await?;
    let mut not_ready = Some(not_ready).filter(|_| waiting > 0);
    loop {
        let stored = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            stored = messages.next() => stored,
        };
        let Some(stored) = stored else {
            return Err(BusError::Request(format!("the replay of {subject} ended")));
        };
        if let Err(reason) = decode(&stored).and_then(|message| contained(&mut handle, message, &stored)) {
            dead_letters::record_replayed(bus, consumer, &stored, reason).await?;
        }
        if stored.pending == 0 && not_ready.take().is_some() {
            info!(subject, "replay has caught up");
        }
    }
}

/// Follows the messages of a type from now on. The stream ends with the connection.
pub async fn follow<M: Message + Name + Default + 'static>(
    bus: &Bus,
) -> Result<BoxStream<'static, FollowedMessage<M>>, BusError> {
    let from = DeliverPolicy::New;
    let (_, messages) =
        streams::read_in_order(bus, flow::stream_of_message::<M>(), Some(flow::subject_of::<M>()), from).await?;
    Ok(decoded(messages))
}

/// The messages of a type behind a sequence that an earlier message named, up to those that are there now.
/// [`BusError::Forgotten`] when messages behind that sequence are gone, or the stream never came that far.
pub async fn behind<M: Message + Name + Default + 'static>(
    bus: &Bus,
    after: u64,
) -> Result<BoxStream<'static, FollowedMessage<M>>, BusError> {
    let mut stream = bus
        .context
        .get_stream(flow::stream_of_message::<M>())
        .await
        .map_err(request)?;
    let state = &stream.info().await.map_err(request)?.state;
    if after.saturating_add(1) < state.first_sequence || after > state.last_sequence {
        return Err(BusError::Forgotten { place: after });
    }
    let from = DeliverPolicy::ByStartSequence {
        start_sequence: after.saturating_add(1),
    };
    let (waiting, messages) =
        streams::read_in_order(bus, flow::stream_of_message::<M>(), Some(flow::subject_of::<M>()), from).await?;
    if waiting == 0 {
        return Ok(futures::stream::empty().boxed());
    }
    // Not `take_while`, which would wait for a message behind the last.
    let there_now = futures::stream::unfold(Some(messages), async |messages| {
        let mut messages = messages?;
        let stored = messages.next().await?;
        let rest = (stored.pending > 0).then_some(messages);
        Some((stored, rest))
    });
    Ok(decoded(there_now.boxed()))
}

/// The sequence of the newest message of the stream of papers, of whatever type.
pub async fn newest(bus: &Bus) -> Result<u64, BusError> {
    let stream = bus.context.get_stream(flow::STREAM).await.map_err(request)?;
    Ok(stream.cached_info().state.last_sequence)
}

/// The messages of stored ones. One that does not decode is left out: whoever replays its type makes a dead letter of it.
fn decoded<M: Message + Name + Default + 'static>(
    messages: BoxStream<'static, StoredMessage>,
) -> BoxStream<'static, FollowedMessage<M>> {
    let decoded = messages.filter_map(|stored| {
        let sequence = stored.sequence;
        let message = decode(&stored).inspect_err(|reason| tracing::error!(sequence, reason, "left out"));
        futures::future::ready(message.ok().map(|message| FollowedMessage { message, sequence }))
    });
    decoded.boxed()
}

fn decode<M: Message + Name + Default>(stored: &StoredMessage) -> Result<M, String> {
    M::decode(stored.payload.clone()).map_err(|error| format!("message does not parse as {}: {error}", M::full_name()))
}

/// A panic over one message is that message's fault.
fn contained<M>(
    handle: &mut impl FnMut(ReplayedMessage<M>) -> Result<(), String>,
    message: M,
    stored: &StoredMessage,
) -> Result<(), String> {
    let headers = stored.headers.clone();
    catch_unwind(AssertUnwindSafe(|| handle(ReplayedMessage { message, headers })))
        .unwrap_or_else(|_| Err("handling it panicked; the log has the message".to_owned()))
}

pub(crate) fn time_of(timestamp: Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp_nanos(timestamp.as_nanosecond())
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}
