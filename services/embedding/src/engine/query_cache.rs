//! Caches the vectors of recent queries: the same query is often repeated within minutes, and every page of a search
//! repeats it.
//!
//! The number of queries and the size of each text are limited, and so is the memory. Documents are never cached: ingest
//! publishes each of them once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;

use super::EmbeddedText;
use encoder::TextKind;

/// The longest query that is cached; longer ones are rare and not worth the memory.
const MAX_BYTES: usize = 1024;

/// The cache; the least recently used query is removed first.
pub struct QueryCache {
    entries: Mutex<LruCache<String, EmbeddedText>>,
}

impl QueryCache {
    /// A cache for so many queries; 0 caches none.
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: Mutex::new(LruCache::new(capacity)),
        }
    }

    /// Whether a text may be cached.
    pub fn accepts(&self, kind: TextKind, text: &str) -> bool {
        kind == TextKind::Query && text.len() <= MAX_BYTES && self.lock().capacity() > 0
    }

    /// The vectors of a query, if they are cached.
    pub fn get(&self, text: &str) -> Option<EmbeddedText> {
        self.lock().get(text).cloned()
    }

    /// Caches a query; removes the least recently used one when the cache is full.
    pub fn put(&self, text: String, embedded: EmbeddedText) {
        self.lock().insert(text, embedded);
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<String, EmbeddedText>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::embedded;

    #[test]
    fn the_least_recently_used_query_is_removed() {
        let cache = QueryCache::new(2);
        for text in ["a", "b"] {
            cache.put(text.to_owned(), embedded(3));
        }
        assert!(cache.get("a").is_some());
        cache.put("c".to_owned(), embedded(3));
        assert!(cache.get("a").is_some() && cache.get("b").is_none() && cache.get("c").is_some());
    }

    #[test]
    fn only_short_queries_are_cached() {
        let cache = QueryCache::new(2);
        assert!(cache.accepts(TextKind::Query, &"x".repeat(MAX_BYTES)));
        assert!(!cache.accepts(TextKind::Query, &"x".repeat(MAX_BYTES + 1)));
        assert!(!cache.accepts(TextKind::Document, "x"));
        assert!(!QueryCache::new(0).accepts(TextKind::Query, "x"));
    }
}
