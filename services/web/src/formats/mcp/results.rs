//! Results of tools: data for programs, and the same as text for a model that reads.

use std::fmt::Write as _;

use proto::papers::v1::Paper;
use serde_json::{Value, json};
use tonic::Status;

use crate::formats::paper::{page_of, published_day, without_illegal};
use crate::paper::url_of;
use crate::refusal::told;

/// Characters of an abstract that begin an entry where no sentence of it stands out.
const EXCERPT: usize = 300;

/// A list that a tool gives.
#[derive(Debug, Default)]
pub struct List {
    /// The papers, as [`entry`] makes them.
    pub papers: Vec<Value>,
    /// Where it goes on; empty at the end.
    pub next: String,
    /// Why it is not as good as it could be; empty when it is.
    pub notice: String,
}

impl List {
    /// The result.
    pub fn result(self) -> Value {
        let mut text = String::new();
        for (index, paper) in self.papers.iter().enumerate() {
            let part = |name: &str| paper[name].as_str().unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}. {} ({})", index + 1, part("title"), part("id"));
            let details = [
                joined(&paper["authors"]),
                part("published").to_owned(),
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
            let _ = writeln!(text, "There is more: call again with cursor {}", self.next);
            data["next_cursor"] = json!(self.next);
        }
        result(&text, &data)
    }
}

/// A result with both forms.
pub fn result(text: &str, data: &Value) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "structuredContent": data, "isError": false })
}

/// What a tool could not do, said so that a model can do better.
pub fn refused(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": true })
}

/// The same for a call that failed.
pub fn failed(error: &Status) -> Value {
    refused(&told(error).1)
}

/// A paper of a list. `sentence` is what fits best, empty where nothing is known to; `why` says why it is there.
pub fn entry(paper: &Paper, sentence: &str, why: &str, base: &str) -> Value {
    let mut entry = bare(paper, base);
    let excerpt = if sentence.is_empty() {
        beginning(&paper.r#abstract)
    } else {
        without_illegal(sentence)
    };
    for (name, text) in [("excerpt", excerpt), ("why", why.to_owned())] {
        if !text.is_empty() {
            entry[name] = json!(text);
        }
    }
    entry
}

/// What every form of a paper holds.
pub fn bare(paper: &Paper, base: &str) -> Value {
    let authors: Vec<&str> = paper.authors.iter().map(|author| author.name.as_str()).collect();
    let mut value = json!({
        "id": paper.id,
        "title": without_illegal(&paper.title),
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
    let text = without_illegal(text);
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text,
    }
}

fn joined(list: &Value) -> String {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.collect::<Vec<_>>().join(", ")
}
