//! What a reader saved, from the reader's own cookie.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;

use super::asking;
use crate::Front;
use crate::client::Client;
use crate::formats::paper::{PaperFormat, text_of};
use crate::page::Asked;
use crate::paper::PaperView;
use crate::reader::Reader;

/// What the address asks.
#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    format: String,
}

/// The page, or all of it for a bibliography.
pub async fn saved(
    State(front): State<Arc<Front>>,
    Asked(wanted): Asked<Wanted>,
    client: Client,
    reader: Reader,
) -> Response {
    let known = if reader.saved.is_empty() {
        None
    } else {
        match asking::these(&front, &client, reader.saved.clone()).await {
            Ok(known) => Some(known),
            Err(error) => return front.pages.failure(&error),
        }
    };
    let papers = known.as_ref().map_or(&[][..], |known| &known.papers);
    match wanted.format.as_str() {
        "" | "html" => {}
        "bibtex" => {
            let entries = papers
                .iter()
                .filter_map(|paper| text_of(paper, PaperFormat::Bibtex, client.base()));
            let headers = [
                (header::CONTENT_TYPE, "application/x-bibtex; charset=utf-8"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"saved.bib\""),
                (header::CACHE_CONTROL, "no-store"),
            ];
            return (headers, entries.collect::<Vec<_>>().join("\n")).into_response();
        }
        _ => {
            let text = "What is saved can be had as a page, or as bibtex.";
            return front.pages.message(StatusCode::BAD_REQUEST, "That did not work", text);
        }
    }
    let gone = reader.saved.len() - papers.len().min(reader.saved.len());
    let views: Vec<PaperView> = papers.iter().map(|paper| PaperView::of(paper, &reader)).collect();
    let context = context! { section => "/saved", here => "/saved", gone, papers => Serde(views) };
    front.pages.render(StatusCode::OK, "saved.html", context)
}
