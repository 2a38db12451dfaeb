//! From what on a paper fits a query; the rule is [`domain::relevance`].
//!
//! The cosine is measured on the newest papers of the collection with the calibration queries, and measured again from time to
//! time. The score by words depends on the query, and on how many papers have its terms.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::calibration::Calibration;
use common::clock::Clock;
use domain::relevance::{ALIKE, ALIKE_SHARE, OperandFloor, WORDS_SHARE};
use domain::selection::floor::{MATCH_FLOOR, match_floor};
use domain::{DenseVector, EncoderId, PaperId, SparseVector, bm25};
use futures::future::try_join_all;

use super::operands::Operand;
use super::{SearchError, ask};
use crate::catalogue::OpenCollection;
use crate::encoders::Encoders;
use crate::store::{Filter, LegKey, LegName, LegQuery, StoreError};

/// Papers that the cosine is measured on.
const SAMPLE: usize = 512;
/// How long a measurement counts, and how long one on fewer papers than that.
const COUNTS_FOR: [Duration; 2] = [Duration::from_mins(10), Duration::from_secs(10)];
/// Terms of a query up to which its words are weighed; longer ones are pages of text, which have a meaning.
const MOST_TERMS: usize = 64;

/// The floors of the collections that are searched.
pub(super) struct RelevanceFloors {
    calibration: Calibration,
    clock: Clock,
    measured: Mutex<Option<MeasuredFloor>>,
}

#[derive(Clone)]
struct MeasuredFloor {
    encoder: EncoderId,
    until: Instant,
    cosine: f64,
}

impl RelevanceFloors {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            calibration: Calibration::new(clock.clone()),
            clock,
            measured: Mutex::default(),
        }
    }

    /// A floor for each operand, in their order.
    pub(super) async fn of(
        &self,
        encoders: &Encoders,
        index: &OpenCollection,
        operands: &[Operand],
    ) -> Result<Vec<OperandFloor>, SearchError> {
        let cosine = self.cosine(encoders, index).await?;
        let mut floors = Vec::with_capacity(operands.len());
        for operand in operands {
            floors.push(match (&operand.paper, &operand.sparse) {
                (Some(paper), sparse) => OperandFloor {
                    cosine: cosine + ALIKE,
                    words: ALIKE_SHARE * own_score(index, paper, sparse.as_ref()).await?,
                },
                (None, Some(words)) => OperandFloor {
                    cosine,
                    words: WORDS_SHARE * full_score(index, words).await?,
                },
                (None, None) => OperandFloor {
                    cosine,
                    words: f64::INFINITY,
                },
            });
        }
        Ok(floors)
    }

    /// The cosine from which a paper of this collection matches a query.
    async fn cosine(&self, encoders: &Encoders, index: &OpenCollection) -> Result<f64, StoreError> {
        let now = self.clock.instant();
        let known = self.measured.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| known.encoder == index.encoder && now < known.until) {
            return Ok(known.cosine);
        }
        let embed = |texts| async {
            let vectors = encoders.bulk_queries(&index.encoder, texts).await;
            vectors.map_err(|error| error.to_string())
        };
        let calibration = self.calibration.vectors(&index.encoder, embed).await;
        if calibration.is_empty() {
            return Ok(f64::from(MATCH_FLOOR));
        }
        let newest = index.store.list(Filter::default(), None, SAMPLE).await?;
        let ids: Vec<PaperId> = newest.into_iter().map(|paper| paper.id).collect();
        let vectors = index.store.dense_vectors(&ids).await?;
        let sample: Vec<&DenseVector> = vectors.iter().map(|(_, vector)| vector).collect();
        let measured = MeasuredFloor {
            encoder: index.encoder.clone(),
            until: now + COUNTS_FOR[usize::from(sample.len() < SAMPLE)],
            cosine: f64::from(match_floor(&sample, &calibration)),
        };
        let cosine = measured.cosine;
        *self.measured.lock().unwrap_or_else(PoisonError::into_inner) = Some(measured);
        Ok(cosine)
    }
}

/// What a paper of average length with all words of a query would score; 0 for pages of text.
async fn full_score(index: &OpenCollection, words: &SparseVector) -> Result<f64, StoreError> {
    let terms = words.indices();
    if terms.len() > MOST_TERMS {
        return Ok(0.0);
    }
    let papers = index.store.count(Filter::default()).await?.papers;
    let count = |term: &u32| {
        let filter = Filter {
            terms: vec![*term],
            ..Filter::default()
        };
        index.store.count(filter)
    };
    let counts = try_join_all(terms.iter().map(count)).await?;
    let holding = |term| terms.binary_search(&term).map_or(0, |at| counts[at].papers);
    Ok(bm25::full_score(words, papers, holding))
}

