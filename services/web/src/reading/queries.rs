//! Queries of the catalogue. A failure is logged here; the page decides what to say about it.

use axum::http::StatusCode;
use axum::response::Response;
use proto::search::v1::{
    BatchGetPapersRequest, BatchGetPapersResponse, CountFacetsRequest, CountFacetsResponse, FacetField,
    ListPapersRequest, ListPapersResponse, ListTrendingPapersRequest, ListTrendingPapersResponse, PaperFilter,
    TrendingWindow,
};
use tonic::{Code, Status};
use tracing::warn;

use crate::caching::SharedAnswer;
use crate::caller::Caller;
use crate::state::AppState;

/// Longest name of an author, in characters.
pub const LONGEST_NAME: usize = 200;
/// Longest code of a category, in characters.
pub const LONGEST_CATEGORY: usize = 64;

/// Papers that match a filter, newest first.
pub async fn newest(
    app: &AppState,
    caller: &Caller,
    filter: PaperFilter,
    page_size: i32,
    page_token: &str,
) -> Result<SharedAnswer<ListPapersResponse>, Status> {
    let request = ListPapersRequest {
        filter: Some(filter),
        page_size,
        page_token: page_token.to_owned(),
    };
    app.fetch(caller, request).await.inspect_err(log_failure)
}

/// Trending papers that match a filter, best first.
pub async fn trending(
    app: &AppState,
    caller: &Caller,
    window: TrendingWindow,
    filter: PaperFilter,
    page_size: i32,
) -> Result<SharedAnswer<ListTrendingPapersResponse>, Status> {
    let request = ListTrendingPapersRequest {
        window: window.into(),
        filter: Some(filter),
        page_size,
        ..ListTrendingPapersRequest::default()
    };
    app.fetch(caller, request).await.inspect_err(log_failure)
}

/// How many papers match a filter, by the values of some fields.
pub async fn facet_counts(
    app: &AppState,
    caller: &Caller,
    filter: PaperFilter,
    fields: &[FacetField],
    limit: i32,
) -> Result<SharedAnswer<CountFacetsResponse>, Status> {
    let request = CountFacetsRequest {
        filter: Some(filter),
        fields: fields.iter().map(|field| (*field).into()).collect(),
        limit,
        ..CountFacetsRequest::default()
    };
    app.fetch(caller, request).await.inspect_err(log_failure)
}

/// The papers with these ids, in order; unknown ones are left out.
pub async fn papers_by_id(
    app: &AppState,
    caller: &Caller,
    paper_ids: Vec<String>,
) -> Result<SharedAnswer<BatchGetPapersResponse>, Status> {
    let request = BatchGetPapersRequest { paper_ids };
    app.fetch(caller, request).await.inspect_err(log_failure)
}

/// A filter for one category, or for all if it is empty.
pub fn category_filter(category: &str) -> PaperFilter {
    let categories = if category.is_empty() {
        Vec::new()
    } else {
        vec![category.to_owned()]
    };
    PaperFilter {
        categories,
        ..PaperFilter::default()
    }
}

/// A trimmed parameter, or the page that says it is too long.
pub fn limited<'a>(app: &AppState, name: &str, value: &'a str, longest: usize) -> Result<&'a str, Box<Response>> {
    let length = value.chars().count();
    if length <= longest {
        return Ok(value.trim());
    }
    let text = format!("The {name} in the address has {length} characters; at most {longest} are allowed.");
    let page = app.pages.message(StatusCode::BAD_REQUEST, "That did not work", &text);
    Err(Box::new(page))
}

fn log_failure(error: &Status) {
    if !matches!(error.code(), Code::InvalidArgument | Code::NotFound) {
        warn!(code = ?error.code(), message = error.message(), "part of a page is missing");
    }
}
