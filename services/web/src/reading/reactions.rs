//! The buttons beside a paper: vote for it, save it, or see fewer like it. GET asks, POST acts.
//!
//! A reader is identified by the token of a mail, or by a signed id in a cookie that the first button sets and that counts some
//! minutes later.

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

use crate::caller::Caller;
use crate::cookies::{CookieSecurity, ReaderCookies};
use crate::metrics::reader_acted;
use crate::page::{PageForm, PageQuery};
use crate::paper::path_of;
use crate::reader_ids::ReaderStanding;
use crate::state::AppState;

/// Longest address to return to.
const LONGEST_BACK: usize = 2_000;

/// Parameters of a link and fields of a form.
#[derive(Deserialize)]
pub struct ReactionFields {
    #[serde(default)]
    token: String,
    #[serde(default)]
    paper: String,
    #[serde(default)]
    back: String,
}

/// The texts of the pages of a reaction.
struct ReactionTexts {
    action: &'static str,
    title: &'static str,
    question: &'static str,
    button: &'static str,
    done: &'static str,
    thanks: &'static str,
}

const VOTE: ReactionTexts = ReactionTexts {
    action: "/vote",
    title: "Vote for this paper",
    question: "Your vote helps others find it. It is anonymous and counts once.",
    button: "Vote",
    done: "Thank you for your vote",
    thanks: "It helps others find this paper.",
};

const NOT_INTERESTED: ReactionTexts = ReactionTexts {
    action: "/not-interested",
    title: "Not interested?",
    question: "You will get fewer papers like this one.",
    button: "Show me fewer",
    done: "Noted",
    thanks: "You will get fewer papers like this one.",
};

/// Asks whether to vote.
pub async fn vote_page(State(app): State<Arc<AppState>>, PageQuery(fields): PageQuery<ReactionFields>) -> Response {
    confirm_page(&app, &VOTE, &fields)
}

/// Asks whether to see fewer papers like one.
pub async fn not_interested_page(
    State(app): State<Arc<AppState>>,
    PageQuery(fields): PageQuery<ReactionFields>,
) -> Response {
    confirm_page(&app, &NOT_INTERESTED, &fields)
}

/// Records a vote, by the token of a mail, or else by the signed id of the cookie once that counts.
pub async fn vote(
    State(app): State<Arc<AppState>>,
    caller: Caller,
    mut reader: ReaderCookies,
    PageForm(fields): PageForm<ReactionFields>,
) -> Response {
    if !fields.token.is_empty() {
        return match vote_by_mail(&app, &caller, &fields).await {
            Ok(()) => app.pages.message(StatusCode::OK, VOTE.done, VOTE.thanks),
            Err(error) => refused(&app, &error),
        };
    }
    if let Err(error) = check_exists(&app, &caller, &fields.paper).await {
        return refused(&app, &error);
    }
    match app.readers.standing(&mut reader.signed_id, caller.address()) {
        ReaderStanding::Counts(id) => {
            reader.wait(&fields.paper);
            if let Err(error) = record_waiting(&app, &caller, &mut reader, &id).await {
                return refused(&app, &error);
            }
            let recorded = !reader.waiting.contains(&fields.paper);
            reader_acted("vote", if recorded { "recorded" } else { "waits" });
        }
        ReaderStanding::Waits => {
            reader.wait(&fields.paper);
            reader_acted("vote", "waits");
        }
        // Shown to its sender alone: there is nobody that it could be recorded for.
        ReaderStanding::NotAdmitted => reader_acted("vote", "not_admitted"),
    }
    reader.vote(&fields.paper);
    back(&reader, &caller, &fields)
}

async fn vote_by_mail(app: &AppState, caller: &Caller, fields: &ReactionFields) -> Result<(), Status> {
    let reader_id = react(app, caller, fields, Reaction::Vote).await?;
    record(app, caller, &fields.paper, AttentionKind::Vote, reader_id).await
}

/// Records the votes that wait, the newest first, which is known to be for a paper that exists. Where there are too many at
/// this moment, the rest goes on waiting.
async fn record_waiting(
    app: &AppState,
    caller: &Caller,
    reader: &mut ReaderCookies,
    reader_id: &str,
) -> Result<(), Status> {
    let mut is_known = true;
    while let Some(paper) = reader.waiting.first() {
        let exists = if is_known {
            Ok(())
        } else {
            check_exists(app, caller, paper).await
        };
        is_known = false;
        match exists {
            // What stands in a cookie may name anything.
            Err(error) if matches!(error.code(), Code::NotFound | Code::InvalidArgument) => {}
            Err(error) => return Err(error),
            Ok(()) if !app.readers.may_record(caller.address()) => return Ok(()),
            Ok(()) => match record(app, caller, paper, AttentionKind::Vote, reader_id.to_owned()).await {
                Err(error) if error.code() == Code::ResourceExhausted => return Ok(()),
                recorded => recorded?,
            },
        }
        reader.waiting.remove(0);
    }
    Ok(())
}

