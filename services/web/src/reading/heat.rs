//! Why a paper trends, in plain words and in numbers.

use proto::search::v1::{TrendingPaper, TrendingPart};
use serde::Serialize;

use crate::paper::PaperView;
use crate::reader::Reader;

/// A paper of a trending list.
#[derive(Debug, Clone, Serialize)]
pub struct Trend {
    /// The paper.
    pub paper: PaperView,
    /// What moves it, in a sentence.
    pub why: String,
    /// Its score.
    pub score: String,
    /// Its heat.
    pub heat: String,
    /// The parts that add up to the score.
    pub parts: Vec<Part>,
}

/// One part of a score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// What gave it.
    pub name: String,
    /// Readers behind it, or the count of other sites; empty for what is usual.
    pub count: String,
    /// What it was made of.
    pub heat: String,
    /// What it adds, with its sign.
    pub value: String,
}

/// Papers as a reader sees them.
pub fn trends(papers: &[TrendingPaper], reader: &Reader) -> Vec<Trend> {
    papers.iter().filter_map(|one| trend(one, reader)).collect()
}

fn trend(one: &TrendingPaper, reader: &Reader) -> Option<Trend> {
    let paper = PaperView::of(one.paper.as_ref()?, reader);
    let field = paper.categories.first().map(|category| category.label.as_str());
    Some(Trend {
        why: why(one, field),
        score: number(one.score),
        heat: format!("{:.1}", one.heat),
        parts: one.parts.iter().map(|part| self::part(part, field)).collect(),
        paper,
    })
}

/// A sentence such as: 3 readers voted for it, 12 read it; 2.4 times what is usual in Robotics.
fn why(one: &TrendingPaper, field: Option<&str>) -> String {
    let mut kinds: Vec<&TrendingPart> = one.parts.iter().filter(|part| how_many(part) > 0).collect();
    kinds.sort_by(|a, b| b.value.total_cmp(&a.value));
    let did: Vec<String> = kinds.iter().map(|part| deed(part)).collect();
    let usual = one
        .parts
        .iter()
        .find(|part| part.name == "topic")
        .map_or(0.0, |part| part.heat);
    let place = field.map_or_else(String::new, |field| format!(" in {field}"));
    let ratio = one.heat / usual.max(f64::MIN_POSITIVE);
    let compared = match ratio {
        _ if usual <= 0.0 => String::new(),
        ratio if ratio >= 1.15 => format!("{ratio:.1} times what is usual{place}"),
        ratio if ratio >= 0.85 => format!("about what is usual{place}"),
        _ => format!("less than is usual{place}"),
    };
    [did.join(", "), compared]
        .iter()
        .filter(|text| !text.is_empty())
        .cloned()
        .collect::<Vec<_>>()
        .join("; ")
}

/// Readers of this platform, or the count of other sites.
fn how_many(part: &TrendingPart) -> u64 {
    part.count.max(part.readers.into())
}

fn deed(part: &TrendingPart) -> String {
    let number = how_many(part);
    let (one, many) = match part.name.as_str() {
        "votes" => ("vote", "votes"),
        "saves" => ("save", "saves"),
        "reads" => ("read", "reads"),
        "clicks" => ("click", "clicks"),
        "upvotes" => ("up-vote elsewhere", "up-votes elsewhere"),
        "stars" => ("star", "stars"),
        "citations" => ("citation", "citations"),
        "mentions" => ("mention", "mentions"),
        other => (other, other),
    };
    format!("{number} {}", if number == 1 { one } else { many })
}

fn part(part: &TrendingPart, field: Option<&str>) -> Part {
    let is_usual = part.name == "topic";
    Part {
        name: match (is_usual, field) {
            (true, Some(field)) => format!("usual in {field}"),
            (true, None) => "usual".to_owned(),
            (false, _) => part.name.clone(),
        },
        count: match how_many(part) {
            0 => String::new(),
            number => number.to_string(),
        },
        heat: format!("{:.1}", part.heat),
        value: number(part.value),
    }
}

fn number(value: f64) -> String {
    format!("{value:.2}").replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_counts_deeds_and_compares() {
        let part = |name: &str, value, heat, readers| TrendingPart {
            name: name.to_owned(),
            value,
            heat,
            readers,
            count: 0,
        };
        let one = TrendingPaper {
            heat: 24.0,
            score: 1.5,
            parts: vec![
                part("reads", 0.5, 6.0, 3),
                part("votes", 2.0, 18.0, 1),
                part("topic", -1.0, 10.0, 0),
            ],
            ..TrendingPaper::default()
        };
        assert_eq!(
            why(&one, Some("Robotics")),
            "1 vote, 3 reads; 2.4 times what is usual in Robotics"
        );
        assert_eq!(why(&TrendingPaper::default(), None), "");
        assert_eq!(self::part(&one.parts[2], Some("Robotics")).value, "−1.00");
    }
}
