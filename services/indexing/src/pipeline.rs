//! What an embedded paper becomes: a durable entry of the catalogue, then news of it. And what a withdrawal does.

use std::sync::Arc;

use async_trait::async_trait;
use common::stage::{Nothing, Outcome, Stage};
use domain::{Paper, PaperId, PaperVectors};
use jiff::Timestamp;
use proto::convert::to_wire_time;
use proto::papers::v1::{PaperEmbedded, PaperIndexed, PaperWithdrawn};

use crate::catalogue::{Catalogue, Written};
use crate::metrics::PAPERS;
use crate::store::{IndexedPaper, StoreError, Upserted};

/// Papers into the catalogue.
pub struct Embedded(pub Arc<Catalogue>);

/// Papers out of the catalogue.
pub struct Withdrawn(pub Arc<Catalogue>);

impl Embedded {
    async fn write(&self, papers: Vec<IndexedPaper>) -> Vec<Outcome<PaperIndexed>> {
        match self.0.upsert(papers.clone()).await {
            Ok(written) => written.into_iter().map(announce).collect(),
            Err(error) if error.is_transient() => papers.iter().map(|_| Outcome::Retry(error.to_string())).collect(),
            // One that can never be written must not take its neighbours along: each is tried alone.
            Err(_) if papers.len() > 1 => {
                let mut outcomes = Vec::with_capacity(papers.len());
                for one in papers {
                    outcomes.extend(Box::pin(self.write(vec![one])).await);
                }
                outcomes
            }
            Err(error) => {
                PAPERS.with_label_values(&["refused"]).inc();
                vec![Outcome::Discard(error.to_string())]
            }
        }
    }
}

fn announce(written: Written) -> Outcome<PaperIndexed> {
    if written.outcome == Upserted::Stale {
        PAPERS.with_label_values(&["stale"]).inc();
        return Outcome::Done(Vec::new());
    }
    PAPERS.with_label_values(&["written"]).inc();
    let IndexedPaper { paper, vectors } = written.paper;
    let id = format!("indexed:{}:{}:{}", paper.id, paper.revision, vectors.encoder);
    let event = PaperIndexed {
        paper: Some((&paper).into()),
        vectors: Some((&vectors).into()),
        indexed_time: Some(to_wire_time(Timestamp::now())),
    };
    Outcome::Done(vec![(id, event)])
}

#[async_trait]
impl Stage for Embedded {
    type Input = PaperEmbedded;
    type Output = PaperIndexed;
    const SERVICE: &'static str = crate::NAME;

    async fn handle(&self, batch: Vec<PaperEmbedded>) -> Vec<Outcome<PaperIndexed>> {
        let parsed: Vec<Result<IndexedPaper, String>> = batch.into_iter().map(parse).collect();
        let papers = parsed.iter().filter_map(|paper| paper.as_ref().ok().cloned()).collect();
        let mut outcomes = self.write(papers).await.into_iter();
        let mut answers = Vec::with_capacity(parsed.len());
        for paper in parsed {
            answers.push(match paper {
                Ok(_) => outcomes
                    .next()
                    .unwrap_or_else(|| Outcome::Retry("no answer from the store".to_owned())),
                Err(problem) => Outcome::Discard(problem),
            });
        }
        answers
    }
}

#[async_trait]
impl Stage for Withdrawn {
    type Input = PaperWithdrawn;
    type Output = Nothing;
    const SERVICE: &'static str = crate::NAME;

    async fn handle(&self, batch: Vec<PaperWithdrawn>) -> Vec<Outcome<Nothing>> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for event in batch {
            outcomes.push(match PaperId::parse(&event.paper_id) {
                Ok(id) => withdrawn(self.0.withdraw(&id, event.revision).await),
                Err(error) => Outcome::Discard(format!("paper_id {error}")),
            });
        }
        outcomes
    }
}

fn withdrawn(result: Result<(), StoreError>) -> Outcome<Nothing> {
    match result {
        Ok(()) => {
            PAPERS.with_label_values(&["withdrawn"]).inc();
            Outcome::Done(Vec::new())
        }
        Err(error) if error.is_transient() => Outcome::Retry(error.to_string()),
        Err(error) => Outcome::Discard(error.to_string()),
    }
}

fn parse(event: PaperEmbedded) -> Result<IndexedPaper, String> {
    let paper = Paper::try_from(event.paper.unwrap_or_default()).map_err(|error| error.to_string())?;
    let vectors = PaperVectors::try_from(event.vectors.unwrap_or_default()).map_err(|error| error.to_string())?;
    Ok(IndexedPaper { paper, vectors })
}
