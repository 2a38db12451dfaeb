//! Logs of a service's state on the bus: the newest word on each thing, so that losing the store loses nothing.
//!
//! Whoever changed the store puts what the store holds *now* into the log, and only where nobody put something meanwhile.
//! So the newest state is the last one in the log, however many change the same thing at the same time. It decides nothing
//! about what it keeps.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{self, pull};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use prost::{Message, Name};
use tracing::warn;

use crate::bus::{Bus, BusError, request};
use crate::flow;

/// Puts that may find somebody else's before them, one after the other.
const MOST_CONFLICTS: usize = 64;

/// The logs; clones share one connection.
#[derive(Clone)]
pub struct Journal {
    bus: Bus,
}

/// How a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// When the stream was made, in nanoseconds since the epoch; tells it from one that was lost and made anew.
    pub made: i128,
    /// The place of the last entry; 0 before the first.
    pub last: u64,
    /// Entries in it.
    pub entries: u64,
}

/// An entry as it lies in the stream.
#[derive(Debug)]
pub struct Entry {
    /// Its place in the stream.
    pub place: u64,
    /// Entries behind it when it was sent.
    pub waiting: u64,
    subject: String,
    payload: bytes::Bytes,
}

/// An entry that is to be added.
#[derive(Debug)]
pub struct Added<M> {
    /// The thing it is about.
    pub key: String,
    /// The same within two minutes is added once.
    pub id: String,
    /// What it says.
    pub message: M,
}

impl Entry {
    /// The message, where the entry is of this type.
    pub fn message<M: Message + Name + Default>(&self) -> Option<M> {
        let prefix = flow::log_of::<M>().prefix;
        let rest = self.subject.strip_prefix(prefix)?;
        if !rest.starts_with('.') {
            return None;
        }
        M::decode(self.payload.clone())
            .inspect_err(|error| warn!(%error, subject = self.subject, "entry of the log does not parse, left out"))
            .ok()
    }
}

impl Journal {
    /// Opens the logs, making their streams at the first start. Deliveries are kept for so long.
    pub async fn open(bus: &Bus, deliveries_age: Duration) -> Result<Self, BusError> {
        crate::streams::ensure_logs(bus, deliveries_age).await?;
        Ok(Self { bus: bus.clone() })
    }

