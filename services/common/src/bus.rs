//! The message bus: connects to NATS, publishes a message until the stream has it, reads recent messages anew.
//!
//! It never decides what a message means, and never drops one in silence: a publish returns after the stream's
//! acknowledgement, or fails.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::stream::RawMessageErrorKind;
use async_nats::jetstream::{self, consumer};
use futures::StreamExt as _;
use prost::{Message, Name};
use tokio::time::{Instant, sleep};
use tracing::{Instrument as _, debug, info_span, warn};

use crate::{flow, telemetry};

/// Oldest NATS server that keeps what we ask of it. Older ones ignore settings in silence.
pub const OLDEST_SERVER: (u32, u32) = (2, 11);
const CONNECT_DEADLINE: Duration = Duration::from_secs(30);
const PUBLISH_DEADLINE: Duration = Duration::from_secs(30);

/// Where the bus is and how much it keeps.
#[derive(Debug, Clone)]
pub struct BusConfig {
    /// `nats://host:port`, several with commas between.
    pub url: String,
    /// Copies of each stream; 1 or 3 on a cluster of that many servers.
    pub replicas: usize,
    /// How long messages are kept.
    pub max_age: Duration,
}

/// A fault of the bus. All but the first two pass with time and are retried by callers.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// Too old to be relied on.
    #[error(
        "nats-server {found} at {url} is too old: at least {}.{} is required because older ones ignore settings in \
         silence; install it from nats-io/nats-server, with brew install nats-server, or run the image nats:2.12",
        OLDEST_SERVER.0, OLDEST_SERVER.1
    )]
    ServerTooOld {
        /// Where.
        url: String,
        /// Its version.
        found: String,
    },
    /// Cannot be made as the table wants it.
    #[error("stream or consumer {name} cannot be set up: {problem}")]
    Setup {
        /// Which.
        name: String,
        /// Why.
        problem: String,
    },
    /// Nobody answers.
    #[error("no nats-server answers at {url}: {problem}; check nats.url and that the server runs")]
    Connect {
        /// Where.
        url: String,
        /// Why.
        problem: String,
    },
    /// Not acknowledged within the deadline, after retries.
    #[error("message {id} on {subject} was not acknowledged by the stream: {problem}")]
    Publish {
        /// Message id.
        id: String,
        /// Subject.
        subject: String,
        /// The last error.
        problem: String,
    },
    /// Messages behind a place are not there.
    #[error("the stream does not reach back, or on, to place {place}")]
    Forgotten {
        /// The place.
        place: u64,
    },
    /// A request failed.
    #[error("request to the stream failed: {0}")]
    Request(String),
}

/// A handle on the bus; clones share one connection.
#[derive(Clone)]
pub struct Bus {
    pub(crate) client: async_nats::Client,
    pub(crate) context: jetstream::Context,
    pub(crate) config: BusConfig,
}

impl Bus {
    /// Connects, waiting for the server up to 30 s, refuses one that is too old, and makes streams as the table wants.
    pub async fn connect(config: BusConfig, service: &str) -> Result<Self, BusError> {
        let client = connect_within_deadline(&config.url, service).await?;
        let found = client.server_info().version;
        if !is_new_enough(&found) {
            return Err(BusError::ServerTooOld { url: config.url, found });
        }
        let context = jetstream::new(client.clone());
        let bus = Self {
            client,
            context,
            config,
        };
        crate::streams::ensure(&bus).await?;
        Ok(bus)
    }

