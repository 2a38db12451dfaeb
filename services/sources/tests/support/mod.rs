//! What the tests of this crate share: where recorded pages are, and a page read to its end.

pub mod harvesting;

use std::path::{Path, PathBuf};

use domain::merging::Claim;
use jiff::Timestamp;
use sources::parsing::{Format, parse};
use sources::source::Counts;
use sources::{Item, Record, SetAside, Signal, SourceError, Withdrawal};

/// The moment at which pages are read.
pub fn now() -> Timestamp {
    "2026-09-01T00:00:00Z".parse().expect("a timestamp")
}

#[expect(clippy::print_stdout, reason = "a test that was skipped says so")]
/// The recorded pages of a folder with a suffix, or nothing, said plainly, where there are none.
pub fn recorded(folder: &str, suffix: &str) -> Vec<(String, Vec<u8>)> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("BROADSHEET_DATA").map_or(beside, PathBuf::from);
    let folder = data.join("feed-fixtures").join(folder);
    let Ok(entries) = std::fs::read_dir(&folder) else {
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
pub const SAMPLES: [(Format, &[u8]); 15] = [
    (Format::ArxivOai, include_bytes!("../samples/arxiv-oai.xml")),
    (Format::ArxivAtom, include_bytes!("../samples/arxiv-atom.xml")),
    (Format::ArxivAnnounced, include_bytes!("../samples/arxiv-announced.xml")),
    (Format::OaiDc, include_bytes!("../samples/oai-dc.xml")),
    (Format::Feed, include_bytes!("../samples/feed-rss2.xml")),
    (Format::Feed, include_bytes!("../samples/feed-rss1.xml")),
    (Format::Biorxiv, include_bytes!("../samples/biorxiv.json")),
    (Format::Openalex, include_bytes!("../samples/openalex.json")),
    (Format::Crossref, include_bytes!("../samples/crossref.json")),
    (
        Format::SemanticScholar,
        include_bytes!("../samples/semantic-scholar.json"),
    ),
    (Format::Huggingface, include_bytes!("../samples/huggingface.json")),
    (Format::Acl, include_bytes!("../samples/acl.xml")),
    (Format::Jsonl, include_bytes!("../samples/papers.jsonl")),
    (Format::Bibtex, include_bytes!("../samples/papers.bib")),
    (Format::Csv, include_bytes!("../samples/papers.csv")),
];

/// A page that was read.
#[derive(Debug, Default)]
pub struct Read {
    pub papers: Vec<Claim>,
    pub withdrawn: Vec<Withdrawal>,
    pub signals: Vec<Signal>,
    pub aside: Vec<SetAside>,
    pub counts: Counts,
}

impl Read {
    /// Takes an item.
    pub fn take(&mut self, item: Item) {
        match item {
            Item::Record(Record::Paper(claim)) => self.papers.push(*claim),
            Item::Record(Record::Withdrawn(withdrawal)) => self.withdrawn.push(withdrawal),
            Item::Record(Record::Signal(signal)) => self.signals.push(signal),
            Item::SetAside(aside) => self.aside.push(aside),
        }
    }

    /// Ids of the papers, in order.
    pub fn ids(&self) -> Vec<&str> {
        self.papers.iter().map(|claim| claim.submission.id.as_str()).collect()
    }

    /// Why records were set aside.
    pub fn reasons(&self) -> Vec<&str> {
        self.aside.iter().map(|aside| aside.reason.as_str()).collect()
    }
}

/// Reads a page.
pub fn read(format: Format, page: &[u8]) -> Result<Read, SourceError> {
    let mut read = Read::default();
    read.counts = parse(format, page, now(), |item| {
        read.take(item);
        Ok(())
    })?;
    Ok(read)
}

/// Our own page of a format.
pub fn sample(format: Format) -> Read {
    let (_, page) = SAMPLES.iter().find(|(of, _)| *of == format).expect("a sample");
    read(format, page).expect("a page")
}
