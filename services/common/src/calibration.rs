//! The vectors of the calibration queries, which tell from which cosine on a paper matches: made once for each encoder.
//!
//! The cosine from which a paper matches is a property of the encoder: 64 calibration queries from all of science are
//! embedded once, and what their cosines with papers reach by chance is the match floor ([`domain::selection::floor`]).
//! Nobody waits long for them: while they are not there the usual floor holds. The caller embeds; this keeps the vectors.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::selection::floor::CALIBRATION_QUERIES;
use domain::{DenseVector, EncoderId};
use tokio::sync::Mutex;
use tracing::warn;

use crate::clock::Clock;

/// After a failure they are not asked for again for so long.
const PAUSE: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(5);

/// The vectors by encoder.
pub struct Calibration {
    clock: Clock,
    vectors: Mutex<HashMap<EncoderId, CalibrationVectors>>,
}

enum CalibrationVectors {
    Ready(Arc<Vec<DenseVector>>),
    Failed(Instant),
}

impl Calibration {
    /// None yet.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            vectors: Mutex::default(),
        }
    }

    /// The vectors by an encoder, in the order of [`CALIBRATION_QUERIES`]; none where they cannot be had now. `embed` is
    /// called where they are not known: it embeds queries by this very encoder.
    pub async fn vectors<F>(&self, encoder: &EncoderId, embed: impl FnOnce(Vec<String>) -> F) -> Arc<Vec<DenseVector>>
    where
        F: Future<Output = Result<Vec<DenseVector>, String>>,
    {
        let mut known = self.vectors.lock().await;
        match known.get(encoder) {
            Some(CalibrationVectors::Ready(vectors)) => return Arc::clone(vectors),
            Some(CalibrationVectors::Failed(when)) if self.clock.elapsed(*when) < PAUSE => return Arc::default(),
            _ => {}
        }
        let texts = CALIBRATION_QUERIES.map(str::to_owned).to_vec();
        let answer = self.clock.timeout(TIMEOUT, embed(texts)).await;
        match answer.unwrap_or_else(|| Err(format!("no answer within {} s", TIMEOUT.as_secs()))) {
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
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use jiff::Timestamp;

    use super::*;

    #[tokio::test]
    async fn they_are_made_once_and_a_failure_is_not_repeated_at_once() {
        let calls = AtomicUsize::new(0);
        let embed = |texts: Vec<String>| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            let vectors = vec![DenseVector::new(vec![1.0]).expect("a vector"); texts.len()];
            async move {
                if call == 0 {
                    Err("broken".to_owned())
                } else {
                    Ok(vectors)
                }
            }
        };
        let encoder = EncoderId::parse("test@1").expect("an encoder id");
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let calibration = Calibration::new(clock);
        assert!(calibration.vectors(&encoder, embed).await.is_empty());
        assert!(calibration.vectors(&encoder, embed).await.is_empty());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        hand.advance(PAUSE);
        for _ in 0..2 {
            assert_eq!(
                calibration.vectors(&encoder, embed).await.len(),
                CALIBRATION_QUERIES.len()
            );
        }
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        let other = EncoderId::parse("other@1").expect("an encoder id");
        calibration.vectors(&other, embed).await;
        assert_eq!(calls.load(Ordering::Relaxed), 3, "of another encoder");
    }
}
