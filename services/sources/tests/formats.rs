//! Every format by a page of our own: what is read, what is quarantined and why.

#[expect(dead_code, reason = "each test program uses a part of it")]
mod support;

use domain::LinkKind;
use domain::merging::Scheme;
use sources::parsing::PageFormat;
use sources::{SignalKind, SourceError};
use support::{read, sample};

fn date(text: &str) -> jiff::Timestamp {
    text.parse().expect("a timestamp")
}

#[test]
fn arxiv_oai() {
    let page = sample(PageFormat::ArxivOai);
    let record = &page.papers[0];
    let paper = &record.submission;
    assert_eq!(page.ids(), ["arxiv:2603.00001"]);
    assert_eq!(paper.authors, ["Kurt Gödel", "Alan Turing III"]);
    assert_eq!(paper.categories, ["cs.LO", "math.LO"]);
    assert!(
        paper.abstract_text.starts_with("We show that $a < b$ does"),
        "{}",
        paper.abstract_text
    );
    assert_eq!(
        (paper.published, paper.updated),
        (Some(date("2026-02-27T00:00:00Z")), Some(date("2026-03-01T00:00:00Z")))
    );
    assert_eq!(
        record.identifiers.of(Scheme::Doi).collect::<Vec<_>>(),
        ["10.1145/3292500.1"]
    );
    assert_eq!(record.datestamp, Some(date("2026-03-01T00:00:00Z")));
    let withdrawn: Vec<&str> = page.withdrawn.iter().map(|w| w.id.as_str()).collect();
    assert_eq!(withdrawn, ["arxiv:2603.00002", "arxiv:2603.00003"]);
    assert!(page.withdrawn[1].reason.contains("error in Lemma 2"));
    assert!(page.reasons()[0].starts_with("title is"), "{:?}", page.reasons());
    assert_eq!(
        (page.quarantined[0].id.as_str(), page.quarantined[0].location.record),
        ("arxiv:2603.00004", 4)
    );
    assert!(
        page.quarantined[0].excerpt.contains("math.NT"),
        "{}",
        page.quarantined[0].excerpt
    );
}

#[test]
fn oai_dublin_core() {
    let page = sample(PageFormat::OaiDc);
    let record = &page.papers[0];
    let paper = &record.submission;
    assert_eq!(page.ids(), ["doi:10.5281/zenodo.1"]);
    assert_eq!(
        (paper.title.as_str(), paper.language.as_str()),
        ("A thesis about things", "en")
    );
    assert_eq!(paper.authors, ["Ada Lovelace", "Alan Turing"]);
    assert_eq!(paper.abstract_text, "A longer text, escaped & twice.");
    assert_eq!(paper.categories, ["Engines", "Numbers"]);
    assert_eq!(
        (paper.published, paper.updated),
        (Some(date("2025-09-03T00:00:00Z")), Some(date("2026-01-01T00:00:00Z")))
    );
    assert!(
        paper
            .links
            .contains(&(LinkKind::Code, "https://github.com/example/engine".into()))
    );
    assert!(
        paper
            .links
            .contains(&(LinkKind::Pdf, "https://example.org/1.pdf".into()))
    );
    assert_eq!(page.withdrawn[0].id.as_str(), "test:oai:example.org:2");
    assert_eq!(page.reasons(), ["identifier is missing in the header"]);
}

#[test]
fn arxiv_atom() {
    let page = sample(PageFormat::ArxivAtom);
    let record = &page.papers[0];
    assert_eq!((page.ids(), record.version), (vec!["arxiv:2603.00001"], Some(2)));
    assert_eq!(record.submission.categories, ["cs.LO", "math.LO"]);
    assert_eq!(record.submission.authors, ["Kurt Gödel", "Alan Turing"]);
    assert_eq!(page.reasons(), ["arXiv says: incorrect id format for abc"]);
}

#[test]
fn arxiv_announcements() {
    let page = sample(PageFormat::ArxivAnnounced);
    let [new, replaced] = page.papers.as_slice() else {
        panic!("{page:?}");
    };
    assert_eq!(new.submission.abstract_text, "What is new today.");
    assert_eq!(new.submission.authors, ["Ada Lovelace", "Alan Turing"]);
    assert_eq!(new.submission.published, Some(date("2026-03-02T05:00:00Z")));
    assert_eq!(replaced.version, Some(4));
    assert_eq!(
        replaced.submission.published,
        Some(date("2019-03-01T00:00:00Z")),
        "not the day it was revised"
    );
    assert_eq!(replaced.submission.updated, Some(date("2026-03-02T05:00:00Z")));
}

