//! Earlier figures, and by how much each may fall.
//!
//! One file holds several judged data sets. Figures of different encoders or queries are never compared.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::report::EvaluationReport;
use crate::error::CommandError;

/// By how much a new figure may fall.
const DEFAULT_TOLERANCE: f64 = 0.01;

/// The file: judged data sets by name.
type Baseline = BTreeMap<String, BaselineSet>;

/// The figures of one judged data set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BaselineSet {
    encoder_id: String,
    queries: usize,
    /// By method, then by measure.
    figures: BTreeMap<String, BTreeMap<String, BaselineFigure>>,
}

/// One figure.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BaselineFigure {
    /// The value when it was measured.
    value: f64,
    /// By how much it may fall.
    tolerance: f64,
}

/// Fails if a figure has fallen by more than its tolerance; the error says by how much.
pub fn compare(file: &Path, report: &EvaluationReport) -> Result<(), CommandError> {
    let baseline = read(file)?;
    let name = &report.data_set;
    let hint = "measure it again with --update-baseline";
    let Some(earlier) = baseline.get(name) else {
        return Err(file_error(file, format!("has no figures of {name}; {hint}")));
    };
    let (encoder_id, queries) = (&report.encoder_id, report.queries);
    if earlier.encoder_id != *encoder_id || earlier.queries != queries {
        return Err(file_error(
            file,
            format!(
                "its figures of {name} are of {} queries with {}, these of {queries} with {encoder_id}; {hint}",
                earlier.queries, earlier.encoder_id
            ),
        ));
    }
    let fallen = fallen(earlier, report);
    if fallen.is_empty() {
        eprintln!("{name} reaches the figures of {}", file.display());
        return Ok(());
    }
    Err(CommandError::other(format!(
        "{name} ranks worse than before:\n  {}",
        fallen.join("\n  ")
    )))
}

fn fallen(earlier: &BaselineSet, report: &EvaluationReport) -> Vec<String> {
    let mut fallen = Vec::new();
    for (method, figures) in &earlier.figures {
        let found = report.methods.iter().find(|one| one.method == method);
        for (measure, BaselineFigure { value, tolerance }) in figures {
            let now = found.and_then(|one| one.estimates().find(|(name, _)| name == measure));
            let Some((_, now)) = now else {
                fallen.push(format!("{method} {measure} is no longer measured; it was {value:.4}"));
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

/// Writes the figures into the file, beside those of other sets. Existing tolerances are kept.
pub fn update(file: &Path, report: &EvaluationReport) -> Result<(), CommandError> {
    let mut baseline = if file.exists() { read(file)? } else { Baseline::new() };
    let before = baseline.remove(&report.data_set);
    let tolerance = |method: &str, measure: &str| {
        let figure = before.as_ref()?.figures.get(method)?.get(measure)?;
        Some(figure.tolerance)
    };
    let figures = report.methods.iter().map(|one| {
        let figures = one.estimates().map(|(measure, figure)| {
            let figure = BaselineFigure {
                value: (figure.mean * 10_000.0).round() / 10_000.0,
                tolerance: tolerance(one.method, measure).unwrap_or(DEFAULT_TOLERANCE),
            };
            (measure.to_owned(), figure)
        });
        (one.method.to_owned(), figures.collect())
    });
    let earlier = BaselineSet {
        encoder_id: report.encoder_id.clone(),
        queries: report.queries,
        figures: figures.collect(),
    };
    baseline.insert(report.data_set.clone(), earlier);
    let text = serde_json::to_string_pretty(&baseline).map_err(CommandError::other)?;
    std::fs::write(file, text + "\n").map_err(|error| file_error(file, error))?;
    eprintln!("wrote the figures of {} to {}", report.data_set, file.display());
    Ok(())
}

fn read(file: &Path) -> Result<Baseline, CommandError> {
    let text = std::fs::read_to_string(file).map_err(|error| file_error(file, error))?;
    serde_json::from_str(&text).map_err(|error| file_error(file, format!("is not a baseline: {error}")))
}

fn file_error(file: &Path, problem: impl std::fmt::Display) -> CommandError {
    CommandError::other(format!("{}: {problem}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    fn refusal(file: &Path, report: &EvaluationReport) -> String {
        format!("{:?}", compare(file, report).expect_err("a refusal"))
    }

    #[test]
    fn a_fallen_figure_is_reported_with_the_difference() {
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
    fn an_update_keeps_tolerances() {
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
        let other = EvaluationReport {
            encoder_id: "other@2".to_owned(),
            ..report()
        };
        assert!(refusal(&file, &other).contains("2 queries with fake@1, these of 2 with other@2"));
        let unknown = EvaluationReport {
            data_set: "unknown".to_owned(),
            ..report()
        };
        assert!(refusal(&file, &unknown).contains("has no figures of unknown"));
    }
}
