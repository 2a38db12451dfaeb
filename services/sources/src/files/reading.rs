//! A file from its bytes to its papers.

use std::collections::BTreeMap;
use std::io::Read;

use super::compression::{Compression, UnpackLimits, unpack};
use super::detection::detect;
use super::head::HeadReader;
use super::records::RecordSender;
use super::tagged::TagDialect;
use super::unread::UnreadFields;
use super::{FileFormat, bibtex, csv, json, layout, pubmed, tagged};
use crate::draft::PageContext;
use crate::error::SourceError;
use crate::record::{PageItem, RecordLocation};

/// How a file is read.
#[derive(Debug, Clone, Default)]
pub struct FileOptions {
    /// Its format; `None` to go by its content.
    pub format: Option<FileFormat>,
    /// Field of a paper to column or key, where a name is not the usual one.
    pub mapping: BTreeMap<String, String>,
    /// How much it may unpack to.
    pub limits: UnpackLimits,
    /// Whether a record may say itself from which source it comes.
    pub own_source: bool,
}

/// A part of a file.
#[derive(Debug, Clone, Copy)]
pub struct FilePage {
    /// The byte of its text where it begins; the beginning of a record.
    pub from: u64,
    /// The most records.
    pub most: u64,
}

impl FilePage {
    /// All of a file.
    pub const WHOLE: Self = Self {
        from: 0,
        most: u64::MAX,
    };
}

/// Where reading of a file stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileProgress {
    /// After a page; the next one begins at this byte.
    More(u64),
    /// At the end of the file.
    Finished,
}

/// What is found in a file, in its order.
#[derive(Debug)]
pub enum FileEvent {
    /// What the file is; comes once, before its items.
    Format(FileFormat, Compression),
    /// An item, and where its record is.
    Item(RecordLocation, PageItem),
}

/// Receives what is found. An error ends the file.
pub type FileSink<'a> = dyn FnMut(FileEvent) -> Result<(), SourceError> + 'a;

/// What is known at the end of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSummary {
    /// Where it ended.
    pub progress: FileProgress,
    /// Fields that nothing was made of.
    pub unread: UnreadFields,
}

/// Reads a page of a file. `path` is asked where the content does not tell what it is.
///
/// # Errors
/// A file that holds no papers, one that breaks off, and what `sink` answers; what came before that was passed on.
pub fn read(
    input: impl Read,
    path: &str,
    page: FilePage,
    options: &FileOptions,
    context: &PageContext,
    sink: &mut FileSink<'_>,
) -> Result<FileSummary, SourceError> {
    let unreadable = |error| SourceError::from_read(error, 0);
    let (compression, unpacked) = unpack(input, options.limits).map_err(unreadable)?;
    let input = HeadReader::new(unpacked).map_err(unreadable)?;
    let (head, whole) = input.head();
    let format = match options.format {
        Some(format) => format,
        None => detect(head, whole, path)?,
    };
    sink(FileEvent::Format(format, compression))?;
    let layout = layout::of(head.trim_ascii_start(), whole);
    let delimiter = if format == FileFormat::Csv {
        csv::delimiter(head)
    } else {
        None
    };
    let mut records = RecordSender::new(options, context, sink);
    let progress = match format {
        FileFormat::Bibtex => entries(input, page, &mut records)?,
        FileFormat::Ris => tagged::parse(input, TagDialect::Ris, page, &mut records)?,
        FileFormat::Medline => tagged::parse(input, TagDialect::Medline, page, &mut records)?,
        FileFormat::Pubmed => pubmed::parse(input, &mut records)?,
        FileFormat::Csv => csv::parse(input, delimiter.unwrap_or(b','), page, &mut records)?,
        format => json::parse(input, format, layout, page, &mut records)?,
    };
    Ok(FileSummary {
        progress,
        unread: records.unread,
    })
}

/// BibTeX says where a quarantined entry is; others are known by their number.
fn entries<R: Read>(
    input: HeadReader<R>,
    page: FilePage,
    records: &mut RecordSender<'_, '_>,
) -> Result<FileProgress, SourceError> {
    let context = records.context;
    let mut location = RecordLocation::default();
    let mut numbered = |item: PageItem| {
        location.record += 1;
        let location = match &item {
            PageItem::Quarantined(record) => record.location,
            _ => location,
        };
        records.pass(location, item)
    };
    bibtex::parse(input, page.from, page.most, context, &mut numbered)
}
