//! Papers in the shape of the Hugging Face papers API.
//!
//! Titles and summaries are as people read them; the format `json` of a paper has them as they are stored. What is unknown here, such as a summary by a language model, is left out rather than made up.

use std::collections::HashMap;

use domain::readable::{readable, readable_line};
use jiff::Timestamp;
use proto::papers::v1::{LinkKind, Paper};
use serde_json::{Value, json};

use crate::formats::paper::{accepted, page_of, published, updated};
use crate::paper::url_of;

/// Votes by canonical id; `None` if they are unknown.
pub type Votes = Option<HashMap<String, u32>>;

/// A single paper.
pub fn paper(paper: &Paper, votes: &Votes, base: &str) -> Value {
    let mut value = json!({
        "id": short_id(&paper.id),
        "canonicalId": paper.id,
        "title": readable_line(&paper.title),
        "summary": readable(&paper.r#abstract),
        "authors": authors(paper),
        "categories": paper.categories,
        "source": paper.source,
        "submittedOnDailyBy": submitter(paper),
        "numComments": 0,
        "url": url_of(paper),
        "page": page_of(paper, base),
    });
    let times = [
        ("publishedAt", published(paper)),
        ("updatedAt", updated(paper)),
        ("submittedOnDailyAt", accepted(paper)),
    ];
    for (name, time) in times {
        if let Some(time) = time {
            value[name] = json!(moment(time));
        }
    }
    let votes = votes.as_ref().map(|votes| votes.get(&paper.id).copied().unwrap_or(0));
    if let Some(votes) = votes {
        value["upvotes"] = json!(votes);
    }
    if let Some(code) = code(paper) {
        value["githubRepo"] = json!(code);
    }
    value
}

/// A paper in a list.
pub fn listed(one: &Paper, votes: &Votes, base: &str) -> Value {
    let inner = paper(one, votes, base);
    let mut value = json!({
        "title": inner["title"].clone(),
        "summary": inner["summary"].clone(),
        "numComments": 0,
        "submittedBy": submitter(one),
        "isAuthorParticipating": false,
        "source": one.source,
    });
    if let Some(time) = inner.get("publishedAt") {
        value["publishedAt"] = time.clone();
    }
    value["paper"] = inner;
    value
}

/// Those clients know arXiv papers by their bare ids.
fn short_id(id: &str) -> &str {
    id.strip_prefix("arxiv:").unwrap_or(id)
}

fn authors(paper: &Paper) -> Vec<Value> {
    let author = |author: &proto::papers::v1::Author| json!({ "name": author.name, "hidden": false });
    paper.authors.iter().map(author).collect()
}

/// The feed a paper came from, where those clients expect its submitter.
fn submitter(paper: &Paper) -> Value {
    json!({ "user": paper.source, "fullname": paper.source, "type": "org", "avatarUrl": "", "isPro": false })
}

fn code(paper: &Paper) -> Option<&str> {
    let link = paper.links.iter().find(|link| link.kind() == LinkKind::Code)?;
    Some(&link.url)
}

/// A time with exactly three decimals of a second; those clients parse no other form.
fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_three_digits() {
        let moment = |text: &str| super::moment(text.parse().expect("a moment"));
        assert_eq!(moment("2024-02-22T18:35:05Z"), "2024-02-22T18:35:05.000Z");
        assert_eq!(moment("2024-02-22T18:35:05.5Z"), "2024-02-22T18:35:05.500Z");
    }

    #[test]
    fn unknown_fields_are_left_out() {
        let bare = Paper {
            id: "seed:1".to_owned(),
            ..Paper::default()
        };
        let value = listed(&bare, &None, "http://h");
        assert_eq!(value["paper"]["id"], "seed:1");
        for absent in ["publishedAt", "upvotes", "githubRepo", "ai_summary"] {
            assert!(value["paper"].get(absent).is_none(), "{absent}: {value}");
        }
        let voted = paper(&bare, &Some(HashMap::from([("seed:1".to_owned(), 3)])), "http://h");
        assert_eq!(voted["upvotes"], 3);
    }
}
