//! How many bytes each stream may take, and how full each one is as far as this process knows.
//!
//! It asks nobody: [`crate::stream_use`] looks, [`crate::bus`] adds what it publishes between two looks. Work that has begun
//! is never refused here, only what would begin.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::flow::{STORAGE, StreamStorage, WhenFull, storage_index};

/// Bytes of a megabyte of the settings.
pub const MEGABYTE: u64 = 1 << 20;
/// Parts of a limit, in percent, above which a stream that refuses new messages takes nothing that would begin. The rest is
/// for what has begun: the papers in it go on to the next service, and subscribers can still leave.
pub const CLOSED_PERCENT: u64 = 90;

/// What one paper may still take in the stream of papers: as many bytes as this for each of its own, and these. embedding adds
/// vectors and the weight of each term to it, and indexing passes it on.
const DERIVED_FACTOR: u64 = 4;
const DERIVED_BYTES: u64 = 6 << 10;

/// Bytes that the services behind a message of a subject will still publish into the stream of papers, at most, for one of so
/// many bytes. Papers are accepted only where all that follows has room as well: else a stream full of papers that wait for
/// embedding would never empty, because embedding could not publish.
pub fn promised_bytes(subject: &str, bytes: u64) -> u64 {
    match subject {
        "papers.accepted" => bytes.saturating_mul(DERIVED_FACTOR).saturating_add(DERIVED_BYTES),
        "papers.embedded" => bytes,
        _ => 0,
    }
}

/// Bytes that each stream may take, in the order of [`STORAGE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits([u64; STORAGE.len()]);

impl StreamLimits {
    /// As a function of the setting says, in megabytes.
    pub fn from_settings(mut megabytes: impl FnMut(&'static str) -> u64) -> Self {
        Self(STORAGE.map(|storage| megabytes(storage.setting).saturating_mul(MEGABYTE)))
    }

    /// The same for every stream, in megabytes.
    pub fn uniform(megabytes: u64) -> Self {
        Self::from_settings(|_| megabytes)
    }

    /// The limit of a stream.
    pub fn of(&self, stream: &str) -> u64 {
        self.0[storage_index(stream)]
    }

    /// What all of them reserve together.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }
}

/// How full a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamUse {
    /// The stream.
    pub storage: &'static StreamStorage,
    /// Messages in it at the last look; 0 before the first.
    pub messages: u64,
    /// Bytes in it at the last look, and what this process published since.
    pub bytes: u64,
    /// Bytes that work under way will still take, at most.
    pub promised: u64,
    /// What it may take.
    pub limit: u64,
}

impl StreamUse {
    /// Whether it takes nothing that would begin.
    pub fn is_closed(&self) -> bool {
        self.storage.when_full == WhenFull::RefuseNew && self.percent() >= CLOSED_PERCENT
    }

    /// How much of the limit is used or promised.
    pub fn percent(&self) -> u64 {
        self.bytes.saturating_add(self.promised).saturating_mul(100) / self.limit.max(1)
    }
}

/// How full the streams are. Clones share one memory.
#[derive(Debug, Clone)]
pub struct StoreUse {
    seen: Arc<[SeenStream; STORAGE.len()]>,
}

#[derive(Debug)]
struct SeenStream {
    messages: AtomicU64,
    bytes: AtomicU64,
    promised: AtomicU64,
    limit: AtomicU64,
}

impl StoreUse {
    /// Before the first look, when all count as empty.
    pub fn new(limits: StreamLimits) -> Self {
        let seen = limits.0.map(|limit| SeenStream {
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            promised: AtomicU64::new(0),
            limit: AtomicU64::new(limit),
        });
        Self { seen: Arc::new(seen) }
    }

    /// What a look found: messages and bytes in it, bytes that work under way will take, and the limit.
    pub fn note(&self, stream: &str, messages: u64, bytes: u64, promised: u64, limit: u64) {
        let seen = &self.seen[storage_index(stream)];
        seen.messages.store(messages, Ordering::Relaxed);
        seen.bytes.store(bytes, Ordering::Relaxed);
        seen.promised.store(promised, Ordering::Relaxed);
        seen.limit.store(limit, Ordering::Relaxed);
    }

    /// What was published since.
    pub fn add(&self, stream: &str, subject: &str, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let seen = &self.seen[storage_index(stream)];
        seen.bytes.fetch_add(bytes, Ordering::Relaxed);
        seen.promised
            .fetch_add(promised_bytes(subject, bytes), Ordering::Relaxed);
    }

    /// That the server refused a message because the stream is full.
    pub fn note_full(&self, stream: &str) {
        let seen = &self.seen[storage_index(stream)];
        let limit = seen.limit.load(Ordering::Relaxed);
        seen.bytes.fetch_max(limit, Ordering::Relaxed);
    }

    /// How full a stream is.
    pub fn of(&self, stream: &str) -> StreamUse {
        let index = storage_index(stream);
        StreamUse {
            storage: &STORAGE[index],
            messages: self.seen[index].messages.load(Ordering::Relaxed),
            bytes: self.seen[index].bytes.load(Ordering::Relaxed),
            promised: self.seen[index].promised.load(Ordering::Relaxed),
            limit: self.seen[index].limit.load(Ordering::Relaxed),
        }
    }

    /// The streams that take nothing that would begin.
    pub fn closed(&self) -> Vec<StreamUse> {
        let all = STORAGE.iter().map(|storage| self.of(storage.stream));
        all.filter(StreamUse::is_closed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{ATTENTION_STREAM, STREAM, SUBSCRIBERS};

    #[test]
    fn a_stream_closes_before_it_is_full_and_opens_at_the_next_look() {
        let store = StoreUse::new(StreamLimits::uniform(1));
        let tenth = MEGABYTE / 10;
        store.note(STREAM, 8, tenth * 8, 0, MEGABYTE);
        assert!(store.closed().is_empty());
        store.add(STREAM, "papers.indexed", usize::try_from(tenth + 10).expect("small"));
        assert_eq!(store.closed()[0].storage.stream, STREAM);
        store.note(STREAM, 5, tenth * 5, tenth * 4 + 10, MEGABYTE);
        assert_eq!(store.closed()[0].storage.stream, STREAM, "what is promised counts");
        store.note(STREAM, 0, 0, 0, MEGABYTE);
        store.add(STREAM, "papers.accepted", usize::try_from(tenth * 2).expect("small"));
        assert!(store.of(STREAM).is_closed(), "a paper promises what is made of it");
        store.note(STREAM, 5, tenth * 5, 0, MEGABYTE);
        assert!(store.closed().is_empty());
        store.note_full(SUBSCRIBERS);
        assert!(store.of(SUBSCRIBERS).is_closed() && !store.of(STREAM).is_closed());
        // What forgets the oldest is never closed.
        store.note_full(ATTENTION_STREAM);
        assert_eq!(store.of(ATTENTION_STREAM).percent(), 100);
        assert_eq!(store.closed().len(), 1);
    }

    #[test]
    fn limits_are_read_by_setting_and_added_up() {
        let limits = StreamLimits::from_settings(|setting| if setting == "nats.papers_mb" { 5 } else { 1 });
        assert_eq!(limits.of(STREAM), 5 * MEGABYTE);
        assert_eq!(limits.total(), (5 + STORAGE.len() as u64 - 1) * MEGABYTE);
        assert_eq!(StreamLimits::uniform(u64::MAX).total(), u64::MAX, "no overflow");
    }
}
