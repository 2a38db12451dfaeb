//! The port in its simplest form: a map, and loops over it. Slow, and easy to see to be right.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use domain::fusion::Hit;
use domain::{DenseVector, EncoderId, LinkKind, Paper, PaperId, SparseVector, names};
use jiff::tz::TimeZone;

use crate::store::{
    Alias, CollectionDescription, Collections, Count, Facet, FacetCount, Filter, IndexedPaper, LegHits, LegQuery,
    ListPosition, PaperRevision, ScanPage, Store, StoreEntry, StoreError, StoreQuery, UpsertOutcome, by_score,
    check_dimension, check_vectors, collection_name, published_ms,
};

pub struct ModelStore {
    encoder: EncoderId,
    dimension: usize,
    held: Mutex<BTreeMap<PaperId, StoreEntry>>,
}

impl ModelStore {
    fn held(&self) -> MutexGuard<'_, BTreeMap<PaperId, StoreEntry>> {
        self.held.lock().expect("no panic before")
    }

    fn put(&self, entry: StoreEntry) -> UpsertOutcome {
        let mut held = self.held();
        if held.get(&entry.id).is_some_and(|there| there.revision > entry.revision) {
            return UpsertOutcome::Stale;
        }
        held.insert(entry.id.clone(), entry);
        UpsertOutcome::Written
    }

    fn all(&self) -> Vec<IndexedPaper> {
        self.held().values().filter_map(|entry| entry.content.clone()).collect()
    }

    fn passing(&self, filter: &Filter) -> Vec<IndexedPaper> {
        let mut all = self.all();
        all.retain(|one| passes(filter, one));
        all
    }

    fn part<T>(&self, after: Option<&str>, limit: usize, made: impl Fn(&StoreEntry) -> T) -> ScanPage<T> {
        let held = self.held();
        let rest: Vec<&StoreEntry> = held
            .values()
            .filter(|entry| after.is_none_or(|after| entry.id.as_str() > after))
            .collect();
        let taken = &rest[..rest.len().min(limit.max(1))];
        let next = taken.last().filter(|_| taken.len() < rest.len());
        ScanPage {
            entries: taken.iter().map(|entry| made(entry)).collect(),
            next: next.map(|last| last.id.to_string()),
        }
    }
}

/// Whether a paper passes a filter.
pub fn passes(filter: &Filter, one: &IndexedPaper) -> bool {
    let paper = &one.paper;
    let keys = names::keys_of_all(&paper.authors);
    let any = |wanted: &[String], there: &[String]| wanted.iter().any(|one| there.contains(one));
    let has_term = |term: &u32| one.vectors.sparse.indices().contains(term);
    let sources = [paper.source.clone()];
    (filter.categories.is_empty() || any(&filter.categories, &paper.categories))
        && !any(&filter.without_categories, &paper.categories)
        && (filter.sources.is_empty() || any(&filter.sources, &sources))
        && !any(&filter.without_sources, &sources)
        && (filter.authors.is_empty() || any(&filter.authors, &keys))
        && !any(&filter.without_authors, &keys)
        && (filter.languages.is_empty() || filter.languages.contains(&paper.language))
        && filter.is_published_within(paper.published)
        && filter
            .has_code
            .is_none_or(|code| paper.link(LinkKind::Code).is_some() == code)
        && filter.terms.iter().all(has_term)
        && (filter.any_terms.is_empty() || filter.any_terms.iter().any(has_term))
        && !filter.without_terms.iter().any(has_term)
        && filter.within.as_ref().is_none_or(|within| within.contains(&paper.id))
        && !filter.without.contains(&paper.id)
}

fn values(paper: &Paper, facet: Facet) -> BTreeSet<String> {
    match facet {
        Facet::Category => paper.categories.iter().cloned().collect(),
        Facet::Year => paper
            .published
            .map(|time| TimeZone::UTC.to_datetime(time).year().to_string())
            .into_iter()
            .collect(),
        Facet::Source => BTreeSet::from([paper.source.clone()]),
        Facet::Author => paper.authors.iter().map(ToString::to_string).collect(),
        Facet::Language => Some(paper.language.clone())
            .filter(|tag| !tag.is_empty())
            .into_iter()
            .collect(),
    }
}