#[test]
fn feeds() {
    let page = sample(PageFormat::Feed);
    let [article, preprint] = page.papers.as_slice() else {
        panic!("{page:?}");
    };
    assert_eq!(page.ids(), ["doi:10.1145/77", "doi:10.1101/2026.01.02.123456"]);
    assert_eq!(article.submission.title, "Engines & numbers");
    assert_eq!(article.submission.abstract_text, "An abstract.");
    assert_eq!(article.submission.authors, ["Ada Lovelace"]);
    assert_eq!(article.submission.published, Some(date("2026-03-02T12:05:00Z")));
    assert_eq!(preprint.submission.authors, ["A. Lovelace", "A. M. Turing"]);
    assert!(page.reasons()[0].starts_with("title is"));

    let page = include_bytes!("samples/feed-rss1.xml");
    let page = read(PageFormat::Feed, page).expect("a page");
    assert_eq!(page.ids(), ["doi:10.1038/s1-9"]);
    assert_eq!(page.papers[0].submission.authors, ["Ada Lovelace", "Alan Turing"]);
}

#[test]
fn biorxiv() {
    let page = sample(PageFormat::Biorxiv);
    let [first, third] = page.papers.as_slice() else {
        panic!("{page:?}");
    };
    assert_eq!(first.submission.title, "Cells of E. coli");
    assert_eq!(first.submission.authors, ["A. Lovelace", "A. M. Turing"]);
    assert_eq!((third.version, third.submission.published), (Some(3), None));
    assert_eq!(third.submission.updated, Some(date("2026-03-01T00:00:00Z")));
    assert_eq!(
        third.identifiers.of(Scheme::Doi).count(),
        2,
        "the preprint's and the journal's"
    );
    assert_eq!(page.withdrawn[0].id.as_str(), "doi:10.1101/2025.01.01.000003");
    assert_eq!(page.reasons(), ["doi is \"\"; a DOI is required"]);
}

#[test]
fn openalex() {
    let page = sample(PageFormat::Openalex);
    let record = &page.papers[0];
    assert_eq!(page.ids(), ["arxiv:2603.00001"]);
    assert_eq!(record.submission.abstract_text, "We count and We compute");
    assert_eq!(record.submission.authors, ["Ada Lovelace", "A. Turing"]);
    assert_eq!(record.submission.categories, ["Computer Science", "Computing Engines"]);
    assert_eq!(record.identifiers.len(), 4);
    assert_eq!(
        (page.signals[0].kind, page.signals[0].count),
        (SignalKind::Citations, 12)
    );
    assert_eq!(page.withdrawn[0].id.as_str(), "openalex:W3");
    assert!(page.reasons()[0].starts_with("title is"));
}

#[test]
fn crossref() {
    let page = sample(PageFormat::Crossref);
    let record = &page.papers[0];
    assert_eq!(page.ids(), ["arxiv:2603.00001"], "the preprint is the same work");
    assert_eq!(record.submission.title, "Engines & numbers");
    assert_eq!(record.submission.authors, ["Ada Lovelace", "The Engine Consortium"]);
    assert_eq!(record.submission.published, Some(date("2026-03-01T00:00:00Z")));
    assert_eq!(record.datestamp, Some(date("2026-03-02T03:04:05Z")));
    assert_eq!(page.withdrawn[0].id.as_str(), "doi:10.1145/70");
    assert_eq!(page.withdrawn[0].reason, "retraction by doi:10.1145/78");
    assert!(page.reasons()[0].starts_with("title is"));
    assert_eq!(page.reasons()[1], "the record is no object");
    assert_eq!(page.quarantined[0].datestamp, Some(date("2026-03-02T00:00:00Z")));
}

#[test]
fn semantic_scholar() {
    let page = sample(PageFormat::SemanticScholar);
    assert_eq!(page.ids(), ["arxiv:2603.00001"]);
    assert_eq!(page.papers[0].submission.published, Some(date("2026-01-01T00:00:00Z")));
    assert_eq!(page.signals[0].count, 5);
    assert_eq!(page.reasons(), ["paperId is missing"]);
}

#[test]
fn hugging_face() {
    let page = sample(PageFormat::Huggingface);
    assert_eq!(page.ids(), ["arxiv:2603.00001"]);
    let counted: Vec<_> = page.signals.iter().map(|signal| (signal.kind, signal.count)).collect();
    assert_eq!(
        counted,
        [
            (SignalKind::Upvotes, 42),
            (SignalKind::Stars, 7),
            (SignalKind::Comments, 3)
        ]
    );
    assert_eq!(page.quarantined.len(), 3);
}

