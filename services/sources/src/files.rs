//! Files: JSON Lines, BibTeX, or CSV with a header.
//!
//! Terms: yours. Cursor: the file and the byte where the next page begins, and the size and modification time of each file
//! that was read; a file that has changed is read again, which costs ingest little.
//!
//! Fields: `mapping` says which column or key (`a.b` for nested ones) holds which field; a field it leaves out is read
//! from its own name. BibTeX has fixed names. Authors may be a list, or one text separated by `;` or ` and `.

pub mod bibtex;
pub mod csv;
pub mod fields;
pub mod jsonl;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use common::clock::Clock;
use serde::{Deserialize, Serialize};

use crate::checks::{check_choice, check_not_empty, check_number};
use crate::cursor::{Cursor, CursorError, CursorPosition, DateRange, Validator};
use crate::draft::PageContext;
use crate::error::SourceError;
use crate::fetching::read_blocking;
use crate::interpretation::Sink;
use crate::kind::SourceKind;
use crate::source::{ChangeStatus, ItemSender, PageSummary, RecordCounts, Source};

/// Settings of kind `files`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilesSettings {
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

impl Default for FilesSettings {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            format: "auto".into(),
            mapping: BTreeMap::new(),
            page_size: 1_000,
        }
    }
}

impl FilesSettings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_not_empty("paths", &self.paths)?;
        check_choice("format", &self.format, &["auto", "jsonl", "bibtex", "csv"])?;
        for field in self.mapping.keys() {
            check_choice("mapping", field, &FIELDS)?;
        }
        check_number("page_size", self.page_size, 1..=100_000)
    }
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// One JSON object a line.
    Jsonl,
    /// BibTeX.
    Bibtex,
    /// CSV with a header.
    Csv,
}

impl FileFormat {
    /// By the settings, or by the extension of the name.
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

/// Where reading of a file stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileProgress {
    /// After a page; the next one begins at this byte.
    More(u64),
    /// At the end of the file.
    Finished,
}

/// Files.
pub struct FilesSource {
    name: String,
    settings: FilesSettings,
    clock: Clock,
}

impl FilesSource {
    /// By its settings. The clock tells when a page was read.
    pub fn new(name: &str, settings: &FilesSettings, clock: &Clock) -> Self {
        Self {
            name: name.to_owned(),
            settings: settings.clone(),
            clock: clock.clone(),
        }
    }

    /// The page after which the next file follows or the round ends.
    fn summary(&self, mut next: Cursor, file: u64, counts: RecordCounts, change: ChangeStatus) -> PageSummary {
        next.pass.pages += 1;
        next.pass.records += counts.records();
        let file = file + 1;
        if file >= self.settings.paths.len() as u64 {
            return PageSummary::end_of_round(next, Duration::ZERO, counts, change);
        }
        next.position = CursorPosition::Byte { file, byte: 0 };
        PageSummary::more(next, counts, change)
    }

    /// What reads a page of a file from a byte on.
    fn parser(
        &self,
        path: &str,
        byte: u64,
    ) -> Result<
        impl FnOnce(BufReader<File>, &mut Sink<'_>) -> Result<FileProgress, SourceError> + Send + 'static,
        SourceError,
    > {
        let format = FileFormat::of(&self.settings.format, path).ok_or_else(|| SourceError::File {
            path: path.to_owned(),
            cause: "its name ends in none of .jsonl, .bib and .csv, and no format is set".into(),
        })?;
        let context = PageContext::new(&self.name, SourceKind::Files, self.clock.now());
        let mapping = self.settings.mapping.clone();
        let most = u64::from(self.settings.page_size);
        Ok(move |file: BufReader<File>, sink: &mut Sink<'_>| parse(format, file, byte, most, &mapping, &context, sink))
    }
}

/// Reads at most `most` records of a file from a byte on.
///
/// # Errors
/// A file that cannot be read, and what `sink` answers.
pub fn parse(
    format: FileFormat,
    file: impl BufRead,
    byte: u64,
    most: u64,
    mapping: &BTreeMap<String, String>,
    context: &PageContext,
    sink: &mut Sink<'_>,
) -> Result<FileProgress, SourceError> {
    match format {
        FileFormat::Jsonl => jsonl::parse(file, byte, most, mapping, context, sink),
        FileFormat::Bibtex => bibtex::parse(file, byte, most, context, sink),
        FileFormat::Csv => csv::parse(file, byte, most, mapping, context, sink),
    }
}

#[async_trait]
impl Source for FilesSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> SourceKind {
        SourceKind::Files
    }

    fn begin(&self, range: DateRange) -> Result<Cursor, CursorError> {
        if range.until.is_some() {
            let why = "files are read whole and cannot be asked for a range of dates";
            return Err(CursorError::Range(why.into()));
        }
        Cursor::start(SourceKind::Files, DateRange::default())
    }

    async fn fetch(&self, cursor: &Cursor, items: ItemSender) -> Result<PageSummary, SourceError> {
        cursor.expect(SourceKind::Files)?;
        let (number, byte) = match &cursor.position {
            CursorPosition::Start => (0, 0),
            CursorPosition::Byte { file, byte } => (*file, *byte),
            other => return Err(other.unexpected().into()),
        };
        let mut next = cursor.clone();
        next.validators.retain(|path, _| self.settings.paths.contains(path));
        let unchanged = |next| self.summary(next, number, RecordCounts::default(), ChangeStatus::Unchanged);
        let path = usize::try_from(number)
            .ok()
            .and_then(|number| self.settings.paths.get(number));
        let Some(path) = path else {
            return Ok(unchanged(next));
        };
        let (file, validator) = open(path).map_err(|error| SourceError::File {
            path: path.clone(),
            cause: error.to_string(),
        })?;
        if byte == 0 && cursor.validators.get(path) == Some(&validator) {
            return Ok(unchanged(next));
        }
        let file = BufReader::with_capacity(64 << 10, file);
        let (progress, counts) = read_blocking(file, items, self.parser(path, byte)?).await?;
        if let FileProgress::More(byte) = progress {
            next.pass.pages += 1;
            next.pass.records += counts.records();
            next.position = CursorPosition::Byte { file: number, byte };
            return Ok(PageSummary::more(next, counts, ChangeStatus::Changed));
        }
        next.set_validator(path, Some(validator));
        Ok(self.summary(next, number, counts, ChangeStatus::Changed))
    }
}

/// A file, with its size and modification time as what tells whether it has changed.
fn open(path: &str) -> io::Result<(File, Validator)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let modified = metadata.modified().ok();
    let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let validator = Validator {
        etag: Some(format!(
            "{}-{}",
            metadata.len(),
            modified.unwrap_or_default().as_nanos()
        )),
        last_modified: None,
    };
    Ok((file, validator))
}
