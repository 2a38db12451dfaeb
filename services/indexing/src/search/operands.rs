//! The operands of a query: words, and papers to be like, each with the legs that it asks the store for.
//!
//! It ranks nothing; see [`super`].

use std::collections::HashMap;

use domain::fusion::Hit;
use domain::query::QueryExpression;
use domain::ranking::SetExpression;
use domain::{DenseVector, PaperId, SparseVector, bm25};

use super::SearchError;
use super::plan::SearchMode;
use crate::catalogue::OpenCollection;
use crate::encoders::{Encoders, EncodersError};
use crate::metrics::SEARCHES_BY_WORDS_ALONE;
use crate::store::{IndexedPaper, LegHits, LegKey, LegName, LegQuery};

/// The notice where there is no model for the collection.
const NO_MODEL: &str = "searching by words alone: the model of this index is not available, and the index for the new \
                        model is being built";
/// The notice where the query is not embedded in time.
const NOT_EMBEDDED: &str = "searching by words alone: the meaning of the query could not be computed in time; search again \
                            in a moment for better results";

/// The notice where the model does not read the words.
const NOT_READABLE: &str = "searching by words alone: the model of this index does not read the words or the script of the \
                            query";

/// The operands of a query, numbered in the order of the query.
#[derive(Default)]
pub(super) struct QueryOperands {
    /// Operands that are words.
    pub words: Vec<(usize, String)>,
    /// Operands that are papers.
    pub papers: Vec<(usize, PaperId)>,
    /// For each operand whether its best are candidates; those of NOT are not.
    selects: Vec<bool>,
}

/// One operand, with the vectors of its legs.
pub(super) struct Operand {
    pub number: usize,
    /// The paper to be like; none for words.
    pub paper: Option<PaperId>,
    pub dense: Option<DenseVector>,
    pub sparse: Option<SparseVector>,
    /// Whether its best are candidates; those of NOT are not.
    pub selects: bool,
    /// What its legs found in the first round.
    pub hits: OperandHits,
    /// The feedback: the centre of the best papers of the first round.
    pub centre: Option<DenseVector>,
}

/// Hits of the legs of one operand.
#[derive(Default, Clone)]
pub(super) struct OperandHits {
    pub dense: Vec<Hit>,
    pub sparse: Vec<Hit>,
}

impl QueryOperands {
    /// Of a query, with how its operands combine.
    pub fn of(expression: &QueryExpression) -> (Self, SetExpression) {
        let mut operands = Self::default();
        let set = operands.read(expression, true);
        (operands, set)
    }

    fn read(&mut self, expression: &QueryExpression, selects: bool) -> SetExpression {
        match expression {
            QueryExpression::Words(words) => {
                self.words.push((self.selects.len(), words.clone()));
                self.operand(selects)
            }
            QueryExpression::Like(id) => {
                self.papers.push((self.selects.len(), id.clone()));
                self.operand(selects)
            }
            QueryExpression::All(members) => {
                SetExpression::All(members.iter().map(|one| self.read(one, selects)).collect())
            }
            QueryExpression::Any(members) => {
                SetExpression::Any(members.iter().map(|one| self.read(one, selects)).collect())
            }
            QueryExpression::Not(member) => SetExpression::Not(Box::new(self.read(member, false))),
        }
    }

    fn operand(&mut self, selects: bool) -> SetExpression {
        self.selects.push(selects);
        SetExpression::Operand(self.selects.len() - 1)
    }

    /// The operands with the vectors of their words and papers, and a notice for the reader. Where nobody offers the
    /// collection's encoder, embeds the words in time, or can read them, they search by words.
    pub async fn with_vectors(
        &self,
        encoders: &Encoders,
        index: &OpenCollection,
        mode: SearchMode,
    ) -> Result<(Vec<Operand>, &'static str), SearchError> {
        let (mut notice, mut dense, mut sparse) = ("", HashMap::new(), HashMap::new());
        if mode != SearchMode::Sparse {
            let texts = self.words.iter().map(|(_, words)| words.clone()).collect();
            match encoders.queries(&index.encoder, texts).await {
                Ok(vectors) => {
                    if vectors.iter().any(DenseVector::is_zero) {
                        notice = NOT_READABLE;
                        SEARCHES_BY_WORDS_ALONE.with_label_values(&["not_readable"]).inc();
                    }
                    dense.extend(self.words.iter().map(|(number, _)| *number).zip(vectors));
                }
                Err(error) => notice = without_vectors(error)?,
            }
        }
        for (number, words) in &self.words {
            sparse.insert(*number, bm25::query_vector(words)?);
        }
        let papers = self.stored_papers(index).await?;
        for (number, id) in &self.papers {
            let one = papers.get(id).ok_or_else(|| SearchError::UnknownPaper(id.clone()))?;
            dense.insert(*number, one.vectors.dense.clone());
            sparse.insert(*number, bm25::query_like(std::slice::from_ref(&one.vectors.sparse))?);
        }
        dense.retain(|_, vector: &mut DenseVector| mode != SearchMode::Sparse && !vector.is_zero());
        let operand = |(number, selects): (usize, &bool)| {
            let dense = dense.remove(&number);
            let paper = self.papers.iter().find(|(of, _)| *of == number);
            Operand {
                number,
                paper: paper.map(|(_, id)| id.clone()),
                sparse: sparse
                    .remove(&number)
                    .filter(|_| mode != SearchMode::Dense || dense.is_none()),
                dense,
                selects: *selects,
                hits: OperandHits::default(),
                centre: None,
            }
        };
        Ok((self.selects.iter().enumerate().map(operand).collect(), notice))
    }

