//! Embeds interests: their words by the embedding service, their example papers by the vectors of these.
//!
//! The vectors are stored with the subscriber, and made anew when the interests change or the papers come from another
//! encoder. It chooses no papers.

mod catalogue;
mod embedding;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::clock::Clock;
use domain::preferences::vector::interest_vector;
use domain::{DenseVector, EncoderId, Int8Vector, Interest, PaperId};
use proto::embedding::v1::EmbedPriority;
use tracing::warn;

pub use catalogue::IndexedExamples;
pub use embedding::RemoteEncoder;

use crate::ports::{InterestVectors, StoreError, SubscriberStore};
use crate::subscribers::{Subscriber, SubscriberState};
use crate::window::{SharedWindow, Window};

/// How long a change of interests waits for their vectors.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(2);

/// Embeds the words of interests.
#[async_trait]
pub trait InterestEncoder: Send + Sync {
    /// The encoder, and one vector per text.
    async fn embed(
        &self,
        texts: &[String],
        priority: EmbedPriority,
    ) -> Result<(EncoderId, Vec<DenseVector>), EmbedFailure>;
}

/// Why texts have no vectors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbedFailure {
    /// More is being embedded than fits now.
    #[error("more is being embedded than fits now; try again in {} s", retry_after.as_secs().max(1))]
    Busy {
        /// When it should fit.
        retry_after: Duration,
    },
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl From<String> for EmbedFailure {
    fn from(problem: String) -> Self {
        Self::Failed(problem)
    }
}

/// Example papers that are not in the window.
#[async_trait]
pub trait ExampleSource: Send + Sync {
    /// Those of these papers that are known.
    async fn known(&self, ids: &[PaperId]) -> Result<HashSet<PaperId>, String>;
    /// The vectors of those of these papers that are known, by an encoder.
    async fn vectors(
        &self,
        ids: &[PaperId],
        encoder: &EncoderId,
        priority: EmbedPriority,
    ) -> Result<HashMap<PaperId, DenseVector>, EmbedFailure>;
}

/// Embeds interests.
pub struct InterestEmbedder {
    /// Stores the vectors.
    pub store: Arc<dyn SubscriberStore>,
    /// Has the vectors of recent papers.
    pub window: SharedWindow,
    /// Embeds words.
    pub encoder: Arc<dyn InterestEncoder>,
    /// Has the other papers; without it examples have to be in the window.
    pub examples: Option<Arc<dyn ExampleSource>>,
    /// For the time limit of [`Self::prepare`].
    pub clock: Clock,
}

/// Why there are no vectors; tried again later.
#[derive(Debug, thiserror::Error)]
pub enum InterestError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Words or papers cannot be embedded now.
    #[error("{0}")]
    Embedding(String),
}

impl InterestEmbedder {
    /// The vectors of a subscriber's interests by this encoder: the stored ones, or new ones, which are stored.
    pub async fn vectors(&self, subscriber: &Subscriber, wanted: &EncoderId) -> Result<InterestVectors, InterestError> {
        if subscriber.preferences.interests.is_empty() {
            return Ok((wanted.clone(), Vec::new()));
        }
        if let Some(stored) = self.stored(subscriber).await?.filter(|(of, _)| of == wanted) {
            return Ok(stored);
        }
        let embedded = self
            .embed(&[subscriber], wanted)
            .await
            .map_err(|failure| InterestError::Embedding(failure.to_string()))?;
        let Some(vectors) = embedded.into_iter().next() else {
            return Err(InterestError::Embedding("no vectors came back".to_owned()));
        };
        self.store.keep_vectors(subscriber, &vectors).await?;
        Ok(vectors)
    }

    /// The stored vectors of a subscriber's interests; none where the subscriber changed meanwhile.
    pub async fn stored(&self, subscriber: &Subscriber) -> Result<Option<InterestVectors>, StoreError> {
        let ids = [subscriber.id.clone()];
        let profile = self.store.profiles(&ids).await?.pop().transpose()?.flatten();
        let same = profile.filter(|profile| profile.subscriber.version == subscriber.version);
        Ok(same.and_then(|profile| profile.vectors))
    }

