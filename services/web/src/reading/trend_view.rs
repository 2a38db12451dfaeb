//! Trending papers as pages show them: why each one trends, in words and in numbers.

use proto::search::v1::{TrendingPaper, TrendingPart};
use serde::Serialize;

use crate::cookies::ReaderCookies;
use crate::paper::PaperView;

/// A paper in a trending list.
#[derive(Debug, Clone, Serialize)]
pub struct TrendView {
    /// The paper.
    pub paper: PaperView,
    /// Why it trends, in a sentence.
    pub why: String,
    /// Its trending score.
    pub score: String,
    /// Its attention score.
    pub attention: String,
    /// The parts that add up to the score.
    pub parts: Vec<TrendPartView>,
}

/// One part of a score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrendPartView {
    /// What it counts.
    pub name: String,
    /// Readers, or the count on other sites; empty for the usual level.
    pub count: String,
    /// Its attention score.
    pub attention: String,
    /// What it adds to the trending score, with its sign.
    pub value: String,
}

/// Papers as a reader sees them.
pub fn trends(papers: &[TrendingPaper], reader: &ReaderCookies) -> Vec<TrendView> {
    papers.iter().filter_map(|one| trend(one, reader)).collect()
}

fn trend(one: &TrendingPaper, reader: &ReaderCookies) -> Option<TrendView> {
    let paper = PaperView::new(one.paper.as_ref()?, reader);
    let field = paper.categories.first().map(|category| category.label.as_str());
    Some(TrendView {
        why: why(one, field),
        score: number(one.score),
        attention: format!("{:.1}", one.attention_score),
        parts: one.parts.iter().map(|part| self::part(part, field)).collect(),
        paper,
    })
}

/// A phrase such as: 3 votes, 12 reads; 2.4 times the usual in Robotics.
fn why(one: &TrendingPaper, field: Option<&str>) -> String {
    let mut kinds: Vec<&TrendingPart> = one.parts.iter().filter(|part| how_many(part) > 0).collect();
    kinds.sort_by(|a, b| b.value.total_cmp(&a.value));
    let counts: Vec<String> = kinds.iter().map(|part| count(part)).collect();
    let usual = one
        .parts
        .iter()
        .find(|part| part.name == "topic")
        .map_or(0.0, |part| part.attention_score);
    let place = field.map_or_else(String::new, |field| format!(" in {field}"));
    let ratio = one.attention_score / usual.max(f64::MIN_POSITIVE);
    let comparison = match ratio {
        _ if usual <= 0.0 => String::new(),
        ratio if ratio >= 1.15 => format!("{ratio:.1} times the usual{place}"),
        ratio if ratio >= 0.85 => format!("about the usual{place}"),
        _ => format!("less than usual{place}"),
    };
    [counts.join(", "), comparison]
        .iter()
        .filter(|text| !text.is_empty())
        .cloned()
        .collect::<Vec<_>>()
        .join("; ")
}

/// Readers here, or the count on other sites.
fn how_many(part: &TrendingPart) -> u64 {
    part.count.max(part.readers.into())
}

fn count(part: &TrendingPart) -> String {
    let number = how_many(part);
    let (one, many) = match part.name.as_str() {
        "votes" => ("vote", "votes"),
        "saves" => ("save", "saves"),
        "reads" => ("read", "reads"),
        "clicks" => ("click", "clicks"),
        "upvotes" => ("upvote elsewhere", "upvotes elsewhere"),
        "stars" => ("star", "stars"),
        "citations" => ("citation", "citations"),
        "mentions" => ("mention", "mentions"),
        other => (other, other),
    };
    format!("{number} {}", if number == 1 { one } else { many })
}

fn part(part: &TrendingPart, field: Option<&str>) -> TrendPartView {
    let is_usual = part.name == "topic";
    TrendPartView {
        name: match (is_usual, field) {
            (true, Some(field)) => format!("usual in {field}"),
            (true, None) => "usual".to_owned(),
            (false, _) => part.name.clone(),
        },
        count: match how_many(part) {
            0 => String::new(),
            number => number.to_string(),
        },
        attention: format!("{:.1}", part.attention_score),
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
    fn a_reason_counts_acts_and_compares() {
        let part = |name: &str, value, attention_score, readers| TrendingPart {
            name: name.to_owned(),
            value,
            attention_score,
            readers,
            count: 0,
        };
        let one = TrendingPaper {
            attention_score: 24.0,
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
            "1 vote, 3 reads; 2.4 times the usual in Robotics"
        );
        assert_eq!(why(&TrendingPaper::default(), None), "");
        assert_eq!(self::part(&one.parts[2], Some("Robotics")).value, "−1.00");
    }
}
