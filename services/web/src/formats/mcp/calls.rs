//! Calls of tools. What a tool cannot do is its result, so that a model sees it and can do better; only a call that is no call
//! is an error of the protocol.

use jiff::civil::Date;
use proto::papers::v1::Paper;
use proto::search::v1::{
    GetPaperRequest, ListSimilarPapersRequest, ListTrendingPapersRequest, PaperFilter, SearchPapersRequest,
    SearchResult,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tonic::Status;

use super::protocol::Failure;
use super::results::{List, bare, entry, failed, refused, result};
use super::tools::NAMES;
use crate::Front;
use crate::client::Client;
use crate::formats::lists;
use crate::formats::paper::{PaperFormat, canonical_id, kind_of, text_of, without_illegal};

/// Papers of an answer, where nothing is said.
const USUAL: i32 = 10;
/// Papers of an answer at most: a model has to read them.
const MOST: i32 = 50;

/// Calls a tool.
pub async fn call(front: &Front, client: &Client, params: &Value) -> Result<Value, Failure> {
    let name = params["name"].as_str().unwrap_or_default();
    let arguments = match params.get("arguments") {
        None | Some(Value::Null) => json!({}),
        Some(arguments) if arguments.is_object() => arguments.clone(),
        Some(_) => return Err(Failure::invalid_params("arguments must be an object")),
    };
    let answer = match name {
        "search_papers" => search(front, client, arguments).await,
        "get_paper" => get(front, client, arguments).await,
        "similar_papers" => similar(front, client, arguments).await,
        "trending_papers" => trending(front, client, arguments).await,
        other => {
            let other = domain::text::shorten(other);
            let text = format!("there is no tool {other:?}; there are {}", NAMES.join(", "));
            return Err(Failure::invalid_params(text));
        }
    };
    Ok(answer.unwrap_or_else(|problem| match problem {
        Problem::Arguments(text) => refused(&text),
        Problem::Call(error) => failed(&error),
    }))
}

/// Why a tool has no answer.
enum Problem {
    Arguments(String),
    Call(Status),
}

impl From<Status> for Problem {
    fn from(error: Status) -> Self {
        Self::Call(error)
    }
}

fn read<T: DeserializeOwned>(arguments: Value) -> Result<T, Problem> {
    serde_json::from_value(arguments).map_err(|error| Problem::Arguments(format!("the arguments do not fit: {error}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    query: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    categories: Vec<String>,
    published_after: Option<String>,
    published_before: Option<String>,
    limit: Option<i64>,
    #[serde(default)]
    cursor: String,
}

async fn search(front: &Front, client: &Client, arguments: Value) -> Result<Value, Problem> {
    let asked: Search = read(arguments)?;
    let request = SearchPapersRequest {
        query: asked.query.trim().to_owned(),
        filter: Some(PaperFilter {
            categories: asked.categories,
            published_after: day("published_after", asked.published_after.as_deref())?,
            published_before: day("published_before", asked.published_before.as_deref())?,
            ..PaperFilter::default()
        }),
        page_size: limit(asked.limit)?,
        page_token: asked.cursor,
        order: lists::order(&asked.sort)?.into(),
        ..SearchPapersRequest::default()
    };
    let answer = front.ask(client, request).await?;
    let list = List {
        papers: entries(&answer.results, client),
        next: answer.next_page_token.clone(),
        notice: notice(client, &answer.notice),
    };
    Ok(list.result())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Get {
    id: String,
}

async fn get(front: &Front, client: &Client, arguments: Value) -> Result<Value, Problem> {
    let asked: Get = read(arguments)?;
    let paper_id = id("id", &asked.id)?;
    let answer = front.ask(client, GetPaperRequest { paper_id }).await?;
    let Some(paper) = &answer.paper else {
        return Err(Problem::Arguments(format!("paper {:?} is not known", asked.id)));
    };
    let mut data = bare(paper, client.base());
    data["abstract"] = json!(without_illegal(&paper.r#abstract));
    let text = |format| text_of(paper, format, client.base()).unwrap_or_default();
    data["bibtex"] = json!(text(PaperFormat::Bibtex));
    let links = paper
        .links
        .iter()
        .map(|link| json!({ "kind": kind_of(link), "url": link.url }));
    data["links"] = Value::Array(links.collect());
    Ok(result(&text(PaperFormat::Markdown), &data))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Similar {
    ids: Vec<String>,
    #[serde(default)]
    unlike: Vec<String>,
    #[serde(default)]
    categories: Vec<String>,
    limit: Option<i64>,
    #[serde(default)]
    cursor: String,
}

async fn similar(front: &Front, client: &Client, arguments: Value) -> Result<Value, Problem> {
    let asked: Similar = read(arguments)?;
    let all = |field: &str, written: &[String]| -> Result<Vec<String>, Problem> {
        let ids = written
            .iter()
            .enumerate()
            .map(|(index, one)| id(&format!("{field}[{index}]"), one));
        ids.collect()
    };
    let request = ListSimilarPapersRequest {
        positive_ids: all("ids", &asked.ids)?,
        negative_ids: all("unlike", &asked.unlike)?,
        filter: Some(in_categories(asked.categories)),
        page_size: limit(asked.limit)?,
        page_token: asked.cursor,
        ..ListSimilarPapersRequest::default()
    };
    let answer = front.ask(client, request).await?;
    let list = List {
        papers: entries(&answer.results, client),
        next: answer.next_page_token.clone(),
        notice: notice(client, ""),
    };
    Ok(list.result())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trending {
    #[serde(default)]
    window: String,
    #[serde(default)]
    categories: Vec<String>,
    limit: Option<i64>,
    #[serde(default)]
    cursor: String,
}

async fn trending(front: &Front, client: &Client, arguments: Value) -> Result<Value, Problem> {
    let asked: Trending = read(arguments)?;
    let request = ListTrendingPapersRequest {
        window: lists::window(&asked.window)?.into(),
        filter: Some(in_categories(asked.categories)),
        page_size: limit(asked.limit)?,
        page_token: asked.cursor,
    };
    let answer = front.ask(client, request).await?;
    let entry = |one: &proto::search::v1::TrendingPaper| {
        let paper: &Paper = one.paper.as_ref()?;
        Some(entry(paper, "", &lists::attention(one), client.base()))
    };
    let list = List {
        papers: answer.papers.iter().filter_map(entry).collect(),
        next: answer.next_page_token.clone(),
        notice: notice(client, ""),
    };
    Ok(list.result())
}

fn entries(results: &[SearchResult], client: &Client) -> Vec<Value> {
    let entry = |one: &SearchResult| {
        let sentence = one
            .highlight
            .as_ref()
            .map_or("", |highlight| highlight.sentence.as_str());
        Some(entry(one.paper.as_ref()?, sentence, "", client.base()))
    };
    results.iter().filter_map(entry).collect()
}

fn in_categories(categories: Vec<String>) -> PaperFilter {
    PaperFilter {
        categories,
        ..PaperFilter::default()
    }
}

/// What the service says about its answer, and how old it is where it is not of this moment.
fn notice(client: &Client, said: &str) -> String {
    match client.staleness() {
        Some(age) => format!(
            "the search does not answer at the moment; this is from {} seconds ago",
            age.as_secs()
        ),
        None => said.to_owned(),
    }
}

fn limit(asked: Option<i64>) -> Result<i32, Problem> {
    let Some(asked) = asked else { return Ok(USUAL) };
    let fits = i32::try_from(asked).ok().filter(|limit| (1..=MOST).contains(limit));
    fits.ok_or_else(|| Problem::Arguments(format!("limit is {asked}; allowed are 1 to {MOST}")))
}

fn day(field: &str, text: Option<&str>) -> Result<Option<prost_types::Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let day: Option<Date> = text.parse().ok().filter(|_| text.len() == 10);
    let wrong = || {
        let text = domain::text::shorten(text);
        Problem::Arguments(format!("{field} is {text:?}; it must be a day such as 2026-11-27"))
    };
    Ok(lists::start_of(day.ok_or_else(wrong)?))
}

fn id(field: &str, written: &str) -> Result<String, Problem> {
    canonical_id(written).map_err(|error| Problem::Arguments(format!("{field} {error}")))
}
