//! Logs of a service's state on the bus: the newest word on each thing, so that losing the store loses nothing.
//!
//! Whoever changed the store puts what the store holds *now* into the log, and only where nobody put something meanwhile.
//! So the newest state is the last one in the log, however many change the same thing at the same time. It decides nothing
//! about what it keeps.
//!
//! What a newer entry replaces is erased: overwritten in the files of the server. A server that drops an old entry by itself
//! leaves its bytes in the file until it tidies up, which may be never, so the streams leave room for a few entries of a
//! thing and the replaced one is erased here.

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::jetstream::stream::Stream;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use prost::{Message, Name};
use tracing::warn;

use crate::bus::{Bus, BusError, request};
pub use crate::streams::LogRetention;
use crate::{flow, streams};

/// Puts that may find somebody else's before them, one after the other.
const MOST_CONFLICTS: usize = 64;

/// The logs; clones share one connection.
#[derive(Clone)]
pub struct Journal {
    bus: Bus,
}

/// How a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamState {
    /// When the stream was made, in nanoseconds since the epoch; tells it from one that was lost and made anew.
    pub made: i128,
    /// The place of the last entry; 0 before the first.
    pub last: u64,
    /// Entries in it.
    pub entries: u64,
}

/// An entry as it lies in the stream.
#[derive(Debug)]
pub struct LogEntry {
    /// Its place in the stream.
    pub place: u64,
    /// Entries behind it when it was sent.
    pub waiting: u64,
    subject: String,
    payload: bytes::Bytes,
}

/// An entry that is to be added.
#[derive(Debug)]
pub struct NewEntry<M> {
    /// The thing it is about.
    pub key: String,
    /// The same within two minutes is added once.
    pub id: String,
    /// What it says.
    pub message: M,
}

impl LogEntry {
    /// The key of the thing it is about, where the entry is of this type.
    pub fn key<M: Name>(&self) -> Option<&str> {
        let prefix = flow::log_of::<M>().prefix;
        self.subject.strip_prefix(prefix)?.strip_prefix('.')
    }

    /// The message, where the entry is of this type. [`BusError::Undecodable`] where its bytes are not.
    pub fn message<M: Message + Name + Default>(&self) -> Result<Option<M>, BusError> {
        if self.key::<M>().is_none() {
            return Ok(None);
        }
        decode(&self.subject, self.place, self.payload.clone()).map(Some)
    }
}

impl Journal {
    /// Opens the logs, making their streams at the first start.
    pub async fn open(bus: &Bus, retention: LogRetention) -> Result<Self, BusError> {
        streams::ensure_logs(bus, retention).await?;
        Ok(Self { bus: bus.clone() })
    }

    /// Whether a log takes things that are not in it yet; [`BusError::Full`] where it has only room for changes of the others.
    pub fn require_room<M: Name>(&self) -> Result<(), BusError> {
        self.bus.require_room(&[flow::log_of::<M>().stream])
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
                self.erase_replaced::<M>(last).await;
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
    pub async fn add_all<M: Message + Name>(&self, entries: Vec<NewEntry<M>>) -> Vec<Result<(), BusError>> {
        let adding = entries.iter().map(|entry| self.add(entry));
        futures::future::join_all(adding).await
    }

    async fn add<M: Message + Name>(&self, entry: &NewEntry<M>) -> Result<(), BusError> {
        let payload = entry.message.encode_to_vec().into();
        let subject = subject::<M>(&entry.key);
        self.bus
            .publish_raw(&subject, &entry.id, content_type::<M>(), payload)
            .await
            .map(drop)
    }

    /// Erases every entry of a thing but the newest, from the files, too.
    pub async fn erase_earlier<M: Name>(&self, key: &str) -> Result<(), BusError> {
        let (stream, subject) = (self.stream::<M>().await?, subject::<M>(key));
        let newest = match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(newest) => newest.sequence,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(()),
            Err(error) => return Err(request(error)),
        };
        loop {
            let first = stream.get_first_raw_message_by_subject(&subject, 1).await;
            let first = first.map_err(request)?.sequence;
            if first >= newest {
                return Ok(());
            }
            erase(&stream, first).await?;
        }
    }

