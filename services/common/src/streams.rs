//! Makes streams, buckets and consumers as the flow table wants them, and brings existing ones up to date.
//!
//! Streams and buckets are made by one service, see [`flow::STREAM_MAKER`]; the others wait for them. It never deletes a stream or
//! a consumer: what an older release left behind is for an operator to judge.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::{self, consumer, kv, stream};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};
use uuid::Uuid;

use crate::bus::{Bus, BusError, is_full, request, server_error};
use crate::flow::{self, BUCKETS, Bucket, Consumption, Route, STORAGE, StreamStorage, WhenFull, storage_index};
use crate::storage::MEGABYTE;

/// How long a process waits for a stream that another one makes.
const STREAM_DEADLINE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(250);
/// How long the server keeps a reader that disappeared.
const READER_FORGOTTEN: Duration = Duration::from_secs(30);
const DEDUPLICATION_WINDOW: Duration = Duration::from_mins(2);
/// Entries of one thing in a log of states: the newest, and replaced ones whose erasing failed.
const MAX_LOGGED_STATES: i64 = 4;
const DEAD_LETTER_AGE: Duration = Duration::from_hours(24 * 90);
const AUDIT_AGE: Duration = Duration::from_hours(24 * 400);

/// For how long logs keep what they do not keep for ever.
#[derive(Debug, Clone, Copy)]
pub struct LogRetention {
    /// How digests ended.
    pub deliveries: Duration,
    /// Requests to subscribe that nobody confirmed.
    pub pending: Duration,
}

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
        return move_attention(bus).await;
    }
    for config in flow_streams(bus) {
        until_made(bus, &config.name).await?;
    }
    Ok(())
}

/// The streams that messages of the flow, dead letters, their advisories and audit entries lie in. Papers are first: until this
/// release attention was theirs, and a subject belongs to one stream.
fn flow_streams(bus: &Bus) -> [stream::Config; 5] {
    let papers = stream::Config {
        description: Some("papers on their way through Broadsheet".to_owned()),
        subjects: vec![flow::STREAM_SUBJECTS.to_owned()],
        max_age: bus.config.max_age,
        compression: Some(stream::Compression::S2),
        ..base(bus, flow::STREAM)
    };
    let attention = stream::Config {
        description: Some("readers' attention to papers, and counts of other sites".to_owned()),
        subjects: vec![flow::ATTENTION_SUBJECTS.to_owned()],
        max_age: bus.config.max_age,
        compression: Some(stream::Compression::S2),
        ..base(bus, flow::ATTENTION_STREAM)
    };
    let advisories = stream::Config {
        description: Some("what the server said about messages that were given up".to_owned()),
        subjects: ["MAX_DELIVERIES", "MSG_TERMINATED"]
            .map(|kind| format!("$JS.EVENT.ADVISORY.CONSUMER.{kind}.{}.>", flow::STREAM))
            .to_vec(),
        max_age: DEAD_LETTER_AGE,
        ..base(bus, flow::ADVISORY_STREAM)
    };
    let dead_letters = stream::Config {
        description: Some("messages that could not be handled, with their reasons".to_owned()),
        subjects: vec![format!("{}.>", flow::DEAD_LETTER_PREFIX)],
        max_age: DEAD_LETTER_AGE,
        ..base(bus, flow::DEAD_LETTER_STREAM)
    };
    let audit = stream::Config {
        description: Some("calls that wrote or administered something".to_owned()),
        subjects: vec![format!("{}.*", flow::AUDIT_PREFIX)],
        max_age: AUDIT_AGE,
        compression: Some(stream::Compression::S2),
        ..base(bus, flow::AUDIT_STREAM)
    };
    [papers, attention, advisories, dead_letters, audit]
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

/// Makes the streams of the logs.
pub(crate) async fn ensure_logs(bus: &Bus, retention: LogRetention) -> Result<(), BusError> {
    let subjects = |stream: &str| {
        let logs = flow::LOGS.iter().filter(|log| log.stream == stream);
        logs.map(|log| format!("{}.*", log.prefix)).collect()
    };
    let subscribers = stream::Config {
        description: Some("the newest state of each subscriber and of each suppressed address".to_owned()),
        subjects: subjects(flow::SUBSCRIBERS),
        // The newest entry is the one that counts. The others are erased by whoever replaces them: dropped by the server their
        // bytes would stay in its files.
        max_messages_per_subject: MAX_LOGGED_STATES,
        ..base(bus, flow::SUBSCRIBERS)
    };
    let deliveries = stream::Config {
        description: Some("how digests ended, and the papers in them".to_owned()),
        subjects: subjects(flow::DELIVERIES),
        max_age: retention.deliveries,
        compression: Some(stream::Compression::S2),
        ..base(bus, flow::DELIVERIES)
    };
    let pending = stream::Config {
        description: Some("requests to subscribe that nobody has confirmed".to_owned()),
        subjects: subjects(flow::PENDING),
        max_age: retention.pending,
        max_messages_per_subject: 1,
        ..base(bus, flow::PENDING)
    };
    for config in [subscribers, deliveries, pending] {
        make(bus, config).await?;
    }
    Ok(())
}

/// A bucket of the flow table, made and brought up to date, or waited for.
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
    let storage = &STORAGE[storage_index(&format!("KV_{}", bucket.name))];
    let config = kv::Config {
        bucket: bucket.name.to_owned(),
        description: bucket.description.to_owned(),
        history: 1,
        max_bytes: as_limit(bus.config.limits.of(storage.stream)),
        num_replicas: bus.config.replicas,
        ..kv::Config::default()
    };
    let known = bus.context.get_key_value(bucket.name).await.ok();
    if let Some(known) = known {
        let found = &known.stream.cached_info().config;
        if found.max_bytes == config.max_bytes && found.num_replicas == config.num_replicas {
            return Ok(known);
        }
    }
    match bus.context.create_or_update_key_value(config).await {
        Ok(bucket) => Ok(bucket),
        Err(error) => Err(setup_error(bus, storage, &error).await),
    }
}

