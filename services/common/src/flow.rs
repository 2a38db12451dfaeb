//! The flow table: every route a message takes, and every log beside it. No other file spells a subject.
//!
//! Streams, consumers, dead letters and status pages are derived from it. It is also the one file here that names services.

use std::time::Duration;

/// The services of the platform.
pub const SERVICES: [&str; 5] = ["ingest", "embedding", "indexing", "notification", "web"];

/// The stream papers travel on.
pub const STREAM: &str = "PAPERS";
/// What it holds.
pub const STREAM_SUBJECTS: &str = "papers.>";
/// The stream of attention, apart from papers, because strangers cause it.
pub const ATTENTION_STREAM: &str = "ATTENTION";
/// What it holds.
pub const ATTENTION_SUBJECTS: &str = "attention.>";
/// The stream that keeps the server's advisories about messages that were given up, while no worker looks.
pub const ADVISORY_STREAM: &str = "DEAD_LETTER_ADVISORIES";
/// The stream that keeps dead letters for operators.
pub const DEAD_LETTER_STREAM: &str = "DEAD_LETTERS";
/// Dead letters lie at `<prefix>.<consumer>`.
pub const DEAD_LETTER_PREFIX: &str = "dead_letters";

/// The stream that keeps which calls wrote or administered something.
pub const AUDIT_STREAM: &str = "AUDIT";
/// Audit entries lie at `<prefix>.<service>`.
pub const AUDIT_PREFIX: &str = "audit";

/// The one service that makes and changes streams and makes room in them, handles dead letters and shows the audit log. Who may
/// make a stream can have the server copy any other stream into it, so it is the one that holds the subscribers' data anyway.
pub const STREAM_MAKER: &str = "notification";

/// The service that reads its events back from [`STREAM`] by their place. A place says nothing of a subject, so it may read the
/// whole stream; all that is in there began with it.
pub const REREADING_SERVICE: &str = "ingest";

/// A bucket of state that one service keeps on the bus.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub description: &'static str,
    /// The service that reads and writes it.
    pub owner: &'static str,
}

/// The registry of papers.
pub const PAPERS_BUCKET: &str = "ingest-papers";
/// The states of sources.
pub const SOURCES_BUCKET: &str = "ingest-sources";

/// The buckets.
pub const BUCKETS: [Bucket; 2] = [
    Bucket {
        name: PAPERS_BUCKET,
        description: "The newest revision of each paper id",
        owner: "ingest",
    },
    Bucket {
        name: SOURCES_BUCKET,
        description: "State of each source of papers",
        owner: "ingest",
    },
];

/// Those who replay subjects: names in dead letters, and the service of each.
pub const READERS: [(&str, &str); 4] = [
    ("indexing-attention", "indexing"),
    ("indexing-signals", "indexing"),
    ("notification-indexed", "notification"),
    ("notification-withdrawn", "notification"),
];

/// How the reader of a route consumes its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consumption {
    /// Each message is handled once, by one worker, and acknowledged after its effect is durable.
    WorkQueue {
        /// Durable consumer; every replica of a service shares it.
        consumer: &'static str,
        /// Deliveries before a message becomes a dead letter.
        max_deliver: i64,
        /// Without an acknowledgement or a sign of progress for this long, another worker gets the message.
        ack_wait: Duration,
        /// Most messages handled together.
        batch: usize,
    },
    /// Every replica reads all recent messages anew at its start and keeps them in memory; nothing is acknowledged.
    Replay,
}

/// One route: who publishes what for whom, and how often it is tried.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Subject of the messages.
    pub subject: &'static str,
    /// Full name of the protobuf message.
    pub message: &'static str,
    /// Service that publishes.
    pub from: &'static str,
    /// Service that reads.
    pub to: &'static str,
    /// How it consumes them.
    pub consumption: Consumption,
}

const fn work_queue(consumer: &'static str, max_deliver: i64, batch: usize) -> Consumption {
    Consumption::WorkQueue {
        consumer,
        max_deliver,
        ack_wait: Duration::from_secs(10),
        batch,
    }
}

