//! The parts of a search score in plain words.

use proto::search::v1::ScorePart;
use serde::Serialize;

/// One part of a score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreReason {
    /// What it stands for.
    pub name: String,
    /// Details, such as the rank.
    pub detail: String,
    /// What it adds, with its sign.
    pub value: String,
    /// Rank in the list of its kind, from 1; 0 if there is none.
    rank: u32,
}

/// Every part, in the order of the answer.
pub fn score_reasons(parts: &[ScorePart]) -> Vec<ScoreReason> {
    let has_many = parts.iter().any(|part| part.operand > 0);
    parts.iter().map(|part| reason(part, has_many)).collect()
}

/// The ranks of a paper by meaning and by keywords, in one line.
pub fn summary(reasons: &[ScoreReason]) -> String {
    let with_rank = reasons
        .iter()
        .filter(|reason| reason.rank > 0 && reason.name.starts_with("by "));
    let places: Vec<String> = with_rank
        .take(3)
        .map(|reason| format!("#{} {}", reason.rank, reason.name))
        .collect();
    places.join(", ")
}

fn reason(part: &ScorePart, has_many: bool) -> ScoreReason {
    let ranked = |of: &str| {
        if part.rank == 0 {
            return of.to_owned();
        }
        format!("#{} in its list, {of}", part.rank)
    };
    let (name, detail) = match part.name.as_str() {
        "dense" => ("by meaning", ranked(&format!("similarity {:.2}", part.raw))),
        "sparse" => ("by keywords", ranked(&format!("term weight {:.1}", part.raw))),
        "feedback" => ("similar to the top results", format!("similarity {:.2}", part.raw)),
        "recency" => ("recent", String::new()),
        "diversity" => ("similar to a result above", String::new()),
        "unlike" => ("similar to an excluded paper", String::new()),
        other => (other, String::new()),
    };
    let name = if has_many {
        format!("{name} (term {})", part.operand + 1)
    } else {
        name.to_owned()
    };
    ScoreReason {
        name,
        detail,
        value: format!("{:+.4}", part.value).replace('-', "−"),
        rank: part.rank,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_in_words() {
        let part = |name: &str, value, rank, raw| ScorePart {
            name: name.to_owned(),
            value,
            rank,
            raw,
            ..ScorePart::default()
        };
        let reasons = score_reasons(&[
            part("dense", 0.016, 2, 0.713),
            part("sparse", 0.01, 11, 7.25),
            part("diversity", -0.2, 0, 0.0),
        ]);
        assert_eq!(summary(&reasons), "#2 by meaning, #11 by keywords");
        assert_eq!(reasons[0].detail, "#2 in its list, similarity 0.71");
        assert_eq!(
            (reasons[0].value.as_str(), reasons[2].value.as_str()),
            ("+0.0160", "−0.2000")
        );
    }
}
