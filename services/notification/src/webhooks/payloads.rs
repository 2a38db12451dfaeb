//! The bodies of requests: JSON of a `type`, a `timestamp` and the `data` of that type.

use domain::readable::readable_line;
use domain::{AuthorName, Paper};
use jiff::Timestamp;
use serde::Serialize;

use crate::mails::Links;
use crate::subscribers::deliveries::{Pick, ScorePart};

/// A paper of a digest, and what was picked with it.
#[derive(Debug)]
pub struct PickedPaper<'a> {
    /// The paper.
    pub paper: &'a Paper,
    /// Why it is in the digest, and its score.
    pub pick: Pick,
}

#[derive(Serialize)]
struct Payload<T> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: T,
}

#[derive(Serialize)]
struct DigestPayload<'a> {
    #[serde(rename = "digest_id")]
    id: &'a str,
    subscriber_id: &'a str,
    slot: Timestamp,
    unsubscribe_url: &'a str,
    papers: Vec<PaperPayload<'a>>,
}

#[derive(Serialize)]
struct PaperPayload<'a> {
    id: &'a str,
    title: String,
    authors: Vec<&'a str>,
    categories: &'a [String],
    published: Option<Timestamp>,
    url: Option<&'a str>,
    page_url: String,
    reason: &'a str,
    score: f32,
    parts: Vec<ScorePartPayload>,
}

#[derive(Serialize)]
struct ScorePartPayload {
    name: &'static str,
    value: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    interest: Option<u32>,
}

#[derive(Serialize)]
struct ChallengePayload<'a> {
    subscriber_id: &'a str,
}

/// A digest. The same at every attempt, as long as its papers are the same.
pub fn digest(id: &str, subscriber: &str, slot: Timestamp, papers: &[PickedPaper<'_>], links: &Links) -> String {
    let data = DigestPayload {
        id,
        subscriber_id: subscriber,
        slot,
        unsubscribe_url: links.unsubscribe(),
        papers: papers.iter().map(|one| paper(one, links)).collect(),
    };
    to_json("digest.published", slot, data)
}

/// The question whether a webhook wants digests. Any 2xx is a yes.
pub fn challenge(subscriber: &str, now: Timestamp) -> String {
    let data = ChallengePayload {
        subscriber_id: subscriber,
    };
    to_json("webhook.verification", now, data)
}

fn paper<'a>(one: &'a PickedPaper<'_>, links: &Links) -> PaperPayload<'a> {
    use domain::LinkKind::{Abstract, Pdf};
    let (paper, pick) = (one.paper, &one.pick);
    PaperPayload {
        id: paper.id.as_str(),
        title: readable_line(&paper.title),
        authors: paper.authors.iter().map(AuthorName::as_str).collect(),
        categories: &paper.categories,
        published: paper.published,
        url: paper.link(Abstract).or(paper.link(Pdf)),
        page_url: links.page(paper.id.as_str()),
        reason: &pick.reason,
        // Turns -0.0 into 0.0, whose sign is not printed.
        score: pick.score + 0.0,
        parts: pick.parts().map(score_part).collect(),
    }
}

fn score_part(part: ScorePart) -> ScorePartPayload {
    ScorePartPayload {
        name: part.name,
        value: part.value,
        interest: (part.interest > 0).then_some(part.interest),
    }
}

fn to_json<T: Serialize>(r#type: &'static str, timestamp: Timestamp, data: T) -> String {
    let payload = Payload {
        r#type,
        timestamp,
        data,
    };
    serde_json::to_string(&payload).expect("texts, numbers and lists are JSON")
}