    /// Whether there is a connection now. One that was lost is sought again by itself.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// The JetStream context, for state a service keeps in buckets of its own.
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.context
    }

    /// Copies each bucket should have.
    pub fn replicas(&self) -> usize {
        self.config.replicas
    }

    /// Publishes on the subject of the message's type and returns when the stream has it. The same `id` within two
    /// minutes is stored once, so a retry is harmless.
    pub async fn publish<M: Message + Name>(&self, id: &str, message: &M) -> Result<(), BusError> {
        self.publish_numbered(id, message).await.map(drop)
    }

    /// [`Bus::publish`] that says at which sequence of the stream the message lies, for [`Bus::stored`].
    pub async fn publish_numbered<M: Message + Name>(&self, id: &str, message: &M) -> Result<u64, BusError> {
        let subject = flow::subject_of::<M>();
        let span = info_span!(
            "publish",
            otel.name = format!("publish {subject}"),
            otel.kind = "producer",
            messaging.system = "nats",
            messaging.destination.name = subject
        );
        let mut headers = HeaderMap::new();
        headers.insert(
            "content-type",
            format!("application/protobuf; proto={}", M::full_name()).as_str(),
        );
        telemetry::inject_into_headers(&span, &mut headers);
        self.publish_raw(subject, id, headers, message.encode_to_vec().into())
            .instrument(span)
            .await
    }

    /// The message of a type that lies at a sequence of the stream. `None` where the stream keeps it no longer, or where
    /// another message lies there because the stream was made anew.
    pub async fn stored<M: Message + Name + Default>(&self, sequence: u64) -> Result<Option<M>, BusError> {
        let stream = self.context.get_stream_no_info(flow::STREAM).await.map_err(request)?;
        let raw = match stream.get_raw_message(sequence).await {
            Ok(raw) => raw,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(None),
            Err(error) => return Err(request(error)),
        };
        if raw.subject.as_str() != flow::subject_of::<M>() {
            return Ok(None);
        }
        Ok(M::decode(raw.payload).ok())
    }

    /// Publishes bytes under the same id until they are acknowledged or the deadline passes, and says at which sequence
    /// they lie.
    pub(crate) async fn publish_raw(
        &self,
        subject: &str,
        id: &str,
        mut headers: HeaderMap,
        payload: bytes::Bytes,
    ) -> Result<u64, BusError> {
        headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
        let deadline = Instant::now() + PUBLISH_DEADLINE;
        let mut pause = Duration::from_millis(50);
        loop {
            let attempt = self
                .context
                .publish_with_headers(subject.to_owned(), headers.clone(), payload.clone());
            let problem = match attempt.await {
                Ok(acknowledgement) => match acknowledgement.await {
                    Ok(stored) => {
                        debug!(subject, id, duplicate = stored.duplicate, "published");
                        return Ok(stored.sequence);
                    }
                    Err(error) => error.to_string(),
                },
                Err(error) => error.to_string(),
            };
            if Instant::now() + pause > deadline {
                return Err(BusError::Publish {
                    id: id.to_owned(),
                    subject: subject.to_owned(),
                    problem,
                });
            }
            warn!(
                subject,
                id, problem, "publish not acknowledged, trying again under the same id"
            );
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// Follows the messages of a type from now on, or behind a place that an earlier item named. The stream ends with the
    /// connection. [`BusError::Forgotten`] when messages behind that place are gone, or the stream never came that far.
    pub async fn follow<M: Message + Name + Default>(
        &self,
        after: Option<u64>,
    ) -> Result<futures::stream::BoxStream<'static, FollowItem<M>>, BusError> {
        let mut stream = self.context.get_stream(flow::STREAM).await.map_err(request)?;
        if let Some(after) = after {
            let state = &stream.info().await.map_err(request)?.state;
            if after.saturating_add(1) < state.first_sequence || after > state.last_sequence {
                return Err(BusError::Forgotten { place: after });
            }
        }
        let config = consumer::pull::OrderedConfig {
            filter_subject: flow::subject_of::<M>().to_owned(),
            deliver_policy: after.map_or(consumer::DeliverPolicy::New, |after| {
                consumer::DeliverPolicy::ByStartSequence {
                    start_sequence: after.saturating_add(1),
                }
            }),
            ..Default::default()
        };
        let consumer = stream.create_consumer(config).await.map_err(request)?;
        let messages = consumer.messages().await.map_err(request)?;
        let decoded = messages.filter_map(|message| async move {
            let message = message
                .inspect_err(|error| warn!(%error, "following the stream hiccuped"))
                .ok()?;
            let place = message.info().ok()?.stream_sequence;
            match M::decode(message.payload.clone()) {
                Ok(decoded) => Some(FollowItem {
                    message: decoded,
                    place,
                }),
                Err(error) => {
                    warn!(%error, subject = %message.subject, "message does not parse, left out");
                    None
                }
            }
        });
        Ok(decoded.boxed())
    }

    /// Reads all messages of a type since a moment, then new ones as they come. The stream ends with the connection.
    /// Each item says how many more wait behind it, so that a reader knows when it has caught up.
    pub async fn window<M: Message + Name + Default>(&self, since: jiff::Timestamp) -> Result<Window<M>, BusError> {
        let stream = self.context.get_stream(flow::STREAM).await.map_err(request)?;
        let start = time_of(since);
        let config = consumer::pull::OrderedConfig {
            filter_subject: flow::subject_of::<M>().to_owned(),
            deliver_policy: consumer::DeliverPolicy::ByStartTime { start_time: start },
            ..Default::default()
        };
        let mut consumer = stream.create_consumer(config).await.map_err(request)?;
        let waiting = consumer.info().await.map_err(request)?.num_pending;
        let messages = consumer.messages().await.map_err(request)?;
        let decoded = messages.filter_map(|message| async move {
            let message = message
                .inspect_err(|error| warn!(%error, "reading the window hiccuped"))
                .ok()?;
            let waiting = message.info().map_or(0, |info| info.pending);
            match M::decode(message.payload.clone()) {
                Ok(decoded) => Some(WindowItem {
                    message: decoded,
                    waiting,
                    headers: message.headers.clone(),
                }),
                Err(error) => {
                    warn!(%error, subject = %message.subject, "window message does not parse, left out");
                    None
                }
            }
        });
        Ok(Window {
            waiting,
            items: decoded.boxed(),
        })
    }
}

