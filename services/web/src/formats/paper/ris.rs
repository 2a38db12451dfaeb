//! A paper as an RIS record. Values are single lines, so nothing in them can start another field.

use std::fmt::Write as _;

use domain::AuthorName;
use domain::readable::readable;
use proto::papers::v1::Paper;

use super::text::one_line;
use super::{published_day, without_scheme};
use crate::paper::url_of;

/// The record, with the line endings of the format.
pub fn render(paper: &Paper, page: &str) -> String {
    let mut record = String::from("TY  - GEN\r\n");
    let mut field = |tag: &str, value: &str| {
        let value = one_line(value);
        if !value.is_empty() {
            let _ = writeln!(record, "{tag}  - {value}\r");
        }
    };
    field("ID", &paper.id);
    field("TI", &readable(&paper.title));
    for author in &paper.authors {
        field("AU", &person(&author.into()));
    }
    if let Some(day) = published_day(paper) {
        field("PY", &day.year().to_string());
        field("DA", &day.strftime("%Y/%m/%d").to_string());
    }
    field("AB", &readable(&paper.r#abstract));
    for category in &paper.categories {
        field("KW", category);
    }
    field("DO", without_scheme("doi", &paper.id).unwrap_or_default());
    field("LA", &paper.language);
    field("UR", &url_of(paper).unwrap_or_else(|| page.to_owned()));
    record.push_str("ER  - \r\n");
    record
}

/// A name as `Family, Given, Suffix`.
fn person(name: &AuthorName) -> String {
    let Some(family) = name.family() else {
        return name.to_string();
    };
    let parts = [family, name.given(), name.suffix()]
        .into_iter()
        .filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(", ")
}