#[test]
fn acl() {
    let page = sample(PageFormat::Acl);
    let record = &page.papers[0];
    assert_eq!(page.ids(), ["doi:10.18653/v1/2026.acl-long.1", "acl:2026.acl-1.3"]);
    assert_eq!(record.submission.title, "Learning English with $\\alpha$");
    assert_eq!(record.submission.authors, ["Ada Lovelace", "Plato"]);
    assert_eq!(record.submission.published, Some(date("2026-07-01T00:00:00Z")));
    assert_eq!(page.withdrawn[0].reason, "A mistake.");
}

#[test]
fn files() {
    let page = sample(PageFormat::Jsonl);
    assert_eq!(page.ids(), ["arxiv:0704.0001", "x-2"]);
    assert_eq!(
        page.papers[0].submission.authors,
        ["C. Balázs", "E. L. Berger", "P. M. Nadolsky"]
    );
    assert_eq!(page.papers[0].submission.categories, ["hep-ph", "hep-ex"]);
    assert_eq!(page.papers[1].submission.authors, ["Ada Lovelace", "Alan Turing"]);
    assert!(page.reasons()[0].starts_with("the record is no JSON"));

    let page = sample(PageFormat::Bibtex);
    assert_eq!(page.ids(), ["doi:10.1007/bf01700692", "turing36", "arxiv:2603.00001"]);
    let paper = page.papers[0]
        .submission
        .clone()
        .into_paper(support::now())
        .expect("a paper");
    assert_eq!(paper.title, "Über formal Unentscheidbare Sätze");
    assert_eq!(paper.authors, ["Kurt Gödel", "Paul Erdős"]);
    assert_eq!(page.papers[1].submission.title, "On computable numbers, with $a < b$");
    assert_eq!(page.papers[2].submission.categories, ["cs.LO"]);
    assert_eq!(page.reasons(), ["the entry does not end"]);

    let page = sample(PageFormat::Csv);
    assert_eq!(page.ids(), ["1"]);
    assert_eq!(page.papers[0].submission.title, "Engines, and numbers");
    assert_eq!(page.papers[0].submission.authors, ["Ada Lovelace", "Alan Turing"]);
    assert_eq!(page.reasons()[0], "the record has 3 fields and the header 6");
    assert!(page.reasons()[1].starts_with("title is"));
}

#[test]
fn html_and_other_things_are_told_from_what_was_expected() {
    let html = b"<!DOCTYPE html>\n<html><head><title>Down for maintenance</title></head><body><p>Sorry<br>" as &[u8];
    for format in PageFormat::ALL {
        if matches!(format, PageFormat::Jsonl | PageFormat::Bibtex | PageFormat::Csv) {
            continue;
        }
        match read(format, html) {
            Err(SourceError::UnexpectedFormat { found, .. }) => {
                assert_eq!(found, "an HTML page titled \"Down for maintenance\"", "{format:?}");
            }
            other => panic!("{format:?}: {other:?}"),
        }
        for nothing in [b"" as &[u8], b"  \n", b"Rate limit exceeded"] {
            assert!(
                matches!(read(format, nothing), Err(SourceError::UnexpectedFormat { .. })),
                "{format:?}"
            );
        }
    }
}

#[test]
fn a_feed_knows_its_papers_by_any_address() {
    let item = |address: &str| {
        format!(
            "<item><title>A paper</title><link>{address}</link><guid>x-{}</guid></item>",
            address.len()
        )
    };
    let of = |address: &str| {
        let page = format!("<rss version=\"2.0\"><channel>{}</channel></rss>", item(address));
        let page = read(PageFormat::Feed, page.as_bytes()).expect("a page");
        page.ids()[0].to_owned()
    };
    for (address, id) in [
        ("https://rss.arxiv.org/abs/2403.00001", "arxiv:2403.00001"),
        (
            "https://arxiv.org/abs/2403.00002?utm_source=feed&amp;utm_medium=rss#top",
            "arxiv:2403.00002",
        ),
        ("http://arxiv.org/abs/math.GT/0309136v1", "arxiv:math/0309136"),
        ("https://ar5iv.labs.arxiv.org/html/2403.00006", "arxiv:2403.00006"),
        (
            "https://www.biorxiv.org/content/10.1101/2026.01.02.123456v2.full?rss=1",
            "doi:10.1101/2026.01.02.123456",
        ),
        ("https://dl.acm.org/doi/abs/10.1145/77?af=R", "doi:10.1145/77"),
        ("https://example.org/posts/2403.00001", "x-36"),
    ] {
        assert_eq!(of(address), id, "{address}");
    }
}