/// The flow, in the order a paper takes it.
#[rustfmt::skip]
pub const FLOW: [Route; 7] = [
    Route { subject: "papers.accepted",    message: "broadsheet.papers.v1.PaperAccepted",        from: "ingest",    to: "embedding",    consumption: work_queue("embedding-accepted", 6, 64) },
    Route { subject: "papers.embedded",    message: "broadsheet.papers.v1.PaperEmbedded",        from: "embedding", to: "indexing",     consumption: work_queue("indexing-embedded", 6, 128) },
    Route { subject: "papers.withdrawn",   message: "broadsheet.papers.v1.PaperWithdrawn",       from: "ingest",    to: "indexing",     consumption: work_queue("indexing-withdrawn", 6, 32) },
    Route { subject: "papers.withdrawn",   message: "broadsheet.papers.v1.PaperWithdrawn",       from: "ingest",    to: "notification", consumption: Consumption::Replay },
    Route { subject: "papers.indexed",     message: "broadsheet.papers.v1.PaperIndexed",         from: "indexing",  to: "notification", consumption: Consumption::Replay },
    Route { subject: "attention.recorded", message: "broadsheet.attention.v1.AttentionRecorded", from: "ingest",    to: "indexing",     consumption: Consumption::Replay },
    Route { subject: "attention.counted",  message: "broadsheet.attention.v1.SignalRecorded",    from: "ingest",    to: "indexing",     consumption: Consumption::Replay },
];

/// A log of its owner's state, so that losing the store it works on loses nothing. Each thing has the subject
/// `<prefix>.<key>`.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    /// The stream.
    pub stream: &'static str,
    /// What its subjects begin with.
    pub prefix: &'static str,
    /// Full name of the protobuf message.
    pub message: &'static str,
    /// The service that writes it and reads it back.
    pub owner: &'static str,
}

/// The stream that keeps the newest state of each subscriber and of each suppressed address, for ever.
pub const SUBSCRIBERS: &str = "SUBSCRIBERS";
/// The stream that keeps how digests ended, for as long as their papers could be chosen again.
pub const DELIVERIES: &str = "DELIVERIES";
/// The stream that keeps requests to subscribe that nobody has confirmed, for a week.
pub const PENDING: &str = "PENDING";

/// The logs.
#[rustfmt::skip]
pub const LOGS: [Log; 4] = [
    Log { stream: SUBSCRIBERS, prefix: "subscribers",  message: "broadsheet.subscriptions.v1.SubscriberLogged",  owner: "notification" },
    Log { stream: SUBSCRIBERS, prefix: "suppressions", message: "broadsheet.subscriptions.v1.SuppressionLogged", owner: "notification" },
    Log { stream: DELIVERIES,  prefix: "deliveries",   message: "broadsheet.subscriptions.v1.DeliveryLogged",    owner: "notification" },
    Log { stream: PENDING,     prefix: "pending",      message: "broadsheet.subscriptions.v1.PendingLogged",     owner: "notification" },
];

/// Whether a service has anything to do with the bus.
pub fn uses_bus(service: &str) -> bool {
    let on_a_route = FLOW.iter().any(|route| route.from == service || route.to == service);
    on_a_route || LOGS.iter().any(|log| log.owner == service) || BUCKETS.iter().any(|bucket| bucket.owner == service)
}

/// Whether a process has anything to do with the bus: all but services that have no place in these tables.
pub fn process_uses_bus(process: &str) -> bool {
    uses_bus(process) || !SERVICES.contains(&process)
}

/// Whether a process makes the streams: the service that does, or one that is no service by itself, such as all of them
/// together.
pub fn makes_streams(process: &str) -> bool {
    process == STREAM_MAKER || !SERVICES.contains(&process)
}

/// The log that messages of a type lie in.
///
/// # Panics
/// When there is none: a mistake in this program that its first test run shows.
pub fn log_of<M: prost::Name>() -> &'static Log {
    let name = M::full_name();
    let log = LOGS.iter().find(|log| log.message == name);
    log.unwrap_or_else(|| panic!("message {name} has no log in the flow table"))
}

/// What a stream does when its bytes are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// It forgets the oldest messages: they are worth least, and their writers must not wait.
    DropOldest,
    /// It takes no more until there is room: nothing in it may be lost.
    RefuseNew,
}

impl WhenFull {
    /// Its label in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DropOldest => "drops_oldest",
            Self::RefuseNew => "refuses_new",
        }
    }
}

/// A stream, and what bounds it. The bytes are reserved on the server when the stream is made, so no stream can take room
/// from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamStorage {
    /// Name of the stream; `KV_` and the name for a bucket.
    pub stream: &'static str,
    /// The setting of its limit, in megabytes.
    pub setting: &'static str,
    /// What happens at the limit.
    pub when_full: WhenFull,
    /// The services that read or write it.
    pub used_by: &'static [&'static str],
}

