//! Makes streams, buckets and consumers as the flow table wants them, and brings existing ones up to date.
//!
//! Streams and buckets are made by one service, see [`flow::STREAM_MAKER`]; the others wait for them. It never deletes a stream or
//! a consumer: what an older release left behind is for an operator to judge.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::{self, consumer, kv, stream};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};
use uuid::Uuid;

use crate::bus::{Bus, BusError, request};
use crate::flow::{self, BUCKETS, Bucket, Consumption, Route};

/// How long a process waits for a stream that another one makes.
const STREAM_DEADLINE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(250);
/// How long the server keeps a reader that disappeared.
const READER_FORGOTTEN: Duration = Duration::from_secs(30);
const DEDUPLICATION_WINDOW: Duration = Duration::from_mins(2);
const DEAD_LETTER_AGE: Duration = Duration::from_hours(24 * 90);
const AUDIT_AGE: Duration = Duration::from_hours(24 * 400);
/// Then the oldest entries go.
const AUDIT_BYTES: i64 = 256 << 20;

/// A durable pull consumer.
pub(crate) type WorkConsumer = consumer::Consumer<consumer::pull::Config>;

/// Makes the streams of the flow and the buckets, or brings them up to date; or waits until they are there.
pub async fn ensure(bus: &Bus) -> Result<(), BusError> {
    if bus.makes_streams() {
        for config in flow_streams(bus) {
            make(bus, config).await?;
        }
        for bucket in &BUCKETS {
            make_bucket(bus, bucket).await?;
        }
        return Ok(());
    }
    for config in flow_streams(bus) {
        until_made(bus, &config.name).await?;
    }
    Ok(())
}

/// The streams that messages of the flow, dead letters, their advisories and audit entries lie in.
fn flow_streams(bus: &Bus) -> [stream::Config; 4] {
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
        ..base.clone()
    };
    let audit = stream::Config {
        name: flow::AUDIT_STREAM.to_owned(),
        description: Some("calls that wrote or administered something".to_owned()),
        subjects: vec![format!("{}.*", flow::AUDIT_PREFIX)],
        max_age: AUDIT_AGE,
        max_bytes: AUDIT_BYTES,
        compression: Some(stream::Compression::S2),
        ..base
    };
    [papers, advisories, dead_letters, audit]
}

/// A bucket of the flow table, made or waited for.
///
/// # Panics
/// When the table has no such bucket: a mistake in this program that its first test run shows.
pub async fn bucket(bus: &Bus, name: &str) -> Result<kv::Store, BusError> {
    let bucket = BUCKETS.iter().find(|bucket| bucket.name == name);
    let bucket = bucket.unwrap_or_else(|| panic!("bucket {name} is not in the flow table"));
    if bus.makes_streams() {
        return make_bucket(bus, bucket).await;
    }
    until_made(bus, &format!("KV_{name}")).await?;
    bus.context.get_key_value(name).await.map_err(request)
}

async fn make_bucket(bus: &Bus, bucket: &Bucket) -> Result<kv::Store, BusError> {
    let config = kv::Config {
        bucket: bucket.name.to_owned(),
        description: bucket.description.to_owned(),
        history: 1,
        num_replicas: bus.config.replicas,
        ..kv::Config::default()
    };
    let made = bus.context.create_key_value(config).await;
    made.map_err(|error| BusError::Setup {
        name: bucket.name.to_owned(),
        problem: error.to_string(),
    })
}

/// Waits for a stream that another process makes.
async fn until_made(bus: &Bus, name: &str) -> Result<(), BusError> {
    let deadline = Instant::now() + STREAM_DEADLINE;
    let mut waiting = false;
    loop {
        let Err(error) = bus.context.get_stream(name).await else {
            return Ok(());
        };
        if Instant::now() > deadline {
            return Err(BusError::Setup {
                name: name.to_owned(),
                problem: format!(
                    "it is not there ({error}); {} makes the streams, so it must run and be allowed to",
                    flow::STREAM_MAKER
                ),
            });
        }
        if !waiting {
            info!(stream = name, maker = flow::STREAM_MAKER, %error, "waiting until a stream is made");
            waiting = true;
        }
        sleep(PAUSE).await;
    }
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
        max_messages_per_subject: 1,
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
    let stream = bus.context.get_stream_no_info(stream).await;
    let stream = stream.map_err(|error| setup(error.to_string()))?;
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
    // The server's permissions look at the subject of the request, which has the filter only beside a name.
    let config = consumer::pull::OrderedConfig {
        name: Some(reader_name(bus)),
        filter_subject: subject.unwrap_or_default().to_owned(),
        deliver_policy: from,
        ..consumer::pull::OrderedConfig::default()
    };
    let stream = bus.context.get_stream_no_info(stream).await.map_err(request)?;
    let mut consumer = stream.create_consumer(config).await.map_err(request)?;
    let pending = consumer.info().await.map_err(request)?.num_pending;
    let messages = consumer.messages().await.map_err(request)?;
    let messages = messages.filter_map(|message| async move {
        let message = message
            .inspect_err(|error| warn!(%error, "reading a stream in order failed for a moment"))
            .ok()?;
        stored(&message)
    });
    Ok((pending, messages.boxed()))
}

/// The message of a subject at a sequence; `None` where the stream has none there.
pub(crate) async fn read_one(
    bus: &Bus,
    stream: &str,
    subject: &str,
    sequence: u64,
) -> Result<Option<StoredMessage>, BusError> {
    let name = reader_name(bus);
    let config = consumer::pull::Config {
        name: Some(name.clone()),
        filter_subject: subject.to_owned(),
        deliver_policy: DeliverPolicy::ByStartSequence {
            start_sequence: sequence,
        },
        ack_policy: consumer::AckPolicy::None,
        inactive_threshold: READER_FORGOTTEN,
        memory_storage: true,
        num_replicas: 1,
        ..consumer::pull::Config::default()
    };
    let stream = bus.context.get_stream_no_info(stream).await.map_err(request)?;
    let reader = stream.create_consumer(config).await.map_err(request)?;
    let first = if reader.cached_info().num_pending > 0 {
        let mut messages = reader.fetch().max_messages(1).messages().await.map_err(request)?;
        messages.next().await.transpose().map_err(request)?
    } else {
        None
    };
    // Otherwise the server drops it later by itself.
    let _ = stream.delete_consumer(&name).await;
    let stored = first.as_ref().and_then(stored);
    Ok(stored.filter(|stored| stored.sequence == sequence))
}

/// A name that no other reader has.
fn reader_name(bus: &Bus) -> String {
    format!("{}-{}", bus.process, Uuid::new_v4().simple())
}

fn stored(message: &jetstream::Message) -> Option<StoredMessage> {
    let info = message.info().ok()?;
    Some(StoredMessage {
        sequence: info.stream_sequence,
        pending: info.pending,
        subject: message.subject.to_string(),
        payload: message.payload.clone(),
        headers: message.headers.clone(),
    })
}