    async fn stored_papers(&self, index: &OpenCollection) -> Result<HashMap<PaperId, IndexedPaper>, SearchError> {
        if self.papers.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<PaperId> = self.papers.iter().map(|(_, id)| id.clone()).collect();
        let papers = index.store.get_with_vectors(&ids).await?;
        Ok(papers.into_iter().map(|one| (one.paper.id.clone(), one)).collect())
    }
}

/// The terms of operands none of which is searched by meaning; none where one is.
pub(super) fn terms_alone(operands: &[Operand]) -> Option<Vec<u32>> {
    let selecting = || operands.iter().filter(|operand| operand.selects);
    if selecting().any(|operand| operand.dense.is_some()) {
        return None;
    }
    let terms = selecting()
        .flat_map(|operand| &operand.sparse)
        .flat_map(SparseVector::indices);
    let mut terms: Vec<u32> = terms.copied().collect();
    terms.sort_unstable();
    terms.dedup();
    Some(terms)
}

impl Operand {
    /// The key of one of its legs.
    pub fn key(&self, leg: LegName) -> LegKey {
        LegKey {
            operand: self.number,
            leg,
        }
    }

    /// The leg queries of the first round.
    pub fn first_legs(&self) -> impl Iterator<Item = (LegKey, LegQuery)> {
        self.dense_leg().into_iter().chain(self.sparse_leg())
    }

    /// The leg queries of the second round. An operand that stands alone knows its sparse scores already; without feedback it
    /// knows its dense scores too, because every candidate comes from its one leg.
    pub fn second_legs(&self, alone: bool) -> impl Iterator<Item = (LegKey, LegQuery)> {
        let sparse = self.sparse_leg().filter(|_| !alone);
        let dense = self.dense_leg().filter(|_| !alone || self.centre.is_some());
        let feedback = self.leg(LegName::Feedback, self.centre.clone().map(LegQuery::Dense));
        sparse.into_iter().chain(dense).chain(feedback)
    }

    fn dense_leg(&self) -> Option<(LegKey, LegQuery)> {
        self.leg(LegName::Dense, self.dense.clone().map(LegQuery::Dense))
    }

    fn sparse_leg(&self) -> Option<(LegKey, LegQuery)> {
        self.leg(LegName::Sparse, self.sparse.clone().map(LegQuery::Sparse))
    }

    fn leg(&self, name: LegName, query: Option<LegQuery>) -> Option<(LegKey, LegQuery)> {
        query.map(|query| (self.key(name), query))
    }
}

impl OperandHits {
    /// Takes over what an answer says of an operand's legs; the hits of legs that it does not speak of stay.
    pub fn update(&mut self, operand: usize, answers: &mut LegHits) {
        for (leg, hits) in [(LegName::Dense, &mut self.dense), (LegName::Sparse, &mut self.sparse)] {
            if let Some(answered) = answers.remove(&LegKey { operand, leg }) {
                *hits = answered;
            }
        }
    }
}

