//! `search`: papers by meaning and by words.

use clap::Args;
use common::grpc::ServiceChannel;
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{SearchPapersRequest, SearchResult};
use serde_json::json;

use crate::failure::Failure;
use crate::{Place, client};

/// What is searched and how it is shown.
#[derive(Args)]
pub struct Options {
    /// What you are looking for, in your own words
    query: String,
    /// Most results to show, 1 to 100
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(i32).range(1..=100))]
    limit: i32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Searches and prints.
pub async fn run(place: &Place, options: Options) -> Result<(), Failure> {
    let results = search(client::connect(place)?, &options.query, options.limit).await?;
    if options.json {
        let results: Vec<_> = results.iter().map(as_json).collect();
        println!("{}", json!({ "query": options.query, "results": results }));
        return Ok(());
    }
    if results.is_empty() {
        println!("No paper was found.");
    }
    print(&results);
    Ok(())
}

/// The best papers for a query.
pub async fn search(channel: ServiceChannel, query: &str, limit: i32) -> Result<Vec<SearchResult>, Failure> {
    let request = SearchPapersRequest {
        query: query.to_owned(),
        page_size: limit,
        ..SearchPapersRequest::default()
    };
    Ok(SearchServiceClient::new(channel)
        .search_papers(request)
        .await?
        .into_inner()
        .results)
}

/// Shows results to people.
pub fn print(results: &[SearchResult]) {
    for (number, result) in (1..).zip(results) {
        let Some(paper) = &result.paper else { continue };
        println!("{number:>3}. {}", paper.title);
        println!("     {}  score {:.4}", paper.id, result.score);
    }
}

fn as_json(result: &SearchResult) -> serde_json::Value {
    let paper = result.paper.clone().unwrap_or_default();
    let parts: Vec<_> = result
        .parts
        .iter()
        .map(|part| json!({ "name": part.name, "value": part.value, "rank": part.rank, "raw": part.raw }))
        .collect();
    let authors: Vec<_> = paper.authors.iter().map(|author| &author.name).collect();
    json!({
        "id": paper.id,
        "title": paper.title,
        "score": result.score,
        "abstract": paper.r#abstract,
        "authors": authors,
        "categories": paper.categories,
        "source": paper.source,
        "revision": paper.revision,
        "published": moment(paper.published_time),
        "parts": parts,
    })
}

/// A moment in RFC 3339, for JSON.
pub fn moment(time: Option<prost_types::Timestamp>) -> Option<String> {
    let time = proto::convert::from_wire_time("time", time?).ok()?;
    Some(time.to_string())
}
