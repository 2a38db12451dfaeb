//! Abstracts prepared for highlighting, each once for all readers: to find the terms of a text is most of what writing a mail
//! would cost.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use domain::highlight::PreparedAbstract;
use domain::{Paper, PaperId};

/// Some 7 kB each. When there are more, the cache is emptied, and those in use come back.
const MAX_ABSTRACTS: usize = 4_096;

/// The abstracts, by paper; each with the text that it was prepared from.
#[derive(Default)]
pub struct AbstractCache {
    cached: RwLock<HashMap<PaperId, (String, Arc<PreparedAbstract>)>>,
}

impl AbstractCache {
    /// The abstract of a paper as it is now. One prepared from an earlier text is replaced: its byte ranges would not fit.
    pub fn prepared(&self, paper: &Paper) -> Arc<PreparedAbstract> {
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((text, prepared)) = cached.get(&paper.id)
            && *text == paper.abstract_text
        {
            return Arc::clone(prepared);
        }
        drop(cached);
        let prepared = Arc::new(PreparedAbstract::new(&paper.abstract_text));
        let mut cached = self.cached.write().unwrap_or_else(PoisonError::into_inner);
        if cached.len() >= MAX_ABSTRACTS {
            cached.clear();
        }
        cached.insert(paper.id.clone(), (paper.abstract_text.clone(), Arc::clone(&prepared)));
        prepared
    }
}
