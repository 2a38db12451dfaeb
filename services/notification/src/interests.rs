//! Interests as vectors: words by the embedding service, example papers by their vectors.
//!
//! A vector is kept with its subscriber and made anew when the interests change or the papers come from another encoder.
//! It chooses no paper.

mod catalogue;
mod embedding;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use domain::preferences::vector::interest_vector;
use domain::{DenseVector, EncoderId, Int8Vector, Interest, PaperId};
use tracing::warn;

pub use catalogue::Catalogue;
pub use embedding::Embedding;

use crate::editions::InterestEncoder;
use crate::subscribers::{Subscriber, Subscribers, SubscribersError};
use crate::window::Window;

/// How long a change of interests waits for their vectors.
const PATIENCE: Duration = Duration::from_secs(2);

/// Papers that are not in the window.
#[async_trait]
pub trait Examples: Send + Sync {
    /// Those of these papers that are known.
    async fn known(&self, ids: &[PaperId]) -> Result<HashSet<PaperId>, String>;
    /// The vectors of those of these papers that are known, by an encoder.
    async fn vectors(&self, ids: &[PaperId], encoder: &EncoderId) -> Result<HashMap<PaperId, DenseVector>, String>;
}

/// Makes the vectors of interests.
pub struct Interests {
    /// Keeps them.
    pub subscribers: Subscribers,
    /// Has the vectors of recent papers.
    pub window: Arc<RwLock<Window>>,
    /// Embeds words.
    pub encoder: Arc<dyn InterestEncoder>,
    /// Has the other papers; without it examples have to be in the window.
    pub examples: Option<Arc<dyn Examples>>,
}

/// Whose vectors, and one per interest.
pub type Vectors = (EncoderId, Vec<Int8Vector>);

/// Why there are no vectors; tried again later.
#[derive(Debug, thiserror::Error)]
pub enum InterestsError {
    /// Redis.
    #[error(transparent)]
    Subscribers(#[from] SubscribersError),
    /// Words or papers cannot be embedded now.
    #[error("{0}")]
    Embedding(String),
}

impl Interests {
    /// The vectors of a subscriber's interests by the encoder of the window: the kept ones, or new ones, which are kept.
    pub async fn of(&self, subscriber: &Subscriber, wanted: &EncoderId) -> Result<Vectors, InterestsError> {
        if subscriber.preferences.interests.is_empty() {
            return Ok((wanted.clone(), Vec::new()));
        }
        let kept = self.subscribers.vectors(subscriber).await?;
        if let Some(kept) = kept.filter(|(of, _)| of == wanted) {
            return Ok(kept);
        }
        let made = self
            .make(&[subscriber], wanted)
            .await
            .map_err(InterestsError::Embedding)?;
        let Some((encoder, vectors)) = made.into_iter().next() else {
            return Err(InterestsError::Embedding("no vectors came back".to_owned()));
        };
        self.subscribers.keep_vectors(subscriber, &encoder, &vectors).await?;
        Ok((encoder, vectors))
    }

    /// Makes vectors as soon as interests have changed, so that the next edition need not wait for them. That edition makes
    /// them where this fails.
    pub async fn prepare(&self, subscriber: &Subscriber) {
        let wanted = self.window().encoder().cloned();
        let Some(wanted) = wanted else {
            return;
        };
        let problem = match tokio::time::timeout(PATIENCE, self.of(subscriber, &wanted)).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        warn!(
            problem,
            subscriber = subscriber.id,
            "interests are not embedded yet, the next edition does it"
        );
    }

    /// The vectors of the interests of several subscribers, with one call for all words and one for all papers.
    pub async fn make(&self, of: &[&Subscriber], wanted: &EncoderId) -> Result<Vec<Vectors>, String> {
        let interests: Vec<&Interest> = of.iter().flat_map(|one| &one.preferences.interests).collect();
        let (encoder, words) = self.words(&interests, wanted).await?;
        let examples = self.papers(&interests, &encoder).await?;
        let dimension = words.iter().chain(examples.values()).map(DenseVector::dimension).next();
        let dimension = dimension.or_else(|| self.window().dimension(&encoder));
        let mut words = words.into_iter();
        let mut vectors = Vec::with_capacity(interests.len());
        for interest in interests {
            let said = if interest.words.is_empty() { None } else { words.next() };
            let known = |ids: &[PaperId]| ids.iter().filter_map(|id| examples.get(id)).collect::<Vec<_>>();
            let vector = interest_vector(said.as_ref(), &known(&interest.like), &known(&interest.unlike));
            // Examples that were all withdrawn say nothing, as words do that the encoder does not know.
            let vector = match (vector, dimension) {
                (Some(vector), _) => vector,
                (None, Some(dimension)) => DenseVector::new(vec![0.0; dimension]).map_err(|error| error.to_string())?,
                (None, None) => return Err("no example paper is known yet".to_owned()),
            };
            vectors.push(Int8Vector::quantise(&vector));
        }
        let mut vectors = vectors.into_iter();
        let of_one = |one: &&Subscriber| {
            let count = one.preferences.interests.len();
            (encoder.clone(), vectors.by_ref().take(count).collect())
        };
        Ok(of.iter().map(of_one).collect())
    }

    /// Those of these papers that no example can be: neither in the window nor in the catalogue.
    pub async fn unknown(&self, ids: &[PaperId]) -> Result<HashSet<PaperId>, String> {
        let missing: Vec<PaperId> = {
            let window = self.window();
            ids.iter().filter(|id| window.get(id).is_none()).cloned().collect()
        };
        let mut unknown: HashSet<PaperId> = missing.iter().cloned().collect();
        if let (false, Some(examples)) = (missing.is_empty(), &self.examples) {
            for id in examples.known(&missing).await? {
                unknown.remove(&id);
            }
        }
        Ok(unknown)
    }

    /// True where papers beyond the window can be looked up.
    pub fn has_catalogue(&self) -> bool {
        self.examples.is_some()
    }

    async fn words(&self, of: &[&Interest], wanted: &EncoderId) -> Result<(EncoderId, Vec<DenseVector>), String> {
        let said = of.iter().filter(|interest| !interest.words.is_empty());
        let texts: Vec<String> = said.map(|interest| interest.words.clone()).collect();
        if texts.is_empty() {
            return Ok((wanted.clone(), Vec::new()));
        }
        let (encoder, vectors) = self.encoder.embed(&texts).await?;
        if vectors.len() != texts.len() {
            return Err(format!("{} vectors for {} texts", vectors.len(), texts.len()));
        }
        Ok((encoder, vectors))
    }

    async fn papers(&self, of: &[&Interest], encoder: &EncoderId) -> Result<HashMap<PaperId, DenseVector>, String> {
        let ids: HashSet<&PaperId> = of.iter().flat_map(|one| one.like.iter().chain(&one.unlike)).collect();
        let mut found = HashMap::with_capacity(ids.len());
        let mut missing = Vec::new();
        {
            let window = self.window();
            for id in ids {
                match window.vector(id, encoder) {
                    Some(vector) => drop(found.insert(id.clone(), vector.clone())),
                    None => missing.push(id.clone()),
                }
            }
        }
        if let (false, Some(examples)) = (missing.is_empty(), &self.examples) {
            missing.sort();
            found.extend(examples.vectors(&missing, encoder).await?);
        }
        Ok(found)
    }

    fn window(&self) -> std::sync::RwLockReadGuard<'_, Window> {
        self.window.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
