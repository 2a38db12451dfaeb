//! The page of one paper, and the choice between it and the same paper for programs.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use minijinja::value::Serde;
use minijinja::{Value, context};
use proto::papers::v1::{LinkKind, Paper};
use proto::search::v1::{GetPaperRequest, GetPaperResponse, ListSimilarPapersRequest, SearchResult};
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};

use crate::Front;
use crate::caching::Known;
use crate::client::Client;
use crate::formats::paper::{PaperFormat, canonical_id, changed, page_of, render, text_of, updated};
use crate::page::Asked;
use crate::paper::{
    Linked, PaperView, author_link, day_in_words, escaped_value, excerpt, html_with_links, link, path_of, pdf_of,
    plain, published_time,
};
use crate::reader::Reader;

const SIMILAR: i32 = 6;
/// The lowest cosine that is shown as a likeness.
const LEAST_LIKENESS: f64 = 0.1;
/// Authors of a paper whose names are links; further ones are only counted, for papers of thousands.
const MOST_AUTHORS: usize = 300;

/// What the address asks.
#[derive(Deserialize)]
pub struct Wanted {
    format: Option<String>,
}

/// A paper like this one.
#[derive(Debug, Serialize)]
struct Similar {
    paper: PaperView,
    why: String,
}

/// A place to read or use the paper.
#[derive(Debug, Serialize)]
struct Place {
    label: &'static str,
    url: String,
}

/// A way to cite it.
#[derive(Debug, Serialize)]
struct Citation {
    label: &'static str,
    href: String,
}

/// A paper, in the form that is wanted.
pub async fn paper(
    State(front): State<Arc<Front>>,
    path: Result<Path<String>, PathRejection>,
    Asked(mut wanted): Asked<Wanted>,
    headers: HeaderMap,
    client: Client,
    reader: Reader,
) -> Response {
    let bad = |text: &str| front.pages.message(StatusCode::BAD_REQUEST, "That did not work", text);
    let Ok(Path(mut written)) = path else {
        return bad("The address holds letters that are none. Open the paper from a list again.");
    };
    // The clients that know papers by their bare arXiv ids ask so for the text of one.
    let bare = written.strip_suffix(".md").map(str::to_owned);
    if let Some(bare) = bare.filter(|bare| canonical_id(bare).is_ok_and(|id| id.starts_with("arxiv:"))) {
        wanted
            .format
            .get_or_insert_with(|| PaperFormat::Markdown.name().to_owned());
        written = bare;
    }
    let id = match canonical_id(&written) {
        Ok(id) => id,
        Err(error) => return bad(&format!("The id of the paper {error}.")),
    };
    let format = match PaperFormat::wanted(wanted.format.as_deref(), &headers) {
        Ok(format) => format,
        Err(error) => return bad(&format!("{error}.")),
    };
    if id != written {
        let format = wanted
            .format
            .map(|format| format!("?format={format}"))
            .unwrap_or_default();
        let place = format!("{}{format}", path_of(&id));
        return (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, place)]).into_response();
    }
    let asked = front.ask(&client, GetPaperRequest { paper_id: id.clone() });
    if format != PaperFormat::Html {
        return match found(asked.await) {
            Ok(paper) => render(&paper, format, client.base()),
            Err(error) => missing(&front, &error),
        };
    }
    let (paper, similar) = tokio::join!(asked, similar(&front, &client, &id));
    match found(paper) {
        Ok(paper) => {
            let context = shown(&paper, similar, &client, &reader);
            front.pages.render(StatusCode::OK, "paper.html", context)
        }
        Err(error) => missing(&front, &error),
    }
}

fn found(answer: Result<Known<GetPaperResponse>, Status>) -> Result<Paper, Status> {
    let paper = answer?.paper.clone();
    paper.ok_or_else(|| Status::not_found("no paper"))
}

fn missing(front: &Front, error: &Status) -> Response {
    if error.code() != Code::NotFound {
        return front.pages.failure(error);
    }
    let text = "This paper is not known here. It may have been withdrawn, or it came in just now and can be read in a few \
                seconds.";
    front.pages.message(StatusCode::NOT_FOUND, "No such paper", text)
}

