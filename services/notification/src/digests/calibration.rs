//! The vectors of the calibration queries, which tell from which cosine on a paper matches an interest: once for each
//! encoder.
//!
//! Nobody waits long for them, and nobody goes without a digest because of them: while they are not there the usual floor
//! holds.
//!
//! The cosine from which a paper matches is a property of the encoder: 64 calibration queries from all of science are
//! embedded once, and what their cosines with recent papers reach by chance is the match floor
//! ([`domain::selection::floor`], `broadsheet_notification_match_floor`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::clock::Clock;
use domain::selection::floor::CALIBRATION_QUERIES;
use domain::{DenseVector, EncoderId};
use proto::embedding::v1::EmbedPriority;
use tokio::sync::Mutex;
use tracing::warn;

use crate::interests::InterestEncoder;

/// After a failure they are not asked for again for so long.
const PAUSE: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(5);

/// The vectors by encoder.
pub struct Calibration {
    encoder: Arc<dyn InterestEncoder>,
    clock: Clock,
    vectors: Mutex<HashMap<EncoderId, CalibrationVectors>>,
}

enum CalibrationVectors {
    Ready(Arc<Vec<DenseVector>>),
    Failed(Instant),
}

impl Calibration {
    /// By an encoder.
    pub fn new(encoder: Arc<dyn InterestEncoder>, clock: Clock) -> Self {
        Self {
            encoder,
            clock,
            vectors: Mutex::default(),
        }
    }

    /// The vectors by an encoder, in the order of [`CALIBRATION_QUERIES`]; none where they cannot be had now.
    pub async fn vectors(&self, encoder: &EncoderId) -> Arc<Vec<DenseVector>> {
        let mut known = self.vectors.lock().await;
        match known.get(encoder) {
            Some(CalibrationVectors::Ready(vectors)) => return Arc::clone(vectors),
            Some(CalibrationVectors::Failed(when)) if self.clock.elapsed(*when) < PAUSE => return Arc::default(),
            _ => {}
        }
        match self.embed(encoder).await {
            Ok(vectors) => {
                let vectors = Arc::new(vectors);
                known.insert(encoder.clone(), CalibrationVectors::Ready(Arc::clone(&vectors)));
                vectors
            }
            Err(problem) => {
                warn!(%encoder, problem, "the floor of matches is not measured, the usual one holds");
                known.insert(encoder.clone(), CalibrationVectors::Failed(self.clock.instant()));
                Arc::default()
            }
        }
    }

    async fn embed(&self, wanted: &EncoderId) -> Result<Vec<DenseVector>, String> {
        let texts = CALIBRATION_QUERIES.map(str::to_owned);
        let answer = tokio::time::timeout(TIMEOUT, self.encoder.embed(&texts, EmbedPriority::Bulk)).await;
        let answer = answer.map_err(|_| format!("no answer within {} s", TIMEOUT.as_secs()))?;
        let (encoder, vectors) = answer.map_err(|failure| failure.to_string())?;
        if encoder != *wanted {
            return Err(format!("embedding has {encoder} now"));
        }
        Ok(vectors)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use jiff::Timestamp;

    use super::*;
    use crate::interests::EmbedFailure;

    struct Flaky(AtomicUsize);

    #[async_trait]
    impl InterestEncoder for Flaky {
        async fn embed(
            &self,
            texts: &[String],
            _: EmbedPriority,
        ) -> Result<(EncoderId, Vec<DenseVector>), EmbedFailure> {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => Err(EmbedFailure::Failed("broken".to_owned())),
                _ => Ok((id(), vec![DenseVector::new(vec![1.0]).expect("a vector"); texts.len()])),
            }
        }
    }

    fn id() -> EncoderId {
        EncoderId::parse("test@1").expect("an encoder id")
    }

    #[tokio::test]
    async fn they_are_made_once_and_a_failure_is_not_repeated_at_once() {
        let encoder = Arc::new(Flaky(AtomicUsize::new(0)));
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let calibration = Calibration::new(Arc::clone(&encoder) as Arc<dyn InterestEncoder>, clock);
        assert!(calibration.vectors(&id()).await.is_empty());
        assert!(calibration.vectors(&id()).await.is_empty());
        assert_eq!(encoder.0.load(Ordering::Relaxed), 1);
        hand.advance(PAUSE);
        for _ in 0..2 {
            assert_eq!(calibration.vectors(&id()).await.len(), CALIBRATION_QUERIES.len());
        }
        assert_eq!(encoder.0.load(Ordering::Relaxed), 2);
        let other = EncoderId::parse("other@1").expect("an encoder id");
        assert!(calibration.vectors(&other).await.is_empty(), "of another encoder");
    }
}
