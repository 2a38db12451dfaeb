//! Which terms a sparse score comes from.
//!
//! Asks the store for each term alone, so that the parts are those of the very scores the store gave, whatever it holds.

use std::collections::HashMap;

use domain::query::Meaning;
use domain::{PaperId, SparseVector, bm25};

use super::{Search, SearchError, Sought, ask};
use crate::store::{Filter, Probe};

/// For each operand and paper, what each word adds to its sparse score, most first.
pub type Terms = HashMap<(usize, PaperId), Vec<(String, f64)>>;

impl Search {
    /// The terms of the words that are looked for, for some of the results.
    pub async fn terms(&self, meaning: &Meaning, papers: &[PaperId]) -> Result<Terms, SearchError> {
        let mut sought = Sought::default();
        sought.read(meaning, true);
        let (mut probes, mut asked) = (Vec::new(), Vec::new());
        for (operand, words) in &sought.words {
            let names: HashMap<u32, String> = names(words);
            for (id, weight) in bm25::query_vector(words)?.iter() {
                probes.push(Probe::Sparse(SparseVector::new(vec![id], vec![weight])?));
                asked.push((*operand, names.get(&id).cloned().unwrap_or_default()));
            }
        }
        let within = Filter {
            within: Some(papers.to_vec()),
            ..Filter::default()
        };
        let index = self.catalogue.view().current.clone();
        let lists = ask(&index, probes, within, papers.len()).await?;
        let mut explained = Terms::new();
        for ((operand, name), hits) in asked.into_iter().zip(lists) {
            for hit in hits {
                let parts = explained.entry((operand, hit.id)).or_default();
                parts.push((name.clone(), hit.score));
            }
        }
        for parts in explained.values_mut() {
            parts.sort_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| a.cmp(b)));
        }
        Ok(explained)
    }
}

/// The stem each term id stands for.
fn names(words: &str) -> HashMap<u32, String> {
    let terms = bm25::terms(words).into_iter();
    terms.map(|term| (bm25::term_id(&term), term)).collect()
}