/// Every stream and bucket there is.
#[rustfmt::skip]
pub const STORAGE: [StreamStorage; 10] = [
    StreamStorage { stream: SUBSCRIBERS,         setting: "nats.subscribers_mb",  when_full: WhenFull::RefuseNew,  used_by: &["notification"] },
    StreamStorage { stream: DELIVERIES,          setting: "nats.deliveries_mb",   when_full: WhenFull::DropOldest, used_by: &["notification"] },
    StreamStorage { stream: PENDING,             setting: "nats.pending_mb",      when_full: WhenFull::DropOldest, used_by: &["notification"] },
    StreamStorage { stream: "KV_ingest-papers",  setting: "nats.registry_mb",     when_full: WhenFull::RefuseNew,  used_by: &["ingest", "notification"] },
    StreamStorage { stream: "KV_ingest-sources", setting: "nats.sources_mb",      when_full: WhenFull::RefuseNew,  used_by: &["ingest", "notification"] },
    StreamStorage { stream: DEAD_LETTER_STREAM,  setting: "nats.dead_letters_mb", when_full: WhenFull::RefuseNew,  used_by: &["ingest", "embedding", "indexing", "notification"] },
    StreamStorage { stream: ADVISORY_STREAM,     setting: "nats.advisories_mb",   when_full: WhenFull::DropOldest, used_by: &["embedding", "indexing", "notification"] },
    StreamStorage { stream: AUDIT_STREAM,        setting: "nats.audit_mb",        when_full: WhenFull::DropOldest, used_by: &["ingest", "embedding", "indexing", "notification"] },
    StreamStorage { stream: STREAM,              setting: "nats.papers_mb",       when_full: WhenFull::RefuseNew,  used_by: &["ingest", "embedding", "indexing", "notification"] },
    StreamStorage { stream: ATTENTION_STREAM,    setting: "nats.attention_mb",    when_full: WhenFull::DropOldest, used_by: &["ingest", "indexing", "notification"] },
];

/// The place of a stream in [`STORAGE`].
///
/// # Panics
/// When it is not there: a mistake in this program that its first test run shows.
pub fn storage_index(stream: &str) -> usize {
    let index = STORAGE.iter().position(|storage| storage.stream == stream);
    index.unwrap_or_else(|| panic!("stream {stream} is not in the table of storage"))
}

/// The stream that messages on a subject lie in; `None` for a subject of nobody.
pub fn stream_of(subject: &str) -> Option<&'static str> {
    let prefix = subject.split('.').next().unwrap_or(subject);
    let holds = |subjects: &str| subjects.strip_suffix(".>") == Some(prefix);
    match prefix {
        _ if holds(STREAM_SUBJECTS) => Some(STREAM),
        _ if holds(ATTENTION_SUBJECTS) => Some(ATTENTION_STREAM),
        DEAD_LETTER_PREFIX => Some(DEAD_LETTER_STREAM),
        AUDIT_PREFIX => Some(AUDIT_STREAM),
        _ => LOGS.iter().find(|log| log.prefix == prefix).map(|log| log.stream),
    }
}

/// The stream that messages of a type of the flow lie in.
///
/// # Panics
/// When the type is not in the table: a mistake in this program that its first test run shows.
pub fn stream_of_message<M: prost::Name>() -> &'static str {
    let subject = subject_of::<M>();
    stream_of(subject).unwrap_or_else(|| panic!("subject {subject} lies in no stream"))
}

/// The subject messages of a type are published on.
///
/// # Panics
/// When the type is not in the table: a mistake in this program that its first test run shows.
pub fn subject_of<M: prost::Name>() -> &'static str {
    let name = M::full_name();
    let route = FLOW.iter().find(|route| route.message == name);
    route
        .unwrap_or_else(|| panic!("message {name} is not in the flow table"))
        .subject
}

/// The route over which a service works on messages of a type.
pub fn work_route<M: prost::Name>(to: &str) -> Option<&'static Route> {
    let name = M::full_name();
    FLOW.iter().find(|route| {
        route.message == name && route.to == to && matches!(route.consumption, Consumption::WorkQueue { .. })
    })
}

/// The durable consumer with which a service collects the advisories about its own consumers.
pub fn collector_of(service: &str) -> String {
    format!("dead-letters-{service}")
}

/// The route that a durable consumer works on.
pub fn route_of_consumer(name: &str) -> Option<&'static Route> {
    let is_it =
        |route: &&Route| matches!(route.consumption, Consumption::WorkQueue { consumer, .. } if consumer == name);
    FLOW.iter().find(is_it)
}