fn cosine(a: &DenseVector, b: &DenseVector) -> Option<f64> {
    let dot = |a: &DenseVector, b: &DenseVector| -> f64 {
        let pairs = a.as_slice().iter().zip(b.as_slice());
        pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    (!a.is_zero() && !b.is_zero()).then(|| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt())
}

fn by_words(query: &SparseVector, of: &SparseVector, all: &[IndexedPaper]) -> Option<f64> {
    let with_words = all.iter().filter(|one| !one.vectors.sparse.is_empty()).count() as f64;
    let mut score = None;
    for (term, asked) in query.iter() {
        let has = |one: &&IndexedPaper| one.vectors.sparse.indices().contains(&term);
        let papers = all.iter().filter(has).count() as f64;
        let rarity = ((with_words - papers + 0.5) / (papers + 0.5) + 1.0).ln();
        if let Some((_, weight)) = of.iter().find(|(other, _)| *other == term) {
            *score.get_or_insert(0.0) += f64::from(asked) * f64::from(weight) * rarity;
        }
    }
    score
}

#[async_trait]
impl Store for ModelStore {
    async fn upsert(&self, papers: Vec<IndexedPaper>) -> Result<Vec<UpsertOutcome>, StoreError> {
        for one in &papers {
            check_vectors(&one.vectors, &self.encoder, self.dimension)?;
        }
        let entry = |one: IndexedPaper| StoreEntry {
            id: one.paper.id.clone(),
            revision: one.paper.revision,
            content: Some(one),
        };
        Ok(papers.into_iter().map(|one| self.put(entry(one))).collect())
    }

    async fn withdraw(&self, id: &PaperId, revision: u64) -> Result<(), StoreError> {
        self.put(StoreEntry {
            id: id.clone(),
            revision,
            content: None,
        });
        Ok(())
    }

    async fn search(&self, query: StoreQuery) -> Result<LegHits, StoreError> {
        let (all, passing) = (self.all(), self.passing(&query.filter));
        let mut found = LegHits::new();
        for (key, leg) in &query.legs {
            if let LegQuery::Dense(dense) = leg {
                check_dimension(dense, self.dimension)?;
            }
            let mut hits = Vec::new();
            for one in &passing {
                let score = match leg {
                    LegQuery::Dense(dense) => cosine(dense, &one.vectors.dense),
                    LegQuery::Sparse(sparse) => by_words(sparse, &one.vectors.sparse, &all),
                };
                let id = one.paper.id.clone();
                hits.extend(score.map(|score| Hit { id, score }));
            }
            hits.sort_by(by_score);
            hits.truncate(query.limit);
            found.insert(*key, hits);
        }
        Ok(found)
    }

    async fn get(&self, ids: &[PaperId]) -> Result<Vec<Paper>, StoreError> {
        let found = self.get_with_vectors(ids).await?;
        Ok(found.into_iter().map(|one| one.paper).collect())
    }

    async fn get_with_vectors(&self, ids: &[PaperId]) -> Result<Vec<IndexedPaper>, StoreError> {
        let held = self.held();
        Ok(ids.iter().filter_map(|id| held.get(id)?.content.clone()).collect())
    }

    async fn dense_vectors(&self, ids: &[PaperId]) -> Result<Vec<(PaperId, DenseVector)>, StoreError> {
        let found = self.get_with_vectors(ids).await?;
        Ok(found.into_iter().map(|one| (one.paper.id, one.vectors.dense)).collect())
    }

    async fn revisions_of(&self, ids: &[PaperId]) -> Result<Vec<PaperRevision>, StoreError> {
        let held = self.held();
        Ok(ids.iter().filter_map(|id| held.get(id).map(revision_of)).collect())
    }

    async fn list(&self, filter: Filter, after: Option<ListPosition>, limit: usize) -> Result<Vec<Paper>, StoreError> {
        let key = |paper: &Paper| (Reverse(published_ms(paper)), paper.id.to_string());
        let mut papers: Vec<Paper> = self.passing(&filter).into_iter().map(|one| one.paper).collect();
        papers.sort_by_key(key);
        papers.retain(|paper| {
            after
                .as_ref()
                .is_none_or(|after| key(paper) > (Reverse(after.published_ms), after.id.clone()))
        });
        papers.truncate(limit);
        Ok(papers)
    }

    async fn count(&self, filter: Filter) -> Result<Count, StoreError> {
        Ok(Count {
            papers: self.passing(&filter).len() as u64,
            exact: true,
        })
    }

    async fn facet(&self, filter: Filter, facet: Facet, limit: usize) -> Result<Vec<FacetCount>, StoreError> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for one in self.passing(&filter) {
            for value in values(&one.paper, facet) {
                *counts.entry(value).or_default() += 1;
            }
        }
        let mut counts: Vec<FacetCount> = counts
            .into_iter()
            .map(|(value, papers)| FacetCount { value, papers })
            .collect();
        counts.sort_by_key(|count| std::cmp::Reverse(count.papers));
        counts.truncate(limit);
        Ok(counts)
    }

    async fn scan(&self, after: Option<String>, limit: usize) -> Result<ScanPage<StoreEntry>, StoreError> {
        Ok(self.part(after.as_deref(), limit, StoreEntry::clone))
    }

    async fn revisions(&self, after: Option<String>, limit: usize) -> Result<ScanPage<PaperRevision>, StoreError> {
        Ok(self.part(after.as_deref(), limit, revision_of))
    }

    async fn describe(&self) -> Result<CollectionDescription, StoreError> {
        let all = self.held().len() as u64;
        let papers = self.all().len() as u64;
        Ok(CollectionDescription {
            store: "model",
            collection: collection_name(&self.encoder),
            encoder: self.encoder.clone(),
            dimension: self.dimension,
            papers,
            withdrawn: all - papers,
        })
    }
}