/// What a paper scores for its own words; infinite where it is not asked for by words.
async fn own_score(index: &OpenCollection, paper: &PaperId, words: Option<&SparseVector>) -> Result<f64, StoreError> {
    let Some(words) = words else {
        return Ok(f64::INFINITY);
    };
    let key = LegKey {
        operand: 0,
        leg: LegName::Sparse,
    };
    let within = Filter {
        within: Some(vec![paper.clone()]),
        ..Filter::default()
    };
    let legs = [(key, LegQuery::Sparse(words.clone()))].into();
    let hits = ask(index, legs, within, 1).await?.remove(&key).unwrap_or_default();
    Ok(hits.first().map_or(f64::INFINITY, |hit| hit.score))
}

#[cfg(test)]
mod tests {
    use common::config::CallerConfig;
    use domain::fusion::{FusedPaper, ScorePart};
    use domain::ranking::SetExpression;
    use domain::relevance::fits;

    use super::*;
    use crate::search::operands::OperandHits;
    use crate::store::conformance::embedded::place;
    use crate::store::conformance::fixtures::{TestCollection, id};

    const COMMON: u32 = 1;
    const RARE: u32 = 2;
    const UNKNOWN: u32 = 3;

    fn operand(paper: Option<PaperId>, terms: &[(u32, f32)]) -> Operand {
        let (indices, weights) = terms.iter().copied().unzip();
        Operand {
            number: 0,
            paper,
            dense: None,
            sparse: (!terms.is_empty()).then(|| SparseVector::new(indices, weights).expect("a vector")),
            selects: true,
            hits: OperandHits::default(),
            centre: None,
        }
    }

    /// The floors of an operand, while no encoder answers.
    async fn floor(it: &TestCollection, operand: Operand) -> OperandFloor {
        let channel = common::grpc::connect("http://127.0.0.1:1", &CallerConfig::default()).expect("a channel");
        let encoders = Encoders::new(channel, Clock::system(), Duration::from_secs(1));
        let index = OpenCollection {
            store: std::sync::Arc::clone(&it.store),
            encoder: it.encoder.clone(),
            dimension: 2,
        };
        let floors = RelevanceFloors::new(Clock::system());
        floors.of(&encoders, &index, &[operand]).await.expect("floors")[0]
    }

    /// The papers that fit by words, of those that have one.
    async fn fitting(it: &TestCollection, operand: Operand) -> Vec<String> {
        let words = operand.sparse.clone().expect("words");
        let query: Vec<(u32, f32)> = words.iter().collect();
        let floor = floor(it, operand).await;
        let (_, hits) = it.find([1.0, 0.0], &query, Filter::default()).await;
        let mut names = Vec::new();
        for hit in hits {
            let part = ScorePart {
                leg: "sparse",
                value: 0.0,
                rank: 1,
                raw: hit.score,
                operand: 0,
            };
            let paper = FusedPaper {
                id: hit.id,
                score: 0.0,
                parts: vec![part],
            };
            if fits(&SetExpression::Operand(0), &paper, &[floor]) {
                names.push(paper.id.to_string());
            }
        }
        names
    }

    #[tokio::test]
    async fn rare_words_fit_and_common_ones_alone_do_not() {
        let (place, _folder) = place();
        let it = place.subject().await;
        let common = (0..40).map(|number| it.paper(&format!("common{number}"), 1, [1.0, 0.0], &[(COMMON, 1.0)]));
        it.write(common.collect()).await;
        it.write(vec![it.paper("rare", 1, [0.0, 1.0], &[(RARE, 1.0)])]).await;
        let words = |terms: &[u32]| operand(None, &terms.iter().map(|term| (*term, 1.0)).collect::<Vec<_>>());
        assert_eq!(fitting(&it, words(&[COMMON, RARE])).await, ["x:rare"]);
        assert_eq!(
            fitting(&it, words(&[COMMON, UNKNOWN])).await,
            [""; 0],
            "what nobody has is rare"
        );
        assert_eq!(fitting(&it, words(&[COMMON])).await.len(), 10, "all that are found");
        let alike = operand(Some(id("rare")), &[(COMMON, 0.5), (RARE, 3.0)]);
        assert_eq!(
            fitting(&it, alike).await,
            ["x:rare"],
            "only the paper itself has its words"
        );
        let meaning = floor(&it, operand(None, &[])).await;
        assert!(meaning.words.is_infinite() && (meaning.cosine - f64::from(MATCH_FLOOR)).abs() < 1e-9);
    }
}
