//! The page as it is sent, and that nothing of a paper or a query gets into it as markup.

use proto::papers::v1::{Author, Paper};
use proto::search::v1::{Highlight, ScorePart, TextSpan};

use super::*;
use crate::page::Pages;

fn result() -> SearchResult {
    let span = |start, end| TextSpan { start, end };
    SearchResult {
        paper: Some(Paper {
            id: "own:<i>".to_owned(),
            title: "<b>Owls</b>".to_owned(),
            authors: vec![Author {
                name: "A <u> B".to_owned(),
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
fn every_part_of_the_search_page_renders_and_is_escaped() {
    let found = found(&result(), &Reader::default()).expect("a paper");
    let problem = problem::said("<s>");
    let context = context! {
        query => "a & b", searched => true, papers => Serde(vec![found]), next => "/search?q=a&page=x%3D1",
        problem => Serde(problem), narrowings => Serde(Narrowings::default()), total => 3000, notice => "<strong>",
        here => "/search?q=a%20%26%20b", sort => "newest",
    };
    let html = Pages::new().fill(TEMPLATE, context).expect("a page");
    for expected in [
        "&lt;b&gt;<mark>Owls</mark>",
        "<mark>Owls</mark> &amp; mice.",
        "like%3Aown%3A%3Ci%3E",
        "3,000 papers",
        "by meaning no. 1",
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