/// Saves a paper, and records the act of a reader who counts.
pub async fn save(
    State(app): State<Arc<AppState>>,
    caller: Caller,
    mut reader: ReaderCookies,
    PageForm(fields): PageForm<ReactionFields>,
) -> Response {
    if let Err(error) = check_exists(&app, &caller, &fields.paper).await {
        return refused(&app, &error);
    }
    // The paper is saved in the browser; the record is only for the statistics.
    let outcome = match app.readers.standing(&mut reader.signed_id, caller.address()) {
        ReaderStanding::Counts(_) if !app.readers.may_record(caller.address()) => "waits",
        ReaderStanding::Counts(id) => {
            let recorded = record(&app, &caller, &fields.paper, AttentionKind::Save, id).await;
            if let Err(error) = &recorded {
                tracing::warn!(code = ?error.code(), message = error.message(), "cannot record a save");
            }
            if recorded.is_ok() { "recorded" } else { "failed" }
        }
        ReaderStanding::Waits => "waits",
        ReaderStanding::NotAdmitted => "not_admitted",
    };
    reader_acted("save", outcome);
    reader.save(&fields.paper);
    back(&reader, &caller, &fields)
}

/// Removes a saved paper.
pub async fn unsave(caller: Caller, mut reader: ReaderCookies, PageForm(fields): PageForm<ReactionFields>) -> Response {
    reader.unsave(&fields.paper);
    back(&reader, &caller, &fields)
}

/// Records that a reader wants fewer papers like one.
pub async fn not_interested(
    State(app): State<Arc<AppState>>,
    caller: Caller,
    PageForm(fields): PageForm<ReactionFields>,
) -> Response {
    match react(&app, &caller, &fields, Reaction::NotInterested).await {
        Ok(_) => app
            .pages
            .message(StatusCode::OK, NOT_INTERESTED.done, NOT_INTERESTED.thanks),
        Err(error) => app.pages.failure(&error),
    }
}

fn confirm_page(app: &AppState, texts: &ReactionTexts, fields: &ReactionFields) -> Response {
    if fields.token.is_empty() || fields.paper.is_empty() {
        let text = "This link is incomplete. Open it from the mail again, or copy all of it.";
        return app.pages.message(StatusCode::BAD_REQUEST, "That did not work", text);
    }
    let context = context! {
        action => texts.action,
        title => texts.title,
        question => texts.question,
        button => texts.button,
        token => fields.token.as_str(),
        paper => fields.paper.as_str(),
    };
    app.pages.render(StatusCode::OK, "reaction.html", context)
}

async fn react(app: &AppState, caller: &Caller, fields: &ReactionFields, reaction: Reaction) -> Result<String, Status> {
    let request = ReactToPaperRequest {
        token: fields.token.clone(),
        paper_id: fields.paper.clone(),
        reaction: reaction.into(),
    };
    let answer = app
        .subscriptions
        .clone()
        .react_to_paper(caller.request(request))
        .await?;
    Ok(answer.into_inner().reader_id)
}

/// Fails if there is no such paper, so that nothing is recorded about it.
async fn check_exists(app: &AppState, caller: &Caller, paper_id: &str) -> Result<(), Status> {
    let request = GetPaperRequest {
        paper_id: paper_id.to_owned(),
    };
    app.search.clone().get_paper(caller.request(request)).await?;
    Ok(())
}

async fn record(
    app: &AppState,
    caller: &Caller,
    paper_id: &str,
    kind: AttentionKind,
    reader_id: String,
) -> Result<(), Status> {
    let attention = RecordAttentionRequest {
        // The same for every press of the button, whatever the day, so that a reader counts once per paper.
        event_id: event_id(kind, &reader_id, paper_id),
        paper_id: paper_id.to_owned(),
        kind: kind.into(),
        reader_id,
    };
    app.attention
        .clone()
        .record_attention(caller.request(attention))
        .await?;
    Ok(())
}

fn refused(app: &AppState, error: &Status) -> Response {
    if error.code() == Code::NotFound {
        let text = "This paper is no longer here, so nothing was changed.";
        return app.pages.message(StatusCode::NOT_FOUND, "Paper not found", text);
    }
    app.pages.failure(error)
}

/// Redirects to where the button was, with updated cookies.
fn back(reader: &ReaderCookies, caller: &Caller, fields: &ReactionFields) -> Response {
    let address = if is_local(&fields.back) {
        fields.back.clone()
    } else if fields.paper.is_empty() {
        "/".to_owned()
    } else {
        path_of(&fields.paper)
    };
    let mut response = (StatusCode::SEE_OTHER, [(header::CACHE_CONTROL, "no-store")]).into_response();
    let location = HeaderValue::try_from(address).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, location);
    let security = if caller.base().starts_with("https:") {
        CookieSecurity::Https
    } else {
        CookieSecurity::Http
    };
    reader.set(response.headers_mut(), security);
    response
}

/// Whether an address is on this site: browsers read `//` and `/\` as another host.
fn is_local(back: &str) -> bool {
    let mut bytes = back.bytes();
    bytes.next() == Some(b'/')
        && !matches!(bytes.next(), Some(b'/' | b'\\'))
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
    fn only_addresses_on_this_site_are_returned_to() {
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
