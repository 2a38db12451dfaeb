//! The buttons beside a paper: a vote for it, keeping it, or nothing like it again. GET shows, POST acts.
//!
//! A reader is known by the token of a mail, or by an opaque id in a cookie that the first button sets.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use minijinja::context;
use proto::attention::v1::{AttentionKind, RecordAttentionRequest};
use proto::search::v1::GetPaperRequest;
use proto::subscriptions::v1::{ReactToPaperRequest, Reaction};
use serde::Deserialize;
use tonic::{Code, Status};

use crate::Front;
use crate::client::Client;
use crate::page::{Asked, Posted};
use crate::paper::path_of;
use crate::reader::{Reader, Security};

/// Longest local address to lead back to.
const LONGEST_BACK: usize = 2_000;

/// What a link carries, and what the form posts.
#[derive(Deserialize)]
pub struct About {
    #[serde(default)]
    token: String,
    #[serde(default)]
    paper: String,
    #[serde(default)]
    back: String,
}

/// The words of a reaction's pages.
struct Words {
    action: &'static str,
    title: &'static str,
    question: &'static str,
    button: &'static str,
    done: &'static str,
    thanks: &'static str,
}

const VOTE: Words = Words {
    action: "/vote",
    title: "Vote for this paper",
    question: "Your vote helps others find it. You are counted once, and never by name.",
    button: "Vote for it",
    done: "Your vote counts",
    thanks: "It helps others find this paper.",
};

const NOT_INTERESTED: Words = Words {
    action: "/not-interested",
    title: "Not interested",
    question: "Papers like this one will come to you less often.",
    button: "Show me less like it",
    done: "Taken note of",
    thanks: "Papers like this one will come to you less often.",
};

/// Asks whether to vote.
pub async fn vote_page(State(front): State<Arc<Front>>, Asked(about): Asked<About>) -> Response {
    ask(&front, &VOTE, &about)
}

/// Asks whether to have less like a paper.
pub async fn not_interested_page(State(front): State<Arc<Front>>, Asked(about): Asked<About>) -> Response {
    ask(&front, &NOT_INTERESTED, &about)
}

/// Votes: the token of a mail says whose vote it is, else the cookie, and attention is recorded under an opaque id.
pub async fn vote(
    State(front): State<Arc<Front>>,
    client: Client,
    mut reader: Reader,
    Posted(about): Posted<About>,
) -> Response {
    let is_from_mail = !about.token.is_empty();
    let reader_id = if is_from_mail {
        react(&front, &client, &about, Reaction::Vote).await
    } else {
        known(&front, &client, &about.paper).await.map(|()| reader.known_id())
    };
    let noted = match reader_id {
        Ok(reader_id) => note(&front, &client, &about.paper, AttentionKind::Vote, reader_id).await,
        Err(error) => Err(error),
    };
    if let Err(error) = noted {
        return refused(&front, &error);
    }
    if is_from_mail {
        return front.pages.message(StatusCode::OK, VOTE.done, VOTE.thanks);
    }
    reader.vote(&about.paper);
    remembered(&reader, &client, &about)
}

/// Keeps a paper, and records that it was kept.
pub async fn save(
    State(front): State<Arc<Front>>,
    client: Client,
    mut reader: Reader,
    Posted(about): Posted<About>,
) -> Response {
    if let Err(error) = known(&front, &client, &about.paper).await {
        return refused(&front, &error);
    }
    let reader_id = reader.known_id();
    // The paper is kept in the browser; that it was is only good to know.
    if let Err(error) = note(&front, &client, &about.paper, AttentionKind::Save, reader_id).await {
        tracing::warn!(code = ?error.code(), message = error.message(), "a save was not recorded");
    }
    reader.save(&about.paper);
    remembered(&reader, &client, &about)
}

/// No longer keeps a paper.
pub async fn unsave(client: Client, mut reader: Reader, Posted(about): Posted<About>) -> Response {
    reader.unsave(&about.paper);
    remembered(&reader, &client, &about)
}

