use axum::http::HeaderValue;
use std::fmt::Write as _;

use domain::AuthorName;
use proto::papers::v1::{Author, Link, LinkKind};

use super::*;

const BASE: &str = "https://papers.example";

/// As messages of earlier versions have it: the printed name alone.
fn author(name: &str) -> Author {
    Author {
        name: name.to_owned(),
        ..Author::default()
    }
}

fn paper() -> Paper {
    let time = |text: &str| {
        let time: Timestamp = text.parse().expect("a moment");
        Some(prost_types::Timestamp {
            seconds: time.as_second(),
            nanos: 0,
        })
    };
    Paper {
        id: "arxiv:2402.14776".to_owned(),
        title: "2D Matryoshka_Embeddings at 50% of the cost & $O(n_{1})$".to_owned(),
        r#abstract: "First paragraph.\nSecond & last.".to_owned(),
        authors: ["Ada K. Lovelace", "Ludwig van der Rohe", "Tom, Dick and Harry Inc."]
            .map(author)
            .to_vec(),
        categories: vec!["cs.CL".to_owned(), "cs.LG".to_owned()],
        published_time: time("2024-02-22T18:35:05Z"),
        accepted_time: time("2024-02-23T01:02:03Z"),
        links: vec![Link {
            kind: LinkKind::Pdf.into(),
            url: "https://arxiv.org/pdf/2402.14776".to_owned(),
        }],
        source: "arxiv".to_owned(),
        revision: 1,
        ..Paper::default()
    }
}

fn hostile() -> Paper {
    let text =
        "}\r\n@misc{evil, \\input{x} <script>alert(1)</script> $}{$ \u{202e}\u{0}&amp; ]]>\nER  - \nTY  - JOUR\n# h";
    Paper {
        id: "x:}{,\\\"<b>".to_owned(),
        title: text.to_owned(),
        r#abstract: text.to_owned(),
        authors: vec![author(text)],
        categories: vec![text.to_owned()],
        links: vec![Link {
            kind: LinkKind::Abstract.into(),
            url: "https://x.example/}{\\<>".to_owned(),
        }],
        ..Paper::default()
    }
}

async fn body(paper: &Paper, format: PaperFormat) -> String {
    let response = render(paper, format, BASE);
    assert_eq!(response.status(), 200);
    let body = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .expect("a body");
    String::from_utf8(body.to_vec()).expect("text")
}

fn accepted(accept: &str) -> PaperFormat {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_str(accept).expect("a value"));
    PaperFormat::requested(None, &headers).expect("a format")
}

#[test]
fn the_address_overrules_accept() {
    use PaperFormat as F;
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (accept, format) in [
        (browser, F::Html),
        ("*/*", F::Html),
        ("", F::Html),
        ("image/png", F::Html),
        ("application/json", F::Json),
        ("text/markdown, text/html;q=0.9", F::Markdown),
        ("text/html;q=0.1, application/x-bibtex", F::Bibtex),
        (
            "text/*;q=0.2, text/markdown;q=0.1, application/x-research-info-systems;q=0.3",
            F::Ris,
        ),
        ("text/*, text/html;q=0", F::Markdown),
        ("APPLICATION/VND.CITATIONSTYLES.CSL+JSON", F::Csl),
        ("application/json;q=2, text/markdown;q=x", F::Html),
    ] {
        assert_eq!(accepted(accept), format, "{accept:?}");
    }
    let headers = HeaderMap::new();
    for format in F::all() {
        assert_eq!(F::requested(Some(format.name()), &headers), Ok(format));
    }
    let refusal = F::requested(Some("pdf"), &headers)
        .expect_err("not offered")
        .to_string();
    assert!(refusal.contains("\"pdf\"") && refusal.contains("bibtex"), "{refusal}");
}

#[tokio::test]
async fn every_format_of_a_paper() {
    let paper = paper();
    let mut all = String::new();
    for format in PaperFormat::all().filter(|format| *format != PaperFormat::Html) {
        let _ = write!(
            all,
            "--- {}\n{}",
            format.name(),
            body(&paper, format).await.replace('\r', "")
        );
    }
    insta::assert_snapshot!(all);
}

/// The table that the tests of the rule for names use, too.
const NAMES: &str = include_str!("../../../../domain/tests/names.tsv");

#[tokio::test]
async fn names_are_exported_in_parts() {
    for row in NAMES.lines().filter(|line| !line.starts_with('#')) {
        let row: Vec<&str> = row.split('\t').collect();
        let name = AuthorName::parse(row[0]);
        let paper = Paper {
            id: "x:1".to_owned(),
            title: "Beacons".to_owned(),
            authors: vec![Author::from(&name)],
            ..Paper::default()
        };
        let bibtex = body(&paper, PaperFormat::Bibtex).await;
        assert!(bibtex.contains(&format!("  author = {{{}}},\n", row[7])), "{bibtex}");
        let ris = body(&paper, PaperFormat::Ris).await;
        assert!(ris.contains(&format!("AU  - {}\r\n", row[8])), "{ris}");
        let csl: serde_json::Value = serde_json::from_str(&body(&paper, PaperFormat::Csl).await).expect("JSON");
        let part = |part: &str| csl[0]["author"][0][part].as_str().unwrap_or_default().to_owned();
        let literal = if row[3].is_empty() { row[1] } else { "" };
        let expected = [row[2], row[3], row[4], literal];
        assert_eq!(
            ["given", "family", "suffix", "literal"].map(part),
            expected,
            "{}",
            row[0]
        );
    }
}

