//! Pages that were tampered with: no parser panics, hangs, or makes more of a page than is in it, and every paper that
//! comes out is one that ingest takes.

#[expect(dead_code, reason = "each test program uses a part of it")]
mod support;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;
use sources::PageItem;
use sources::parsing::{PageFormat, parse};
use support::{SAMPLES, now, recorded};

#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Delete(Index, usize),
    Repeat(Index, usize),
    Insert(Index, &'static str),
    Truncate(Index),
}

fn any_change() -> impl Strategy<Value = Change> {
    let fragments = vec![
        "<",
        ">",
        "&",
        "</",
        "/>",
        "]]>",
        "<![CDATA[",
        "<!--",
        "-->",
        "<?xml",
        "<!DOCTYPE x [<!ENTITY a \"b\">]>",
        "&a;",
        "&#x0;",
        "&#1114112;",
        "\"",
        "'",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\\",
        "\\u12",
        "\0",
        "\u{feff}",
        "null",
        "<record>",
        "</record>",
        "<entry>",
        "<item>",
        "<header status=\"deleted\">",
        "@",
        "\n@x{",
        "\n@article{key,",
        "@string{a = a # a}",
        ", crossref = {a},",
        "$",
        "\\'",
        "\\begin{document}",
        "<sup>",
        "</sup>",
        "<tex-math>",
        "<mfrac>",
        "&alpha;",
        " and ",
        "-1",
        "99999999999999999999",
        "2026-02-31",
        "<html>",
        "\u{202e}",
    ];
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Flip(at, byte)),
        (any::<Index>(), 1_usize..400).prop_map(|(at, count)| Change::Delete(at, count)),
        (any::<Index>(), 1_usize..400).prop_map(|(at, count)| Change::Repeat(at, count)),
        (any::<Index>(), prop::sample::select(fragments)).prop_map(|(at, text)| Change::Insert(at, text)),
        any::<Index>().prop_map(Change::Truncate),
    ]
}

fn changed(page: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut page = page.to_vec();
    for change in changes {
        if page.is_empty() {
            return page;
        }
        match change {
            Change::Flip(at, byte) => {
                let at = at.index(page.len());
                page[at] = *byte;
            }
            Change::Delete(at, count) => {
                let at = at.index(page.len());
                let end = (at + count).min(page.len());
                page.drain(at..end);
            }
            Change::Repeat(at, count) => {
                let at = at.index(page.len());
                let end = (at + count).min(page.len());
                let part = page[at..end].to_vec();
                page.splice(at..at, part);
            }
            Change::Insert(at, text) => {
                let at = at.index(page.len());
                page.splice(at..at, text.bytes());
            }
            Change::Truncate(at) => {
                let at = at.index(page.len());
                page.truncate(at);
            }
        }
    }
    page
}

fn check(format: PageFormat, page: &[u8]) {
    let begun = Instant::now();
    let (mut items, mut bytes) = (0, 0);
    let _ = parse(format, page, now(), |item| {
        items += 1;
        match item {
            PageItem::Paper(record) => {
                let paper = record.submission;
                bytes += paper.title.len() + paper.abstract_text.len();
                bytes += paper.authors.iter().map(String::len).sum::<usize>();
                let shown = format!("{paper:?}");
                if let Err(violations) = paper.into_paper(now()) {
                    panic!("{format:?}: {violations:?} in {shown}");
                }
            }
            PageItem::Quarantined(record) => bytes += record.excerpt.len() / 64,
            PageItem::Withdrawal(_) | PageItem::Signal(_) => {}
        }
        Ok(())
    });
    assert!(items <= page.len(), "{format:?}: {items} items of {} bytes", page.len());
    assert!(
        bytes <= page.len() * 8 + 1_024,
        "{format:?}: {bytes} bytes of {}",
        page.len()
    );
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{format:?} took {:?}",
        begun.elapsed()
    );
}

/// Pages to tamper with: our own, and of the recorded ones those of usual size.
fn pages() -> Vec<(PageFormat, Vec<u8>)> {
    let mut pages: Vec<(PageFormat, Vec<u8>)> = SAMPLES.iter().map(|(format, page)| (*format, page.to_vec())).collect();
    for (folder, format, suffix) in [
        ("arxiv-oai", PageFormat::ArxivOai, ".xml"),
        ("arxiv-atom", PageFormat::ArxivAtom, ".xml"),
        ("arxiv-rss", PageFormat::ArxivAnnounced, ".xml"),
        ("oai-dc", PageFormat::OaiDc, ".xml"),
        ("crossref", PageFormat::Crossref, ".json"),
        ("semantic-scholar", PageFormat::SemanticScholar, ".json"),
        ("openalex", PageFormat::Openalex, ".json"),
    ] {
        let recorded = recorded(folder, suffix)
            .into_iter()
            .filter(|(_, page)| page.len() < 40_000);
        pages.extend(recorded.map(|(_, page)| (format, page)));
    }
    pages
}

#[test]
fn tampered_pages_are_read_as_far_as_they_go() {
    let pages = pages();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let strategy = (any::<Index>(), prop::collection::vec(any_change(), 1..8));
    let result = runner.run(&strategy, |(page, changes)| {
        let (format, page) = &pages[page.index(pages.len())];
        check(*format, &changed(page, &changes));
        Ok(())
    });
    result.expect("every page");
}

#[test]
fn every_page_may_be_read_as_every_format() {
    for (_, page) in pages() {
        for format in PageFormat::ALL {
            check(format, &page);
        }
    }
}