/// Durable consumers of a service.
pub fn consumers_of(service: &str) -> Vec<&'static str> {
    let of_service = FLOW.iter().filter(|route| route.to == service);
    of_service
        .filter_map(|route| match route.consumption {
            Consumption::WorkQueue { consumer, .. } => Some(consumer),
            Consumption::Replay => None,
        })
        .collect()
}

/// Checks that a reader has a name that its dead letters may be recorded under.
///
/// # Panics
/// When the table does not have it: a mistake in this program that its first test run shows.
pub(crate) fn assert_reader(name: &str) {
    assert!(
        READERS.iter().any(|(reader, _)| *reader == name),
        "reader {name} is not in the flow table"
    );
}

/// How long to wait before the next delivery, after `deliveries` of them failed: 1 s, 4 s, 16 s, then 1 min.
pub fn back_off(deliveries: i64) -> Duration {
    let exponent = u32::try_from(deliveries.clamp(1, 4) - 1).unwrap_or(0);
    Duration::from_secs(4_u64.pow(exponent).min(60))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use prost::Name as _;
    use proto::attention::v1::{AttentionRecorded, SignalRecorded};
    use proto::papers::v1::{PaperAccepted, PaperEmbedded, PaperIndexed, PaperWithdrawn};

    use super::*;

    #[test]
    fn the_table_names_messages_that_exist() {
        let known = [
            PaperAccepted::full_name(),
            PaperEmbedded::full_name(),
            PaperIndexed::full_name(),
            PaperWithdrawn::full_name(),
            AttentionRecorded::full_name(),
            SignalRecorded::full_name(),
        ];
        for route in FLOW {
            assert!(known.contains(&route.message.to_owned()), "{}", route.message);
        }
    }

    #[test]
    fn consumers_are_unique_and_subjects_lie_in_the_stream() {
        let mut consumers = HashSet::new();
        for route in FLOW {
            let stream = stream_of(route.subject).expect("a stream");
            if let Consumption::WorkQueue { consumer, .. } = route.consumption {
                assert_eq!(stream, STREAM, "dead letters are made of messages in it");
                assert!(consumers.insert(consumer), "{consumer} twice");
                assert!(consumer.starts_with(route.to), "{consumer} is named after its service");
            }
        }
    }

    #[test]
    fn each_log_has_a_message_and_subjects_of_its_own() {
        use proto::subscriptions::v1::{DeliveryLogged, PendingLogged, SubscriberLogged, SuppressionLogged};
        let prefixes = [
            log_of::<SubscriberLogged>().prefix,
            log_of::<SuppressionLogged>().prefix,
            log_of::<DeliveryLogged>().prefix,
            log_of::<PendingLogged>().prefix,
        ];
        assert_eq!(prefixes.iter().collect::<HashSet<_>>().len(), LOGS.len());
        for log in LOGS {
            for taken in [STREAM_SUBJECTS, ATTENTION_SUBJECTS] {
                assert_ne!(taken.trim_end_matches(".>"), log.prefix);
            }
            assert_eq!(stream_of(&format!("{}.somebody", log.prefix)), Some(log.stream));
        }
    }

    #[test]
    fn every_stream_has_one_limit_of_its_own() {
        let distinct = |names: Vec<&str>| names.into_iter().collect::<HashSet<_>>().len();
        assert_eq!(distinct(STORAGE.map(|one| one.stream).to_vec()), STORAGE.len());
        assert_eq!(distinct(STORAGE.map(|one| one.setting).to_vec()), STORAGE.len());
        for bucket in BUCKETS {
            storage_index(&format!("KV_{}", bucket.name));
        }
        for route in FLOW {
            let storage = STORAGE[storage_index(stream_of(route.subject).expect("a stream"))];
            assert!(
                storage.used_by.contains(&route.from) && storage.used_by.contains(&route.to),
                "{}",
                route.subject
            );
        }
        // Who has unsubscribed is never forgotten, and no work that is not done.
        for stream in [SUBSCRIBERS, STREAM, DEAD_LETTER_STREAM] {
            assert_eq!(
                STORAGE[storage_index(stream)].when_full,
                WhenFull::RefuseNew,
                "{stream}"
            );
        }
        assert_eq!(stream_of("strangers.1"), None);
    }

    #[test]
    fn back_off_grows_and_ends() {
        assert_eq!(
            [0, 1, 2, 3, 4, 99].map(|n| back_off(n).as_secs()),
            [1, 1, 4, 16, 60, 60]
        );
    }
}