/// Takes note that a reader wants nothing like a paper.
pub async fn not_interested(State(front): State<Arc<Front>>, client: Client, Posted(about): Posted<About>) -> Response {
    match react(&front, &client, &about, Reaction::NotInterested).await {
        Ok(_) => front
            .pages
            .message(StatusCode::OK, NOT_INTERESTED.done, NOT_INTERESTED.thanks),
        Err(error) => front.pages.failure(&error),
    }
}

fn ask(front: &Front, words: &Words, about: &About) -> Response {
    if about.token.is_empty() || about.paper.is_empty() {
        let text = "This link is not whole. Open it from the mail again, or copy all of it.";
        return front.pages.message(StatusCode::BAD_REQUEST, "That did not work", text);
    }
    let context = context! {
        action => words.action,
        title => words.title,
        question => words.question,
        button => words.button,
        token => about.token.as_str(),
        paper => about.paper.as_str(),
    };
    front.pages.render(StatusCode::OK, "reaction.html", context)
}

async fn react(front: &Front, client: &Client, about: &About, reaction: Reaction) -> Result<String, Status> {
    let request = ReactToPaperRequest {
        token: about.token.clone(),
        paper_id: about.paper.clone(),
        reaction: reaction.into(),
    };
    let answer = front
        .subscriptions
        .clone()
        .react_to_paper(client.request(request))
        .await?;
    Ok(answer.into_inner().reader_id)
}

/// Whether there is such a paper, so that nothing is recorded about what is none.
async fn known(front: &Front, client: &Client, paper_id: &str) -> Result<(), Status> {
    let request = GetPaperRequest {
        paper_id: paper_id.to_owned(),
    };
    front.search.clone().get_paper(client.request(request)).await?;
    Ok(())
}

async fn note(
    front: &Front,
    client: &Client,
    paper_id: &str,
    kind: AttentionKind,
    reader_id: String,
) -> Result<(), Status> {
    let attention = RecordAttentionRequest {
        // One act of a reader for a paper, however often and on whatever day the button is pressed.
        event_id: event_id(kind, &reader_id, paper_id),
        paper_id: paper_id.to_owned(),
        kind: kind.into(),
        reader_id,
    };
    front
        .attention
        .clone()
        .record_attention(client.request(attention))
        .await?;
    Ok(())
}

fn refused(front: &Front, error: &Status) -> Response {
    if error.code() == Code::NotFound {
        let text = "This paper is not known here any more, so nothing was changed.";
        return front.pages.message(StatusCode::NOT_FOUND, "No such paper", text);
    }
    front.pages.failure(error)
}

/// Back to where the button was, with the cookies set anew.
fn remembered(reader: &Reader, client: &Client, about: &About) -> Response {
    let back = if is_local(&about.back) {
        about.back.clone()
    } else if about.paper.is_empty() {
        "/".to_owned()
    } else {
        path_of(&about.paper)
    };
    let mut response = (StatusCode::SEE_OTHER, [(header::CACHE_CONTROL, "no-store")]).into_response();
    let place = HeaderValue::try_from(back).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, place);
    let security = if client.base().starts_with("https:") {
        Security::Https
    } else {
        Security::Http
    };
    reader.remember(response.headers_mut(), security);
    response
}

/// Whether an address is one of this site: browsers read `//` and `/\` as another host.
fn is_local(back: &str) -> bool {
    let mut letters = back.bytes();
    letters.next() == Some(b'/')
        && !matches!(letters.next(), Some(b'/' | b'\\'))
        && back.len() <= LONGEST_BACK
        && back.bytes().all(|byte| byte.is_ascii_graphic())
}

/// At most 128 characters, whatever the id of the paper.
fn event_id(kind: AttentionKind, reader_id: &str, paper_id: &str) -> String {
    let name = format!("{reader_id} {paper_id}");
    let kind = if kind == AttentionKind::Vote { "vote" } else { "save" };
    let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes());
    format!("{kind}:{}", id.simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_site_are_led_back_to() {
        for local in ["/", "/search?q=a%20b&sort=newest", "/papers/arxiv:hep-th/9901001"] {
            assert!(is_local(local), "{local}");
        }
        let long = format!("/{}", "x".repeat(LONGEST_BACK));
        for other in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nb",
            "/ü",
            long.as_str(),
        ] {
            assert!(!is_local(other), "{other}");
        }
    }
}
