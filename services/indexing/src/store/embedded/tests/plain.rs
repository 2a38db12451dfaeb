//! A store that does everything in the simplest way, to compare with.

use std::collections::BTreeMap;

use domain::fusion::Hit;
use domain::{LinkKind, Paper, PaperId, names};

use crate::store::{Facet, FacetCount, Filter, IndexedPaper, LegQuery, PaperRevision, StoreEntry, UpsertOutcome};

/// Everything, by id.
#[derive(Default)]
pub struct Plain(BTreeMap<PaperId, StoreEntry>);

impl Plain {
    pub fn upsert(&mut self, one: &IndexedPaper) -> UpsertOutcome {
        let id = &one.paper.id;
        if self.0.get(id).is_some_and(|known| known.revision > one.paper.revision) {
            return UpsertOutcome::Stale;
        }
        let stored = StoreEntry {
            id: id.clone(),
            revision: one.paper.revision,
            content: Some(one.clone()),
        };
        self.0.insert(id.clone(), stored);
        UpsertOutcome::Written
    }

    pub fn withdraw(&mut self, id: &PaperId, revision: u64) {
        if self.0.get(id).is_none_or(|known| known.revision <= revision) {
            let held = StoreEntry {
                id: id.clone(),
                revision,
                content: None,
            };
            self.0.insert(id.clone(), held);
        }
    }

    pub fn get(&self, id: &PaperId) -> Option<&IndexedPaper> {
        self.0.get(id)?.content.as_ref()
    }

    pub fn stored(&self) -> impl Iterator<Item = &StoreEntry> {
        self.0.values()
    }

    pub fn revisions(&self) -> Vec<PaperRevision> {
        let held = |stored: &StoreEntry| PaperRevision {
            id: stored.id.clone(),
            revision: stored.revision,
            withdrawn: stored.content.is_none(),
        };
        self.stored().map(held).collect()
    }

    pub fn count(&self, filter: &Filter) -> u64 {
        self.passing(filter).count() as u64
    }

    pub fn list(&self, filter: &Filter) -> Vec<Paper> {
        let mut papers: Vec<Paper> = self.passing(filter).map(|one| one.paper.clone()).collect();
        papers.sort_by(|a, b| b.published.cmp(&a.published).then_with(|| a.id.cmp(&b.id)));
        papers
    }

    pub fn facet(&self, filter: &Filter, facet: Facet, limit: usize) -> Vec<FacetCount> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for one in self.passing(filter) {
            let mut values = match facet {
                Facet::Category => one.paper.categories.clone(),
                Facet::Year => one
                    .paper
                    .published
                    .map(|time| time.strftime("%Y").to_string())
                    .into_iter()
                    .collect(),
                Facet::Source => vec![one.paper.source.clone()],
                Facet::Author => one.paper.authors.iter().map(ToString::to_string).collect(),
                Facet::Language => Some(one.paper.language.clone())
                    .filter(|one| !one.is_empty())
                    .into_iter()
                    .collect(),
            };
            values.sort();
            values.dedup();
            for value in values {
                *counts.entry(value).or_default() += 1;
            }
        }
        let mut counts: Vec<FacetCount> = counts
            .into_iter()
            .map(|(value, papers)| FacetCount { value, papers })
            .collect();
        counts.sort_by(|a, b| b.papers.cmp(&a.papers).then_with(|| a.value.cmp(&b.value)));
        counts.truncate(limit);
        counts
    }

    /// Panics unless the hits are the best, by scores that differ by no more than rounding.
    pub fn check(&self, leg: &LegQuery, filter: &Filter, limit: usize, found: &[Hit]) {
        let scores: BTreeMap<&PaperId, f64> = self.scores(leg, filter).collect();
        assert_eq!(found.len(), scores.len().min(limit));
        for hit in found {
            let score = scores[&hit.id];
            assert!((score - hit.score).abs() < 1e-9, "{hit:?} should score {score}");
        }
        let order = |a: &Hit, b: &Hit| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id));
        assert!(found.is_sorted_by(|a, b| order(a, b).is_lt()), "{found:?}");
        let mut all: Vec<f64> = scores.values().copied().collect();
        all.sort_by(|a, b| b.total_cmp(a));
        let far = |at: usize| (all[at] - found[at].score).abs() > 1e-9;
        assert!(!(0..found.len()).any(far), "not the best: {found:?}");
        // Among equal scores at the cut the first ids are kept. Equal vectors score equally to the last bit.
        if let Some(last) = found.last() {
            let kept = |id: &PaperId| found.iter().any(|hit| hit.id == *id);
            let tied = scores.iter().filter(|(_, score)| (**score - last.score).abs() < 1e-12);
            let left_out = tied.filter(|(id, _)| !kept(id) && self.is_alike(&last.id, id, leg));
            for (id, _) in left_out {
                assert!(**id > last.id, "{id} comes before {}", last.id);
            }
        }
    }

    fn is_alike(&self, a: &PaperId, b: &PaperId, leg: &LegQuery) -> bool {
        let (Some(a), Some(b)) = (self.get(a), self.get(b)) else {
            return false;
        };
        match leg {
            LegQuery::Dense(_) => a.vectors.dense == b.vectors.dense,
            LegQuery::Sparse(_) => a.vectors.sparse == b.vectors.sparse,
        }
    }

    fn scores<'a>(&'a self, leg: &'a LegQuery, filter: &'a Filter) -> impl Iterator<Item = (&'a PaperId, f64)> {
        let rarities: BTreeMap<u32, f64> = match leg {
            LegQuery::Dense(_) => BTreeMap::new(),
            LegQuery::Sparse(asked) => asked.indices().iter().map(|term| (*term, self.rarity(*term))).collect(),
        };
        let scored = self
            .passing(filter)
            .map(move |one| (&one.paper.id, score(leg, &rarities, one)));
        scored.filter_map(|(id, score)| Some((id, score?)))
    }

    fn rarity(&self, term: u32) -> f64 {
        let vectors = || {
            self.0
                .values()
                .filter_map(|one| Some(&one.content.as_ref()?.vectors.sparse))
        };
        let all = vectors().filter(|vector| !vector.is_empty()).count() as f64;
        let holding = vectors().filter(|vector| vector.indices().contains(&term)).count() as f64;
        ((all - holding + 0.5) / (holding + 0.5) + 1.0).ln()
    }

    fn passing<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = &'a IndexedPaper> {
        self.0
            .values()
            .filter_map(|one| one.content.as_ref())
            .filter(|one| passes(filter, one))
    }
}

