//! The catalogue: the collection that is searched and, while an index is rebuilt, the one that will take its place.
//!
//! Papers are written to both, so that the new one lacks nothing at the moment of the switch. It never searches and never
//! builds; see [`crate::search`] and [`crate::rebuild`].

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use common::clock::Clock;
use domain::{DenseVector, EncoderId, Paper, PaperId, PaperVectors};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::encoders::{EncoderOffer, Encoders, EncodersError};
use crate::store::{Alias, Collections, IndexedPaper, Store, StoreError, UpsertOutcome, collection_name};

/// How often the aliases are read again, because another replica may have moved them.
pub const REFRESH: Duration = Duration::from_secs(2);

/// An open collection.
#[derive(Clone)]
pub struct OpenCollection {
    /// Its papers.
    pub store: Arc<dyn Store>,
    /// Whose vectors it holds.
    pub encoder: EncoderId,
    /// Values in a dense vector.
    pub dimension: usize,
}

/// The collections in use at one moment.
#[derive(Clone)]
pub struct CatalogueView {
    /// Searched and written.
    pub current: OpenCollection,
    /// Written too, while it is being built.
    pub next: Option<OpenCollection>,
}

/// The catalogue.
pub struct Catalogue {
    /// Every collection there is.
    pub collections: Arc<dyn Collections>,
    /// Makes vectors.
    pub encoders: Encoders,
    view: RwLock<Arc<CatalogueView>>,
    /// Held while aliases are moved or read.
    moving: Mutex<()>,
}

/// A paper that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its vectors.
    #[error(transparent)]
    Encoders(#[from] EncodersError),
}

impl WriteError {
    /// Whether the same call may work later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Encoders(error) => error.is_transient(),
        }
    }
}

/// A paper that was given to the current collection, and what became of it.
pub struct WrittenPaper {
    /// The paper, with vectors of the current encoder.
    pub paper: IndexedPaper,
    /// What became of it there.
    pub outcome: UpsertOutcome,
}

impl OpenCollection {
    /// Name of the collection.
    pub fn name(&self) -> String {
        collection_name(&self.encoder)
    }

    /// The vectors of a paper that is found by its words alone.
    pub fn words_alone(&self, vectors: PaperVectors) -> Result<PaperVectors, EncodersError> {
        let zeros = DenseVector::new(vec![0.0; self.dimension]);
        Ok(PaperVectors {
            encoder: self.encoder.clone(),
            dense: zeros.map_err(|error| EncodersError::Unsound(error.to_string()))?,
            ..vectors
        })
    }

    async fn open(collections: &dyn Collections, encoder: EncoderId, dimension: usize) -> Result<Self, StoreError> {
        Ok(Self {
            store: collections.open(&encoder, dimension).await?,
            encoder,
            dimension,
        })
    }
}

impl Catalogue {
    /// Opens the current collection; the first one is made for the encoder that papers are embedded with.
    pub async fn open(
        collections: Arc<dyn Collections>,
        encoders: Encoders,
        papers: &EncoderOffer,
    ) -> Result<Self, StoreError> {
        let current = if let Some((encoder, dimension)) = collections.alias(Alias::Current).await? {
            OpenCollection::open(collections.as_ref(), encoder, dimension).await?
        } else {
            let index = OpenCollection::open(collections.as_ref(), papers.encoder.clone(), papers.dimension).await?;
            collections.set_alias(Alias::Current, Some(&index.encoder)).await?;
            index
        };
        let next = next_of(collections.as_ref(), &current).await?;
        Ok(Self {
            collections,
            encoders,
            view: RwLock::new(Arc::new(CatalogueView { current, next })),
            moving: Mutex::new(()),
        })
    }