/// What is exported is read again as the same name.
#[test]
fn exported_names_are_read_as_they_were() {
    for row in NAMES.lines().filter(|line| !line.starts_with('#')) {
        let row: Vec<&str> = row.split('\t').collect();
        let name = AuthorName::parse(row[0]);
        let read = domain::names::bibtex_list(row[7], &|part| part.to_owned());
        assert_eq!(read, std::slice::from_ref(&name), "{}", row[7]);
        // In RIS nothing tells a note in parentheses from a name.
        if !row[8].contains('(') {
            assert_eq!(AuthorName::parse(row[8]), name, "{}", row[8]);
        }
    }
}

#[tokio::test]
async fn no_format_makes_up_a_date() {
    let undated = Paper {
        published_time: None,
        ..paper()
    };
    for (format, absent) in [
        (PaperFormat::Bibtex, &["year", "month", "2024-"][..]),
        (PaperFormat::Ris, &["PY  -", "DA  -"]),
        (PaperFormat::Csl, &["issued"]),
        (PaperFormat::Markdown, &["2024-02"]),
        (PaperFormat::Json, &["2024-02-22"]),
    ] {
        let text = body(&undated, format).await;
        for one in absent {
            assert!(!text.contains(one), "{one} in {text}");
        }
    }
    let markdown = body(&undated, PaperFormat::Markdown).await;
    assert!(markdown.contains("* Published: date unknown\n"), "{markdown}");
    let json: serde_json::Value = serde_json::from_str(&body(&undated, PaperFormat::Json).await).expect("JSON");
    assert_eq!(json["published"], serde_json::Value::Null);
    assert_eq!(json["accepted"], "2024-02-23T01:02:03Z");
}

#[test]
fn a_revision_changes_the_record_and_not_its_acceptance() {
    let time = |text: &str| -> Timestamp { text.parse().expect("a moment") };
    let mut paper = paper();
    assert_eq!(
        changed(&paper),
        Some(time("2024-02-23T01:02:03Z")),
        "of an earlier release"
    );
    paper.revised_time = Some(proto::convert::to_wire_time(time("2024-03-01T00:00:00Z")));
    assert_eq!(changed(&paper), Some(time("2024-03-01T00:00:00Z")));
    assert_eq!(super::accepted(&paper), Some(time("2024-02-23T01:02:03Z")));
}

#[tokio::test]
async fn headers_describe_the_format() {
    let response = render(&paper(), PaperFormat::Bibtex, BASE);
    let of = |name: &str| response.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(of("content-type"), "application/x-bibtex; charset=utf-8");
    assert_eq!(of("last-modified"), "Fri, 23 Feb 2024 01:02:03 GMT");
    assert_eq!(of("content-disposition"), "inline; filename=\"arxiv-2402.14776.bib\"");
    let links = of("link");
    assert!(
        links.starts_with("<https://papers.example/papers/arxiv:2402.14776>; rel=\"canonical\", "),
        "{links}"
    );
    assert!(
        links.contains("?format=ris>; rel=\"alternate\"; type=\"application/x-research-info-systems\""),
        "{links}"
    );
    assert!(!links.contains("format=bibtex"), "{links}");
    let page = render(&paper(), PaperFormat::Html, BASE);
    assert_eq!(
        page.headers()["location"],
        "https://papers.example/papers/arxiv:2402.14776"
    );
}

#[tokio::test]
async fn hostile_texts_stay_inside_their_fields() {
    let paper = hostile();
    let bibtex = body(&paper, PaperFormat::Bibtex).await;
    let depth = bibtex.chars().try_fold(0_i32, |depth, c| match c {
        '{' => Some(depth + 1),
        '}' if depth == 0 => None,
        '}' => Some(depth - 1),
        _ => Some(depth),
    });
    assert_eq!(depth, Some(0), "{bibtex}");
    assert_eq!(
        bibtex.lines().filter(|line| line.starts_with('@')).count(),
        1,
        "{bibtex}"
    );
    assert!(!bibtex.contains("\\input"), "{bibtex}");
    let ris = body(&paper, PaperFormat::Ris).await;
    assert_eq!(
        ris.split("\r\n").filter(|line| line.starts_with("ER  - ")).count(),
        1,
        "{ris}"
    );
    assert_eq!(
        ris.split("\r\n").filter(|line| line.starts_with("TY  - ")).count(),
        1,
        "{ris}"
    );
    assert!(!ris.replace("\r\n", "").contains(['\n', '\r']), "{ris}");
    let markdown = body(&paper, PaperFormat::Markdown).await;
    assert!(
        !markdown.contains("<script") && !markdown.contains("\n# h"),
        "{markdown}"
    );
    for format in [PaperFormat::Json, PaperFormat::Csl] {
        let text = body(&paper, format).await;
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
    }
}
