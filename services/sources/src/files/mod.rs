//! Files: JSON Lines, BibTeX, or CSV with a header.
//!
//! Terms: yours. Cursor: the file and the byte where the next page begins, and of each file that was read its size and time
//! of change; a file that has changed is read anew, which costs ingest little.
//!
//! Fields: `mapping` says which column or key (`a.b` for nested ones) holds which field; what it leaves out is looked for
//! under its own name. BibTeX has names of its own. Authors may be a list, or one text parted by `;` or ` and `.

pub mod bibtex;
pub mod csv;
pub mod fields;
pub mod jsonl;
pub mod latex;

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{BufReader, Seek as _, SeekFrom};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{Kind, check_number, check_some};
use crate::cursor::{Cursor, CursorError, Position, Span, Validator};
use crate::draft::Context;
use crate::error::SourceError;
use crate::fetching::{Fetched, read_answer};
use crate::listing::no_such;
use crate::page::Sink;
use crate::source::{ComeBack, Counts, Freshness, Outlet, Page, Source};

/// Settings of kind `files`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Paths of the files. Required.
    pub paths: Vec<String>,
    /// `jsonl`, `bibtex`, `csv`, or `auto` to go by the ending of the name.
    pub format: String,
    /// Field of a paper to column or key.
    pub mapping: BTreeMap<String, String>,
    /// Records a page.
    pub page_size: u32,
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

impl Default for Settings {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            format: "auto".into(),
            mapping: BTreeMap::new(),
            page_size: 1_000,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_some("paths", &self.paths)?;
        if !["auto", "jsonl", "bibtex", "csv"].contains(&self.format.as_str()) {
            return Err(format!(
                "format is {:?}; allowed are auto, jsonl, bibtex and csv",
                self.format
            ));
        }
        for field in self.mapping.keys() {
            if !FIELDS.contains(&field.as_str()) {
                return Err(format!("mapping has {field:?}; allowed are {}", FIELDS.join(", ")));
            }
        }
        check_number("page_size", self.page_size.into(), 1..=100_000)
    }
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
    /// BibTeX.
    Bibtex,
    /// CSV with a header.
    Csv,
}

impl Format {
    /// By the settings, or by the ending of the name.
    fn of(settings: &str, path: &str) -> Option<Self> {
        let name = match settings {
            "auto" => path.rsplit('.').next()?.to_ascii_lowercase(),
            other => other.to_owned(),
        };
        match name.as_str() {
            "jsonl" | "ndjson" | "json" => Some(Self::Jsonl),
            "bib" | "bibtex" => Some(Self::Bibtex),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// Where a part of a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The byte behind the last record.
    pub byte: u64,
    /// Whether there is more.
    pub rest: Rest,
}

/// Whether there is more of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// There may be.
    Some,
    /// There is not.
    None,
}

/// Files.
pub struct Files {
    name: String,
    settings: Settings,
}

impl Files {
    /// By its settings.
    pub fn new(name: &str, settings: &Settings) -> Self {
        Self {
            name: name.to_owned(),
            settings: settings.clone(),
        }
    }

    fn turned(&self, mut next: Cursor, file: u64, counts: Counts, freshness: Freshness) -> Page {
        next.pass.pages += 1;
        next.pass.records += counts.all();
        let more = file + 1 < self.settings.paths.len() as u64;
        let come_back = if more {
            next.position = Position::Byte {
                file: file + 1,
                byte: 0,
            };
            ComeBack::Now
        } else {
            next.position = Position::Start;
            next.pass = crate::cursor::Pass::default();
            ComeBack::Later(Duration::ZERO)
        };
        Page {
            next,
            come_back,
            counts,
            freshness,
        }
    }
}

#[async_trait]
impl Source for Files {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Files
    }

    fn begin(&self, span: Span) -> Result<Cursor, CursorError> {
        if span.until.is_some() {
            return Err(CursorError::Span(
                "files are read whole and cannot be asked for a span".into(),
            ));
        }
        Cursor::start(Kind::Files, Span::default())
    }

    async fn fetch(&self, cursor: &Cursor, outlet: Outlet) -> Result<Page, SourceError> {
        cursor.expect(Kind::Files)?;
        let (number, byte) = match &cursor.position {
            Position::Start => (0, 0),
            Position::Byte { file, byte } => (*file, *byte),
            other => return Err(no_such(other).into()),
        };
        let mut next = cursor.clone();
        next.validators.retain(|path, _| self.settings.paths.contains(path));
        let path = usize::try_from(number)
            .ok()
            .and_then(|number| self.settings.paths.get(number));
        let Some(path) = path else {
            return Ok(self.turned(next, number, Counts::default(), Freshness::Unchanged));
        };
        let failed = |error: std::io::Error| SourceError::File {
            path: path.clone(),
            cause: error.to_string(),
        };
        let mut file = File::open(path).map_err(failed)?;
        let stamp = stamp(&file.metadata().map_err(failed)?);
        if byte == 0 && cursor.validators.get(path) == Some(&stamp) {
            return Ok(self.turned(next, number, Counts::default(), Freshness::Unchanged));
        }
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let reading = self.reading(path, byte)?;
        let Fetched { facts: part, counts } =
            read_answer(BufReader::with_capacity(64 << 10, file), outlet, reading).await?;
        if part.rest == Rest::Some {
            next.pass.pages += 1;
            next.pass.records += counts.all();
            next.position = Position::Byte {
                file: number,
                byte: part.byte,
            };
            return Ok(Page {
                next,
                come_back: ComeBack::Now,
                counts,
                freshness: Freshness::Sent,
            });
        }
        next.validators.insert(path.clone(), stamp);
        Ok(self.turned(next, number, counts, Freshness::Sent))
    }
}

impl Files {
    /// What reads a page of a file from a byte on.
    fn reading(
        &self,
        path: &str,
        byte: u64,
    ) -> Result<impl FnOnce(BufReader<File>, &mut Sink<'_>) -> Result<Part, SourceError> + Send + 'static, SourceError>
    {
        let format = Format::of(&self.settings.format, path).ok_or_else(|| SourceError::File {
            path: path.to_owned(),
            cause: "its name ends in none of .jsonl, .bib and .csv, and no format is set".into(),
        })?;
        let context = Context {
            source: self.name.clone(),
            provider: Kind::Files.provider(),
            now: Timestamp::now(),
        };
        let mapping = self.settings.mapping.clone();
        let most = u64::from(self.settings.page_size);
        Ok(move |file: BufReader<File>, sink: &mut Sink<'_>| match format {
            Format::Jsonl => jsonl::parse(file, byte, most, &mapping, &context, sink),
            Format::Bibtex => bibtex::parse(file, byte, most, &context, sink),
            Format::Csv => csv::parse(file, byte, most, &mapping, &context, sink),
        })
    }
}

/// Size and time of change, as what lets us see that nothing has changed.
fn stamp(metadata: &Metadata) -> Validator {
    let changed = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Validator {
        etag: Some(format!("{}-{}", metadata.len(), changed.unwrap_or_default().as_nanos())),
        last_modified: None,
    }
}
