//! Recorded answers of the real sources: every record is read or quarantined with a reason, and none is lost.

#[expect(dead_code, reason = "each test program uses a part of it")]
mod support;

use sources::SourceError;
use sources::parsing::PageFormat;
use support::{Read, read, recorded};

fn count(page: &[u8], what: &str) -> u64 {
    let text = String::from_utf8_lossy(page);
    text.matches(what).count() as u64
}

/// Reads all pages of a folder; each must hold as many records as there are beginnings of one.
fn all(folder: &str, format: PageFormat, beginning: &str, wanted: impl Fn(&str) -> bool) -> Vec<(String, Read)> {
    let mut pages = Vec::new();
    for (name, page) in recorded(folder, ".xml").into_iter().filter(|(name, _)| wanted(name)) {
        let read = read(format, &page).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            read.counts.records(),
            count(&page, beginning),
            "{name}: {:?}",
            read.reasons()
        );
        pages.push((name, read));
    }
    pages
}

#[test]
fn arxiv_oai() {
    let pages = all("arxiv-oai", PageFormat::ArxivOai, "<record>", |name| {
        !name.starts_with("server-")
    });
    for (name, page) in &pages {
        assert!(page.quarantined.is_empty(), "{name}: {:?}", page.reasons());
        for record in &page.papers {
            assert!(
                record.datestamp.is_some() && !record.submission.authors.is_empty(),
                "{name}"
            );
            assert!(record.submission.id.starts_with("arxiv:"), "{name}");
        }
    }
    let papers: usize = pages.iter().map(|(_, page)| page.papers.len()).sum();
    assert!(pages.is_empty() || papers >= 20, "{papers}");
}

#[test]
fn arxiv_atom() {
    for (name, page) in all("arxiv-atom", PageFormat::ArxivAtom, "<entry>", |_| true) {
        let bad = usize::from(name.starts_with("id_abc"));
        assert_eq!(page.quarantined.len(), bad, "{name}: {:?}", page.reasons());
        assert!(page.papers.iter().all(|record| record.version.is_some()), "{name}");
    }
}

#[test]
fn arxiv_announcements() {
    for (name, page) in all("arxiv-rss", PageFormat::ArxivAnnounced, "<entry>", |_| true) {
        assert!(page.quarantined.is_empty(), "{name}: {:?}", page.reasons());
        let first = &page.papers[0].submission;
        assert_eq!(first.id, "arxiv:2508.13426");
        assert!(
            first.abstract_text.starts_with("As large language models"),
            "{}",
            first.abstract_text
        );
        assert_eq!(
            first.authors,
            ["Chunhua Liu", "Kabir Manandhar Shrestha", "Sukai Huang"]
        );
        let generic = read(PageFormat::Feed, &recorded("arxiv-rss", ".xml")[0].1).expect("a feed");
        assert_eq!(generic.papers.len(), page.papers.len(), "any feed reader reads it, too");
    }
}

#[test]
fn dublin_core() {
    let lists = |name: &str| name.contains("list_records") || name.contains("ListRecords") && !name.contains("Broken");
    for (name, page) in all("oai-dc", PageFormat::OaiDc, "<record>", lists) {
        for reason in page.reasons() {
            let nameless = name == "sickle-ListRecords4.xml" && reason == "identifier is missing in the header";
            let usual = reason.starts_with("title is") || reason.starts_with("abstract has");
            assert!(usual || nameless, "{name}: {reason}");
        }
        if name.starts_with("zenodo-list_records-0") {
            assert!(
                page.papers.len() > 30,
                "{name}: {} {:?}",
                page.papers.len(),
                page.reasons()
            );
            assert!(
                page.papers
                    .iter()
                    .all(|record| record.submission.id.starts_with("doi:")),
                "{name}"
            );
            assert!(
                page.papers
                    .iter()
                    .all(|record| !record.submission.abstract_text.contains("<p>")),
                "{name}"
            );
        }
        if name.starts_with("sickle-ListRecords.") {
            assert_eq!(page.withdrawn.len(), 1, "{name}");
        }
    }
    for (name, page) in recorded("oai-dc", ".xml") {
        let read = read(PageFormat::OaiDc, &page);
        if name == "sickle-ListRecordsBroken.xml" || name == "zenodo-identify-0.xml" {
            assert!(
                matches!(read, Err(SourceError::UnexpectedFormat { .. })),
                "{name}: {read:?}"
            );
        } else {
            assert!(read.is_ok(), "{name}: {read:?}");
        }
    }
}

fn items(page: &[u8], pointer: &str) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_slice(page).ok()?;
    value.pointer(pointer)?.as_array().map(|list| list.len() as u64)
}

#[test]
fn crossref() {
    for (name, page) in recorded("crossref", ".json") {
        let read = read(PageFormat::Crossref, &page).unwrap_or_else(|error| panic!("{name}: {error}"));
        let Some(items) = items(&page, "/message/items") else {
            continue;
        };
        assert_eq!(read.counts.records(), items, "{name}");
        for reason in read.reasons() {
            assert!(reason.starts_with("title is"), "{name}: {reason}");
        }
        assert!(
            read.papers
                .iter()
                .all(|record| !record.submission.abstract_text.contains("jats:")),
            "{name}"
        );
        if name == "cursor-max-0.json" {
            assert_eq!(read.papers.len(), 20);
            assert_eq!(
                read.papers[0].submission.title,
                "Widget Mania: Using a GUI Widget Framework"
            );
        }
    }
}

#[test]
fn semantic_scholar() {
    for (name, page) in recorded("semantic-scholar", ".json") {
        let read = read(PageFormat::SemanticScholar, &page).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read.counts.records(), items(&page, "/data").unwrap_or(0), "{name}");
        if name == "search_paper_bulk_retrieval-0.json" {
            assert!(read.papers.len() > 990, "{name}: {:?}", read.reasons());
        }
    }
}

#[test]
fn openalex_gives_an_error_where_it_sent_html() {
    for (name, page) in recorded("openalex", ".xml") {
        assert!(
            matches!(
                read(PageFormat::Openalex, &page),
                Err(SourceError::UnexpectedFormat { .. })
            ),
            "{name}"
        );
    }
}
