//! The links beside a paper of a digest: a vote for it, or nothing like it again. GET shows, POST acts.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::context;
use proto::attention::v1::{AttentionKind, RecordAttentionRequest};
use proto::subscriptions::v1::{ReactToPaperRequest, Reaction};
use serde::Deserialize;

use crate::Front;

/// What a link carries, and what the form posts.
#[derive(Deserialize)]
pub struct About {
    #[serde(default)]
    token: String,
    #[serde(default)]
    paper: String,
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
pub async fn vote_page(State(front): State<Arc<Front>>, Query(about): Query<About>) -> Response {
    ask(&front, &VOTE, about)
}

/// Asks whether to have less like a paper.
pub async fn not_interested_page(State(front): State<Arc<Front>>, Query(about): Query<About>) -> Response {
    ask(&front, &NOT_INTERESTED, about)
}

/// Votes: the token says whose vote it is, and attention is recorded under that reader's opaque id.
pub async fn vote(State(front): State<Arc<Front>>, Form(about): Form<About>) -> Response {
    let paper_id = about.paper.clone();
    let reader_id = match react(&front, about, Reaction::Vote).await {
        Ok(reader_id) => reader_id,
        Err(error) => return front.pages.failure(&error),
    };
    let attention = RecordAttentionRequest {
        // One vote of a reader for a paper, however often and on whatever day the button is pressed.
        event_id: event_id(&reader_id, &paper_id),
        paper_id,
        kind: AttentionKind::Vote.into(),
        reader_id,
    };
    match front.attention.clone().record_attention(attention).await {
        Ok(_) => front.pages.message(StatusCode::OK, VOTE.done, VOTE.thanks),
        Err(error) => front.pages.failure(&error),
    }
}

/// Takes note that a reader wants nothing like a paper.
pub async fn not_interested(State(front): State<Arc<Front>>, Form(about): Form<About>) -> Response {
    match react(&front, about, Reaction::NotInterested).await {
        Ok(_) => front
            .pages
            .message(StatusCode::OK, NOT_INTERESTED.done, NOT_INTERESTED.thanks),
        Err(error) => front.pages.failure(&error),
    }
}

fn ask(front: &Front, words: &Words, about: About) -> Response {
    if about.token.is_empty() || about.paper.is_empty() {
        let text = "This link is not whole. Open it from the mail again, or copy all of it.";
        return front.pages.message(StatusCode::BAD_REQUEST, "That did not work", text);
    }
    let context = context! {
        action => words.action,
        title => words.title,
        question => words.question,
        button => words.button,
        token => about.token,
        paper => about.paper,
    };
    front.pages.render(StatusCode::OK, "reaction.html", context)
}

async fn react(front: &Front, about: About, reaction: Reaction) -> Result<String, tonic::Status> {
    let request = ReactToPaperRequest {
        token: about.token,
        paper_id: about.paper,
        reaction: reaction.into(),
    };
    let answer = front.subscriptions.clone().react_to_paper(request).await?;
    Ok(answer.into_inner().reader_id)
}

/// At most 128 characters, whatever the id of the paper.
fn event_id(reader_id: &str, paper_id: &str) -> String {
    let name = format!("{reader_id} {paper_id}");
    format!(
        "vote:{}",
        uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).simple()
    )
}
