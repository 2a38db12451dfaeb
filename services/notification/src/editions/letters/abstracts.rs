//! Abstracts prepared for highlighting, each once however many readers get the paper: finding the terms of a text is most of
//! what writing a mail would cost.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use domain::highlight::Prepared;
use domain::{Paper, PaperId};

/// Some 7 kB each. When there are more, all are forgotten and those in use come back.
const MOST: usize = 4_096;

/// The abstracts.
#[derive(Default)]
pub struct Abstracts {
    kept: RwLock<HashMap<PaperId, (String, Arc<Prepared>)>>,
}

impl Abstracts {
    /// The abstract of a paper as it is now; places in another text would be out of it.
    pub fn of(&self, paper: &Paper) -> Arc<Prepared> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((text, prepared)) = kept.get(&paper.id)
            && *text == paper.abstract_text
        {
            return Arc::clone(prepared);
        }
        drop(kept);
        let prepared = Arc::new(Prepared::new(&paper.abstract_text));
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(paper.id.clone(), (paper.abstract_text.clone(), Arc::clone(&prepared)));
        prepared
    }
}
