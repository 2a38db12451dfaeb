//! A paper as pages and feeds show it, and the links to it.

mod excerpt;
mod markup;
mod mathml;

use jiff::Timestamp;
use minijinja::Value;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use proto::papers::v1::{LinkKind, Paper};
use proto::search::v1::Highlight;
use serde::Serialize;

pub use domain::pages::paper as path_of;
use domain::readable::readable_line;

pub use self::excerpt::{excerpt, summary};
pub use self::markup::{html, html_with_links};
use crate::categories;
use crate::cookies::ReaderCookies;

/// What stands where a date would, for people.
pub const DATE_UNKNOWN: &str = "date unknown";
/// Authors named in a list; the page of a paper names all.
const AUTHORS_SHOWN: usize = 4;
/// What is escaped in a query parameter.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What is escaped in a path segment.
const SEGMENT: &AsciiSet = &VALUE.remove(b':');

/// A name that links to a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedLink {
    /// As printed.
    pub name: String,
    /// In plain words; empty if there is nothing to add.
    pub label: String,
    /// The page.
    pub href: String,
}

/// A paper for templates. Every [`Value`] is HTML made and escaped here.
#[derive(Debug, Clone, Serialize)]
pub struct PaperView {
    /// Canonical id.
    pub id: String,
    /// Its page on this site.
    pub href: String,
    /// Where it can be read, if known.
    pub source_url: Option<String>,
    /// HTML: the title with its formulas and highlighted words.
    pub title: Value,
    /// The title without any markup.
    pub plain_title: String,
    /// HTML: the sentence of the abstract that says most.
    pub lede: Value,
    /// HTML: the sentence that matches a query best, highlighted; empty if there is none.
    pub sentence: Value,
    /// The first authors.
    pub authors: Vec<NamedLink>,
    /// How many more there are.
    pub more_authors: usize,
    /// The day of publication in words; [`DATE_UNKNOWN`] if unknown.
    pub published: String,
    /// The same as `2026-11-28`; empty if unknown.
    pub published_iso: String,
    /// All categories, the primary one first.
    pub categories: Vec<NamedLink>,
    /// A search for papers like it.
    pub similar_href: String,
    /// Whether this reader voted for it.
    pub is_voted: bool,
    /// Whether this reader saved it.
    pub is_saved: bool,
}

impl PaperView {
    /// A paper as one reader sees it.
    pub fn new(paper: &Paper, reader: &ReaderCookies) -> Self {
        Self::highlighted(paper, reader, &Highlight::default())
    }

    /// A search result, with the words that match.
    pub fn highlighted(paper: &Paper, reader: &ReaderCookies, highlight: &Highlight) -> Self {
        let authors = paper.authors.iter().map(|author| author_link(&author.name));
        let safe = Value::from_safe_string;
        Self {
            id: paper.id.clone(),
            href: path_of(&paper.id),
            source_url: url_of(paper),
            title: safe(html(&paper.title, &highlight.title_spans)),
            plain_title: readable_line(&paper.title),
            lede: safe(html(&summary(&paper.title, &paper.r#abstract), &[])),
            sentence: safe(html(&highlight.sentence, &highlight.sentence_spans)),
            authors: authors.take(AUTHORS_SHOWN).collect(),
            more_authors: paper.authors.len().saturating_sub(AUTHORS_SHOWN),
            published: published(paper),
            published_iso: published_time(paper)
                .map(|time| time.strftime("%F").to_string())
                .unwrap_or_default(),
            categories: paper.categories.iter().map(|name| category_link(name)).collect(),
            similar_href: domain::pages::similar(&paper.id),
            is_voted: reader.voted.contains(&paper.id),
            is_saved: reader.saved.contains(&paper.id),
        }
    }
}

/// Text escaped for a query parameter.
pub fn escaped_value(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}

/// The page of a search.
pub fn search_path(query: &str) -> String {
    format!("/search?q={}", escaped_value(query))
}

/// An author and the page of their papers.
pub fn author_link(name: &str) -> NamedLink {
    NamedLink {
        name: name.to_owned(),
        label: String::new(),
        href: format!("/authors/{}", utf8_percent_encode(name, SEGMENT)),
    }
}

/// A category, its name in plain words, and the page of its papers.
pub fn category_link(name: &str) -> NamedLink {
    NamedLink {
        name: name.to_owned(),
        label: categories::label(name).to_owned(),
        href: format!("/categories/{}", utf8_percent_encode(name, SEGMENT)),
    }
}

/// Where a paper can be read.
pub fn url_of(paper: &Paper) -> Option<String> {
    let of = |kind: LinkKind| link(paper, kind);
    let given = of(LinkKind::Abstract).or_else(|| of(LinkKind::Pdf));
    given.or_else(|| match paper.id.split_once(':')? {
        ("arxiv", id) => Some(format!("https://arxiv.org/abs/{id}")),
        ("doi", doi) => Some(format!("https://doi.org/{doi}")),
        _ => None,
    })
}

/// The PDF of a paper, if there is one.
pub fn pdf_of(paper: &Paper) -> Option<String> {
    link(paper, LinkKind::Pdf).or_else(|| {
        let id = paper.id.strip_prefix("arxiv:")?;
        Some(format!("https://arxiv.org/pdf/{id}"))
    })
}

/// The first link of a kind. Only web addresses are used.
pub fn link(paper: &Paper, kind: LinkKind) -> Option<String> {
    let mut links = paper.links.iter().filter(|link| link.kind() == kind);
    let is_web = |url: &str| url.starts_with("https://") || url.starts_with("http://");
    links.find(|link| is_web(&link.url)).map(|link| link.url.clone())
}

/// The moment of publication; `None` if unknown.
pub fn published_time(paper: &Paper) -> Option<Timestamp> {
    let time = paper.published_time?;
    proto::convert::from_wire_time("published_time", time).ok()
}

/// The day of publication, in words, or that it is unknown.
pub fn published(paper: &Paper) -> String {
    published_time(paper).map_or_else(|| DATE_UNKNOWN.to_owned(), day_in_words)
}

/// A day as `28 November 2026`.
pub fn day_in_words(time: Timestamp) -> String {
    time.strftime("%-d %B %Y").to_string()
}

/// Text escaped for HTML.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paper_without_links_is_linked_by_its_id() {
        let paper = |id: &str| Paper {
            id: id.to_owned(),
            ..Paper::default()
        };
        assert_eq!(
            url_of(&paper("arxiv:2402.14776")).as_deref(),
            Some("https://arxiv.org/abs/2402.14776")
        );
        assert_eq!(url_of(&paper("seed:1")), None);
    }

    #[test]
    fn addresses_escape_ids_and_names() {
        assert_eq!(path_of("arxiv:hep-th/9901001"), "/papers/arxiv:hep-th/9901001");
        assert_eq!(path_of("own:<a?b#\"%>"), "/papers/own:%3Ca%3Fb%23%22%25%3E");
        assert_eq!(author_link("Ada/Müller").href, "/authors/Ada%2FM%C3%BCller");
    }
}