fn base(bus: &Bus, stream: &'static str) -> stream::Config {
    let storage = &STORAGE[storage_index(stream)];
    stream::Config {
        name: stream.to_owned(),
        num_replicas: bus.config.replicas,
        storage: stream::StorageType::File,
        retention: stream::RetentionPolicy::Limits,
        max_bytes: as_limit(bus.config.limits.of(stream)),
        discard: match storage.when_full {
            WhenFull::DropOldest => stream::DiscardPolicy::Old,
            WhenFull::RefuseNew => stream::DiscardPolicy::New,
        },
        duplicate_window: DEDUPLICATION_WINDOW,
        allow_direct: true,
        ..stream::Config::default()
    }
}

fn as_limit(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

async fn make(bus: &Bus, config: stream::Config) -> Result<(), BusError> {
    let storage = &STORAGE[storage_index(&config.name)];
    // Not even an update that changes nothing is taken by a server that has reserved more than it offers now, as one does that
    // offers a part of the free disk.
    if let Ok(found) = bus.context.get_stream(storage.stream).await
        && is_as_wanted(&found.cached_info().config, &config)
    {
        return Ok(());
    }
    match bus.context.create_or_update_stream(config).await {
        Ok(_) => Ok(()),
        Err(error) => Err(setup_error(bus, storage, &error).await),
    }
}

fn is_as_wanted(found: &stream::Config, wanted: &stream::Config) -> bool {
    // The server names what is not compressed.
    let uncompressed = found
        .compression
        .clone()
        .filter(|found| *found == stream::Compression::None);
    let so = stream::Config {
        description: wanted.description.clone(),
        subjects: wanted.subjects.clone(),
        max_bytes: wanted.max_bytes,
        max_age: wanted.max_age,
        max_messages_per_subject: wanted.max_messages_per_subject,
        discard: wanted.discard,
        num_replicas: wanted.num_replicas,
        storage: wanted.storage,
        retention: wanted.retention,
        compression: wanted.compression.clone().or(uncompressed),
        duplicate_window: wanted.duplicate_window,
        allow_direct: wanted.allow_direct,
        ..found.clone()
    };
    so == *found
}

/// Why a stream could not be made: what it lacks in room is told with what there is.
async fn setup_error(bus: &Bus, storage: &StreamStorage, error: &(dyn std::error::Error + 'static)) -> BusError {
    let said = server_error(error).map(|(_, said)| said).unwrap_or_default();
    // In a cluster no server is found that has the room.
    if !is_full(error) && !said.contains("insufficient storage") && !said.contains("max bytes") {
        return BusError::Setup {
            name: storage.stream.to_owned(),
            problem: error.to_string(),
        };
    }
    let limits = bus.config.limits;
    BusError::NoRoom {
        stream: storage.stream,
        setting: storage.setting,
        megabytes: limits.of(storage.stream) / MEGABYTE,
        total: limits.total() / MEGABYTE,
        offered: offered(bus).await,
        problem: said,
    }
}

/// What the server lets this account have. It tells a limit of the account, but not `max_file_store`.
async fn offered(bus: &Bus) -> String {
    let Ok(account) = bus.context.query_account().await else {
        return "what the server offers is not known".to_owned();
    };
    let reserved = account.reserved_storage / MEGABYTE;
    match account.limits.max_storage.and_then(|bytes| u64::try_from(bytes).ok()) {
        Some(most) => format!(
            "this account may have {} MB, of which {reserved} are reserved",
            most / MEGABYTE
        ),
        None => format!("{reserved} MB are reserved so far"),
    }
}

/// Releases up to 0.1 kept attention in the stream of papers. It is copied and then removed there; a copy that is made twice
/// has the id of the first.
async fn move_attention(bus: &Bus) -> Result<(), BusError> {
    let papers = bus.context.get_stream(flow::STREAM).await.map_err(request)?;
    let of_attention = papers.info_with_subjects(flow::ATTENTION_SUBJECTS).await;
    let subjects: Vec<_> = of_attention.map_err(request)?.try_collect().await.map_err(request)?;
    let found: usize = subjects.iter().map(|(_, messages)| messages).sum();
    if found == 0 {
        return Ok(());
    }
    let reading = read_in_order(bus, flow::STREAM, Some(flow::ATTENTION_SUBJECTS), DeliverPolicy::All).await?;
    let mut copied = reading.1.take(found);
    while let Some(stored) = copied.next().await {
        let headers = stored.headers.unwrap_or_default();
        let own = headers.get(async_nats::header::NATS_MESSAGE_ID);
        let id = own.map_or_else(|| format!("moved:{}", stored.sequence), ToString::to_string);
        bus.publish_raw(&stored.subject, &id, headers, stored.payload).await?;
    }
    papers.purge().filter(flow::ATTENTION_SUBJECTS).await.map_err(request)?;
    info!(messages = found, "attention has a stream of its own now");
    Ok(())
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