#[test]
fn a_file_knows_its_papers_by_id_or_address() {
    let lines = concat!(
        r#"{"title": "A", "url": "https://www.arxiv.org/pdf/2403.00005v2.pdf"}"#,
        "\n",
        r#"{"title": "B", "id": "https://doi.org/10.4230%2Fdagman.6.1.1"}"#,
        "\n",
        r#"{"title": "C", "id": "7", "doi": "10.1007/978-3-030-15719-7\\_27"}"#,
        "\n",
        r#"{"title": "D", "id": "doi:pending"}"#,
    );
    let page = read(PageFormat::Jsonl, lines.as_bytes()).expect("a page");
    let expected = [
        "arxiv:2403.00005",
        "doi:10.4230/dagman.6.1.1",
        "doi:10.1007/978-3-030-15719-7_27",
    ];
    assert_eq!(page.ids()[..3], expected);
    assert!(page.ids()[3].ends_with(":doi:pending"), "{:?}", page.ids());
}

#[test]
fn entity_bombs_do_nothing() {
    let bomb = br#"<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;"><!ENTITY x SYSTEM "file:///etc/passwd">]>
        <rss><channel><item><title>A &lol2; and &x; title</title><guid>1</guid></item></channel></rss>"#;
    let page = read(PageFormat::Feed, bomb).expect("a page");
    assert_eq!(page.papers[0].submission.title, "A &lol2; and &x; title");
}

#[test]
fn a_gigantic_field_is_set_aside_and_the_rest_goes_on() {
    let sound = "<item><title>Sound</title><guid>9</guid></item>";
    let huge = "x".repeat(3 << 20);
    for text in [
        huge.clone(),
        format!("<![CDATA[{huge}]]>"),
        format!("a]]{huge}]]>").repeat(2),
    ] {
        let page = format!("<rss><item><title>Big</title><description>{text}</description></item>{sound}</rss>");
        let page = read(PageFormat::Feed, page.as_bytes()).expect("a page");
        assert_eq!(page.ids(), ["9"]);
        assert_eq!(page.quarantined.len(), 1, "{:?}", page.reasons());
        assert!(
            page.reasons()[0].contains("more than 262144 bytes"),
            "{:?}",
            page.reasons()
        );
    }
    let page = format!(
        r#"{{"results":[{{"title":"{}"}},{{"id":"W7","title":"Sound"}}]}}"#,
        "y".repeat(5 << 20)
    );
    let page = read(PageFormat::Openalex, page.as_bytes()).expect("a page");
    assert_eq!((page.ids(), page.quarantined.len()), (vec!["openalex:W7"], 1));
    let page = format!(
        "{{\"title\":\"{}\"}}\n{{\"id\":\"7\",\"title\":\"Sound\"}}\n",
        "z".repeat(5 << 20)
    );
    let page = read(PageFormat::Jsonl, page.as_bytes()).expect("a page");
    assert_eq!((page.ids(), page.quarantined.len()), (vec!["7"], 1));
}

#[test]
fn markup_without_end_is_an_error_and_what_came_before_it_holds() {
    let page = format!(
        "<rss><item><title>Sound</title><guid>9</guid></item><item foo=\"{}",
        "x".repeat(2 << 20)
    );
    let mut papers = 0;
    let end = sources::parsing::parse(PageFormat::Feed, page.as_bytes(), support::now(), |_| {
        papers += 1;
        Ok(())
    });
    assert!(matches!(end, Err(SourceError::Malformed { .. })), "{end:?}");
    assert_eq!(papers, 1);
}

#[test]
fn a_page_that_ends_within_a_record_is_malformed() {
    let whole = include_bytes!("samples/arxiv-oai.xml");
    let end = whole
        .windows(9)
        .rposition(|window| window == b"</record>")
        .expect("a record");
    assert!(matches!(
        read(PageFormat::ArxivOai, &whole[..end - 20]),
        Err(SourceError::Malformed { .. })
    ));
    let whole = include_bytes!("samples/openalex.json");
    assert!(matches!(
        read(PageFormat::Openalex, &whole[..whole.len() - 30]),
        Err(SourceError::Malformed { .. })
    ));
}

#[test]
fn wrong_encodings_are_read_as_what_they_are() {
    let latin = b"<rss><channel><item><title>G\xf6del \x96 a life</title><guid>1</guid></item></channel></rss>";
    let page = read(PageFormat::Feed, latin).expect("a page");
    assert_eq!(page.papers[0].submission.title, "Gödel – a life");
}