    /// Embeds interests as soon as they have changed, so that the next digest need not. Where this fails, that digest does.
    pub async fn prepare(&self, subscriber: &Subscriber) {
        let wanted = self.window().encoder().cloned();
        let Some(wanted) = wanted else {
            return;
        };
        let vectors = self.vectors(subscriber, &wanted);
        let problem = match self.clock.timeout(PREPARE_TIMEOUT, vectors).await {
            Some(Ok(_)) => return,
            Some(Err(error)) => error.to_string(),
            None => "no answer in time".to_owned(),
        };
        warn!(
            problem,
            subscriber = subscriber.id,
            "interests are not embedded yet, the next digest does it"
        );
    }

    /// Embeds the interests of several subscribers, with one call for all words and one for all papers. Where one of them has
    /// not confirmed, or is nobody we know, it is done with what the encoder has left.
    pub async fn embed(&self, of: &[&Subscriber], wanted: &EncoderId) -> Result<Vec<InterestVectors>, EmbedFailure> {
        let interests: Vec<&Interest> = of.iter().flat_map(|one| &one.preferences.interests).collect();
        let priority = if of.iter().any(|one| one.state == SubscriberState::Pending) {
            EmbedPriority::BestEffort
        } else {
            EmbedPriority::Bulk
        };
        let (encoder, words) = self.words(&interests, wanted, priority).await?;
        let examples = self.papers(&interests, &encoder, priority).await?;
        let dimension = words.iter().chain(examples.values()).map(DenseVector::dimension).next();
        let dimension = dimension.or_else(|| self.window().dimension(&encoder));
        let mut word_vectors = words.into_iter();
        let mut vectors = Vec::with_capacity(interests.len());
        for interest in interests {
            let words = if interest.words.is_empty() {
                None
            } else {
                word_vectors.next()
            };
            let known = |ids: &[PaperId]| ids.iter().filter_map(|id| examples.get(id)).collect::<Vec<_>>();
            let vector = interest_vector(words.as_ref(), &known(&interest.like), &known(&interest.unlike));
            // No vector: all examples were withdrawn, or the encoder knows none of the words.
            let vector = match (vector, dimension) {
                (Some(vector), _) => vector,
                (None, Some(dimension)) => DenseVector::new(vec![0.0; dimension]).map_err(|error| error.to_string())?,
                (None, None) => return Err(EmbedFailure::Failed("no example paper is known yet".to_owned())),
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

    /// Those of these papers that cannot be examples: they are neither in the window nor in the catalogue.
    pub async fn unknown_examples(&self, ids: &[PaperId]) -> Result<HashSet<PaperId>, String> {
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

    async fn words(
        &self,
        of: &[&Interest],
        wanted: &EncoderId,
        priority: EmbedPriority,
    ) -> Result<(EncoderId, Vec<DenseVector>), EmbedFailure> {
        let in_words = of.iter().filter(|interest| !interest.words.is_empty());
        let texts: Vec<String> = in_words.map(|interest| interest.words.clone()).collect();
        if texts.is_empty() {
            return Ok((wanted.clone(), Vec::new()));
        }
        let (encoder, vectors) = self.encoder.embed(&texts, priority).await?;
        if vectors.len() != texts.len() {
            return Err(format!("{} vectors for {} texts", vectors.len(), texts.len()).into());
        }
        Ok((encoder, vectors))
    }

    async fn papers(
        &self,
        of: &[&Interest],
        encoder: &EncoderId,
        priority: EmbedPriority,
    ) -> Result<HashMap<PaperId, DenseVector>, EmbedFailure> {
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
            found.extend(examples.vectors(&missing, encoder, priority).await?);
        }
        Ok(found)
    }

    fn window(&self) -> std::sync::RwLockReadGuard<'_, Window> {
        self.window.read()
    }
}

#[cfg(test)]
mod tests;
