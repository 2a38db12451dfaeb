//! Tool results: data for programs, and the same as text for a model.

use std::fmt::Write as _;

use domain::readable::readable;
use proto::papers::v1::Paper;
use serde_json::{Value, json};
use tonic::Status;

use crate::error_response::public_error;
use crate::formats::paper::{page_of, published_day, without_illegal};
use crate::paper::{DATE_UNKNOWN, url_of};

/// Characters of an abstract shown if no sentence matches.
const EXCERPT: usize = 300;

/// A list of papers as a tool result.
#[derive(Debug, Default)]
pub struct PaperList {
    /// The papers, made by [`list_item`].
    pub papers: Vec<Value>,
    /// Cursor of the next page; empty on the last.
    pub next: String,
    /// A caveat about the list; empty if there is none.
    pub notice: String,
}

impl PaperList {
    /// The result.
    pub fn result(self) -> Value {
        let mut text = String::new();
        for (index, paper) in self.papers.iter().enumerate() {
            let part = |name: &str| paper[name].as_str().unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}. {} ({})", index + 1, part("title"), part("id"));
            let details = [
                joined(&paper["authors"]),
                paper["published"].as_str().unwrap_or(DATE_UNKNOWN).to_owned(),
                joined(&paper["categories"]),
            ];
            let details: Vec<&str> = details
                .iter()
                .map(String::as_str)
                .filter(|one| !one.is_empty())
                .collect();
            let _ = writeln!(text, "   {}", details.join(" · "));
            for name in ["why", "excerpt", "page"] {
                if !part(name).is_empty() {
                    let _ = writeln!(text, "   {}", part(name));
                }
            }
        }
        if self.papers.is_empty() {
            text.push_str("No papers.\n");
        }
        let mut data = json!({ "papers": self.papers });
        if !self.notice.is_empty() {
            let _ = writeln!(text, "Note: {}", self.notice);
            data["notice"] = json!(self.notice);
        }
        if !self.next.is_empty() {
            let _ = writeln!(text, "There are more: call again with cursor {}", self.next);
            data["next_cursor"] = json!(self.next);
        }
        result(&text, &data)
    }
}

/// A result as text and data.
pub fn result(text: &str, data: &Value) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "structuredContent": data, "isError": false })
}

/// A failure, worded so that a model can correct its call.
pub fn error_result(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": true })
}

/// The same for a failed call to another service.
pub fn call_failed(error: &Status) -> Value {
    error_result(&public_error(error).1)
}

/// A paper in a list. `sentence` is its best matching sentence, `why` the reason it is listed; either may be empty.
pub fn list_item(paper: &Paper, sentence: &str, why: &str, base: &str) -> Value {
    let mut item = paper_fields(paper, base);
    let excerpt = if sentence.is_empty() {
        beginning(&paper.r#abstract)
    } else {
        without_illegal(&readable(sentence))
    };
    for (name, text) in [("excerpt", excerpt), ("why", why.to_owned())] {
        if !text.is_empty() {
            item[name] = json!(text);
        }
    }
    item
}

/// The fields common to all results.
pub fn paper_fields(paper: &Paper, base: &str) -> Value {
    let authors: Vec<&str> = paper.authors.iter().map(|author| author.name.as_str()).collect();
    let mut value = json!({
        "id": paper.id,
        "title": without_illegal(&readable(&paper.title)),
        "authors": authors,
        "categories": paper.categories,
        "page": page_of(paper, base),
    });
    if let Some(day) = published_day(paper) {
        value["published"] = json!(day.to_string());
    }
    if let Some(url) = url_of(paper) {
        value["url"] = json!(url);
    }
    value
}

fn beginning(text: &str) -> String {
    let text = without_illegal(&readable(text));
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text,
    }
}

fn joined(list: &Value) -> String {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_told_that_a_date_is_unknown() {
        let undated = Paper {
            id: "seed:1".to_owned(),
            ..Paper::default()
        };
        let list = PaperList {
            papers: vec![list_item(&undated, "", "", "http://h")],
            ..PaperList::default()
        };
        let result = list.result();
        let text = result["content"][0]["text"].as_str().expect("a text");
        assert!(text.contains("   date unknown\n"), "{text}");
        assert!(
            result["structuredContent"]["papers"][0].get("published").is_none(),
            "{result}"
        );
    }
}
