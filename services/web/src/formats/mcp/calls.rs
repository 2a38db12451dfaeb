//! Tool calls. A problem with the arguments is a tool result, so that the model sees it and can correct them; only a malformed
//! call is a protocol error.

use domain::readable::readable;
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

use super::charging;
use super::protocol::McpError;
use super::results::{PaperList, call_failed, error_result, list_item, paper_fields, result};
use super::tools::NAMES;
use crate::caller::Caller;
use crate::formats::lists;
use crate::formats::paper::{PaperFormat, kind_of, text_of, without_illegal};
use crate::state::AppState;

/// Papers in an answer by default.
const DEFAULT_LIMIT: i32 = 10;
/// Most papers in an answer, since a model has to read them.
const MAX_LIMIT: i32 = 50;

/// Calls a tool.
pub async fn call(app: &AppState, caller: &Caller, params: &Value) -> Result<Value, McpError> {
    let name = params["name"].as_str().unwrap_or_default();
    let arguments = match params.get("arguments") {
        None | Some(Value::Null) => json!({}),
        Some(arguments) if arguments.is_object() => arguments.clone(),
        Some(_) => return Err(McpError::invalid_params("arguments must be an object")),
    };
    let answer = match name {
        "search_papers" => search(app, caller, arguments).await,
        "get_paper" => get(app, caller, arguments).await,
        "similar_papers" => similar(app, caller, arguments).await,
        "trending_papers" => trending(app, caller, arguments).await,
        other => {
            let other = domain::text::shorten(other);
            let text = format!("there is no tool {other:?}; the tools are {}", NAMES.join(", "));
            return Err(McpError::invalid_params(text));
        }
    };
    match answer {
        Ok(result) => Ok(result),
        Err(ToolError::Arguments(text)) => Ok(error_result(&text)),
        Err(ToolError::Call(error)) => Ok(call_failed(&error)),
        Err(ToolError::Limited(refusal)) => Err(refusal),
    }
}

/// Why a tool call failed.
enum ToolError {
    Arguments(String),
    Call(Status),
    /// The caller is over its limits.
    Limited(McpError),
}

impl From<Status> for ToolError {
    fn from(error: Status) -> Self {
        Self::Call(error)
    }
}

