//! A paper as CSL-JSON: a list of one item, as citeproc and pandoc expect.

use domain::AuthorName;
use domain::readable::readable;
use proto::papers::v1::Paper;
use serde_json::{Map, Value, json};

use super::text::{one_line, without_illegal};
use super::{published_day, without_scheme};
use crate::paper::url_of;

/// The list.
pub fn render(paper: &Paper, page: &str) -> String {
    let mut item = Map::new();
    let mut set = |name: &str, value: Value| {
        let is_empty = value.as_str() == Some("");
        if !is_empty {
            item.insert(name.to_owned(), value);
        }
    };
    set("id", json!(paper.id));
    // The type of a preprint in CSL 1.0.2.
    set("type", json!("article"));
    set("title", json!(one_line(&readable(&paper.title))));
    let authors: Vec<Value> = paper.authors.iter().map(|author| person(&author.into())).collect();
    set("author", json!(authors));
    if let Some(day) = published_day(paper) {
        set(
            "issued",
            json!({ "date-parts": [[day.year(), day.month(), day.day()]] }),
        );
    }
    set("abstract", json!(without_illegal(&readable(&paper.r#abstract))));
    set("DOI", json!(without_scheme("doi", &paper.id).unwrap_or_default()));
    set("language", json!(paper.language));
    set("keyword", json!(paper.categories.join(", ")));
    if let Some(number) = without_scheme("arxiv", &paper.id) {
        set("number", json!(format!("arXiv:{number}")));
        set("publisher", json!("arXiv"));
    }
    set("URL", json!(url_of(paper).unwrap_or_else(|| page.to_owned())));
    format!("{}\n", Value::Array(vec![Value::Object(item)]))
}

fn person(name: &AuthorName) -> Value {
    let Some(family) = name.family() else {
        return json!({ "literal": one_line(name.as_str()) });
    };
    let mut parts = Map::new();
    for (part, value) in [("family", family), ("given", name.given()), ("suffix", name.suffix())] {
        if !value.is_empty() {
            parts.insert(part.to_owned(), json!(one_line(value)));
        }
    }
    Value::Object(parts)
}
