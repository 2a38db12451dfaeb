//! Runs the encoder off the threads that serve requests, one text after the other into both kinds of vector.
//!
//! It knows neither the bus nor gRPC.

use std::sync::Arc;
use std::time::Instant;

use domain::{PaperVectors, SparseVector};

use crate::encoder::{EncodeError, Encoded, Encoder, EncoderDescription, Text, TextKind};
use crate::{metrics, sparse};

/// The encoder, shared by the pipeline and the calls.
#[derive(Clone)]
pub struct Engine {
    encoder: Arc<dyn Encoder>,
}

/// Both vectors of one text.
pub struct Embedded {
    /// By meaning.
    pub encoded: Encoded,
    /// By words.
    pub sparse: SparseVector,
}

/// A text that could not be embedded.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The encoder failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The term weights are unsound.
    #[error("term weights are unsound: {0}")]
    Sparse(#[from] domain::vectors::VectorError),
    /// The thread that computes ended.
    #[error("the computation was cut off: {0}")]
    Cut(String),
}

impl Engine {
    /// Over a loaded model.
    pub fn new(encoder: Arc<dyn Encoder>) -> Self {
        Self { encoder }
    }

    /// The model.
    pub fn description(&self) -> &EncoderDescription {
        self.encoder.description()
    }

    /// Embeds texts of one kind, in their order.
    pub async fn embed(&self, kind: TextKind, texts: Vec<String>) -> Result<Vec<Embedded>, EngineError> {
        let encoder = Arc::clone(&self.encoder);
        let work = tokio::task::spawn_blocking(move || embed_all(encoder.as_ref(), kind, &texts));
        work.await.map_err(|error| EngineError::Cut(error.to_string()))?
    }

    /// The vectors of a paper, from an embedded document.
    pub fn paper_vectors(&self, embedded: Embedded) -> PaperVectors {
        PaperVectors {
            encoder: self.description().id.clone(),
            dense: embedded.encoded.dense,
            sparse: embedded.sparse,
            truncated: embedded.encoded.truncated,
        }
    }
}

fn embed_all(encoder: &dyn Encoder, kind: TextKind, texts: &[String]) -> Result<Vec<Embedded>, EngineError> {
    let texts: Vec<Text<'_>> = texts.iter().map(|content| Text { kind, content }).collect();
    let begun = Instant::now();
    let dense = encoder.encode(&texts)?;
    metrics::record_batch(&texts, &dense, begun.elapsed());
    let mut embedded = Vec::with_capacity(dense.len());
    for (text, encoded) in texts.iter().zip(dense) {
        embedded.push(Embedded {
            encoded,
            sparse: sparse::sparse_vector(*text)?,
        });
    }
    Ok(embedded)
}

#[cfg(test)]
pub mod fake {
    //! An encoder that fails on demand.

    use domain::DenseVector;

    use super::{EncodeError, Encoded, Encoder, EncoderDescription, Text};

    /// Refuses texts with the word `refused`, panics at `panic`, and gives all others the same vector.
    pub struct Fake(EncoderDescription);

    impl Default for Fake {
        fn default() -> Self {
            Self(EncoderDescription::new("fake", "0123456789abcdef", 2, 8).expect("a sound description"))
        }
    }

    impl Encoder for Fake {
        fn description(&self) -> &EncoderDescription {
            &self.0
        }

        fn encode(&self, texts: &[Text<'_>]) -> Result<Vec<Encoded>, EncodeError> {
            let one = |text: &Text<'_>| {
                assert!(!text.content.contains("panic"), "asked to panic");
                if text.content.contains("refused") {
                    return Err(EncodeError::Tokens {
                        position: 1,
                        count: texts.len(),
                        reason: "asked to refuse".to_owned(),
                    });
                }
                let dense = DenseVector::new(vec![0.6, 0.8]).expect("a sound vector");
                Ok(Encoded {
                    dense,
                    tokens: 1,
                    truncated: false,
                })
            };
            texts.iter().map(one).collect()
        }
    }
}
