//! The page of one paper, or the same paper in a format for programs.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use domain::PaperId;
use domain::readable::readable_line;
use minijinja::value::Serde;
use minijinja::{Value, context};
use proto::papers::v1::{LinkKind, Paper};
use proto::search::v1::{GetPaperRequest, GetPaperResponse, ListSimilarPapersRequest, SearchResult};
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};

use crate::caching::SharedAnswer;
use crate::caller::Caller;
use crate::cookies::ReaderCookies;
use crate::formats::paper::{PaperFormat, accepted, changed, page_of, render, text_of, updated};
use crate::page::PageQuery;
use crate::paper::{
    NamedLink, PaperView, author_link, day_in_words, escaped_value, excerpt, html_with_links, link, path_of, pdf_of,
    published_time,
};
use crate::state::AppState;

const SIMILAR: i32 = 6;
/// The lowest cosine that is shown as a similarity.
const MIN_SIMILARITY: f64 = 0.1;
/// Authors named on the page; some papers have thousands, so further ones are only counted.
const MAX_AUTHORS: usize = 300;

/// Parameters of the page.
#[derive(Deserialize)]
pub struct PaperQuery {
    format: Option<String>,
}

/// A similar paper.
#[derive(Debug, Serialize)]
struct SimilarPaper {
    paper: PaperView,
    why: String,
}

/// A link to the paper itself or to its code.
#[derive(Debug, Serialize)]
struct PaperLink {
    label: &'static str,
    url: String,
}

/// A citation format.
#[derive(Debug, Serialize)]
struct CitationLink {
    label: &'static str,
    href: String,
}

/// A paper in the requested format.
pub async fn paper(
    State(app): State<Arc<AppState>>,
    path: Result<Path<String>, PathRejection>,
    PageQuery(query): PageQuery<PaperQuery>,
    headers: HeaderMap,
    caller: Caller,
    reader: ReaderCookies,
) -> Response {
    let requested = path
        .map_err(|_| "The address contains invalid characters. Open the paper from a list instead.".to_owned())
        .and_then(|Path(path)| RequestedPaper::parse(path, query.format, &headers));
    let RequestedPaper { id, format, moved_to } = match requested {
        Ok(requested) => requested,
        Err(text) => {
            return app.pages.message(StatusCode::BAD_REQUEST, "That did not work", &text);
        }
    };
    if let Some(address) = moved_to {
        return moved(address);
    }
    let answer = app.fetch(&caller, GetPaperRequest { paper_id: id.clone() });
    if format != PaperFormat::Html {
        return match paper_of(answer.await) {
            Ok(paper) => render(&paper, format, caller.base()),
            Err(error) => missing(&app, &error),
        };
    }
    let (paper, similar) = tokio::join!(answer, similar(&app, &caller, &id));
    match paper_of(paper) {
        Ok(paper) if paper.id != id => moved(path_of(&paper.id)),
        Ok(paper) => {
            let context = page_context(&paper, similar, &caller, &reader);
            app.pages.render(StatusCode::OK, "paper.html", context)
        }
        Err(error) => missing(&app, &error),
    }
}

fn moved(address: String) -> Response {
    (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, address)]).into_response()
}

/// What an address asks for.
struct RequestedPaper {
    id: String,
    format: PaperFormat,
    /// Its canonical address, if this is another one.
    moved_to: Option<String>,
}

impl RequestedPaper {
    /// Parses path and format. Clients that know papers by bare arXiv ids ask for their text by the suffix `.md`.
    fn parse(path: String, format: Option<String>, headers: &HeaderMap) -> Result<Self, String> {
        let markdown = path
            .strip_suffix(".md")
            .filter(|id| PaperId::parse(id).is_ok_and(|id| id.as_str().starts_with("arxiv:")))
            .map(str::to_owned);
        let (path, format) = match markdown {
            Some(id) => (id, format.or_else(|| Some(PaperFormat::Markdown.name().to_owned()))),
            None => (path, format),
        };
        let id = PaperId::parse(&path).map_err(|error| format!("The id of the paper {error}."))?;
        let id = id.to_string();
        let requested = PaperFormat::requested(format.as_deref(), headers).map_err(|error| format!("{error}."))?;
        let moved_to = (id != path).then(|| {
            let query = format.map(|format| format!("?format={format}")).unwrap_or_default();
            format!("{}{query}", path_of(&id))
        });
        Ok(Self {
            id,
            format: requested,
            moved_to,
        })
    }
}

fn paper_of(answer: Result<SharedAnswer<GetPaperResponse>, Status>) -> Result<Paper, Status> {
    let paper = answer?.paper.clone();
    paper.ok_or_else(|| Status::not_found("no paper"))
}

fn missing(app: &AppState, error: &Status) -> Response {
    if error.code() != Code::NotFound {
        return app.pages.failure(error);
    }
    let text =
        "There is no such paper here. It may have been withdrawn, or be so new that it appears in a few seconds.";
    app.pages.message(StatusCode::NOT_FOUND, "Paper not found", text)
}

async fn similar(app: &AppState, caller: &Caller, id: &str) -> Option<Vec<SearchResult>> {
    let request = ListSimilarPapersRequest {
        positive_ids: vec![id.to_owned()],
        page_size: SIMILAR,
        ..ListSimilarPapersRequest::default()
    };
    let answer = app.fetch(caller, request).await;
    answer.ok().map(|answer| answer.results.clone())
}

