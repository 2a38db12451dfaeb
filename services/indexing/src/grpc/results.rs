//! Search results in the words of the contract, with highlights.

use std::collections::HashMap;
use std::ops::Range;

use domain::fusion::{FusedPaper, ScorePart};
use domain::highlight::{self, QueryTerms};
use domain::query::{ParsedQuery, QueryExpression};
use domain::{Paper, PaperId};
use proto::search::v1 as wire;

use crate::search::TermScores;

/// Results in their order; a paper that was withdrawn since the search is left out.
pub fn results(
    entries: Vec<FusedPaper>,
    papers: Vec<Paper>,
    highlight_terms: &QueryTerms,
    terms: &TermScores,
) -> Vec<wire::SearchResult> {
    let papers: HashMap<PaperId, Paper> = papers.into_iter().map(|paper| (paper.id.clone(), paper)).collect();
    let mut results = Vec::with_capacity(entries.len());
    for fused in entries {
        let Some(paper) = papers.get(&fused.id) else { continue };
        let parts = fused.parts.iter().map(|one| part(&fused.id, one, terms));
        results.push(wire::SearchResult {
            paper: Some(paper.into()),
            score: fused.score,
            parts: parts.collect(),
            highlight: Some(highlighted(paper, highlight_terms)),
        });
    }
    results
}

/// The terms to highlight: those of the query's words.
pub fn highlight_terms(expression: Option<&QueryExpression>) -> QueryTerms {
    let query = ParsedQuery {
        expression: expression.cloned(),
        ..ParsedQuery::default()
    };
    QueryTerms::new(&query.words())
}

fn part(id: &PaperId, part: &ScorePart, terms: &TermScores) -> wire::ScorePart {
    let weights = (part.leg == "sparse")
        .then(|| terms.get(&(part.operand, id.clone())))
        .flatten();
    let weight = |(term, weight): &(String, f64)| wire::TermWeight {
        term: term.clone(),
        weight: *weight,
    };
    wire::ScorePart {
        name: part.leg.to_owned(),
        value: part.value,
        rank: part.rank,
        raw: part.raw,
        terms: weights.into_iter().flatten().map(weight).collect(),
        operand: number(part.operand),
    }
}

fn highlighted(paper: &Paper, terms: &QueryTerms) -> wire::Highlight {
    let found = highlight::highlight(terms, &paper.title, &paper.abstract_text);
    let span = |range: &Range<usize>, begin: usize| wire::TextSpan {
        start: number(range.start - begin),
        end: number(range.end - begin),
    };
    let begin = found.sentence.start;
    wire::Highlight {
        sentence_spans: found.sentence_spans.iter().map(|range| span(range, begin)).collect(),
        title_spans: found.title_spans.iter().map(|range| span(range, 0)).collect(),
        sentence: paper.abstract_text[found.sentence].to_owned(),
    }
}

/// Texts and queries are far shorter than the largest number of 32 bits.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