/// One message of those that are followed.
pub struct FollowItem<M> {
    /// The message.
    pub message: M,
    /// Its place in the stream.
    pub place: u64,
}

/// Recent messages, then new ones.
pub struct Window<M> {
    /// Messages that were there already when reading began.
    pub waiting: u64,
    /// The messages in order.
    pub items: futures::stream::BoxStream<'static, WindowItem<M>>,
}

/// One message of a window.
pub struct WindowItem<M> {
    /// The message.
    pub message: M,
    /// Messages that waited behind it when it was sent.
    pub waiting: u64,
    /// Its headers, for the trace.
    pub headers: Option<HeaderMap>,
}

async fn connect_within_deadline(url: &str, service: &str) -> Result<async_nats::Client, BusError> {
    let deadline = Instant::now() + CONNECT_DEADLINE;
    loop {
        let servers: Vec<&str> = url.split(',').map(str::trim).collect();
        let options = async_nats::ConnectOptions::new().name(format!("broadsheet-{service}"));
        match options.connect(servers).await {
            Ok(client) => return Ok(client),
            Err(error) if Instant::now() > deadline => {
                return Err(BusError::Connect {
                    url: url.to_owned(),
                    problem: error.to_string(),
                });
            }
            Err(error) => {
                warn!(url, %error, "nats-server does not answer yet");
                sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= OLDEST_SERVER
}

pub(crate) fn request(error: impl std::fmt::Display) -> BusError {
    BusError::Request(error.to_string())
}

fn time_of(timestamp: jiff::Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp_nanos(timestamp.as_nanosecond())
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_told_from_new_ones() {
        assert!(!is_new_enough("2.9.10"));
        assert!(!is_new_enough("2.10.29"));
        assert!(is_new_enough("2.11.0"));
        assert!(is_new_enough("2.15.1-rc.1"));
        assert!(is_new_enough("3.0.0"));
        assert!(!is_new_enough("nonsense"));
    }
}