fn page_context(paper: &Paper, similar: Option<Vec<SearchResult>>, caller: &Caller, reader: &ReaderCookies) -> Value {
    let view = PaperView::new(paper, reader);
    let url = page_of(paper, caller.base());
    let path = path_of(&paper.id);
    let paragraphs = paper.r#abstract.lines().filter(|line| !line.trim().is_empty());
    let authors = paper
        .authors
        .iter()
        .take(MAX_AUTHORS)
        .map(|author| author_link(&author.name));
    let formats = [
        (PaperFormat::Bibtex, "BibTeX"),
        (PaperFormat::Ris, "RIS"),
        (PaperFormat::Csl, "CSL-JSON"),
        (PaperFormat::Markdown, "Markdown"),
        (PaperFormat::Json, "JSON"),
    ];
    let citations = formats.map(|(format, label)| CitationLink {
        label,
        href: format!("{path}?format={}", format.name()),
    });
    context! {
        paper => Serde(view.clone()),
        here => path,
        url => url.as_str(),
        abstract_html => paragraphs.map(|line| Value::from_safe_string(html_with_links(line))).collect::<Vec<_>>(),
        description => readable_line(&excerpt(&paper.r#abstract)),
        authors => Serde(authors.collect::<Vec<NamedLink>>()),
        more_authors => paper.authors.len().saturating_sub(MAX_AUTHORS),
        updated => updated(paper).filter(|time| Some(*time) != published_time(paper)).map(day_in_words),
        added => changed(paper).map(day_in_words),
        accepted => accepted(paper).map(day_in_words),
        revision => paper.revision,
        source => paper.source.as_str(),
        language => paper.language.as_str(),
        links => Serde(paper_links(paper, &view)),
        pdf => pdf_of(paper),
        citation_tags => Serde(citation_tags(paper)),
        citations => Serde(citations),
        bibtex => text_of(paper, PaperFormat::Bibtex, caller.base()),
        mail => mail_link(&view.plain_title, &url),
        similar => similar.map(|results| Serde(similar_papers(paper, results, reader))),
    }
}

/// Meta tags for scholarly search engines, beside title and authors.
fn citation_tags(paper: &Paper) -> Vec<(&'static str, String)> {
    let mut tags = Vec::new();
    match paper.id.split_once(':') {
        Some(("arxiv", id)) => tags.push(("citation_arxiv_id", id.to_owned())),
        Some(("doi", doi)) => tags.push(("citation_doi", doi.to_owned())),
        _ => {}
    }
    if let Some(time) = published_time(paper) {
        tags.push(("citation_publication_date", time.strftime("%Y/%m/%d").to_string()));
    }
    if !paper.language.is_empty() {
        tags.push(("citation_language", paper.language.clone()));
    }
    tags
}

fn paper_links(paper: &Paper, view: &PaperView) -> Vec<PaperLink> {
    let pdf = pdf_of(paper);
    let source_page = view.source_url.clone().filter(|url| Some(url) != pdf.as_ref());
    let all = [
        ("PDF", pdf),
        ("Source page", source_page),
        ("Code", link(paper, LinkKind::Code)),
    ];
    let existing = all
        .into_iter()
        .filter_map(|(label, url)| Some(PaperLink { label, url: url? }));
    existing.collect()
}

/// A `mailto:` link with the address of the page.
fn mail_link(title: &str, url: &str) -> String {
    format!("mailto:?subject={}&body={}", escaped_value(title), escaped_value(url))
}

fn similar_papers(paper: &Paper, results: Vec<SearchResult>, reader: &ReaderCookies) -> Vec<SimilarPaper> {
    let one = |result: SearchResult| {
        let other = result.paper?;
        let of = |leg: &str| result.parts.iter().find(|part| part.name == leg).map(|part| part.raw);
        Some(SimilarPaper {
            why: similarity_reason(paper, &other, of("dense"), of("sparse")),
            paper: PaperView::new(&other, reader),
        })
    };
    results.into_iter().filter_map(one).collect()
}

/// Why a paper counts as similar: by the cosine of the embeddings and the weight of shared terms.
fn similarity_reason(paper: &Paper, other: &Paper, cosine: Option<f64>, terms: Option<f64>) -> String {
    let mut reasons = Vec::new();
    // Unrelated papers have cosines below this; such a paper is listed for its words.
    let cosine = cosine.filter(|cosine| *cosine >= MIN_SIMILARITY);
    if let Some(cosine) = cosine {
        reasons.push(format!("{:.0}% similar", cosine.min(1.0) * 100.0));
    } else if terms.is_some_and(|weight| weight > 0.0) {
        reasons.push("similar wording".to_owned());
    }
    let shared: Vec<&str> = other
        .authors
        .iter()
        .filter(|author| paper.authors.contains(author))
        .map(|author| author.name.as_str())
        .take(2)
        .collect();
    if !shared.is_empty() {
        reasons.push(format!("also by {}", shared.join(" and ")));
    }
    if !paper.categories.is_empty() && paper.categories.first() == other.categories.first() {
        reasons.push("same category".to_owned());
    }
    reasons.join(" · ")
}

#[cfg(test)]
mod tests;
