//! The figures of an evaluation, for people and for programs.

use std::fmt::Write as _;

use domain::evaluation::{Estimate, difference, estimate, ndcg_at, recall_at, reciprocal_rank_at};
use serde_json::{Map, Value, json};

use super::loading::LoadedCorpus;
use super::ranking::{DEPTH, QueryRun};

/// Rejected documents in the table; the JSON lists all.
const MAX_REJECTED: usize = 5;
/// The search method that is compared with the others.
const COMPARED: &str = "hybrid";

/// The name of a measure, and how it rates one ranking.
type Measure = (&'static str, fn(&[&str], &domain::evaluation::Grades) -> f64);

const MEASURES: [Measure; 3] = [
    ("ndcg_at_10", |ranking, grades| ndcg_at(10, ranking, grades)),
    ("recall_at_100", |ranking, grades| recall_at(DEPTH, ranking, grades)),
    ("mrr_at_10", |ranking, grades| reciprocal_rank_at(10, ranking, grades)),
];

/// The result of an evaluation.
pub struct EvaluationReport {
    /// Name of the judged data set.
    pub data_set: String,
    /// The encoder of the dense vectors.
    pub encoder_id: String,
    /// How many queries were run.
    pub queries: usize,
    /// Ids of queries that could not be judged.
    pub left_out: Vec<String>,
    /// What became of the corpus.
    pub corpus: LoadedCorpus,
    /// The figures of each search method.
    pub methods: Vec<MethodFigures>,
}

/// The figures of one search method.
pub struct MethodFigures {
    /// Its name.
    pub method: &'static str,
    /// Each measure with its figure for each query.
    figures: Vec<(&'static str, Vec<f64>)>,
}

/// Measures the rankings of one search method.
pub fn figures(method: &'static str, queries: &[QueryRun], rankings: &[Vec<String>]) -> MethodFigures {
    let figure = |measure: fn(&[&str], &domain::evaluation::Grades) -> f64| {
        let ranked = queries.iter().zip(rankings);
        let figures = ranked.map(|(one, ranking)| {
            let ranking: Vec<&str> = ranking.iter().map(String::as_str).collect();
            measure(&ranking, &one.grades)
        });
        figures.collect()
    };
    MethodFigures {
        method,
        figures: MEASURES.map(|(name, measure)| (name, figure(measure))).into(),
    }
}

impl MethodFigures {
    /// Each measure with its mean and interval.
    pub fn estimates(&self) -> impl Iterator<Item = (&'static str, Estimate)> {
        let estimates = self.figures.iter();
        estimates.filter_map(|(name, values)| Some((*name, estimate(values)?)))
    }

    fn values(&self, measure: &str) -> &[f64] {
        let found = self.figures.iter().find(|(name, _)| *name == measure);
        found.map_or(&[], |(_, values)| values)
    }
}

impl EvaluationReport {
    /// By how much the fused ranking is better than each leg alone: method, measure, difference.
    fn differences(&self) -> Vec<(&'static str, &'static str, Estimate)> {
        let Some(compared) = self.methods.iter().find(|one| one.method == COMPARED) else {
            return Vec::new();
        };
        let others = self.methods.iter().filter(|one| one.method != COMPARED);
        others
            .flat_map(|other| {
                MEASURES.iter().filter_map(|(measure, _)| {
                    let gain = difference(compared.values(measure), other.values(measure))?;
                    Some((other.method, *measure, gain))
                })
            })
            .collect()
    }

    /// One object with everything.
    pub fn as_json(&self) -> Value {
        let methods: Map<String, Value> = self
            .methods
            .iter()
            .map(|one| {
                let figures: Map<String, Value> = one
                    .estimates()
                    .map(|(measure, figure)| (measure.to_owned(), estimate_json(figure)))
                    .collect();
                (one.method.to_owned(), figures.into())
            })
            .collect();
        let rejected: Vec<Value> = self
            .corpus
            .rejected
            .iter()
            .map(|one| json!({ "document": one.document, "problem": one.problem }))
            .collect();
        let differences: Vec<Value> = self
            .differences()
            .into_iter()
            .map(|(other, measure, gain)| {
                json!({ "method": COMPARED, "other": other, "measure": measure, "difference": estimate_json(gain) })
            })
            .collect();
        json!({
            "data_set": self.data_set,
            "encoder_id": self.encoder_id,
            "documents": self.corpus.papers.len() + self.corpus.rejected.len(),
            "papers": self.corpus.paper_count(),
            "rejected": rejected,
            "queries": self.queries,
            "left_out_queries": self.left_out,
            "methods": methods,
            "differences": differences,
        })
    }

    /// A table.
    pub fn as_table(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_table(&mut text);
        text
    }

    fn write_table(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "{}: {} papers, {} queries, {}",
            self.data_set,
            self.corpus.paper_count(),
            self.queries,
            self.encoder_id
        )?;
        let heads = MEASURES.map(|(measure, _)| measure.to_owned());
        write!(text, "\n{}\n", row("", heads))?;
        for one in &self.methods {
            let figures = one.estimates();
            let figures = figures.map(|(_, Estimate { mean, low, high })| format!("{mean:.4} [{low:.4}, {high:.4}]"));
            writeln!(text, "{}", row(one.method, figures))?;
        }
        writeln!(text, "\nIn brackets: 95% intervals over queries.")?;
        for (other, measure, Estimate { mean, low, high }) in self.differences() {
            writeln!(
                text,
                "{COMPARED} - {other:<6} {measure:<14} {mean:+.4} [{low:+.4}, {high:+.4}]"
            )?;
        }
        if !self.left_out.is_empty() {
            let ids = self.left_out.join(", ");
            writeln!(text, "{} queries could not be judged: {ids}", self.left_out.len())?;
        }
        let rejected = &self.corpus.rejected;
        if !rejected.is_empty() {
            writeln!(text, "{} documents were rejected and cannot be found:", rejected.len())?;
        }
        for one in rejected.iter().take(MAX_REJECTED) {
            writeln!(text, "  {}: {}", one.document, one.problem)?;
        }
        if rejected.len() > MAX_REJECTED {
            writeln!(text, "  and {} more; --json lists all", rejected.len() - MAX_REJECTED)?;
        }
        Ok(())
    }
}

/// A line of the table: its name, and cells that are as wide as a figure with its interval.
fn row(name: &str, cells: impl IntoIterator<Item = String>) -> String {
    let mut line = format!("{name:<8}");
    for cell in cells {
        line = format!("{line} {cell:<24}");
    }
    line.trim_end().to_owned()
}

fn estimate_json(Estimate { mean, low, high }: Estimate) -> Value {
    json!({ "value": mean, "low": low, "high": high })
}

#[cfg(test)]
pub mod tests {
    use std::collections::HashMap;

    use super::super::loading::RejectedDocument;
    use super::*;

    /// Two queries, the second of which the fused ranking answers better.
    pub fn report() -> EvaluationReport {
        let of = |method, second: f64| MethodFigures {
            method,
            figures: vec![
                ("ndcg_at_10", vec![0.5, second]),
                ("recall_at_100", vec![1.0, second]),
                ("mrr_at_10", vec![0.5, second]),
            ],
        };
        let papers = [("1", "eval:1"), ("2", "eval:2"), ("twin", "eval:1")];
        let papers = papers.map(|(document, paper)| (document.to_owned(), paper.to_owned()));
        EvaluationReport {
            data_set: "set".to_owned(),
            encoder_id: "fake@1".to_owned(),
            queries: 2,
            left_out: vec!["q9".to_owned()],
            corpus: LoadedCorpus {
                papers: HashMap::from(papers),
                rejected: vec![RejectedDocument {
                    document: "3".to_owned(),
                    problem: "title is \"\"".to_owned(),
                }],
            },
            methods: vec![of("bm25", 0.25), of("dense", 0.25), of("hybrid", 0.75)],
        }
    }

    #[test]
    fn the_table_has_intervals_and_what_was_left_out() {
        let table = report().as_table();
        for expected in [
            "set: 2 papers, 2 queries, fake@1",
            "hybrid   0.6250 [0.5000, 0.7500]",
            "hybrid - bm25   ndcg_at_10     +0.2500 [+0.0000, +0.5000]",
            "1 queries could not be judged: q9",
            "  3: title is \"\"",
        ] {
            assert!(table.contains(expected), "{expected} is missing from:\n{table}");
        }
    }

    #[test]
    fn the_json_has_everything() {
        let report = report().as_json();
        assert_eq!(report["methods"]["bm25"]["ndcg_at_10"]["value"], 0.375);
        assert_eq!((&report["documents"], &report["papers"]), (&json!(4), &json!(2)));
        assert_eq!(report["rejected"][0]["document"], "3");
        assert_eq!(report["differences"].as_array().map(Vec::len), Some(6));
    }
}
