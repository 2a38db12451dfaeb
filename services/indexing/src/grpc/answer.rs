//! What was found, in the words of the contract, with what of its text fits best.

use std::collections::HashMap;
use std::ops::Range;

use domain::fusion::{Fused, Part};
use domain::highlight::{self, QueryTerms};
use domain::query::{Meaning, Query};
use domain::{Paper, PaperId};
use proto::search::v1 as wire;

use crate::search::Terms;

/// Results in their order; a paper that was withdrawn since the search is left out.
pub fn results(entries: Vec<Fused>, papers: Vec<Paper>, words: &QueryTerms, terms: &Terms) -> Vec<wire::SearchResult> {
    let papers: HashMap<PaperId, Paper> = papers.into_iter().map(|paper| (paper.id.clone(), paper)).collect();
    let mut results = Vec::with_capacity(entries.len());
    for fused in entries {
        let Some(paper) = papers.get(&fused.id) else { continue };
        let parts = fused.parts.iter().map(|one| part(&fused.id, one, terms));
        results.push(wire::SearchResult {
            paper: Some(paper.into()),
            score: fused.score,
            parts: parts.collect(),
            highlight: Some(highlighted(paper, words)),
        });
    }
    results
}

/// The terms worth marking: those of the words that are looked for.
pub fn terms_of(meaning: Option<&Meaning>) -> QueryTerms {
    let query = Query {
        meaning: meaning.cloned(),
        ..Query::default()
    };
    QueryTerms::new(&query.words())
}

fn part(id: &PaperId, part: &Part, terms: &Terms) -> wire::ScorePart {
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

fn highlighted(paper: &Paper, words: &QueryTerms) -> wire::Highlight {
    let found = highlight::highlight(words, &paper.title, &paper.abstract_text);
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

/// Texts and queries are far shorter than this can count.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