    /// Erases every entry of a thing, from the files, too.
    pub async fn forget<M: Name>(&self, key: &str) -> Result<(), BusError> {
        let (stream, subject) = (self.stream::<M>().await?, subject::<M>(key));
        loop {
            match stream.get_last_raw_message_by_subject(&subject).await {
                Ok(last) => erase(&stream, last.sequence).await?,
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(()),
                Err(error) => return Err(request(error)),
            }
        }
    }

    /// Takes every entry of a thing out of the log, of whatever number. Their bytes stay in the files until the server tidies
    /// up, or drops them with their age.
    pub async fn discard<M: Name>(&self, key: &str) -> Result<(), BusError> {
        self.stream::<M>()
            .await?
            .purge()
            .filter(subject::<M>(key))
            .await
            .map(drop)
            .map_err(request)
    }

    /// How a stream stands.
    pub async fn stream_state(&self, stream: &str) -> Result<StreamState, BusError> {
        let stream = self.bus.context.get_stream(stream).await.map_err(request)?;
        let info = stream.cached_info();
        Ok(StreamState {
            made: info.created.unix_timestamp_nanos(),
            last: info.state.last_sequence,
            entries: info.state.messages,
        })
    }

    /// Entries behind a place as far as there are any now; 0 is the beginning.
    pub async fn read(&self, stream: &str, after: u64) -> Result<BoxStream<'static, LogEntry>, BusError> {
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
    pub async fn follow(&self, stream: &str, after: u64) -> Result<BoxStream<'static, LogEntry>, BusError> {
        Ok(self.open_reader(stream, after).await?.1)
    }

    async fn open_reader(&self, stream: &str, after: u64) -> Result<(u64, BoxStream<'static, LogEntry>), BusError> {
        let from = DeliverPolicy::ByStartSequence {
            start_sequence: after + 1,
        };
        let (waiting, messages) = streams::read_in_order(&self.bus, stream, None, from).await?;
        let entries = messages.map(|message| LogEntry {
            place: message.sequence,
            waiting: message.pending,
            subject: message.subject,
            payload: message.payload,
        });
        Ok((waiting, entries.boxed()))
    }

    /// The place of the newest entry of a thing, 0 without one, and the entry.
    async fn last<M: Message + Name + Default>(&self, key: &str) -> Result<(u64, Option<M>), BusError> {
        let stream = self.stream::<M>().await?;
        // Asked of the stream's leader: a replica may lag behind.
        match stream.get_last_raw_message_by_subject(&subject::<M>(key)).await {
            Ok(raw) => Ok((raw.sequence, Some(decode(&raw.subject, raw.sequence, raw.payload)?))),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok((0, None)),
            Err(error) => Err(request(error)),
        }
    }

    async fn stream<M: Name>(&self) -> Result<Stream<()>, BusError> {
        let name = flow::log_of::<M>().stream;
        self.bus.context.get_stream_no_info(name).await.map_err(request)
    }

    /// Erases the entry that another one has replaced. Where that fails it is left to [`Self::erase_earlier`].
    async fn erase_replaced<M: Name>(&self, sequence: u64) {
        if sequence == 0 {
            return;
        }
        let erased = async { erase(&self.stream::<M>().await?, sequence).await };
        if let Err(error) = erased.await {
            warn!(%error, sequence, "a replaced entry of a log is not erased yet");
        }
    }

    /// False when the newest entry is no longer the one at that place.
    async fn put_over<M: Message + Name>(&self, key: &str, message: &M, last: u64) -> Result<bool, BusError> {
        let payload = message.encode_to_vec().into();
        let subject = subject::<M>(key);
        self.bus
            .publish_behind(&subject, last, content_type::<M>(), payload)
            .await
    }
}

/// Overwrites an entry in the file and takes it out of the stream.
async fn erase(stream: &Stream<()>, sequence: u64) -> Result<(), BusError> {
    stream.delete_message(sequence).await.map(drop).map_err(request)
}

fn decode<M: Message + Default>(subject: &str, sequence: u64, payload: bytes::Bytes) -> Result<M, BusError> {
    M::decode(payload).map_err(|error| BusError::Undecodable {
        subject: subject.to_owned(),
        sequence,
        problem: error.to_string(),
    })
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