async fn similar(front: &Front, client: &Client, id: &str) -> Option<Vec<SearchResult>> {
    let request = ListSimilarPapersRequest {
        positive_ids: vec![id.to_owned()],
        page_size: SIMILAR,
        ..ListSimilarPapersRequest::default()
    };
    let answer = front.ask(client, request).await;
    answer.ok().map(|answer| answer.results.clone())
}

fn shown(paper: &Paper, similar: Option<Vec<SearchResult>>, client: &Client, reader: &Reader) -> Value {
    let view = PaperView::of(paper, reader);
    let url = page_of(paper, client.base());
    let path = path_of(&paper.id);
    let paragraphs = paper.r#abstract.lines().filter(|line| !line.trim().is_empty());
    let authors = paper
        .authors
        .iter()
        .take(MOST_AUTHORS)
        .map(|author| author_link(&author.name));
    let formats = [
        (PaperFormat::Bibtex, "BibTeX"),
        (PaperFormat::Ris, "RIS"),
        (PaperFormat::Csl, "CSL-JSON"),
        (PaperFormat::Markdown, "Markdown"),
        (PaperFormat::Json, "JSON"),
    ];
    let citations = formats.map(|(format, label)| Citation {
        label,
        href: format!("{path}?format={}", format.name()),
    });
    context! {
        paper => Serde(view.clone()),
        here => path,
        url => url.as_str(),
        abstract_html => paragraphs.map(|line| Value::from_safe_string(html_with_links(line))).collect::<Vec<_>>(),
        description => domain::text::one_line(&plain(&excerpt(&paper.r#abstract))),
        authors => Serde(authors.collect::<Vec<Linked>>()),
        more_authors => paper.authors.len().saturating_sub(MOST_AUTHORS),
        updated => updated(paper).filter(|time| Some(*time) != published_time(paper)).map(day_in_words),
        known_since => changed(paper).map(day_in_words),
        revision => paper.revision,
        source => paper.source.as_str(),
        language => paper.language.as_str(),
        places => Serde(places(paper, &view)),
        pdf => pdf_of(paper),
        scholar => Serde(scholar(paper)),
        citations => Serde(citations),
        bibtex => text_of(paper, PaperFormat::Bibtex, client.base()),
        mail => mail(&view.plain_title, &url),
        similar => similar.map(|results| Serde(alike(paper, results, reader))),
    }
}

/// Names and values that libraries' harvesters read, beside title, authors and day.
fn scholar(paper: &Paper) -> Vec<(&'static str, String)> {
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

fn places(paper: &Paper, view: &PaperView) -> Vec<Place> {
    let pdf = pdf_of(paper);
    let landing = view.source_url.clone().filter(|url| Some(url) != pdf.as_ref());
    let all = [
        ("PDF", pdf),
        ("Paper’s page at its source", landing),
        ("Code", link(paper, LinkKind::Code)),
    ];
    let known = all
        .into_iter()
        .filter_map(|(label, url)| Some(Place { label, url: url? }));
    known.collect()
}

/// A mail to nobody yet, with the address of the page.
fn mail(title: &str, url: &str) -> String {
    format!("mailto:?subject={}&body={}", escaped_value(title), escaped_value(url))
}

fn alike(paper: &Paper, results: Vec<SearchResult>, reader: &Reader) -> Vec<Similar> {
    let one = |result: SearchResult| {
        let other = result.paper?;
        let of = |leg: &str| result.parts.iter().find(|part| part.name == leg).map(|part| part.raw);
        Some(Similar {
            why: why_alike(paper, &other, of("dense"), of("sparse")),
            paper: PaperView::of(&other, reader),
        })
    };
    results.into_iter().filter_map(one).collect()
}

/// From the cosine of their meanings and the weight of the words they share.
fn why_alike(paper: &Paper, other: &Paper, likeness: Option<f64>, words: Option<f64>) -> String {
    let mut reasons = Vec::new();
    // Papers about nothing in common have cosines of this size; such a one is here for its words.
    let likeness = likeness.filter(|likeness| *likeness >= LEAST_LIKENESS);
    if let Some(likeness) = likeness {
        reasons.push(format!("{:.0}% alike in meaning", likeness.min(1.0) * 100.0));
    } else if words.is_some_and(|words| words > 0.0) {
        reasons.push("uses the same words".to_owned());
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
        reasons.push("same field".to_owned());
    }
    reasons.join(" · ")
}

#[cfg(test)]
mod tests;