    /// Puts the newest state of a thing and returns when the log has it: what the log holds then. `newest` is given what
    /// the log has and reads that state from the store; it is asked again when somebody else put something meanwhile. `None`
    /// puts nothing.
    pub async fn put<'a, M, E>(
        &self,
        key: &str,
        newest: impl Fn(Option<M>) -> BoxFuture<'a, Result<Option<M>, E>> + Send,
    ) -> Result<Option<M>, E>
    where
        M: Message + Name + Default + Clone,
        E: From<BusError>,
    {
        for _ in 0..MOST_CONFLICTS {
            let (last, logged) = self.last::<M>(key).await?;
            let Some(message) = newest(logged.clone()).await? else {
                return Ok(logged);
            };
            if self.put_over(key, &message, last).await? {
                return Ok(Some(message));
            }
        }
        let problem = format!("{key} changes faster than it can be logged");
        Err(BusError::Request(problem).into())
    }

    /// The newest entry of a thing.
    pub async fn newest<M: Message + Name + Default>(&self, key: &str) -> Result<Option<M>, BusError> {
        Ok(self.last(key).await?.1)
    }

    /// Adds entries of their own, all of them on their way before the first is waited for; how each ended, in their order.
    pub async fn add_all<M: Message + Name>(&self, entries: Vec<Added<M>>) -> Vec<Result<(), BusError>> {
        let adding = entries.iter().map(|entry| self.add(entry));
        futures::future::join_all(adding).await
    }

    async fn add<M: Message + Name>(&self, entry: &Added<M>) -> Result<(), BusError> {
        let payload = entry.message.encode_to_vec().into();
        let subject = subject::<M>(&entry.key);
        self.bus
            .publish_raw(&subject, &entry.id, content_type::<M>(), payload)
            .await
            .map(drop)
    }

    /// Takes every entry of a thing out of the log.
    pub async fn forget<M: Name>(&self, key: &str) -> Result<(), BusError> {
        let log = flow::log_of::<M>();
        let stream = self.bus.context.get_stream_no_info(log.stream).await.map_err(request)?;
        stream
            .purge()
            .filter(subject::<M>(key))
            .await
            .map(drop)
            .map_err(request)
    }

    /// How a stream stands.
    pub async fn standing(&self, stream: &str) -> Result<Standing, BusError> {
        let stream = self.bus.context.get_stream(stream).await.map_err(request)?;
        let info = stream.cached_info();
        Ok(Standing {
            made: info.created.unix_timestamp_nanos(),
            last: info.state.last_sequence,
            entries: info.state.messages,
        })
    }

    /// Entries behind a place as far as there are any now; 0 is the beginning.
    pub async fn read(&self, stream: &str, after: u64) -> Result<BoxStream<'static, Entry>, BusError> {
        let (waiting, entries) = self.open_reader(stream, after).await?;
        if waiting == 0 {
            return Ok(futures::stream::empty().boxed());
        }
        // Ends at the last entry itself: the next one may be long in coming.
        let to_the_end = futures::stream::unfold(Some(entries), |entries| async move {
            let mut entries = entries?;
            let entry = entries.next().await?;
            let rest = (entry.waiting > 0).then_some(entries);
            Some((entry, rest))
        });
        Ok(to_the_end.boxed())
    }

    /// Entries behind a place, then new ones as they come. Ends with the connection.
    pub async fn follow(&self, stream: &str, after: u64) -> Result<BoxStream<'static, Entry>, BusError> {
        Ok(self.open_reader(stream, after).await?.1)
    }

    async fn open_reader(&self, stream: &str, after: u64) -> Result<(u64, BoxStream<'static, Entry>), BusError> {
        let config = pull::OrderedConfig {
            deliver_policy: consumer::DeliverPolicy::ByStartSequence {
                start_sequence: after + 1,
            },
            ..pull::OrderedConfig::default()
        };
        let stream = self.bus.context.get_stream_no_info(stream).await.map_err(request)?;
        let mut consumer = stream.create_consumer(config).await.map_err(request)?;
        let waiting = consumer.info().await.map_err(request)?.num_pending;
        let messages = consumer.messages().await.map_err(request)?;
        let entries = messages.filter_map(|message| async move {
            let message = message
                .inspect_err(|error| warn!(%error, "reading a log hiccuped"))
                .ok()?;
            let info = message.info().ok()?;
            let (place, waiting) = (info.stream_sequence, info.pending);
            Some(Entry {
                place,
                waiting,
                subject: message.subject.to_string(),
                payload: message.payload.clone(),
            })
        });
        Ok((waiting, entries.boxed()))
    }

    /// The place of the newest entry of a thing, 0 without one, and the entry.
    async fn last<M: Message + Name + Default>(&self, key: &str) -> Result<(u64, Option<M>), BusError> {
        let log = flow::log_of::<M>();
        let stream = self.bus.context.get_stream_no_info(log.stream).await.map_err(request)?;
        // Asked of the stream's leader: a replica may lag behind.
        match stream.get_last_raw_message_by_subject(&subject::<M>(key)).await {
            Ok(raw) => Ok((raw.sequence, M::decode(raw.payload).ok())),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok((0, None)),
            Err(error) => Err(request(error)),
        }
    }

    /// False when the newest entry is no longer the one at that place.
    async fn put_over<M: Message + Name>(&self, key: &str, message: &M, last: u64) -> Result<bool, BusError> {
        let subject = subject::<M>(key);
        let mut headers = content_type::<M>();
        let expected = async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
        headers.insert(expected, last.to_string().as_str());
        let payload = message.encode_to_vec().into();
        let publishing = self.bus.context.publish_with_headers(subject, headers, payload);
        match publishing.await.map_err(request)?.await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(false),
            Err(error) => Err(request(error)),
        }
    }
}

fn subject<M: Name>(key: &str) -> String {
    format!("{}.{key}", flow::log_of::<M>().prefix)
}

fn content_type<M: Name>() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = format!("application/protobuf; proto={}", M::full_name());
    headers.insert("content-type", value.as_str());
    headers
}
