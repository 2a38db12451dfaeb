//! Dead letters: what could not be handled is kept with its reason, to be read, replayed or dropped by an operator.
//!
//! The server's advisories are kept in a stream of their own, so none is missed while this collector is down. It never
//! replays on its own.

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{self, AckPolicy};
use futures::StreamExt as _;
use prost::Message as _;
use proto::operations::v1::{DeadLetter, Header};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::bus::{Bus, BusError, request};
use crate::flow::{self, FLOW};
use crate::streams::{self, StoredMessage};

/// What the server says about a message it gave up.
#[derive(Debug, Deserialize)]
struct Advisory {
    consumer: String,
    stream_seq: u64,
    deliveries: u64,
    #[serde(default)]
    reason: String,
}

/// Turns advisories about the consumers of one service into dead letters, until shutdown.
pub async fn collect(bus: Bus, service: &str, shutdown: CancellationToken) -> Result<(), BusError> {
    let consumers = flow::consumers_of(service);
    if consumers.is_empty() {
        return Ok(());
    }
    let kinds = ["MAX_DELIVERIES", "MSG_TERMINATED"];
    let subject = |kind, consumer| format!("$JS.EVENT.ADVISORY.CONSUMER.{kind}.{}.{consumer}", flow::STREAM);
    let name = flow::collector_of(service);
    let config = consumer::pull::Config {
        durable_name: Some(name.clone()),
        filter_subjects: consumers
            .iter()
            .flat_map(|one| kinds.map(|kind| subject(kind, one)))
            .collect(),
        ack_policy: AckPolicy::Explicit,
        ..consumer::pull::Config::default()
    };
    let consumer = streams::durable(&bus, flow::ADVISORY_STREAM, &name, config).await?;
    let mut messages = consumer.messages().await.map_err(request)?;
    loop {
        let next = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            next = messages.next() => next,
        };
        let Some(next) = next else { return Ok(()) };
        let Ok(message) = next.inspect_err(|error| warn!(%error, "reading advisories failed for a moment")) else {
            continue;
        };
        match record_given_up(&bus, &message.payload).await {
            Ok(()) => {
                if let Err(error) = message.double_ack().await {
                    warn!(%error, "advisory not acknowledged; the dead letter is recognised by its id next time");
                }
            }
            Err(error) => warn!(%error, "dead letter not recorded yet, the advisory will come again"),
        }
    }
}

async fn record_given_up(bus: &Bus, payload: &[u8]) -> Result<(), BusError> {
    let advisory: Advisory = match serde_json::from_slice(payload) {
        Ok(advisory) => advisory,
        Err(error) => {
            warn!(%error, "advisory does not parse, left out");
            return Ok(());
        }
    };
    let original = original(bus, &advisory).await?;
    let mut letter = DeadLetter {
        consumer: advisory.consumer.clone(),
        deliveries: advisory.deliveries,
        stream_sequence: advisory.stream_seq,
        failed_time: Some(proto::convert::to_wire_time(bus.clock().now())),
        reason: if advisory.reason.is_empty() {
            format!("the worker did not answer on {} deliveries", advisory.deliveries)
        } else {
            advisory.reason
        },
        ..DeadLetter::default()
    };
    match original {
        Some(original) => {
            letter.message_type = message_type(&original.subject);
            letter.headers = original.headers.as_ref().map(headers_of).unwrap_or_default();
            letter.payload = original.payload.to_vec();
            letter.subject = original.subject;
        }
        None => letter.reason = format!("{}; the message itself is gone", letter.reason),
    }
    let id = format!("dead:{}:{}", letter.consumer, letter.stream_sequence);
    let subject = format!("{}.{}", flow::DEAD_LETTER_PREFIX, letter.consumer);
    bus.publish_raw(&subject, &id, HeaderMap::new(), letter.encode_to_vec().into())
        .await?;
    info!(
        consumer = letter.consumer,
        reason = letter.reason,
        "dead letter recorded"
    );
    Ok(())
}

/// The message that was given up, where the stream still has it. Read as the consumer reads: with its subject, so that a
/// service needs no right to read any other.
async fn original(bus: &Bus, advisory: &Advisory) -> Result<Option<StoredMessage>, BusError> {
    let Some(route) = flow::route_of_consumer(&advisory.consumer) else {
        return Ok(None);
    };
    streams::read_one(bus, flow::STREAM, route.subject, advisory.stream_seq).await
}

