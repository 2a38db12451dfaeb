//! Remembers the vectors of recent queries: the same words are asked again within minutes, and each page of a search
//! asks anew.
//!
//! Bounded in number and in the size of each text, so also in memory. Documents are never kept: the register of papers
//! sees to it that each comes once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;

use super::Embedded;
use encoder::TextKind;

/// Longer queries are rare and not worth the memory.
const MAX_BYTES: usize = 1024;

/// The memory.
pub struct QueryCache {
    entries: Mutex<LruCache<String, Embedded>>,
}

impl QueryCache {
    /// For so many queries; 0 remembers none.
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: Mutex::new(LruCache::new(capacity)),
        }
    }

    /// Whether a text is of the sort that is remembered.
    pub fn takes(&self, kind: TextKind, text: &str) -> bool {
        kind == TextKind::Query && text.len() <= MAX_BYTES && self.lock().capacity() > 0
    }

    /// The vectors of a query, if they are remembered.
    pub fn get(&self, text: &str) -> Option<Embedded> {
        self.lock().get(text).cloned()
    }

    /// Remembers a query; forgets the one that was not asked for longest.
    pub fn put(&self, text: String, embedded: Embedded) {
        self.lock().insert(text, embedded);
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<String, Embedded>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::embedded;

    #[test]
    fn the_query_not_asked_for_longest_is_forgotten() {
        let cache = QueryCache::new(2);
        for text in ["a", "b"] {
            cache.put(text.to_owned(), embedded(3));
        }
        assert!(cache.get("a").is_some());
        cache.put("c".to_owned(), embedded(3));
        assert!(cache.get("a").is_some() && cache.get("b").is_none() && cache.get("c").is_some());
    }

    #[test]
    fn only_short_queries_are_taken() {
        let cache = QueryCache::new(2);
        assert!(cache.takes(TextKind::Query, &"x".repeat(MAX_BYTES)));
        assert!(!cache.takes(TextKind::Query, &"x".repeat(MAX_BYTES + 1)));
        assert!(!cache.takes(TextKind::Document, "x"));
        assert!(!QueryCache::new(0).takes(TextKind::Query, "x"));
    }
}
