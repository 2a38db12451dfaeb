//! A paper as an RIS record. A value is one line, so nothing in it can begin another field.

use std::fmt::Write as _;

use proto::papers::v1::Paper;

use super::names::Name;
use super::text::one_line;
use super::{behind, published_day};
use crate::paper::url_of;

/// The record; lines end as the format demands.
pub fn render(paper: &Paper, page: &str) -> String {
    let mut record = String::from("TY  - GEN\r\n");
    let mut field = |tag: &str, value: &str| {
        let value = one_line(value);
        if !value.is_empty() {
            let _ = writeln!(record, "{tag}  - {value}\r");
        }
    };
    field("ID", &paper.id);
    field("TI", &paper.title);
    for author in &paper.authors {
        field("AU", &person(&author.name));
    }
    if let Some(day) = published_day(paper) {
        field("PY", &day.year().to_string());
        field("DA", &day.strftime("%Y/%m/%d").to_string());
    }
    field("AB", &paper.r#abstract);
    for category in &paper.categories {
        field("KW", category);
    }
    field("DO", behind("doi", &paper.id).unwrap_or_default());
    field("LA", &paper.language);
    field("UR", &url_of(paper).unwrap_or_else(|| page.to_owned()));
    record.push_str("ER  - \r\n");
    record
}

fn person(name: &str) -> String {
    match Name::parse(name) {
        Name::Person { family, given, suffix } if suffix.is_empty() => format!("{family}, {given}"),
        Name::Person { family, given, suffix } => format!("{family}, {given}, {suffix}"),
        Name::Whole(whole) => whole,
    }
}
