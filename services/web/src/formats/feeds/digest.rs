//! A subscriber's digests as a feed: what was sent, and nothing else.
//!
//! Whoever has the link can read the feed; its token reads the digests and does nothing else, and is revoked with the others.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use proto::delivery::v1::GetLatestDigestRequest;

use super::feed::{FeedEntry, PaperFeed};
use super::{FeedAddress, FeedFormat, FeedQuery};
use crate::caller::Caller;
use crate::error_response::{Audience, call_failed};
use crate::state::AppState;

/// Digests in the feed.
const DIGESTS: i32 = 14;

/// The newest digests of a subscriber, one entry for each paper.
pub async fn digest(
    State(app): State<Arc<AppState>>,
    caller: Caller,
    Query(query): Query<FeedQuery>,
    format: FeedFormat,
) -> Response {
    let request = GetLatestDigestRequest {
        token: query.token.clone(),
        digest_count: DIGESTS,
    };
    let answer = app.deliveries.clone().get_latest_digest(caller.request(request)).await;
    let digests = match answer {
        Ok(answer) => answer.into_inner().digests,
        Err(error) => return call_failed(Audience::Feed, &error),
    };
    let mut known = HashSet::new();
    let papers = digests.iter().flat_map(|digest| &digest.papers);
    let entries: Vec<FeedEntry> = papers
        .filter_map(|one| Some(FeedEntry::new(one.paper.as_ref()?, &one.reason, caller.base())))
        .filter(|entry| known.insert(entry.id.clone()))
        .collect();
    let query = [("token", query.token.as_str())];
    let feed = PaperFeed {
        title: "Broadsheet: your digest".to_owned(),
        subtitle: "The papers of your digests, and why each was chosen.".to_owned(),
        entries,
        next_page: String::new(),
    };
    let (own, home) = (
        FeedAddress::new("/feeds/digest", &query),
        FeedAddress::new("/account", &[]),
    );
    feed.render(&app, &caller, format, &own, &home, "")
}
