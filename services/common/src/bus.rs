//! The message bus: connects to NATS, and publishes a message until the stream has it.
//!
//! It never decides what a message means, and never drops one in silence: a publish returns after the stream's
//! acknowledgement, or fails.

mod connecting;

pub(crate) use self::connecting::inbox_prefix;

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind, PublishErrorKind};
use async_nats::jetstream::stream::RawMessageErrorKind;
use prost::{Message, Name};
use tokio::time::{Instant, sleep};
use tracing::{Instrument as _, debug, info_span, warn};

use crate::clock::Clock;
use crate::config::BusConfig;
use crate::storage::{MEGABYTE, StoreUse, StreamUse};
use crate::{flow, telemetry};

/// Oldest NATS server that keeps what we ask of it. Older ones ignore settings in silence.
pub const OLDEST_SERVER: (u32, u32) = (2, 11);
const PUBLISH_DEADLINE: Duration = Duration::from_secs(30);

/// A fault of the bus. All but those of the setup pass with time and are retried by callers.
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
    /// Who we are is not known there, or not believed.
    #[error(
        "nats-server at {url} refuses {login}: {problem}; check nats.user and nats.password, nats.nkey_seed or \
         nats.credentials, and what nats-server knows of them"
    )]
    Refused {
        /// Where.
        url: String,
        /// As whom we came.
        login: String,
        /// Why.
        problem: String,
    },
    /// Cannot be made as the table wants it.
    #[error("stream or consumer {name} cannot be set up: {problem}")]
    Setup {
        /// Which.
        name: String,
        /// Why.
        problem: String,
    },
    /// The server does not have the bytes that a stream reserves.
    #[error(
        "stream {stream} cannot reserve {megabytes} MB ({setting}) on nats-server ({problem}): all streams together need {total} MB, \
         and {offered}; raise max_file_store of nats-server (by default 75 % of the free disk) or lower the nats.*_mb settings"
    )]
    NoRoom {
        /// The stream.
        stream: &'static str,
        /// The setting of its limit.
        setting: &'static str,
        /// The limit.
        megabytes: u64,
        /// What all streams need.
        total: u64,
        /// What the server has.
        offered: String,
        /// What the server says.
        problem: String,
    },
    /// At its limit, and nothing in it may be dropped.
    #[error("stream {stream} is full; it takes no more until there is room in its {megabytes} MB ({setting})")]
    Full {
        /// The stream.
        stream: &'static str,
        /// The setting of its limit.
        setting: &'static str,
        /// The limit.
        megabytes: u64,
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
    /// Bytes in a stream that are no message of the type they should be.
    #[error("message {sequence} on {subject} cannot be decoded: {problem}")]
    Undecodable {
        /// Its subject.
        subject: String,
        /// Its sequence in the stream.
        sequence: u64,
        /// Why.
        problem: String,
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
    store: StoreUse,
    pub(crate) process: String,
    clock: Clock,
}

impl Bus {
    /// Connects, waiting for the server up to 30 s, and refuses one that is too old. A server that refuses us is not asked
    /// again. The streams are [`crate::streams::ensure`]'s.
    pub async fn connect(config: BusConfig, process: &str, clock: Clock) -> Result<Self, BusError> {
        let client = connecting::connect_within_deadline(&config, process).await?;
        let found = client.server_info().version;
        if !is_new_enough(&found) {
            return Err(BusError::ServerTooOld { url: config.url, found });
        }
        let context = jetstream::new(client.clone());
        Ok(Self {
            client,
            context,
            store: StoreUse::new(config.limits),
            config,
            process: process.to_owned(),
            clock,
        })
    }

    /// Whether this process makes the streams, and handles dead letters: see [`flow::STREAM_MAKER`].
    pub fn makes_streams(&self) -> bool {
        flow::makes_streams(&self.process)
    }

    /// Whether there is a connection now. One that was lost is sought again by itself.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// The JetStream context, for state a service keeps in buckets of its own.
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.context
    }

    /// How full the streams are, as far as this process knows.
    pub fn store(&self) -> &StoreUse {
        &self.store
    }

    /// Whether something may begin that ends in these streams; [`BusError::Full`] for the first of them that is full.
    pub fn require_room(&self, streams: &[&str]) -> Result<(), BusError> {
        let mut all = streams.iter().map(|stream| self.store.of(stream));
        all.find(StreamUse::is_closed).map_or(Ok(()), |used| Err(full(&used)))
    }

    /// Bytes that a stream may take.
    pub fn limit_of(&self, stream: &str) -> u64 {
        self.config.limits.of(stream)
    }

    /// The clock of the process.
    pub fn clock(&self) -> &Clock {
        &self.clock
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
        let stream = flow::stream_of_message::<M>();
        let stream = self.context.get_stream_no_info(stream).await.map_err(request)?;
        let raw = match stream.get_raw_message(sequence).await {
            Ok(raw) => raw,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(None),
            Err(error) => return Err(request(error)),
        };
        if raw.subject.as_str() != flow::subject_of::<M>() {
            return Ok(None);
        }
        M::decode(raw.payload).map(Some).map_err(|error| BusError::Undecodable {
            subject: raw.subject.to_string(),
            sequence,
            problem: error.to_string(),
        })
    }

    /// Publishes bytes as the first message of a subject; false when there is one already.
    pub(crate) async fn publish_first(&self, subject: &str, payload: bytes::Bytes) -> Result<bool, BusError> {
        self.publish_behind(subject, 0, HeaderMap::new(), payload).await
    }

    /// Publishes bytes behind the message at a sequence, 0 for none; false when that is not the newest of its subject.
    pub(crate) async fn publish_behind(
        &self,
        subject: &str,
        last: u64,
        mut headers: HeaderMap,
        payload: bytes::Bytes,
    ) -> Result<bool, BusError> {
        let expected = async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
        headers.insert(expected, last.to_string().as_str());
        let size = payload.len();
        let publishing = self.context.publish_with_headers(subject.to_owned(), headers, payload);
        match publishing.await.map_err(request)?.await {
            Ok(_) => {
                self.count(subject, size);
                Ok(true)
            }
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(false),
            Err(error) => Err(self.refused(subject, &error).unwrap_or_else(|| request(error))),
        }
    }

    fn count(&self, subject: &str, bytes: usize) {
        if let Some(stream) = flow::stream_of(subject) {
            self.store.add(stream, subject, bytes);
        }
    }

    /// [`BusError::Full`] where that is why the server did not take a message.
    fn refused(&self, subject: &str, error: &(dyn std::error::Error + 'static)) -> Option<BusError> {
        let stream = flow::stream_of(subject).filter(|_| is_full(error))?;
        self.store.note_full(stream);
        Some(full(&self.store.of(stream)))
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
                        self.count(subject, payload.len());
                        return Ok(stored.sequence);
                    }
                    Err(error) => match self.refused(subject, &error) {
                        Some(full) => return Err(full),
                        None => error.to_string(),
                    },
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
}

fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= OLDEST_SERVER
}