/// The notice for a search whose words have no vectors. It fails only where the words themselves are refused: whatever else
/// is wrong with the encoder, words find most of what is looked for.
fn without_vectors(error: EncodersError) -> Result<&'static str, SearchError> {
    let (reason, notice) = match error {
        EncodersError::Refused(_) => return Err(error.into()),
        EncodersError::NotOffered(_) => ("not_offered", NO_MODEL),
        EncodersError::Unavailable(status) => {
            tracing::debug!(code = ?status.code(), message = status.message(), "a query is not embedded");
            ("unavailable", NOT_EMBEDDED)
        }
        EncodersError::Unsound(problem) => {
            tracing::warn!(problem, "the answer to a query makes no sense");
            ("unavailable", NOT_EMBEDDED)
        }
    };
    SEARCHES_BY_WORDS_ALONE.with_label_values(&[reason]).inc();
    Ok(notice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operand(number: usize, centre: bool) -> Operand {
        let dense = DenseVector::new(vec![0.6, 0.8]).expect("a vector");
        Operand {
            number,
            paper: None,
            centre: centre.then(|| dense.clone()),
            dense: Some(dense),
            sparse: Some(SparseVector::new(vec![7], vec![1.0]).expect("a vector")),
            selects: true,
            hits: OperandHits::default(),
        }
    }

    fn hits(name: &str) -> Vec<Hit> {
        vec![Hit {
            id: PaperId::parse(&format!("x:{name}")).expect("an id"),
            score: 1.0,
        }]
    }

    #[test]
    fn an_answer_goes_to_the_leg_of_its_key() {
        let key = |operand, leg| LegKey { operand, leg };
        let mut answers = LegHits::from([
            (key(1, LegName::Sparse), hits("words")),
            (key(1, LegName::Dense), hits("expression")),
            (key(2, LegName::Dense), hits("other")),
            (key(1, LegName::Feedback), hits("feedback")),
        ]);
        let mut first = OperandHits::default();
        first.update(1, &mut answers);
        assert_eq!((first.dense, first.sparse), (hits("expression"), hits("words")));
        let mut second = OperandHits {
            dense: hits("before"),
            sparse: hits("before"),
        };
        second.update(2, &mut answers);
        assert_eq!((second.dense, second.sparse), (hits("other"), hits("before")));
        assert_eq!(answers.len(), 1, "feedback is no leg of the first round");
    }

    #[test]
    fn the_second_round_asks_for_what_is_unknown() {
        use LegName::{Dense, Feedback, Sparse};
        let legs =
            |operand: &Operand, alone| -> Vec<LegName> { operand.second_legs(alone).map(|(key, _)| key.leg).collect() };
        assert_eq!(legs(&operand(0, false), true), []);
        assert_eq!(legs(&operand(0, true), true), [Dense, Feedback]);
        assert_eq!(legs(&operand(0, false), false), [Sparse, Dense]);
        assert_eq!(legs(&operand(0, true), false), [Sparse, Dense, Feedback]);
    }

    #[test]
    fn terms_stand_alone_where_no_meaning_is_searched() {
        let mut operands = [operand(0, false), operand(1, false), operand(2, false)];
        operands[2].selects = false;
        assert_eq!(terms_alone(&operands), None);
        operands[0].dense = None;
        assert_eq!(terms_alone(&operands), None);
        operands[1].dense = None;
        operands[1].sparse = Some(SparseVector::new(vec![3, 7], vec![1.0, 1.0]).expect("a vector"));
        assert_eq!(
            terms_alone(&operands),
            Some(vec![3, 7]),
            "what is not wanted does not count"
        );
    }

    #[test]
    fn only_words_that_are_refused_fail_a_search() {
        let busy = EncodersError::Unavailable(tonic::Status::resource_exhausted("full"));
        assert_eq!(without_vectors(busy).expect("a notice"), NOT_EMBEDDED);
        let down = EncodersError::Unavailable(tonic::Status::unavailable("down"));
        assert_eq!(without_vectors(down).expect("a notice"), NOT_EMBEDDED);
        let unsound = EncodersError::Unsound("one value".to_owned());
        assert_eq!(without_vectors(unsound).expect("a notice"), NOT_EMBEDDED);
        let replaced = EncodersError::NotOffered(domain::EncoderId::parse("a@1").expect("an id"));
        assert_eq!(without_vectors(replaced).expect("a notice"), NO_MODEL);
        assert!(without_vectors(EncodersError::Refused("long".to_owned())).is_err());
    }

    #[test]
    fn operands_are_numbered_in_the_order_of_the_query() {
        let id = PaperId::parse("x:a").expect("an id");
        let words = |words: &str| QueryExpression::Words(words.to_owned());
        let not = QueryExpression::Not(Box::new(words("frogs")));
        let (operands, set) = QueryOperands::of(&QueryExpression::All(vec![
            words("cats"),
            not,
            QueryExpression::Like(id.clone()),
        ]));
        assert_eq!(operands.words, [(0, "cats".to_owned()), (1, "frogs".to_owned())]);
        assert_eq!(operands.papers, [(2, id)]);
        assert_eq!(operands.selects, [true, false, true]);
        let SetExpression::All(members) = set else {
            panic!("not a conjunction")
        };
        assert!(matches!(members[1], SetExpression::Not(_)));
    }
}
