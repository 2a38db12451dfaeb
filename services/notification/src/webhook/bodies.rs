//! What requests say: JSON of a `type`, a `timestamp` and the `data` of that type.

use jiff::Timestamp;
use serde::Serialize;

use crate::editions::EditionPaper;
use crate::editions::letters::Links;
use crate::subscribers::deliveries::{Pick, ScorePart};

#[derive(Serialize)]
struct Body<T> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: T,
}

#[derive(Serialize)]
struct Edition<'a> {
    #[serde(rename = "edition_id")]
    id: &'a str,
    subscriber_id: &'a str,
    slot: Timestamp,
    unsubscribe_url: &'a str,
    papers: Vec<Paper<'a>>,
}

#[derive(Serialize)]
struct Paper<'a> {
    id: &'a str,
    title: &'a str,
    authors: &'a [String],
    categories: &'a [String],
    published: Timestamp,
    url: Option<&'a str>,
    page_url: String,
    reason: &'a str,
    score: f32,
    parts: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    name: &'static str,
    value: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    interest: Option<u32>,
}

#[derive(Serialize)]
struct Challenge<'a> {
    subscriber_id: &'a str,
}

/// An edition. The same at every attempt, as far as its papers stay the same.
pub fn edition(id: &str, subscriber: &str, slot: Timestamp, papers: &[EditionPaper], links: &Links) -> String {
    let papers = papers.iter().map(|one| paper(one, links)).collect();
    let data = Edition {
        id,
        subscriber_id: subscriber,
        slot,
        unsubscribe_url: links.unsubscribe(),
        papers,
    };
    body("edition.published", slot, data)
}

/// The question whether a URL agrees. Any 2xx is a yes.
pub fn challenge(subscriber: &str, now: Timestamp) -> String {
    let data = Challenge {
        subscriber_id: subscriber,
    };
    body("webhook.verification", now, data)
}

fn paper<'a>(one: &'a EditionPaper, links: &Links) -> Paper<'a> {
    use domain::LinkKind::{Abstract, Pdf};
    Paper {
        id: one.paper.id.as_str(),
        title: &one.paper.title,
        authors: &one.paper.authors,
        categories: &one.paper.categories,
        published: one.paper.published,
        url: one.paper.link(Abstract).or(one.paper.link(Pdf)),
        page_url: links.page(one.paper.id.as_str()),
        reason: &one.reason,
        // Zero has no sign for whoever reads JSON.
        score: one.score + 0.0,
        parts: Pick::of(one).parts().map(part).collect(),
    }
}

fn part(one: ScorePart) -> Part {
    Part {
        name: one.name,
        value: one.value,
        interest: (one.interest > 0).then_some(one.interest),
    }
}

fn body<T: Serialize>(r#type: &'static str, timestamp: Timestamp, data: T) -> String {
    let body = Body {
        r#type,
        timestamp,
        data,
    };
    serde_json::to_string(&body).expect("texts, numbers and lists are JSON")
}
