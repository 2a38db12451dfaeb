//! Makes streams and consumers as the flow table wants them, and brings existing ones up to date.
//!
//! It never deletes a stream or a consumer: what an older release left behind is for an operator to judge.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::{consumer, stream};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tracing::warn;

use crate::bus::{Bus, BusError, request};
use crate::flow::{self, Consumption, Route};

const DEDUPLICATION_WINDOW: Duration = Duration::from_mins(2);
/// Entries of one thing in a log of states: the newest, and replaced ones whose erasing failed.
const MAX_LOGGED_STATES: i64 = 4;
const DEAD_LETTER_AGE: Duration = Duration::from_hours(24 * 90);

/// A durable pull consumer.
pub(crate) type WorkConsumer = consumer::Consumer<consumer::pull::Config>;

/// Makes the streams of the flow, or brings them up to date.
pub async fn ensure(bus: &Bus) -> Result<(), BusError> {
    let base = base(bus);
    let papers = stream::Config {
        name: flow::STREAM.to_owned(),
        description: Some("papers and attention on their way through Broadsheet".to_owned()),
        subjects: flow::STREAM_SUBJECTS.map(str::to_owned).to_vec(),
        max_age: bus.config.max_age,
        compression: Some(stream::Compression::S2),
        ..base.clone()
    };
    let advisories = stream::Config {
        name: flow::ADVISORY_STREAM.to_owned(),
        description: Some("what the server said about messages that were given up".to_owned()),
        subjects: ["MAX_DELIVERIES", "MSG_TERMINATED"]
            .map(|kind| format!("$JS.EVENT.ADVISORY.CONSUMER.{kind}.{}.>", flow::STREAM))
            .to_vec(),
        max_age: DEAD_LETTER_AGE,
        ..base.clone()
    };
    let dead_letters = stream::Config {
        name: flow::DEAD_LETTER_STREAM.to_owned(),
        description: Some("messages that could not be handled, with their reasons".to_owned()),
        subjects: vec![format!("{}.>", flow::DEAD_LETTER_PREFIX)],
        max_age: DEAD_LETTER_AGE,
        ..base
    };
    for config in [papers, advisories, dead_letters] {
        make(bus, config).await?;
    }
    Ok(())
}

/// Makes the streams of the logs; that of deliveries keeps them for so long.
pub(crate) async fn ensure_logs(bus: &Bus, deliveries_age: Duration) -> Result<(), BusError> {
    let subjects = |stream: &str| {
        let logs = flow::LOGS.iter().filter(|log| log.stream == stream);
        logs.map(|log| format!("{}.*", log.prefix)).collect()
    };
    let subscribers = stream::Config {
        name: flow::SUBSCRIBERS.to_owned(),
        description: Some("the newest state of each subscriber and of each suppressed address".to_owned()),
        subjects: subjects(flow::SUBSCRIBERS),
        // The newest entry is the one that counts. The others are erased by whoever replaces them: dropped by the server their
        // bytes would stay in its files.
        max_messages_per_subject: MAX_LOGGED_STATES,
        ..base(bus)
    };
    let deliveries = stream::Config {
        name: flow::DELIVERIES.to_owned(),
        description: Some("how digests ended, and the papers in them".to_owned()),
        subjects: subjects(flow::DELIVERIES),
        max_age: deliveries_age,
        compression: Some(stream::Compression::S2),
        ..base(bus)
    };
    make(bus, subscribers).await?;
    make(bus, deliveries).await
}

fn base(bus: &Bus) -> stream::Config {
    stream::Config {
        num_replicas: bus.config.replicas,
        storage: stream::StorageType::File,
        retention: stream::RetentionPolicy::Limits,
        duplicate_window: DEDUPLICATION_WINDOW,
        allow_direct: true,
        ..stream::Config::default()
    }
}

async fn make(bus: &Bus, config: stream::Config) -> Result<(), BusError> {
    let name = config.name.clone();
    let made = bus.context.create_or_update_stream(config).await;
    made.map(drop).map_err(|error| BusError::Setup {
        name,
        problem: error.to_string(),
    })
}

/// The durable consumer of a route.
pub(crate) async fn work_consumer(bus: &Bus, route: &Route) -> Result<WorkConsumer, BusError> {
    let Consumption::WorkQueue {
        consumer: name,
        max_deliver,
        ack_wait,
        batch,
    } = route.consumption
    else {
        return Err(BusError::Setup {
            name: route.subject.to_owned(),
            problem: "its messages are replayed, not worked on".to_owned(),
        });
    };
    let config = consumer::pull::Config {
        durable_name: Some(name.to_owned()),
        filter_subject: route.subject.to_owned(),
        ack_policy: consumer::AckPolicy::Explicit,
        ack_wait,
        max_deliver,
        max_ack_pending: i64::try_from(batch * 16).unwrap_or(i64::MAX),
        ..consumer::pull::Config::default()
    };
    durable(bus, flow::STREAM, name, config).await
}

/// A durable consumer of any stream.
pub(crate) async fn durable(
    bus: &Bus,
    stream: &str,
    name: &str,
    config: consumer::pull::Config,
) -> Result<WorkConsumer, BusError> {
    let setup = |problem: String| BusError::Setup {
        name: name.to_owned(),
        problem,
    };
    let stream = bus
        .context
        .get_stream(stream)
        .await
        .map_err(|error| setup(error.to_string()))?;
    stream
        .create_consumer(config)
        .await
        .map_err(|error| setup(error.to_string()))
}

/// A message as it lies in a stream.
#[derive(Debug, Clone)]
pub(crate) struct StoredMessage {
    pub subject: String,
    pub payload: Bytes,
    pub headers: Option<HeaderMap>,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Messages behind it when it was sent.
    pub pending: u64,
}

/// Messages in the order of a stream, and how many there are already. Nothing is acknowledged; ends with the connection.
pub(crate) async fn read_in_order(
    bus: &Bus,
    stream: &str,
    subject: Option<&str>,
    from: DeliverPolicy,
) -> Result<(u64, BoxStream<'static, StoredMessage>), BusError> {
    let config = consumer::pull::OrderedConfig {
        filter_subject: subject.unwrap_or_default().to_owned(),
        deliver_policy: from,
        ..consumer::pull::OrderedConfig::default()
    };
    let stream = bus.context.get_stream_no_info(stream).await.map_err(request)?;
    let mut consumer = stream.create_consumer(config).await.map_err(request)?;
    let pending = consumer.info().await.map_err(request)?.num_pending;
    let messages = consumer.messages().await.map_err(request)?;
    let stored = messages.filter_map(|message| async move {
        let message = message
            .inspect_err(|error| warn!(%error, "reading a stream in order failed for a moment"))
            .ok()?;
        let info = message.info().ok()?;
        Some(StoredMessage {
            sequence: info.stream_sequence,
            pending: info.pending,
            subject: message.subject.to_string(),
            payload: message.payload.clone(),
            headers: message.headers.clone(),
        })
    });
    Ok((pending, stored.boxed()))
}
