//! Titles and abstracts as HTML: emphasis, links, highlights and formulas. Everything is escaped, and formulas are MathML or
//! the text that they read as.

use std::ops::Range;

use domain::readable::{Emphasis, PartKind, ReadablePart, parts};
use proto::search::v1::TextSpan;

use super::escape;
use super::mathml::mathml;

/// HTML without links, because the text may be inside one; spans of the source text are highlighted.
pub fn html(text: &str, spans: &[TextSpan]) -> String {
    let spans: Vec<Range<usize>> = spans
        .iter()
        .map(|span| span.start as usize..span.end as usize)
        .collect();
    let mut html = String::with_capacity(text.len() + text.len() / 4);
    for part in parts(text) {
        match part.kind {
            PartKind::Formula(tex) => marked(&formula(tex, &part.text), is_found(&part, &spans), &mut html),
            PartKind::Begin(emphasis) => html.push_str(tags(emphasis).0),
            PartKind::End(emphasis) => html.push_str(tags(emphasis).1),
            PartKind::Words | PartKind::Link(_) => {
                for (piece, is_found) in part.cut(&spans) {
                    marked(&escape(piece), is_found, &mut html);
                }
            }
        }
    }
    html
}

/// HTML with links.
pub fn html_with_links(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + text.len() / 4);
    for part in parts(text) {
        match part.kind {
            PartKind::Formula(tex) => html.push_str(&formula(tex, &part.text)),
            PartKind::Begin(emphasis) => html.push_str(tags(emphasis).0),
            PartKind::End(emphasis) => html.push_str(tags(emphasis).1),
            PartKind::Link(address) => link(address, &part.text, &mut html),
            PartKind::Words => linked(&part.text, &mut html),
        }
    }
    html
}

fn is_found(part: &ReadablePart<'_>, spans: &[Range<usize>]) -> bool {
    part.cut(spans).iter().any(|(_, is_found)| *is_found)
}

fn marked(escaped: &str, is_found: bool, html: &mut String) {
    if is_found {
        html.extend(["<mark>", escaped, "</mark>"]);
    } else {
        html.push_str(escaped);
    }
}

fn formula(tex: &str, text: &str) -> String {
    mathml(tex, text).unwrap_or_else(|| format!("<span class=\"math\">{}</span>", escape(text)))
}

/// Words in which web addresses are links.
fn linked(mut text: &str, html: &mut String) {
    while let Some(start) = text.find("https://").or_else(|| text.find("http://")) {
        let (before, rest) = text.split_at(start);
        html.push_str(&escape(before));
        let is_end = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '“' | '”');
        let address = rest.split(is_end).next().unwrap_or_default();
        let address = address.trim_end_matches(['.', ',', ';', ':', ')', ']', '\'']);
        link(address, address, html);
        text = &rest[address.len()..];
    }
    html.push_str(&escape(text));
}

/// A link, or its words if the address is not one of the web.
fn link(address: &str, text: &str, html: &mut String) {
    let is_web = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"));
    let text = escape(text);
    if is_web.is_none_or(str::is_empty) {
        return html.push_str(&text);
    }
    let href = escape(address);
    html.extend(["<a href=\"", &href, "\" rel=\"nofollow noopener\">", &text, "</a>"]);
}

fn tags(emphasis: Emphasis) -> (&'static str, &'static str) {
    match emphasis {
        Emphasis::Bold => ("<b>", "</b>"),
        Emphasis::Italic => ("<i>", "</i>"),
        Emphasis::Stress => ("<em>", "</em>"),
        Emphasis::Code => ("<code>", "</code>"),
        Emphasis::SmallCaps => ("<span class=\"sc\">", "</span>"),
        Emphasis::Underline => ("<u>", "</u>"),
    }
}

#[cfg(test)]
mod tests;
