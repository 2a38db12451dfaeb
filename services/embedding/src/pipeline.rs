//! The stage of the service: turns an accepted paper into the same paper with its vectors.

use std::time::Duration;

use async_trait::async_trait;
use common::stage::{Handled, Stage};
use domain::Paper;
use domain::document::document_text;
use proto::papers::v1::{PaperAccepted, PaperEmbedded};

use crate::engine::{EmbeddedText, Engine, InputText, PendingAnswer, TextError, Truncate};
use crate::priority::Priority;
use encoder::TextKind;

/// How long the encoder should need for one batch: well below the time after which the server redelivers messages, long
/// enough that fetching and publishing hardly matter, and short enough for a prompt stop.
const BATCH_SECONDS: f64 = 2.0;
/// Assumed tokens of a paper, a little above the mean of arXiv's abstracts.
const PAPER_TOKENS: f64 = 256.0;
/// Papers in a batch before the encoder's speed is known.
const FIRST_BATCH: usize = 4;

/// Embeds the papers of `papers.accepted` with one engine.
pub struct EmbeddingStage {
    engine: Engine,
}

/// A valid event.
struct AcceptedPaper {
    paper: Paper,
    resend_id: String,
}

impl EmbeddingStage {
    /// A stage that embeds with this engine.
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }

    async fn outcome(
        &self,
        AcceptedPaper { paper, resend_id }: &AcceptedPaper,
        pending: PendingAnswer,
    ) -> Handled<PaperEmbedded> {
        match pending.answer().await {
            Ok(embedded) => self.done(paper, resend_id, embedded),
            // A panic may have another cause than the text; the errors below come from the text alone.
            Err(error @ (TextError::Panicked(_) | TextError::Stopped | TextError::Deadline)) => {
                Handled::Retry(error.to_string())
            }
            Err(error) => Handled::Discard(error.to_string()),
        }
    }

    fn done(&self, paper: &Paper, resend_id: &str, embedded: EmbeddedText) -> Handled<PaperEmbedded> {
        let vectors = self.engine.paper_vectors(embedded);
        let mut id = format!("embedded:{}:{}:{}", paper.id, paper.revision, vectors.encoder);
        if !resend_id.is_empty() {
            id = format!("{id}:{resend_id}");
        }
        Handled::Done(vec![(
            id,
            PaperEmbedded {
                paper: Some(paper.into()),
                vectors: Some((&vectors).into()),
            },
        )])
    }
}

#[async_trait]
impl Stage for EmbeddingStage {
    type Input = PaperAccepted;
    type Output = PaperEmbedded;
    const SERVICE: &'static str = crate::NAME;
    /// One batch is computed while another one is published and the next one fetched.
    const CONCURRENCY: usize = 2;

    fn batch_capacity(&self) -> usize {
        batch_capacity(self.engine.tokens_per_second())
    }

    async fn handle(&self, batch: Vec<PaperAccepted>) -> Vec<Handled<PaperEmbedded>> {
        let parsed: Vec<Result<AcceptedPaper, String>> = batch.into_iter().map(parse).collect();
        let texts = parsed.iter().flatten().map(|accepted| text(&accepted.paper)).collect();
        // The batch capacity limits what was pulled, so nothing is refused here.
        let mut pending = self.engine.submit_unlimited(texts).into_iter();
        let mut outcomes = Vec::with_capacity(parsed.len());
        for paper in parsed {
            let outcome = match paper {
                Ok(accepted) => match pending.next() {
                    Some(pending) => self.outcome(&accepted, pending).await,
                    None => Handled::Retry("no answer from the encoder".to_owned()),
                },
                Err(problem) => Handled::Discard(problem),
            };
            outcomes.push(outcome);
        }
        outcomes
    }
}

fn parse(event: PaperAccepted) -> Result<AcceptedPaper, String> {
    let paper = Paper::try_from(event.paper.unwrap_or_default());
    Ok(AcceptedPaper {
        paper: paper.map_err(|error| error.to_string())?,
        resend_id: event.resend_id,
    })
}

fn text(paper: &Paper) -> InputText {
    InputText {
        kind: TextKind::Document,
        priority: Priority::Bulk,
        content: document_text(paper),
        title: paper.title.clone(),
        truncate: Truncate::Report,
    }
}

/// Papers that an encoder of this speed computes in the time for one batch.
fn batch_capacity(tokens_per_second: Option<f64>) -> usize {
    let Some(tokens_per_second) = tokens_per_second else {
        return FIRST_BATCH;
    };
    let papers =
        Duration::try_from_secs_f64(tokens_per_second * BATCH_SECONDS / PAPER_TOKENS).map_or(u64::MAX, |n| n.as_secs());
    usize::try_from(papers).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::engine;

    fn event(title: &str) -> PaperAccepted {
        let time = Some(prost_types::Timestamp::default());
        PaperAccepted {
            paper: Some(proto::papers::v1::Paper {
                id: "arxiv:2402.14776".to_owned(),
                title: title.to_owned(),
                published_time: time,
                accepted_time: time,
                revised_time: time,
                revision: 2,
                ..Default::default()
            }),
            ..PaperAccepted::default()
        }
    }

    async fn outcomes(batch: Vec<PaperAccepted>) -> Vec<Handled<PaperEmbedded>> {
        EmbeddingStage::new(engine()).handle(batch).await
    }

    #[tokio::test]
    async fn a_paper_is_published_with_its_vectors() {
        let outcomes = outcomes(vec![event("Graphs")]).await;
        let [Handled::Done(published)] = &outcomes[..] else {
            panic!("{outcomes:?}");
        };
        let (id, embedded) = &published[0];
        assert_eq!(id, "embedded:arxiv:2402.14776:2:fake@0123456789ab");
        assert_eq!(embedded.paper, event("Graphs").paper);
        assert_eq!(embedded.vectors.as_ref().expect("vectors").dense, [0.6, 0.8]);
    }

    #[tokio::test]
    async fn a_repetition_has_a_message_id_of_its_own() {
        let again = PaperAccepted {
            resend_id: "2nd".to_owned(),
            ..event("Graphs")
        };
        let outcomes = outcomes(vec![again]).await;
        let [Handled::Done(published)] = &outcomes[..] else {
            panic!("{outcomes:?}");
        };
        assert_eq!(published[0].0, "embedded:arxiv:2402.14776:2:fake@0123456789ab:2nd");
    }

    #[tokio::test]
    async fn bad_papers_do_not_affect_their_neighbours() {
        let batch = vec![
            event("Graphs"),
            PaperAccepted::default(),
            event("refused"),
            event("panic"),
            event("Trees"),
        ];
        let outcomes = outcomes(batch).await;
        assert!(
            matches!(
                &outcomes[..],
                [
                    Handled::Done(_),
                    Handled::Discard(_),
                    Handled::Discard(_),
                    Handled::Retry(_),
                    Handled::Done(_)
                ]
            ),
            "{outcomes:?}"
        );
    }

    #[test]
    fn a_slow_encoder_gets_few_papers_at_once() {
        assert_eq!(batch_capacity(None), FIRST_BATCH);
        assert_eq!(batch_capacity(Some(7000.0)), 54);
        assert_eq!(batch_capacity(Some(800.0)), 6);
        assert_eq!(batch_capacity(Some(3.0)), 1);
        assert!(batch_capacity(Some(f64::MAX)) > 1_000_000);
    }
}
