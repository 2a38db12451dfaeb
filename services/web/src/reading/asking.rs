//! What reading pages ask of the catalogue. An answer that fails is for the page to tell of; here it is only logged.

use axum::http::StatusCode;
use axum::response::Response;
use proto::search::v1::{
    BatchGetPapersRequest, BatchGetPapersResponse, CountFacetsRequest, CountFacetsResponse, FacetField,
    ListPapersRequest, ListPapersResponse, ListTrendingPapersRequest, ListTrendingPapersResponse, PaperFilter,
    TrendingWindow,
};
use tonic::{Code, Status};
use tracing::warn;

use crate::Front;
use crate::caching::Known;
use crate::client::Client;

/// Longest name of an author, in characters.
pub const LONGEST_NAME: usize = 200;
/// Longest code of a category, in characters.
pub const LONGEST_CATEGORY: usize = 64;

/// The papers of a filter, newest first.
pub async fn newest(
    front: &Front,
    client: &Client,
    filter: PaperFilter,
    page_size: i32,
    page_token: &str,
) -> Result<Known<ListPapersResponse>, Status> {
    let question = ListPapersRequest {
        filter: Some(filter),
        page_size,
        page_token: page_token.to_owned(),
    };
    front.ask(client, question).await.inspect_err(logged)
}

/// The papers of a filter that trend, best first.
pub async fn trending(
    front: &Front,
    client: &Client,
    window: TrendingWindow,
    filter: PaperFilter,
    page_size: i32,
) -> Result<Known<ListTrendingPapersResponse>, Status> {
    let question = ListTrendingPapersRequest {
        window: window.into(),
        filter: Some(filter),
        page_size,
        ..ListTrendingPapersRequest::default()
    };
    front.ask(client, question).await.inspect_err(logged)
}

/// How many papers a filter has, by each of some fields.
pub async fn counts(
    front: &Front,
    client: &Client,
    filter: PaperFilter,
    fields: &[FacetField],
    limit: i32,
) -> Result<Known<CountFacetsResponse>, Status> {
    let question = CountFacetsRequest {
        filter: Some(filter),
        fields: fields.iter().map(|field| (*field).into()).collect(),
        limit,
        ..CountFacetsRequest::default()
    };
    front.ask(client, question).await.inspect_err(logged)
}

/// The papers of ids, in their order; unknown ones are left out.
pub async fn these(
    front: &Front,
    client: &Client,
    paper_ids: Vec<String>,
) -> Result<Known<BatchGetPapersResponse>, Status> {
    let question = BatchGetPapersRequest { paper_ids };
    front.ask(client, question).await.inspect_err(logged)
}

/// A filter for one category, or for none.
pub fn in_category(category: &str) -> PaperFilter {
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

/// A parameter, or the page that says it is too long.
pub fn within<'a>(front: &Front, what: &str, value: &'a str, longest: usize) -> Result<&'a str, Box<Response>> {
    let length = value.chars().count();
    if length <= longest {
        return Ok(value.trim());
    }
    let text = format!("The {what} in the address has {length} characters; at most {longest} are allowed.");
    let page = front.pages.message(StatusCode::BAD_REQUEST, "That did not work", &text);
    Err(Box::new(page))
}

fn logged(error: &Status) {
    if !matches!(error.code(), Code::InvalidArgument | Code::NotFound) {
        warn!(code = ?error.code(), message = error.message(), "a part of a page could not be had");
    }
}
