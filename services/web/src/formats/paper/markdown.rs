//! A paper as Markdown (CommonMark). Nothing in its texts becomes markup or HTML; formulas stay readable.

use std::fmt::Write as _;

use domain::readable::{PartKind, parts};
use proto::papers::v1::{LinkKind, Paper};

use super::published;
use super::text::{one_line, without_illegal};
use crate::paper::{DATE_UNKNOWN, url_of};

/// The document.
pub fn render(paper: &Paper, page: &str) -> String {
    let mut text = format!("# {}\n\n", escaped(&one_line(&paper.title)));
    let authors: Vec<String> = paper
        .authors
        .iter()
        .map(|author| escaped(&one_line(&author.name)))
        .collect();
    if !authors.is_empty() {
        let _ = writeln!(text, "{}\n", authors.join(", "));
    }
    for paragraph in without_illegal(&paper.r#abstract)
        .lines()
        .filter(|line| !line.trim().is_empty())
    {
        let _ = writeln!(text, "{}\n", escaped(paragraph.trim()));
    }
    let mut item = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "* {name}: {value}");
        }
    };
    item("Id", &format!("`{}`", one_line(&paper.id).replace('`', "'")));
    item(
        "Published",
        &published(paper).map_or_else(|| DATE_UNKNOWN.to_owned(), |time| time.strftime("%Y-%m-%d").to_string()),
    );
    let categories: Vec<String> = paper.categories.iter().map(|one| escaped(&one_line(one))).collect();
    item("Categories", &categories.join(", "));
    item("Read", &url_of(paper).map(|url| address(&url)).unwrap_or_default());
    for link in &paper.links {
        match link.kind() {
            LinkKind::Pdf => item("PDF", &address(&link.url)),
            LinkKind::Code => item("Code", &address(&link.url)),
            LinkKind::Abstract | LinkKind::Unspecified => {}
        }
    }
    item("Page", &address(page));
    text
}

/// A link that shows its own address.
fn address(url: &str) -> String {
    let plain: String = one_line(url)
        .chars()
        .map(|c| match c {
            '<' => "%3C".to_owned(),
            '>' => "%3E".to_owned(),
            ' ' => "%20".to_owned(),
            c => c.to_string(),
        })
        .collect();
    format!("<{plain}>")
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for part in parts(text) {
        match part.kind {
            // In a renderer without formulas, a bracket inside one would start HTML.
            PartKind::Formula(tex) => {
                escaped.extend(["$", &tex.trim().replace('<', "&lt;").replace('>', "&gt;"), "$"]);
            }
            _ => part.text.chars().for_each(|c| push(&mut escaped, c)),
        }
    }
    // Headings, lists, quotations and rules start at the beginning of a line.
    let marks = |c: char| matches!(c, '#' | '+' | '-' | '=');
    let numbers = escaped.chars().take_while(char::is_ascii_digit).count();
    if escaped.starts_with(marks) {
        escaped.insert(0, '\\');
    } else if numbers > 0 && escaped[numbers..].starts_with(['.', ')']) {
        escaped.insert(numbers, '\\');
    }
    escaped
}

fn push(escaped: &mut String, c: char) {
    match c {
        '<' => escaped.push_str("&lt;"),
        '>' => escaped.push_str("&gt;"),
        '&' => escaped.push_str("&amp;"),
        '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => {
            escaped.push('\\');
            escaped.push(c);
        }
        c => escaped.push(c),
    }
}
