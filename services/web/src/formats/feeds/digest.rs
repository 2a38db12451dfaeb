//! A subscriber's editions as a feed: what was sent, and nothing else.
//!
//! Whoever has the link has the feed; it is the link of the preferences, so it can be made void like them.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use proto::delivery::v1::GetLatestEditionRequest;

use super::feed::{Entry, Feed};
use super::{Address, Asked, Form};
use crate::Front;
use crate::client::Client;
use crate::refusal::{Reader, failed};

/// Editions of the feed.
const EDITIONS: i32 = 14;

/// The newest editions of a subscriber, one entry for each paper.
pub async fn digest(
    State(front): State<Arc<Front>>,
    client: Client,
    Query(asked): Query<Asked>,
    form: Form,
) -> Response {
    let request = GetLatestEditionRequest {
        token: asked.token.clone(),
        edition_count: EDITIONS,
    };
    let answer = front
        .deliveries
        .clone()
        .get_latest_edition(client.request(request))
        .await;
    let editions = match answer {
        Ok(answer) => answer.into_inner().editions,
        Err(error) => return failed(Reader::Feed, &error),
    };
    let mut known = HashSet::new();
    let papers = editions.iter().flat_map(|edition| &edition.papers);
    let entries: Vec<Entry> = papers
        .filter_map(|one| Some(Entry::of(one.paper.as_ref()?, &one.reason, client.base())))
        .filter(|entry| known.insert(entry.id.clone()))
        .collect();
    let query = [("token", asked.token.as_str())];
    let feed = Feed {
        title: "Broadsheet: your digest".to_owned(),
        subtitle: "The papers of your editions, each with the reason for it.".to_owned(),
        entries,
        next_page: String::new(),
    };
    let (own, home) = (
        Address::new("/feeds/digest", &query),
        Address::new("/preferences", &query),
    );
    feed.render(&front, &client, form, &own, &home, "")
}
