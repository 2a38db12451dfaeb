//! What one accepted paper becomes: the same paper with its vectors.

use std::time::Duration;

use async_trait::async_trait;
use common::stage::{Outcome, Stage};
use domain::Paper;
use domain::document::document_text;
use proto::papers::v1::{PaperAccepted, PaperEmbedded};

use crate::engine::{Embedded, Engine, Pending, Text, TextError, Truncate};
use encoder::TextKind;

/// How long one batch should take the encoder: well within the time after which the server gives it to somebody else,
/// long enough that fetching and publishing do not count, and short enough for a stop.
const BATCH_SECONDS: f64 = 2.0;
/// Tokens of a paper, a little above the mean of arXiv's abstracts.
const PAPER_TOKENS: f64 = 256.0;
/// Papers in a batch before the encoder's pace is known.
const FIRST_BATCH: usize = 4;

/// The stage.
pub struct Pipeline {
    engine: Engine,
}

/// A sound event.
struct Accepted {
    paper: Paper,
    repetition: String,
}

impl Pipeline {
    /// Over an engine.
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }

    async fn outcome(&self, Accepted { paper, repetition }: &Accepted, pending: Pending) -> Outcome<PaperEmbedded> {
        match pending.answer().await {
            Ok(embedded) => self.done(paper, repetition, embedded),
            // A panic may have come from what lay in memory; the other errors come from the text alone.
            Err(error @ (TextError::Panicked(_) | TextError::Stopped | TextError::Deadline)) => {
                Outcome::Retry(error.to_string())
            }
            Err(error) => Outcome::Discard(error.to_string()),
        }
    }

    fn done(&self, paper: &Paper, repetition: &str, embedded: Embedded) -> Outcome<PaperEmbedded> {
        let vectors = self.engine.paper_vectors(embedded);
        let mut id = format!("embedded:{}:{}:{}", paper.id, paper.revision, vectors.encoder);
        if !repetition.is_empty() {
            id = format!("{id}:{repetition}");
        }
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
    /// One is computed while the other is published and the next one fetched.
    const LANES: usize = 2;

    fn appetite(&self) -> usize {
        appetite(self.engine.tokens_per_second())
    }

    async fn handle(&self, batch: Vec<PaperAccepted>) -> Vec<Outcome<PaperEmbedded>> {
        let parsed: Vec<Result<Accepted, String>> = batch.into_iter().map(accepted).collect();
        let texts = parsed.iter().flatten().map(|accepted| text(&accepted.paper)).collect();
        // What was pulled is bounded by the appetite, so it is never refused.
        let mut pending = self.engine.submit_anyway(texts).into_iter();
        let mut outcomes = Vec::with_capacity(parsed.len());
        for paper in parsed {
            let outcome = match paper {
                Ok(accepted) => match pending.next() {
                    Some(pending) => self.outcome(&accepted, pending).await,
                    None => Outcome::Retry("no answer from the encoder".to_owned()),
                },
                Err(problem) => Outcome::Discard(problem),
            };
            outcomes.push(outcome);
        }
        outcomes
    }
}

fn accepted(event: PaperAccepted) -> Result<Accepted, String> {
    let paper = Paper::try_from(event.paper.unwrap_or_default());
    Ok(Accepted {
        paper: paper.map_err(|error| error.to_string())?,
        repetition: event.repetition,
    })
}

fn text(paper: &Paper) -> Text {
    Text {
        kind: TextKind::Document,
        content: document_text(paper),
        title: paper.title.clone(),
        truncate: Truncate::Report,
    }
}

/// Papers that an encoder of this pace computes in the time for one batch.
fn appetite(tokens_per_second: Option<f64>) -> usize {
    let Some(pace) = tokens_per_second else {
        return FIRST_BATCH;
    };
    let papers = Duration::try_from_secs_f64(pace * BATCH_SECONDS / PAPER_TOKENS).map_or(u64::MAX, |n| n.as_secs());
    usize::try_from(papers).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::engine;

    fn event(title: &str) -> PaperAccepted {
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
            ..PaperAccepted::default()
        }
    }

    async fn outcomes(batch: Vec<PaperAccepted>) -> Vec<Outcome<PaperEmbedded>> {
        Pipeline::new(engine()).handle(batch).await
    }

    #[tokio::test]
    async fn a_paper_becomes_itself_with_its_vectors() {
        let outcomes = outcomes(vec![event("Graphs")]).await;
        let [Outcome::Done(published)] = &outcomes[..] else {
            panic!("{outcomes:?}");
        };
        let (id, embedded) = &published[0];
        assert_eq!(id, "embedded:arxiv:2402.14776:2:fake@0123456789ab");
        assert_eq!(embedded.paper, event("Graphs").paper);
        assert_eq!(embedded.vectors.as_ref().expect("vectors").dense, [0.6, 0.8]);
    }

    #[tokio::test]
    async fn a_repetition_is_told_from_what_it_repeats() {
        let again = PaperAccepted {
            repetition: "2nd".to_owned(),
            ..event("Graphs")
        };
        let outcomes = outcomes(vec![again]).await;
        let [Outcome::Done(published)] = &outcomes[..] else {
            panic!("{outcomes:?}");
        };
        assert_eq!(published[0].0, "embedded:arxiv:2402.14776:2:fake@0123456789ab:2nd");
    }

    #[tokio::test]
    async fn bad_papers_do_not_take_their_neighbours_along() {
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

    #[test]
    fn a_slow_encoder_takes_few_papers_at_once() {
        assert_eq!(appetite(None), FIRST_BATCH);
        assert_eq!(appetite(Some(7000.0)), 54);
        assert_eq!(appetite(Some(800.0)), 6);
        assert_eq!(appetite(Some(3.0)), 1);
        assert!(appetite(Some(f64::MAX)) > 1_000_000);
    }
}
