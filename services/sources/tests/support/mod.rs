//! What the tests of this crate share: where recorded pages are, and a page read to its end.

pub mod harvesting;

use std::path::{Path, PathBuf};

use domain::merging::SourceRecord;
use jiff::Timestamp;
use sources::parsing::{PageFormat, parse};
use sources::{PageItem, QuarantinedRecord, RecordCounts, Signal, SourceError, Withdrawal};

/// The moment at which pages are read.
pub fn now() -> Timestamp {
    "2026-09-01T00:00:00Z".parse().expect("a timestamp")
}

#[expect(clippy::print_stdout, reason = "a test that was skipped says so")]
/// The recorded pages of a folder with a suffix. Without recorded pages there are none, which is printed; a folder that
/// BROADSHEET_DATA names must have them.
pub fn recorded(folder: &str, suffix: &str) -> Vec<(String, Vec<u8>)> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("BROADSHEET_DATA").map_or(beside, PathBuf::from);
    let folder = data.join("feed-fixtures").join(folder);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        let named = std::env::var_os("BROADSHEET_DATA");
        assert!(
            named.is_none(),
            "BROADSHEET_DATA is {named:?}, and {} is not there",
            folder.display()
        );
        println!(
            "skipped: {} is not there; BROADSHEET_DATA names the folder",
            folder.display()
        );
        return Vec::new();
    };
    let mut pages: Vec<(String, Vec<u8>)> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(suffix))
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(entry.path()).expect("a page"))
        })
        .collect();
    pages.sort();
    pages
}

/// Our own small pages, one or more for each format.
pub const SAMPLES: [(PageFormat, &[u8]); 15] = [
    (PageFormat::ArxivOai, include_bytes!("../samples/arxiv-oai.xml")),
    (PageFormat::ArxivAtom, include_bytes!("../samples/arxiv-atom.xml")),
    (
        PageFormat::ArxivAnnounced,
        include_bytes!("../samples/arxiv-announced.xml"),
    ),
    (PageFormat::OaiDc, include_bytes!("../samples/oai-dc.xml")),
    (PageFormat::Feed, include_bytes!("../samples/feed-rss2.xml")),
    (PageFormat::Feed, include_bytes!("../samples/feed-rss1.xml")),
    (PageFormat::Biorxiv, include_bytes!("../samples/biorxiv.json")),
    (PageFormat::Openalex, include_bytes!("../samples/openalex.json")),
    (PageFormat::Crossref, include_bytes!("../samples/crossref.json")),
    (
        PageFormat::SemanticScholar,
        include_bytes!("../samples/semantic-scholar.json"),
    ),
    (PageFormat::Huggingface, include_bytes!("../samples/huggingface.json")),
    (PageFormat::Acl, include_bytes!("../samples/acl.xml")),
    (PageFormat::Jsonl, include_bytes!("../samples/papers.jsonl")),
    (PageFormat::Bibtex, include_bytes!("../samples/papers.bib")),
    (PageFormat::Csv, include_bytes!("../samples/papers.csv")),
];

/// A page that was read.
#[derive(Debug, Default)]
pub struct Read {
    pub papers: Vec<SourceRecord>,
    pub withdrawn: Vec<Withdrawal>,
    pub signals: Vec<Signal>,
    pub quarantined: Vec<QuarantinedRecord>,
    pub counts: RecordCounts,
}

impl Read {
    /// Keeps an item.
    pub fn take(&mut self, item: PageItem) {
        match item {
            PageItem::Paper(record) => self.papers.push(*record),
            PageItem::Withdrawal(withdrawal) => self.withdrawn.push(withdrawal),
            PageItem::Signal(signal) => self.signals.push(signal),
            PageItem::Quarantined(record) => self.quarantined.push(record),
        }
    }

    /// Ids of the papers, in order.
    pub fn ids(&self) -> Vec<&str> {
        self.papers.iter().map(|record| record.submission.id.as_str()).collect()
    }

    /// Why records were quarantined.
    pub fn reasons(&self) -> Vec<&str> {
        self.quarantined.iter().map(|record| record.reason.as_str()).collect()
    }
}

/// Reads a page.
pub fn read(format: PageFormat, page: &[u8]) -> Result<Read, SourceError> {
    let mut read = Read::default();
    read.counts = parse(format, page, now(), |item| {
        read.take(item);
        Ok(())
    })?;
    Ok(read)
}

/// Our own page of a format.
pub fn sample(format: PageFormat) -> Read {
    let (_, page) = SAMPLES.iter().find(|(of, _)| *of == format).expect("a sample");
    read(format, page).expect("a page")
}
