//! The parts of a search's score in plain words.

use proto::search::v1::ScorePart;
use serde::Serialize;

/// One part of a score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason {
    /// What gave it.
    pub name: String,
    /// What it was made of.
    pub detail: String,
    /// What it adds, with its sign.
    pub value: String,
    /// Place in the list of that kind, from 1; 0 where there is none.
    rank: u32,
}

/// Every part, in the order of the answer.
pub fn of(parts: &[ScorePart]) -> Vec<Reason> {
    let has_many = parts.iter().any(|part| part.operand > 0);
    parts.iter().map(|part| reason(part, has_many)).collect()
}

/// Where a paper stands by meaning and by words, in one line.
pub fn summary(reasons: &[Reason]) -> String {
    let ranked = reasons
        .iter()
        .filter(|reason| reason.rank > 0 && reason.name.starts_with("by "));
    let places: Vec<String> = ranked
        .take(3)
        .map(|reason| format!("{} no. {}", reason.name, reason.rank))
        .collect();
    places.join(", ")
}

fn reason(part: &ScorePart, has_many: bool) -> Reason {
    let place = |of: &str| {
        if part.rank == 0 {
            return of.to_owned();
        }
        format!("no. {} of its list, {of}", part.rank)
    };
    let (name, detail) = match part.name.as_str() {
        "dense" => ("by meaning", place(&format!("likeness {:.2} of 1", part.raw))),
        "sparse" => ("by words", place(&format!("weight of the words {:.1}", part.raw))),
        "feedback" => ("like the best results", format!("likeness {:.2} of 1", part.raw)),
        "recency" => ("for being new", String::new()),
        "diversity" => ("for being like one above it", String::new()),
        "unlike" => ("for being like what was left out", String::new()),
        other => (other, String::new()),
    };
    let name = if has_many {
        format!("{name} (part {})", part.operand + 1)
    } else {
        name.to_owned()
    };
    Reason {
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
    fn parts_are_told_in_words() {
        let part = |name: &str, value, rank, raw| ScorePart {
            name: name.to_owned(),
            value,
            rank,
            raw,
            ..ScorePart::default()
        };
        let reasons = of(&[
            part("dense", 0.016, 2, 0.713),
            part("sparse", 0.01, 11, 7.25),
            part("diversity", -0.2, 0, 0.0),
        ]);
        assert_eq!(summary(&reasons), "by meaning no. 2, by words no. 11");
        assert_eq!(reasons[0].detail, "no. 2 of its list, likeness 0.71 of 1");
        assert_eq!(
            (reasons[0].value.as_str(), reasons[2].value.as_str()),
            ("+0.0160", "−0.2000")
        );
    }
}
