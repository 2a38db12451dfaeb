//! Every parser by the name of its format: pure, from bytes to items. For tests, benchmarks and fuzzing.

use std::io::Read;

use domain::merging::Provider;
use jiff::Timestamp;
use serde_json::Value;

use crate::arxiv::metadata::ArxivMetadata;
use crate::draft::PageContext;
use crate::error::SourceError;
use crate::files::{FileEvent, FileFormat, FileOptions, FilePage};
use crate::interpretation::{Interpretation, Sink};
use crate::json;
use crate::oai::dublin_core::DublinCore;
use crate::oai::envelope::{self, MetadataHandler};
use crate::record::PageItem;
use crate::source::RecordCounts;
use crate::{acl, arxiv, biorxiv, crossref, feed, files, huggingface, openalex, semantic_scholar};

/// A format that pages come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageFormat {
    /// OAI-PMH with metadata of arXiv.
    ArxivOai,
    /// The Atom API of arXiv.
    ArxivAtom,
    /// The announcement feed of arXiv.
    ArxivAnnounced,
    /// OAI-PMH with Dublin Core.
    OaiDc,
    /// RSS or Atom.
    Feed,
    /// The API of bioRxiv.
    Biorxiv,
    /// OpenAlex works.
    Openalex,
    /// Crossref works.
    Crossref,
    /// The bulk search of Semantic Scholar.
    SemanticScholar,
    /// Hugging Face daily papers.
    Huggingface,
    /// XML of the ACL Anthology.
    Acl,
    /// JSON with the usual names.
    Jsonl,
    /// BibTeX.
    Bibtex,
    /// CSV.
    Csv,
    /// A file of any format, known by its content.
    File,
}

impl PageFormat {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::ArxivOai,
        Self::ArxivAtom,
        Self::ArxivAnnounced,
        Self::OaiDc,
        Self::Feed,
        Self::Biorxiv,
        Self::Openalex,
        Self::Crossref,
        Self::SemanticScholar,
        Self::Huggingface,
        Self::Acl,
        Self::Jsonl,
        Self::Bibtex,
        Self::Csv,
        Self::File,
    ];
}

/// Reads a page as the source `test` would at the moment `now`, and hands its items to `sink`.
///
/// # Errors
/// A page of another format or one that breaks off, and what `sink` answers.
pub fn parse<R: Read>(
    format: PageFormat,
    input: R,
    now: Timestamp,
    mut sink: impl FnMut(PageItem) -> Result<(), SourceError>,
) -> Result<RecordCounts, SourceError> {
    let mut counts = RecordCounts::default();
    let mut counting = |item: PageItem| {
        counts.add(&item);
        sink(item)
    };
    let records = read(format, input, now, &mut counting)?;
    Ok(counts.out_of(records))
}

/// Reads a page and returns how many records it had, with the skipped ones; 0 for a format that skips none.
fn read<R: Read>(format: PageFormat, input: R, now: Timestamp, sink: &mut Sink<'_>) -> Result<u64, SourceError> {
    let context = PageContext {
        source: "test".into(),
        provider: Provider::Submitter,
        now,
    };
    let list = |layout, interpret: &mut dyn FnMut(&Value) -> Interpretation, input: R, sink: &mut _| {
        json::parse(input, None, layout, &context, interpret, sink).map(|list| list.records)
    };
    match format {
        PageFormat::ArxivOai => read_oai(input, ArxivMetadata::default(), &context, sink),
        PageFormat::OaiDc => read_oai(input, DublinCore::default(), &context, sink),
        PageFormat::ArxivAtom => arxiv::atom::parse(input, None, &context, sink).map(|feed| feed.records),
        PageFormat::ArxivAnnounced => {
            let kinds = ["new", "cross", "replace", "replace-cross"].map(str::to_owned);
            let interpret = |entry| arxiv::announced::interpret(entry, &kinds);
            feed::entries::parse(input, None, None, &context, interpret, sink).map(|feed| feed.records)
        }
        PageFormat::Feed => {
            let interpret = |entry| feed::interpret::interpret(entry, &[]);
            feed::entries::parse(input, None, None, &context, interpret, sink).map(|feed| feed.records)
        }
        PageFormat::Biorxiv => {
            let interpret = &mut |value: &Value| biorxiv::interpret(value, "biorxiv");
            list(biorxiv::LAYOUT, interpret, input, sink)
        }
        PageFormat::Openalex => {
            let interpret = &mut |value: &Value| openalex::interpret(value, "/publication_date");
            list(openalex::LAYOUT, interpret, input, sink)
        }
        PageFormat::Crossref => {
            let interpret = &mut |value: &Value| crossref::interpret(value, "/indexed");
            list(crossref::LAYOUT, interpret, input, sink)
        }
        PageFormat::SemanticScholar => list(semantic_scholar::LAYOUT, &mut semantic_scholar::interpret, input, sink),
        PageFormat::Huggingface => {
            let interpret = &mut |value: &Value| huggingface::interpret(value, Some(now));
            list(huggingface::LAYOUT, interpret, input, sink)
        }
        PageFormat::Acl => acl::volumes::parse(input, None, &context, sink).map(|volumes| volumes.records),
        PageFormat::Jsonl => read_file(Some(FileFormat::Jsonl), input, &context, sink),
        PageFormat::Bibtex => read_file(Some(FileFormat::Bibtex), input, &context, sink),
        PageFormat::Csv => read_file(Some(FileFormat::Csv), input, &context, sink),
        PageFormat::File => read_file(None, input, &context, sink),
    }
}

fn read_oai<R: Read, M: MetadataHandler>(
    input: R,
    metadata: M,
    context: &PageContext,
    sink: &mut Sink<'_>,
) -> Result<u64, SourceError> {
    envelope::parse(input, None, metadata, context, sink).map(|envelope| envelope.records)
}

/// Files skip no records.
fn read_file<R: Read>(
    format: Option<FileFormat>,
    input: R,
    context: &PageContext,
    sink: &mut Sink<'_>,
) -> Result<u64, SourceError> {
    let options = FileOptions {
        format,
        ..FileOptions::default()
    };
    let mut items = |event| match event {
        FileEvent::Item(_, item) => sink(item),
        FileEvent::Format(..) => Ok(()),
    };
    files::read(input, "", FilePage::WHOLE, &options, context, &mut items).map(|_| 0)
}
