//! Abstracts as people read them, prepared for highlighting, each once for all readers: to find the terms of a text is most of
//! what writing a mail would cost.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use domain::highlight::PreparedAbstract;
use domain::readable::readable;
use domain::{Paper, PaperId};

/// Some 8 kB each. When there are more, the cache is emptied, and those in use come back.
const MAX_ABSTRACTS: usize = 4_096;

/// An abstract as people read it.
pub struct ReadableAbstract {
    source: String,
    /// Its text.
    pub text: String,
    /// The same, prepared; its byte ranges are of this text.
    pub prepared: PreparedAbstract,
}

impl ReadableAbstract {
    fn new(source: &str) -> Self {
        let text = readable(source).into_owned();
        Self {
            source: source.to_owned(),
            prepared: PreparedAbstract::new(&text),
            text,
        }
    }
}

/// The abstracts, by paper.
#[derive(Default)]
pub struct AbstractCache {
    cached: RwLock<HashMap<PaperId, Arc<ReadableAbstract>>>,
}

impl AbstractCache {
    /// The abstract of a paper as it is now. One made of an earlier text is replaced.
    pub fn of(&self, paper: &Paper) -> Arc<ReadableAbstract> {
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = cached.get(&paper.id)
            && found.source == paper.abstract_text
        {
            return Arc::clone(found);
        }
        drop(cached);
        let found = Arc::new(ReadableAbstract::new(&paper.abstract_text));
        let mut cached = self.cached.write().unwrap_or_else(PoisonError::into_inner);
        if cached.len() >= MAX_ABSTRACTS {
            cached.clear();
        }
        cached.insert(paper.id.clone(), Arc::clone(&found));
        found
    }
}
