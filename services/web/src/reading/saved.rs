//! The papers a reader saved, by the reader's own cookie.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;

use super::queries;
use crate::caller::Caller;
use crate::cookies::ReaderCookies;
use crate::formats::paper::{PaperFormat, text_of};
use crate::page::PageQuery;
use crate::paper::PaperView;
use crate::state::AppState;

/// Parameters of the page.
#[derive(Deserialize)]
pub struct SavedQuery {
    #[serde(default)]
    format: String,
}

/// Saved papers, as a page or as BibTeX.
pub async fn saved(
    State(app): State<Arc<AppState>>,
    PageQuery(query): PageQuery<SavedQuery>,
    caller: Caller,
    reader: ReaderCookies,
) -> Response {
    let found = if reader.saved.is_empty() {
        None
    } else {
        match queries::papers_by_id(&app, &caller, reader.saved.clone()).await {
            Ok(found) => Some(found),
            Err(error) => return app.pages.failure(&error),
        }
    };
    let papers = found.as_ref().map_or(&[][..], |found| &found.papers);
    match query.format.as_str() {
        "" | "html" => {}
        "bibtex" => {
            let entries = papers
                .iter()
                .filter_map(|paper| text_of(paper, PaperFormat::Bibtex, caller.base()));
            let headers = [
                (header::CONTENT_TYPE, "application/x-bibtex; charset=utf-8"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"saved.bib\""),
                (header::CACHE_CONTROL, "no-store"),
            ];
            return (headers, entries.collect::<Vec<_>>().join("\n")).into_response();
        }
        _ => {
            let text = "Saved papers are available as a page (html) or as bibtex.";
            return app.pages.message(StatusCode::BAD_REQUEST, "That did not work", text);
        }
    }
    let missing = reader.saved.len() - papers.len().min(reader.saved.len());
    let views: Vec<PaperView> = papers.iter().map(|paper| PaperView::new(paper, &reader)).collect();
    let context = context! { section => "/saved", here => "/saved", missing, papers => Serde(views) };
    app.pages.render(StatusCode::OK, "saved.html", context)
}
