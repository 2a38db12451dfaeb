//! Figures that were reached before, and by how much each may fall.
//!
//! One file holds several judged sets. Figures of other encoders or other queries are never compared.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::report::Report;
use crate::failure::Failure;

/// By how much a figure may fall where the file says nothing.
const TOLERANCE: f64 = 0.01;

/// The file: judged sets by name.
type Baseline = BTreeMap<String, Reached>;

/// What was reached on one judged set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reached {
    encoder_id: String,
    queries: usize,
    /// By method, then by measure.
    figures: BTreeMap<String, BTreeMap<String, Figure>>,
}

/// One figure.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Figure {
    /// What was reached.
    value: f64,
    /// By how much it may fall.
    tolerance: f64,
}

/// Fails where a figure has fallen by more than its tolerance, and says by how much.
pub fn compare(file: &Path, report: &Report) -> Result<(), Failure> {
    let baseline = read(file)?;
    let name = &report.data_set;
    let hint = "measure it anew with --update-baseline";
    let Some(reached) = baseline.get(name) else {
        return Err(of(file, format!("holds no figures of {name}; {hint}")));
    };
    let (encoder_id, queries) = (&report.encoder_id, report.queries);
    if reached.encoder_id != *encoder_id || reached.queries != queries {
        return Err(of(
            file,
            format!(
                "its figures of {name} are of {} queries with {}, these of {queries} with {encoder_id}; {hint}",
                reached.queries, reached.encoder_id
            ),
        ));
    }
    let fallen = fallen(reached, report);
    if fallen.is_empty() {
        eprintln!("{name} holds the figures of {}", file.display());
        return Ok(());
    }
    Err(Failure::other(format!(
        "{name} ranks worse than before:\n  {}",
        fallen.join("\n  ")
    )))
}

fn fallen(reached: &Reached, report: &Report) -> Vec<String> {
    let mut fallen = Vec::new();
    for (method, figures) in &reached.figures {
        let found = report.methods.iter().find(|one| one.method == method);
        for (measure, Figure { value, tolerance }) in figures {
            let now = found.and_then(|one| one.estimates().find(|(name, _)| name == measure));
            let Some((_, now)) = now else {
                fallen.push(format!(
                    "{method} {measure} is not measured any more; it was {value:.4}"
                ));
                continue;
            };
            let fall = value - now.mean;
            if fall > *tolerance {
                fallen.push(format!(
                    "{method} {measure} is {:.4}: it fell by {fall:.4} from {value:.4}, and {tolerance:.4} is allowed",
                    now.mean
                ));
            }
        }
    }
    fallen
}

/// Writes the figures into the file, beside those of other sets. Tolerances that are there stay.
pub fn update(file: &Path, report: &Report) -> Result<(), Failure> {
    let mut baseline = if file.exists() { read(file)? } else { Baseline::new() };
    let before = baseline.remove(&report.data_set);
    let tolerance = |method: &str, measure: &str| {
        let figure = before.as_ref()?.figures.get(method)?.get(measure)?;
        Some(figure.tolerance)
    };
    let figures = report.methods.iter().map(|one| {
        let figures = one.estimates().map(|(measure, figure)| {
            let figure = Figure {
                value: (figure.mean * 10_000.0).round() / 10_000.0,
                tolerance: tolerance(one.method, measure).unwrap_or(TOLERANCE),
            };
            (measure.to_owned(), figure)
        });
        (one.method.to_owned(), figures.collect())
    });
    let reached = Reached {
        encoder_id: report.encoder_id.clone(),
        queries: report.queries,
        figures: figures.collect(),
    };
    baseline.insert(report.data_set.clone(), reached);
    let text = serde_json::to_string_pretty(&baseline).map_err(Failure::other)?;
    std::fs::write(file, text + "\n").map_err(|error| of(file, error))?;
    eprintln!("the figures of {} are in {}", report.data_set, file.display());
    Ok(())
}

fn read(file: &Path) -> Result<Baseline, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| of(file, error))?;
    serde_json::from_str(&text).map_err(|error| of(file, format!("is not a baseline: {error}")))
}

fn of(file: &Path, problem: impl std::fmt::Display) -> Failure {
    Failure::other(format!("{}: {problem}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    fn refusal(file: &Path, report: &Report) -> String {
        format!("{:?}", compare(file, report).expect_err("a refusal"))
    }

    #[test]
    fn a_figure_that_falls_is_named_with_how_far() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("baseline.json");
        assert!(refusal(&file, &report()).contains("baseline.json: No such file"));
        update(&file, &report()).expect("written");
        compare(&file, &report()).expect("the same figures");
        let text = std::fs::read_to_string(&file).expect("a file");
        std::fs::write(&file, text.replacen("0.625", "0.6349", 1)).expect("written");
        compare(&file, &report()).expect("within the tolerance");
        std::fs::write(&file, text.replacen("0.625", "0.6401", 1)).expect("written");
        let refusal = refusal(&file, &report());
        let expected = "bm25 recall_at_100 is 0.6250: it fell by 0.0151 from 0.6401, and 0.0100 is allowed";
        assert!(refusal.contains(expected), "{refusal}");
    }

    #[test]
    fn tolerances_outlive_an_update() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("baseline.json");
        update(&file, &report()).expect("written");
        let text = std::fs::read_to_string(&file).expect("a file");
        std::fs::write(&file, text.replacen("0.01", "0.2", 1)).expect("written");
        update(&file, &report()).expect("written");
        let again = std::fs::read_to_string(&file).expect("a file");
        assert_eq!(again.matches("\"tolerance\": 0.2").count(), 1, "{again}");
    }

    #[test]
    fn figures_of_another_encoder_are_not_compared() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("baseline.json");
        update(&file, &report()).expect("written");
        let other = Report {
            encoder_id: "other@2".to_owned(),
            ..report()
        };
        assert!(refusal(&file, &other).contains("2 queries with fake@1, these of 2 with other@2"));
        let unknown = Report {
            data_set: "unknown".to_owned(),
            ..report()
        };
        assert!(refusal(&file, &unknown).contains("holds no figures of unknown"));
    }
}
