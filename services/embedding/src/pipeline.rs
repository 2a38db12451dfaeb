//! What one accepted paper becomes: the same paper with its vectors.

use async_trait::async_trait;
use common::stage::{Outcome, Stage};
use domain::Paper;
use proto::papers::v1::{PaperAccepted, PaperEmbedded};

use crate::document::document_text;
use crate::encoder::TextKind;
use crate::engine::{Engine, EngineError};

/// The stage.
pub struct Pipeline {
    engine: Engine,
}

impl Pipeline {
    /// Over an engine.
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }

    async fn embed(&self, papers: &[Paper]) -> Vec<Outcome<PaperEmbedded>> {
        let texts = papers.iter().map(document_text).collect();
        match self.engine.embed(TextKind::Document, texts).await {
            Ok(embedded) => papers
                .iter()
                .zip(embedded)
                .map(|(paper, one)| self.done(paper, one))
                .collect(),
            // One bad text must not take its neighbours along: each is tried alone.
            Err(_) if papers.len() > 1 => {
                let mut outcomes = Vec::with_capacity(papers.len());
                for paper in papers {
                    outcomes.extend(Box::pin(self.embed(std::slice::from_ref(paper))).await);
                }
                outcomes
            }
            Err(EngineError::Cut(reason)) => papers.iter().map(|_| Outcome::Retry(reason.clone())).collect(),
            Err(error) => papers.iter().map(|_| Outcome::Discard(error.to_string())).collect(),
        }
    }

    fn done(&self, paper: &Paper, embedded: crate::engine::Embedded) -> Outcome<PaperEmbedded> {
        let vectors = self.engine.paper_vectors(embedded);
        let id = format!("embedded:{}:{}:{}", paper.id, paper.revision, vectors.encoder);
        Outcome::Done(vec![(
            id,
            PaperEmbedded {
                paper: Some(paper.into()),
                vectors: Some((&vectors).into()),
            },
        )])
    }
}

#[async_trait]
impl Stage for Pipeline {
    type Input = PaperAccepted;
    type Output = PaperEmbedded;
    const SERVICE: &'static str = crate::NAME;

    async fn handle(&self, batch: Vec<PaperAccepted>) -> Vec<Outcome<PaperEmbedded>> {
        let parsed: Vec<Result<Paper, String>> = batch
            .into_iter()
            .map(|event| Paper::try_from(event.paper.unwrap_or_default()).map_err(|error| error.to_string()))
            .collect();
        let papers: Vec<Paper> = parsed.iter().filter_map(|paper| paper.as_ref().ok().cloned()).collect();
        let mut outcomes = self.embed(&papers).await.into_iter();
        let mut answers = Vec::with_capacity(parsed.len());
        for paper in parsed {
            answers.push(match paper {
                Ok(_) => outcomes
                    .next()
                    .unwrap_or_else(|| Outcome::Retry("no answer from the encoder".to_owned())),
                Err(problem) => Outcome::Discard(problem),
            });
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::fake::Fake;

    fn accepted(title: &str) -> PaperAccepted {
        let time = Some(prost_types::Timestamp::default());
        PaperAccepted {
            paper: Some(proto::papers::v1::Paper {
                id: "arxiv:2402.14776".to_owned(),
                title: title.to_owned(),
                published_time: time,
                accepted_time: time,
                revision: 2,
                ..Default::default()
            }),
        }
    }

    async fn outcomes(batch: Vec<PaperAccepted>) -> Vec<Outcome<PaperEmbedded>> {
        Pipeline::new(Engine::new(Arc::new(Fake::default())))
            .handle(batch)
            .await
    }

    #[tokio::test]
    async fn a_paper_becomes_itself_with_its_vectors() {
        let outcomes = outcomes(vec![accepted("Graphs")]).await;
        let [Outcome::Done(published)] = &outcomes[..] else {
            panic!("{outcomes:?}");
        };
        let (id, event) = &published[0];
        assert_eq!(id, "embedded:arxiv:2402.14776:2:fake@0123456789ab");
        assert_eq!(event.paper, accepted("Graphs").paper);
        assert_eq!(event.vectors.as_ref().expect("vectors").dense, [0.6, 0.8]);
    }

    #[tokio::test]
    async fn bad_papers_do_not_take_their_neighbours_along() {
        let batch = vec![
            accepted("Graphs"),
            PaperAccepted::default(),
            accepted("refused"),
            accepted("panic"),
            accepted("Trees"),
        ];
        let outcomes = outcomes(batch).await;
        assert!(
            matches!(
                &outcomes[..],
                [
                    Outcome::Done(_),
                    Outcome::Discard(_),
                    Outcome::Discard(_),
                    Outcome::Retry(_),
                    Outcome::Done(_)
                ]
            ),
            "{outcomes:?}"
        );
    }
}