fn full(used: &StreamUse) -> BusError {
    BusError::Full {
        stream: used.storage.stream,
        setting: used.storage.setting,
        megabytes: used.limit / MEGABYTE,
    }
}

/// Whether an error of the server says that a stream, or all storage, is full.
pub fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    const ALL_STORAGE: [ErrorCode; 3] = [
        ErrorCode::INSUFFICIENT_RESOURCES,
        ErrorCode::STORAGE_RESOURCES_EXCEEDED,
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
    ];
    server_error(error).is_some_and(|(code, text)| {
        // The code of this one says only that the message was not stored.
        ALL_STORAGE.contains(&code) || text.contains("maximum bytes exceeded")
    })
}

/// Code and text of what the server said, where an error came from it.
pub(crate) fn server_error(error: &(dyn std::error::Error + 'static)) -> Option<(ErrorCode, String)> {
    let mut next = Some(error);
    while let Some(error) = next {
        let setup = error.downcast_ref::<CreateStreamError>().map(CreateStreamError::kind);
        let said = match setup {
            Some(CreateStreamErrorKind::JetStream(said)) => Some(said),
            _ => error.downcast_ref::<jetstream::Error>().cloned(),
        };
        if let Some(said) = said {
            return Some((said.error_code(), said.to_string()));
        }
        next = error.source();
    }
    None
}

pub(crate) fn request(error: impl std::fmt::Display) -> BusError {
    BusError::Request(error.to_string())
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
