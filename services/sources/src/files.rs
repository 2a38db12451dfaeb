//! Files of papers: JSON in the shapes that people have, BibTeX, RIS, MEDLINE, PubMed XML, CSV and TSV; plain or packed.
//!
//! Terms: yours. Cursor: the file and the byte of its unpacked text where the next page begins, and the size and modification
//! time of each file that was read; a file that has changed is read again, which costs ingest little. JSON that is no lines
//! and what comes from a URL is one page.
//!
//! Fields: `mapping` says which column or key (`a.b` for nested ones) holds which field; a field it leaves out is read
//! from its usual names ([`meaning`]). `broadsheet ingest` reads the same way.

mod compression;
mod csl;
mod csv;
mod detection;
mod fields;
mod head;
pub mod inputs;
mod json;
mod layout;
mod lines;
mod loose;
mod meaning;
mod pubmed;
mod reading;
mod records;
mod source;
mod tagged;
mod unread;

pub mod bibtex;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::checks::{check_choice, check_not_empty, check_number};

pub use compression::{Compression, UnpackLimits};
pub use reading::{FileEvent, FileOptions, FilePage, FileProgress, FileSink, FileSummary, read};
pub use source::FilesSource;
pub use unread::UnreadFields;

/// Settings of kind `files`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilesSettings {
    /// Paths of files and folders, and URLs. Required.
    pub paths: Vec<String>,
    /// The format of all of them, or `auto` to go by their content.
    pub format: String,
    /// Field of a paper to column or key.
    pub mapping: BTreeMap<String, String>,
    /// Records a page.
    pub page_size: u32,
    /// The most bytes that a packed file may unpack to.
    pub max_unpacked_bytes: u64,
    /// The most bytes that a packed file may unpack to for each of its own; the first 64 MiB are allowed in any case.
    pub max_unpacked_ratio: u64,
}

/// The fields that a mapping may name.
pub const FIELDS: [&str; 13] = [
    "id",
    "title",
    "abstract",
    "authors",
    "categories",
    "published",
    "updated",
    "url",
    "pdf_url",
    "code_url",
    "language",
    "doi",
    "arxiv",
];

impl Default for FilesSettings {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            format: "auto".into(),
            mapping: BTreeMap::new(),
            page_size: 1_000,
            max_unpacked_bytes: UnpackLimits::default().bytes,
            max_unpacked_ratio: UnpackLimits::default().ratio,
        }
    }
}

impl FilesSettings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_not_empty("paths", &self.paths)?;
        let formats: Vec<&str> = std::iter::once("auto")
            .chain(FileFormat::ALL.map(FileFormat::as_str))
            .collect();
        check_choice("format", &self.format, &formats)?;
        for field in self.mapping.keys() {
            check_choice("mapping", field, &FIELDS)?;
        }
        check_number("page_size", self.page_size, 1..=100_000)?;
        check_number("max_unpacked_bytes", self.max_unpacked_bytes, 1..=1 << 50)?;
        check_number("max_unpacked_ratio", self.max_unpacked_ratio, 1..=1_000_000)
    }

    fn options(&self) -> FileOptions {
        FileOptions {
            format: FileFormat::parse(&self.format),
            mapping: self.mapping.clone(),
            limits: UnpackLimits {
                bytes: self.max_unpacked_bytes,
                ratio: self.max_unpacked_ratio,
            },
            own_source: false,
        }
    }
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// JSON with the usual names, or those of the mapping.
    Jsonl,
    /// The metadata snapshot of arXiv.
    ArxivSnapshot,
    /// Semantic Scholar, from its API or its bulk data.
    SemanticScholar,
    /// Works of OpenAlex.
    Openalex,
    /// Works of Crossref.
    Crossref,
    /// Hugging Face daily papers.
    Huggingface,
    /// CSL-JSON.
    Csl,
    /// BibTeX.
    Bibtex,
    /// RIS.
    Ris,
    /// MEDLINE, as PubMed saves it.
    Medline,
    /// XML of PubMed.
    Pubmed,
    /// CSV or TSV with a header.
    Csv,
}

impl FileFormat {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Jsonl,
        Self::ArxivSnapshot,
        Self::SemanticScholar,
        Self::Openalex,
        Self::Crossref,
        Self::Huggingface,
        Self::Csl,
        Self::Bibtex,
        Self::Ris,
        Self::Medline,
        Self::Pubmed,
        Self::Csv,
    ];

    /// As it is written in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::ArxivSnapshot => "arxiv",
            Self::SemanticScholar => "semantic_scholar",
            Self::Openalex => "openalex",
            Self::Crossref => "crossref",
            Self::Huggingface => "huggingface",
            Self::Csl => "csl",
            Self::Bibtex => "bibtex",
            Self::Ris => "ris",
            Self::Medline => "medline",
            Self::Pubmed => "pubmed",
            Self::Csv => "csv",
        }
    }

    /// For people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Jsonl => "papers in JSON",
            Self::ArxivSnapshot => "the metadata snapshot of arXiv",
            Self::SemanticScholar => "papers of Semantic Scholar",
            Self::Openalex => "works of OpenAlex",
            Self::Crossref => "works of Crossref",
            Self::Huggingface => "Hugging Face daily papers",
            Self::Csl => "CSL-JSON",
            Self::Bibtex => "BibTeX",
            Self::Ris => "RIS",
            Self::Medline => "MEDLINE",
            Self::Pubmed => "PubMed XML",
            Self::Csv => "a table (CSV or TSV)",
        }
    }

    /// The format of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }
}