fn parse<T: DeserializeOwned>(arguments: Value) -> Result<T, ToolError> {
    serde_json::from_value(arguments).map_err(|error| ToolError::Arguments(format!("invalid arguments: {error}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchArguments {
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

async fn search(app: &AppState, caller: &Caller, arguments: Value) -> Result<Value, ToolError> {
    let parsed: SearchArguments = parse(arguments)?;
    charging::search(app, caller, &parsed.query).map_err(ToolError::Limited)?;
    let request = SearchPapersRequest {
        query: parsed.query.trim().to_owned(),
        filter: Some(PaperFilter {
            categories: parsed.categories,
            published_after: day("published_after", parsed.published_after.as_deref())?,
            published_before: day("published_before", parsed.published_before.as_deref())?,
            ..PaperFilter::default()
        }),
        page_size: limit(parsed.limit)?,
        page_token: parsed.cursor,
        order: lists::order(&parsed.sort)?.into(),
        ..SearchPapersRequest::default()
    };
    let answer = app.fetch(caller, request).await?;
    let list = PaperList {
        papers: items(&answer.results, caller),
        next: answer.next_page_token.clone(),
        notice: notice(caller, &answer.notice),
    };
    Ok(list.result())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GetArguments {
    id: String,
}

async fn get(app: &AppState, caller: &Caller, arguments: Value) -> Result<Value, ToolError> {
    let parsed: GetArguments = parse(arguments)?;
    let paper_id = id("id", &parsed.id)?;
    let answer = app.fetch(caller, GetPaperRequest { paper_id }).await?;
    let Some(paper) = &answer.paper else {
        return Err(ToolError::Arguments(format!("there is no paper {:?}", parsed.id)));
    };
    let mut data = paper_fields(paper, caller.base());
    data["abstract"] = json!(without_illegal(&readable(&paper.r#abstract)));
    let text = |format| text_of(paper, format, caller.base()).unwrap_or_default();
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
struct SimilarArguments {
    ids: Vec<String>,
    #[serde(default)]
    unlike: Vec<String>,
    #[serde(default)]
    categories: Vec<String>,
    limit: Option<i64>,
    #[serde(default)]
    cursor: String,
}

async fn similar(app: &AppState, caller: &Caller, arguments: Value) -> Result<Value, ToolError> {
    let parsed: SimilarArguments = parse(arguments)?;
    let all = |field: &str, written: &[String]| -> Result<Vec<String>, ToolError> {
        let ids = written
            .iter()
            .enumerate()
            .map(|(index, one)| id(&format!("{field}[{index}]"), one));
        ids.collect()
    };
    let request = ListSimilarPapersRequest {
        positive_ids: all("ids", &parsed.ids)?,
        negative_ids: all("unlike", &parsed.unlike)?,
        filter: Some(in_categories(parsed.categories)),
        page_size: limit(parsed.limit)?,
        page_token: parsed.cursor,
        ..ListSimilarPapersRequest::default()
    };
    let answer = app.fetch(caller, request).await?;
    let list = PaperList {
        papers: items(&answer.results, caller),
        next: answer.next_page_token.clone(),
        notice: notice(caller, ""),
    };
    Ok(list.result())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrendingArguments {
    #[serde(default)]
    window: String,
    #[serde(default)]
    categories: Vec<String>,
    limit: Option<i64>,
    #[serde(default)]
    cursor: String,
}

async fn trending(app: &AppState, caller: &Caller, arguments: Value) -> Result<Value, ToolError> {
    let parsed: TrendingArguments = parse(arguments)?;
    let request = ListTrendingPapersRequest {
        window: lists::window(&parsed.window)?.into(),
        filter: Some(in_categories(parsed.categories)),
        page_size: limit(parsed.limit)?,
        page_token: parsed.cursor,
    };
    let answer = app.fetch(caller, request).await?;
    let item = |one: &proto::search::v1::TrendingPaper| {
        let paper: &Paper = one.paper.as_ref()?;
        Some(list_item(paper, "", &lists::trending_reason(one), caller.base()))
    };
    let list = PaperList {
        papers: answer.papers.iter().filter_map(item).collect(),
        next: answer.next_page_token.clone(),
        notice: notice(caller, ""),
    };
    Ok(list.result())
}

fn items(results: &[SearchResult], caller: &Caller) -> Vec<Value> {
    let item = |one: &SearchResult| {
        let sentence = one
            .highlight
            .as_ref()
            .map_or("", |highlight| highlight.sentence.as_str());
        Some(list_item(one.paper.as_ref()?, sentence, "", caller.base()))
    };
    results.iter().filter_map(item).collect()
}

fn in_categories(categories: Vec<String>) -> PaperFilter {
    PaperFilter {
        categories,
        ..PaperFilter::default()
    }
}

/// The notice of the service about its answer, or how old a stale answer is.
fn notice(caller: &Caller, of_service: &str) -> String {
    match caller.staleness() {
        Some(age) => format!(
            "the search is not responding; this answer is {} seconds old",
            age.as_secs()
        ),
        None => of_service.to_owned(),
    }
}

fn limit(requested: Option<i64>) -> Result<i32, ToolError> {
    let Some(requested) = requested else {
        return Ok(DEFAULT_LIMIT);
    };
    let limit = i32::try_from(requested)
        .ok()
        .filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| ToolError::Arguments(format!("limit is {requested}; allowed are 1 to {MAX_LIMIT}")))
}

fn day(field: &str, text: Option<&str>) -> Result<Option<prost_types::Timestamp>, ToolError> {
    let Some(text) = text else { return Ok(None) };
    let day: Option<Date> = text.parse().ok().filter(|_| text.len() == 10);
    let wrong = || {
        let text = domain::text::shorten(text);
        ToolError::Arguments(format!("{field} is {text:?}; it must be a day such as 2026-11-27"))
    };
    Ok(lists::start_of(day.ok_or_else(wrong)?))
}

fn id(field: &str, written: &str) -> Result<String, ToolError> {
    let id = domain::PaperId::parse(written).map_err(|error| ToolError::Arguments(format!("{field} {error}")))?;
    Ok(id.to_string())
}
