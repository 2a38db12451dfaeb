//! What reading pages ask of the catalogue. An answer that fails is for the page to tell of; here it is only logged.

use std::future::Future;

use axum::http::StatusCode;
use axum::response::Response;
use proto::papers::v1::Paper;
use proto::search::v1::{
    CountFacetsRequest, CountFacetsResponse, FacetField, ListPapersRequest, ListPapersResponse,
    ListTrendingPapersRequest, PaperFilter, TrendingPaper, TrendingWindow,
};
use tonic::{Code, Status};
use tracing::warn;

use crate::Front;
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
) -> Result<ListPapersResponse, Status> {
    let request = ListPapersRequest {
        filter: Some(filter),
        page_size,
        page_token: page_token.to_owned(),
    };
    let answer = front.search.clone().list_papers(client.request(request)).await;
    answer.map(tonic::Response::into_inner).inspect_err(logged)
}

/// The papers of a filter that trend, best first.
pub async fn trending(
    front: &Front,
    client: &Client,
    window: TrendingWindow,
    filter: PaperFilter,
    page_size: i32,
) -> Result<Vec<TrendingPaper>, Status> {
    let request = ListTrendingPapersRequest {
        window: window.into(),
        filter: Some(filter),
        page_size,
        ..ListTrendingPapersRequest::default()
    };
    let answer = front.search.clone().list_trending_papers(client.request(request)).await;
    answer.map(|answer| answer.into_inner().papers).inspect_err(logged)
}

/// How many papers a filter has, by each of some fields.
pub async fn counts(
    front: &Front,
    client: &Client,
    filter: PaperFilter,
    fields: &[FacetField],
    limit: i32,
) -> Result<CountFacetsResponse, Status> {
    let request = CountFacetsRequest {
        filter: Some(filter),
        fields: fields.iter().map(|field| (*field).into()).collect(),
        limit,
        ..CountFacetsRequest::default()
    };
    let answer = front.search.clone().count_facets(client.request(request)).await;
    answer.map(tonic::Response::into_inner).inspect_err(logged)
}

/// The papers of ids, in their order; unknown ones are left out.
pub fn these<'a>(
    front: &'a Front,
    client: &'a Client,
    paper_ids: Vec<String>,
) -> impl Future<Output = Result<Vec<Paper>, Status>> + 'a {
    let request = proto::search::v1::BatchGetPapersRequest { paper_ids };
    async move {
        let answer = front.search.clone().batch_get_papers(client.request(request)).await;
        answer.map(|answer| answer.into_inner().papers).inspect_err(logged)
    }
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
