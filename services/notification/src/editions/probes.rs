//! The vectors of the probes that tell from which cosine on a paper matches an interest, once for each encoder.
//!
//! Nobody waits long for them, and nobody goes without an edition because of them: while they are not there the usual floor
//! holds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::selection::floor::PROBES;
use domain::{DenseVector, EncoderId};
use tokio::sync::Mutex;
use tracing::warn;

use super::InterestEncoder;

/// After a failure they are not asked for again for so long.
const PAUSE: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(5);

/// The vectors.
pub(super) struct Probes {
    encoder: Arc<dyn InterestEncoder>,
    known: Mutex<HashMap<EncoderId, Known>>,
}

enum Known {
    Vectors(Arc<Vec<DenseVector>>),
    Failed(Instant),
}

impl Probes {
    pub(super) fn new(encoder: Arc<dyn InterestEncoder>) -> Self {
        Self {
            encoder,
            known: Mutex::default(),
        }
    }

    /// The vectors by an encoder, in the order of [`PROBES`]; none where they cannot be had now.
    pub(super) async fn of(&self, encoder: &EncoderId) -> Arc<Vec<DenseVector>> {
        let mut known = self.known.lock().await;
        match known.get(encoder) {
            Some(Known::Vectors(vectors)) => return Arc::clone(vectors),
            Some(Known::Failed(when)) if when.elapsed() < PAUSE => return Arc::default(),
            _ => {}
        }
        match self.embed(encoder).await {
            Ok(vectors) => {
                let vectors = Arc::new(vectors);
                known.insert(encoder.clone(), Known::Vectors(Arc::clone(&vectors)));
                vectors
            }
            Err(problem) => {
                warn!(%encoder, problem, "the floor of matches is not measured, the usual one holds");
                known.insert(encoder.clone(), Known::Failed(Instant::now()));
                Arc::default()
            }
        }
    }

    async fn embed(&self, wanted: &EncoderId) -> Result<Vec<DenseVector>, String> {
        let texts = PROBES.map(str::to_owned);
        let answer = tokio::time::timeout(PATIENCE, self.encoder.embed(&texts)).await;
        let (encoder, vectors) = answer.map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))??;
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

    use super::*;

    struct Flaky(AtomicUsize);

    #[async_trait]
    impl InterestEncoder for Flaky {
        async fn embed(&self, texts: &[String]) -> Result<(EncoderId, Vec<DenseVector>), String> {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => Err("busy".to_owned()),
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
        let probes = Probes::new(Arc::clone(&encoder) as Arc<dyn InterestEncoder>);
        assert!(probes.of(&id()).await.is_empty());
        assert!(probes.of(&id()).await.is_empty());
        assert_eq!(encoder.0.load(Ordering::Relaxed), 1);
        let later = Instant::now().checked_sub(PAUSE).expect("long after the epoch");
        probes.known.lock().await.insert(id(), Known::Failed(later));
        for _ in 0..2 {
            assert_eq!(probes.of(&id()).await.len(), PROBES.len());
        }
        assert_eq!(encoder.0.load(Ordering::Relaxed), 2);
        let other = EncoderId::parse("other@1").expect("an encoder id");
        assert!(probes.of(&other).await.is_empty(), "of another encoder");
    }
}