fn revision_of(entry: &StoreEntry) -> PaperRevision {
    PaperRevision {
        id: entry.id.clone(),
        revision: entry.revision,
        withdrawn: entry.content.is_none(),
    }
}

/// Models by the names of their collections, and what aliases stand for.
#[derive(Default)]
pub struct ModelCollections {
    made: Mutex<BTreeMap<String, Arc<ModelStore>>>,
    aliases: Mutex<HashMap<Alias, EncoderId>>,
}

impl ModelCollections {
    fn made(&self) -> MutexGuard<'_, BTreeMap<String, Arc<ModelStore>>> {
        self.made.lock().expect("no panic before")
    }

    fn aliases(&self) -> MutexGuard<'_, HashMap<Alias, EncoderId>> {
        self.aliases.lock().expect("no panic before")
    }

    fn model(&self, encoder: &EncoderId) -> Result<Arc<ModelStore>, StoreError> {
        let made = self.made();
        let model = made
            .get(&collection_name(encoder))
            .filter(|model| model.encoder == *encoder);
        model
            .cloned()
            .ok_or_else(|| StoreError::Refused(format!("nothing of {encoder}")))
    }
}

#[async_trait]
impl Collections for ModelCollections {
    fn adapter(&self) -> &'static str {
        "model"
    }

    async fn all(&self) -> Result<Vec<CollectionDescription>, StoreError> {
        let made: Vec<Arc<ModelStore>> = self.made().values().cloned().collect();
        let mut all = Vec::new();
        for model in made {
            all.push(model.describe().await?);
        }
        Ok(all)
    }

    async fn open(&self, encoder: &EncoderId, dimension: usize) -> Result<Arc<dyn Store>, StoreError> {
        let mut made = self.made();
        let model = made.entry(collection_name(encoder)).or_insert_with(|| {
            Arc::new(ModelStore {
                encoder: encoder.clone(),
                dimension,
                held: Mutex::default(),
            })
        });
        if model.encoder != *encoder || model.dimension != dimension {
            return Err(StoreError::Unusable {
                place: "the model".into(),
                problem: format!("it holds {} values of {}", model.dimension, model.encoder),
            });
        }
        Ok(Arc::clone(model) as Arc<dyn Store>)
    }

    async fn alias(&self, alias: Alias) -> Result<Option<(EncoderId, usize)>, StoreError> {
        let Some(encoder) = self.aliases().get(&alias).cloned() else {
            return Ok(None);
        };
        let dimension = self.model(&encoder)?.dimension;
        Ok(Some((encoder, dimension)))
    }

    async fn set_alias(&self, alias: Alias, encoder: Option<&EncoderId>) -> Result<(), StoreError> {
        match encoder {
            Some(encoder) => {
                self.model(encoder)?;
                self.aliases().insert(alias, encoder.clone());
            }
            None => {
                self.aliases().remove(&alias);
            }
        }
        Ok(())
    }

    async fn remove(&self, encoder: &EncoderId) -> Result<(), StoreError> {
        self.model(encoder)?;
        if self.aliases().values().any(|other| other == encoder) {
            return Err(StoreError::Refused(format!("an alias stands for {encoder}")));
        }
        self.made().remove(&collection_name(encoder));
        Ok(())
    }
}
