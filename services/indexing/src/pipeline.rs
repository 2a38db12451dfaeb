//! The stages of indexing: an embedded paper becomes a durable entry of the catalogue and is announced, a withdrawn one is
//! taken out.

use std::sync::Arc;

use async_trait::async_trait;
use common::clock::Clock;
use common::stage::{Handled, NoOutput, Stage};
use domain::{Paper, PaperId, PaperVectors};
use proto::convert::to_wire_time;
use proto::papers::v1::{PaperEmbedded, PaperIndexed, PaperWithdrawn};

use crate::catalogue::{Catalogue, WrittenPaper};
use crate::metrics::PAPERS;
use crate::store::{IndexedPaper, StoreError, UpsertOutcome};

/// Writes papers to the catalogue.
pub struct IndexStage {
    /// The catalogue.
    pub catalogue: Arc<Catalogue>,
    /// The clock of the process.
    pub clock: Clock,
}

/// Takes papers out of the catalogue.
pub struct WithdrawStage(pub Arc<Catalogue>);

impl IndexStage {
    async fn write(&self, papers: Vec<IndexedPaper>) -> Vec<Handled<PaperIndexed>> {
        match self.catalogue.upsert(papers.clone()).await {
            Ok(written) => written.into_iter().map(|one| self.announce(one)).collect(),
            Err(error) if error.is_transient() => papers.iter().map(|_| Handled::Retry(error.to_string())).collect(),
            // One that can never be written must not fail the others: each is tried alone.
            Err(_) if papers.len() > 1 => {
                let mut outcomes = Vec::with_capacity(papers.len());
                for one in papers {
                    outcomes.extend(Box::pin(self.write(vec![one])).await);
                }
                outcomes
            }
            Err(error) => {
                PAPERS.with_label_values(&["refused"]).inc();
                vec![Handled::Discard(error.to_string())]
            }
        }
    }

    fn announce(&self, written: WrittenPaper) -> Handled<PaperIndexed> {
        if written.outcome == UpsertOutcome::Stale {
            PAPERS.with_label_values(&["stale"]).inc();
            return Handled::Done(Vec::new());
        }
        PAPERS.with_label_values(&["written"]).inc();
        let IndexedPaper { paper, vectors } = written.paper;
        let id = format!("indexed:{}:{}:{}", paper.id, paper.revision, vectors.encoder);
        let event = PaperIndexed {
            paper: Some((&paper).into()),
            vectors: Some((&vectors).into()),
            indexed_time: Some(to_wire_time(self.clock.now())),
        };
        Handled::Done(vec![(id, event)])
    }
}

#[async_trait]
impl Stage for IndexStage {
    type Input = PaperEmbedded;
    type Output = PaperIndexed;
    const SERVICE: &'static str = crate::NAME;

    async fn handle(&self, batch: Vec<PaperEmbedded>) -> Vec<Handled<PaperIndexed>> {
        let parsed: Vec<Result<IndexedPaper, String>> = batch.into_iter().map(parse).collect();
        let papers = parsed.iter().filter_map(|paper| paper.as_ref().ok().cloned()).collect();
        let mut outcomes = self.write(papers).await.into_iter();
        let mut answers = Vec::with_capacity(parsed.len());
        for paper in parsed {
            answers.push(match paper {
                Ok(_) => outcomes
                    .next()
                    .unwrap_or_else(|| Handled::Retry("no answer from the store".to_owned())),
                Err(problem) => Handled::Discard(problem),
            });
        }
        answers
    }
}

#[async_trait]
impl Stage for WithdrawStage {
    type Input = PaperWithdrawn;
    type Output = NoOutput;
    const SERVICE: &'static str = crate::NAME;

    async fn handle(&self, batch: Vec<PaperWithdrawn>) -> Vec<Handled<NoOutput>> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for event in batch {
            outcomes.push(match PaperId::parse(&event.paper_id) {
                Ok(id) => withdrawn(self.0.withdraw(&id, event.revision).await),
                Err(error) => Handled::Discard(format!("paper_id {error}")),
            });
        }
        outcomes
    }
}

fn withdrawn(result: Result<(), StoreError>) -> Handled<NoOutput> {
    match result {
        Ok(()) => {
            PAPERS.with_label_values(&["withdrawn"]).inc();
            Handled::Done(Vec::new())
        }
        Err(error) if error.is_transient() => Handled::Retry(error.to_string()),
        Err(error) => Handled::Discard(error.to_string()),
    }
}

fn parse(event: PaperEmbedded) -> Result<IndexedPaper, String> {
    let paper = Paper::try_from(event.paper.unwrap_or_default()).map_err(|error| error.to_string())?;
    let vectors = PaperVectors::try_from(event.vectors.unwrap_or_default()).map_err(|error| error.to_string())?;
    Ok(IndexedPaper { paper, vectors })
}