fn score(leg: &LegQuery, rarities: &BTreeMap<u32, f64>, one: &IndexedPaper) -> Option<f64> {
    match leg {
        LegQuery::Dense(asked) => {
            let held = &one.vectors.dense;
            if asked.is_zero() || held.is_zero() {
                return None;
            }
            let dot =
                |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
            let (asked, held) = (asked.as_slice(), held.as_slice());
            Some(dot(asked, held) / (dot(asked, asked) * dot(held, held)).sqrt())
        }
        LegQuery::Sparse(asked) => {
            let weight = |term: u32| {
                one.vectors
                    .sparse
                    .iter()
                    .find(|(held, _)| *held == term)
                    .map(|held| held.1)
            };
            let part = |(term, asked): (u32, f32)| Some(f64::from(asked) * f64::from(weight(term)?) * rarities[&term]);
            let score = asked.iter().filter_map(part).sum();
            (score > 0.0).then_some(score)
        }
    }
}

fn passes(filter: &Filter, one: &IndexedPaper) -> bool {
    let paper = &one.paper;
    let keys = names::keys_of_all(&paper.authors);
    let any = |wanted: &[String], held: &[String]| wanted.iter().any(|one| held.contains(one));
    let wanted = |wanted: &[String], held: &[String]| wanted.is_empty() || any(wanted, held);
    let source = std::slice::from_ref(&paper.source);
    let has = |term: &u32| one.vectors.sparse.indices().contains(term);
    wanted(&filter.categories, &paper.categories)
        && !any(&filter.without_categories, &paper.categories)
        && wanted(&filter.sources, source)
        && !any(&filter.without_sources, source)
        && wanted(&filter.authors, &keys)
        && !any(&filter.without_authors, &keys)
        && wanted(&filter.languages, std::slice::from_ref(&paper.language))
        && filter
            .published_after
            .is_none_or(|after| paper.published.is_some_and(|time| time >= after))
        && filter
            .published_before
            .is_none_or(|before| paper.published.is_some_and(|time| time < before))
        && filter
            .has_code
            .is_none_or(|code| paper.link(LinkKind::Code).is_some() == code)
        && filter.terms.iter().all(has)
        && (filter.any_terms.is_empty() || filter.any_terms.iter().any(has))
        && !filter.without_terms.iter().any(has)
        && filter.within.as_ref().is_none_or(|within| within.contains(&paper.id))
        && !filter.without.contains(&paper.id)
}
