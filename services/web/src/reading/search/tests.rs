//! The rendered page; nothing from a paper or a query becomes markup.

use common::clock::Clock;
use jiff::Timestamp;
use proto::papers::v1::{Author, Paper};
use proto::search::v1::{Highlight, ScorePart, TextSpan};

use super::*;
use crate::page::PageRenderer;

fn result() -> SearchResult {
    let span = |start, end| TextSpan { start, end };
    SearchResult {
        paper: Some(Paper {
            id: "own:<i>".to_owned(),
            title: "<b>Owls</b>".to_owned(),
            authors: vec![Author {
                name: "A <u> B".to_owned(),
                ..Author::default()
            }],
            categories: vec!["<em>".to_owned()],
            ..Paper::default()
        }),
        score: 0.25,
        parts: vec![ScorePart {
            name: "dense".to_owned(),
            value: 0.25,
            rank: 1,
            raw: 0.5,
            ..ScorePart::default()
        }],
        highlight: Some(Highlight {
            sentence: "Owls & mice.".to_owned(),
            sentence_spans: vec![span(0, 4)],
            title_spans: vec![span(3, 7)],
        }),
    }
}

#[test]
fn the_search_page_escapes_everything() {
    let found = result_view(&result(), &ReaderCookies::default()).expect("a paper");
    let problem = QueryProblem::new("<s>");
    let context = context! {
        query => "a & b", searched => true, papers => Serde(vec![found]), next => "/search?q=a&page=x%3D1",
        problem => Serde(problem), filters => Serde(SearchFilters::default()), total => 3000, notice => "<strong>",
        here => "/search?q=a%20%26%20b", sort => "newest",
    };
    let html = PageRenderer::new(Clock::manual(Timestamp::UNIX_EPOCH).0)
        .fill(TEMPLATE, context)
        .expect("a page");
    for expected in [
        "&lt;b&gt;<mark>Owls</mark>",
        "<mark>Owls</mark> &amp; mice.",
        "like%3Aown%3A%3Ci%3E",
        "3,000 papers",
        "#1 by meaning",
        "<a rel=\"next\" href=\"/search?q=a&amp;page=x%3D1\">",
        "value=\"own:&lt;i&gt;\"",
    ] {
        assert!(html.contains(expected), "{expected}: {html}");
    }
    let html_of_results = html.split_once("<div id=\"found\">").map(|(_, rest)| rest.to_owned());
    insta::assert_snapshot!(html_of_results.unwrap_or_default());
    for hostile in ["<b>", "<i>", "<u>", "<s>", "<em>", "<strong>"] {
        assert!(!html.contains(hostile), "{hostile}: {html}");
    }
}