/// Records a message that a replay could not use, unless it is on record already: every replica comes upon it, and again
/// at every start as long as the stream keeps it.
pub(crate) async fn record_replayed(
    bus: &Bus,
    consumer: &str,
    stored: &StoredMessage,
    reason: String,
) -> Result<(), BusError> {
    let letter = DeadLetter {
        consumer: consumer.to_owned(),
        deliveries: 1,
        stream_sequence: stored.sequence,
        failed_time: Some(proto::convert::to_wire_time(bus.clock().now())),
        subject: stored.subject.clone(),
        message_type: message_type(&stored.subject),
        headers: stored.headers.as_ref().map(headers_of).unwrap_or_default(),
        payload: stored.payload.to_vec(),
        reason,
        ..DeadLetter::default()
    };
    let subject = format!("{}.{consumer}.{}", flow::DEAD_LETTER_PREFIX, stored.sequence);
    let published = match bus.publish_first(&subject, letter.encode_to_vec().into()).await {
        // The message stays where it is, and is come upon again at the next start; those behind it are not to wait.
        Err(error @ BusError::Full { .. }) => {
            tracing::error!(consumer, sequence = stored.sequence, reason = letter.reason, %error, "dead letter not recorded");
            false
        }
        published => published?,
    };
    if published {
        tracing::error!(
            consumer,
            sequence = stored.sequence,
            reason = letter.reason,
            "dead letter recorded"
        );
    }
    Ok(())
}

fn message_type(subject: &str) -> String {
    let route = FLOW.iter().find(|route| route.subject == subject);
    route.map(|route| route.message.to_owned()).unwrap_or_default()
}

fn headers_of(headers: &HeaderMap) -> Vec<Header> {
    let mut list = Vec::new();
    for (name, values) in headers.iter() {
        for value in values {
            list.push(Header {
                name: name.to_string(),
                value: value.to_string(),
            });
        }
    }
    list
}

/// How many dead letters wait.
pub async fn count(bus: &Bus) -> Result<u64, BusError> {
    let mut stream = bus
        .context
        .get_stream(flow::DEAD_LETTER_STREAM)
        .await
        .map_err(request)?;
    Ok(stream.info().await.map_err(request)?.state.messages)
}

/// Dead letters with an id of at least `from`, oldest first. Ids are sequences of their stream.
pub async fn list(bus: &Bus, from: u64, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
    let mut stream = bus
        .context
        .get_stream(flow::DEAD_LETTER_STREAM)
        .await
        .map_err(request)?;
    let state = stream.info().await.map_err(request)?.state.clone();
    let mut letters = Vec::new();
    let mut sequence = from.max(state.first_sequence);
    while letters.len() < limit && sequence <= state.last_sequence && state.messages > 0 {
        if let Some(letter) = get(bus, sequence).await? {
            letters.push(letter);
        }
        sequence += 1;
    }
    Ok(letters)
}

/// One dead letter; `None` when there is none with this id.
pub async fn get(bus: &Bus, id: u64) -> Result<Option<DeadLetter>, BusError> {
    use async_nats::jetstream::stream::RawMessageErrorKind;
    let stream = bus
        .context
        .get_stream(flow::DEAD_LETTER_STREAM)
        .await
        .map_err(request)?;
    let raw = match stream.get_raw_message(id).await {
        Ok(raw) => raw,
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(None),
        Err(error) => return Err(request(error)),
    };
    let mut letter = DeadLetter::decode(raw.payload).map_err(request)?;
    letter.id = id.to_string();
    Ok(Some(letter))
}

/// Puts the message back on its subject under a new id, then removes the dead letter. `false` when there is none.
pub async fn replay(bus: &Bus, id: u64) -> Result<bool, BusError> {
    let Some(letter) = get(bus, id).await? else {
        return Ok(false);
    };
    if letter.subject.is_empty() {
        return Err(BusError::Request(
            "the message itself is gone, so it cannot be replayed".to_owned(),
        ));
    }
    let mut headers = HeaderMap::new();
    for header in &letter.headers {
        if !header.name.starts_with("Nats-") {
            headers.append(header.name.as_str(), header.value.as_str());
        }
    }
    let message_id = format!("replay:{}:{}:{id}", letter.consumer, letter.stream_sequence);
    bus.publish_raw(&letter.subject, &message_id, headers, letter.payload.into())
        .await?;
    drop_letter(bus, id).await
}

/// Removes a dead letter. `false` when there is none.
pub async fn drop_letter(bus: &Bus, id: u64) -> Result<bool, BusError> {
    if get(bus, id).await?.is_none() {
        return Ok(false);
    }
    let stream = bus
        .context
        .get_stream(flow::DEAD_LETTER_STREAM)
        .await
        .map_err(request)?;
    stream.delete_message(id).await.map_err(request)
}
