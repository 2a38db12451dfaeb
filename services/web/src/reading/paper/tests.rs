//! The page of a paper whose every field is hostile.

use common::clock::Clock;
use jiff::Timestamp;
use proto::papers::v1::{Author, Link};

use super::*;
use crate::page::PageRenderer;

fn paper() -> Paper {
    Paper {
        id: "arxiv:2402.14776".to_owned(),
        title: "<script>x</script> $O(n)$ \u{202e}owls".to_owned(),
        r#abstract: "First \"line\" <img>.\nSecond, see https://x.org/.".to_owned(),
        authors: vec![Author {
            name: "Ada <b> O'Neil".to_owned(),
            ..Author::default()
        }],
        categories: vec!["cs.CL".to_owned()],
        published_time: Some(prost_types::Timestamp {
            seconds: 1_795_824_000,
            nanos: 0,
        }),
        accepted_time: Some(prost_types::Timestamp {
            seconds: 1_795_910_400,
            nanos: 0,
        }),
        revised_time: Some(prost_types::Timestamp {
            seconds: 1_795_996_800,
            nanos: 0,
        }),
        links: vec![Link {
            kind: LinkKind::Code.into(),
            url: "javascript:alert(1)".to_owned(),
        }],
        revision: 2,
        ..Paper::default()
    }
}

/// The page of a paper with another one like it.
async fn page(paper: &Paper) -> String {
    use axum::extract::FromRequestParts as _;
    let (mut parts, ()) = axum::http::Request::builder()
        .header("host", "papers.example")
        .body(())
        .expect("a request")
        .into_parts();
    let Ok(caller) = Caller::from_request_parts(&mut parts, &()).await;
    let other = SearchResult {
        paper: Some(Paper {
            id: "own:2".to_owned(),
            ..paper.clone()
        }),
        ..SearchResult::default()
    };
    let context = page_context(paper, Some(vec![other]), &caller, &ReaderCookies::default());
    let pages = PageRenderer::new(Clock::manual(Timestamp::from_second(1_795_824_000).expect("in range")).0);
    pages.fill("paper.html", context).expect("a page")
}

#[tokio::test]
async fn a_page_says_that_a_date_is_unknown() {
    let undated = Paper {
        published_time: None,
        ..paper()
    };
    let html = page(&undated).await;
    let (_, main) = html.split_once("<main").expect("a main part");
    assert_eq!(
        main.matches("date unknown").count(),
        2,
        "the paper and the one like it: {main}"
    );
    assert!(!main.contains("<time") && !main.contains("Published"), "{main}");
    assert!(
        main.contains("<dt>Known here since</dt><dd>29 November 2026</dd>"),
        "{main}"
    );
    assert!(!html.contains("citation_publication_date"), "{html}");
    assert!(!page(&paper()).await.contains("date unknown"));
}

#[tokio::test]
async fn the_page_of_a_paper_escapes_every_field() {
    let html = page(&paper()).await;
    for hostile in ["<script>x", "<img>", "<b>", "javascript:", "\u{202e}"] {
        assert!(!html.contains(hostile), "{hostile}: {html}");
    }
    assert_eq!(html.matches("<h1").count(), 1, "{html}");
    // The hashes of style and script change with every line of them.
    let html = html
        .lines()
        .filter(|line| !line.contains("?v="))
        .collect::<Vec<_>>()
        .join("\n");
    insta::assert_snapshot!(html);
}

#[test]
fn similarity_is_explained() {
    let mut other = paper();
    assert_eq!(
        similarity_reason(&paper(), &other, Some(0.812), Some(7.0)),
        "81% similar · also by Ada <b> O'Neil · same category"
    );
    other.authors.clear();
    other.categories = vec!["cs.CV".to_owned()];
    assert_eq!(similarity_reason(&paper(), &other, None, None), "");
    assert_eq!(
        similarity_reason(&paper(), &other, Some(0.004), Some(7.0)),
        "similar wording"
    );
    assert_eq!(similarity_reason(&paper(), &other, Some(-0.2), None), "");
}