    /// The collections in use now. A search keeps the view it began with.
    pub fn view(&self) -> Arc<CatalogueView> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the aliases and uses the collections that they stand for.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.moving.lock().await;
        self.follow_aliases().await
    }

    /// Refreshes until the stop.
    pub async fn follow(&self, clock: &Clock, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = clock.sleep(REFRESH) => {}
            }
            if let Err(error) = self.refresh().await {
                warn!(%error, "the store does not say which collection is in use; the last one stays");
            }
        }
    }

    /// From now on papers are written to this encoder's collection too.
    pub async fn begin_next(&self, offer: &EncoderOffer) -> Result<OpenCollection, StoreError> {
        let _one_at_a_time = self.moving.lock().await;
        let index = OpenCollection::open(self.collections.as_ref(), offer.encoder.clone(), offer.dimension).await?;
        self.collections.set_alias(Alias::Next, Some(&index.encoder)).await?;
        self.follow_aliases().await?;
        Ok(index)
    }

    /// From now on papers are written to the current collection alone.
    pub async fn end_next(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.moving.lock().await;
        self.collections.set_alias(Alias::Next, None).await?;
        self.follow_aliases().await
    }

    /// Searches use this encoder's collection from now on. Returns the name of the one before.
    pub async fn switch(&self, encoder: &EncoderId) -> Result<String, StoreError> {
        let _one_at_a_time = self.moving.lock().await;
        let previous = self.view().current.name();
        self.collections.set_alias(Alias::Current, Some(encoder)).await?;
        self.collections.set_alias(Alias::Next, None).await?;
        self.follow_aliases().await?;
        info!(previous, current = %collection_name(encoder), "searches use another collection from now on");
        Ok(previous)
    }

    async fn follow_aliases(&self) -> Result<(), StoreError> {
        let view = self.view();
        let Some((encoder, dimension)) = self.collections.alias(Alias::Current).await? else {
            return Ok(());
        };
        let current = if encoder == view.current.encoder {
            view.current.clone()
        } else {
            OpenCollection::open(self.collections.as_ref(), encoder, dimension).await?
        };
        let next = next_of(self.collections.as_ref(), &current).await?;
        let same = |a: &Option<OpenCollection>, b: &Option<OpenCollection>| {
            a.as_ref().map(|index| &index.encoder) == b.as_ref().map(|index| &index.encoder)
        };
        if current.encoder != view.current.encoder || !same(&next, &view.next) {
            *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(CatalogueView { current, next });
        }
        Ok(())
    }

    /// Writes papers to every collection in use; durable when it returns.
    pub async fn upsert(&self, papers: Vec<IndexedPaper>) -> Result<Vec<WrittenPaper>, WriteError> {
        let view = self.view();
        if let Some(next) = &view.next {
            let others = self.fitted(next, &papers).await?;
            next.store.upsert(others).await?;
        }
        let papers = self.fitted(&view.current, &papers).await?;
        let outcomes = view.current.store.upsert(papers.clone()).await?;
        let written = papers.into_iter().zip(outcomes);
        Ok(written
            .map(|(paper, outcome)| WrittenPaper { paper, outcome })
            .collect())
    }

    /// Takes a paper out of every collection in use.
    pub async fn withdraw(&self, id: &PaperId, revision: u64) -> Result<(), StoreError> {
        let view = self.view();
        if let Some(next) = &view.next {
            next.store.withdraw(id, revision).await?;
        }
        view.current.store.withdraw(id, revision).await
    }

    /// Papers with vectors of a collection's encoder: those with other vectors are embedded again. Where nobody offers the
    /// encoder any more, they are found by their words alone until a rebuild ends.
    pub async fn fitted(
        &self,
        index: &OpenCollection,
        papers: &[IndexedPaper],
    ) -> Result<Vec<IndexedPaper>, EncodersError> {
        let fits = |one: &&IndexedPaper| one.vectors.encoder == index.encoder;
        let foreign: Vec<&Paper> = papers.iter().filter(|one| !fits(one)).map(|one| &one.paper).collect();
        let mut embedded = match self.encoders.papers(&index.encoder, &foreign).await {
            Ok(embedded) => embedded.into_iter(),
            Err(EncodersError::NotOffered(_)) => {
                let words_alone = |one: &IndexedPaper| {
                    let vectors = one.vectors.clone();
                    Ok(IndexedPaper {
                        paper: one.paper.clone(),
                        vectors: if fits(&one) {
                            vectors
                        } else {
                            index.words_alone(vectors)?
                        },
                    })
                };
                return papers.iter().map(words_alone).collect();
            }
            Err(error) => return Err(error),
        };
        let mut fitted = Vec::with_capacity(papers.len());
        for one in papers {
            if fits(&one) {
                fitted.push(one.clone());
                continue;
            }
            let missing = || EncodersError::Unsound("fewer vectors than papers".to_owned());
            fitted.push(IndexedPaper {
                paper: one.paper.clone(),
                vectors: embedded.next().ok_or_else(missing)??,
            });
        }
        Ok(fitted)
    }
}

/// The collection that is being built. A crash in the middle of a switch leaves both aliases on one collection; then nothing
/// is being built.
async fn next_of(
    collections: &dyn Collections,
    current: &OpenCollection,
) -> Result<Option<OpenCollection>, StoreError> {
    match collections.alias(Alias::Next).await? {
        Some((encoder, dimension)) if encoder != current.encoder => {
            Ok(Some(OpenCollection::open(collections, encoder, dimension).await?))
        }
        _ => Ok(None),
    }
}
