//! The digest as an Atom feed, for readers who prefer a feed reader: the editions that were sent, and nothing else.
//!
//! Whoever has the link has the feed; it is the link of the preferences, so it can be made void like them.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use minijinja::context;
use minijinja::value::Serde;
use proto::convert::from_wire_time;
use proto::delivery::v1::{EditionPaper, GetLatestEditionRequest, SentEdition};
use serde::Serialize;

use crate::Front;
use crate::paper::url_of;
use crate::subscribing::links::Link;

/// Editions of the feed.
const EDITIONS: i32 = 14;

#[derive(Debug, Serialize)]
struct Entry {
    id: String,
    title: String,
    authors: Vec<String>,
    url: Option<String>,
    reason: String,
    abstract_text: String,
    updated: String,
}

/// The newest editions of a subscriber, one entry for each paper.
pub async fn digest(State(front): State<Arc<Front>>, Query(link): Query<Link>, headers: HeaderMap) -> Response {
    let request = GetLatestEditionRequest {
        token: link.token.clone(),
        edition_count: EDITIONS,
    };
    let editions = match front.deliveries.clone().get_latest_edition(request).await {
        Ok(answer) => answer.into_inner().editions,
        Err(error) => return front.pages.failure(&error),
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.unwrap_or("localhost");
    let mut known = HashSet::new();
    let papers = editions
        .iter()
        .flat_map(|one| one.papers.iter().map(move |paper| (one, paper)));
    let entries: Vec<Entry> = papers
        .filter_map(|(edition, paper)| entry(host, edition, paper))
        .filter(|entry| known.insert(entry.id.clone()))
        .collect();
    let updated = editions
        .first()
        .map_or_else(|| Timestamp::UNIX_EPOCH.to_string(), moment);
    let context = context! { host, token => link.token, updated, entries => Serde(entries) };
    match front.pages.fill("digest.atom.xml", context) {
        Ok(feed) => {
            let headers = [
                (header::CONTENT_TYPE, "application/atom+xml; charset=utf-8"),
                (header::CACHE_CONTROL, "private, max-age=900"),
            ];
            (StatusCode::OK, headers, feed).into_response()
        }
        Err(answer) => *answer,
    }
}

fn entry(host: &str, edition: &SentEdition, one: &EditionPaper) -> Option<Entry> {
    let paper = one.paper.as_ref()?;
    let updated = moment(edition);
    let day = updated.get(..10).unwrap_or_default();
    Some(Entry {
        // A paper is sent once, so day and paper name the entry for ever.
        id: format!("tag:{host},{day}:{}", paper.id),
        // One that has left the window of recent papers is known by its id alone.
        title: if paper.title.is_empty() {
            paper.id.clone()
        } else {
            paper.title.clone()
        },
        authors: paper.authors.iter().map(|author| author.name.clone()).collect(),
        url: url_of(paper),
        reason: one.reason.clone(),
        abstract_text: paper.r#abstract.clone(),
        updated,
    })
}

fn moment(edition: &SentEdition) -> String {
    let sent = edition.sent_time.or(edition.slot_time);
    let sent = sent.and_then(|time| from_wire_time("sent_time", time).ok());
    sent.unwrap_or_default().to_string()
}
