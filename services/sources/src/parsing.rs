//! Every parser by the name of its format: pure, from bytes to items. For tests, measurements and fuzzing, and for whoever
//! has a page at hand instead of a source.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};

use domain::merging::Provider;
use jiff::Timestamp;

use crate::arxiv::metadata::ArxivMetadata;
use crate::draft::Context;
use crate::error::SourceError;
use crate::json::{self, Said};
use crate::oai::dublin_core::DublinCore;
use crate::oai::envelope;
use crate::record::Item;
use crate::source::Counts;
use crate::{acl, arxiv, biorxiv, crossref, feed, files, huggingface, openalex, semantic_scholar};

/// A format that pages come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
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
    /// JSON Lines.
    Jsonl,
    /// BibTeX.
    Bibtex,
    /// CSV.
    Csv,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 14] = [
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
    ];
}

/// Reads a page as the source `test` would at the moment `now`, and hands its items to `sink`.
///
/// # Errors
/// A page of another format or one that breaks off, and what `sink` answers.
pub fn parse<R: Read>(
    format: Format,
    input: R,
    now: Timestamp,
    mut sink: impl FnMut(Item) -> Result<(), SourceError>,
) -> Result<Counts, SourceError> {
    let mut counts = Counts::default();
    let mut counting = |item: Item| {
        counts.add(&item);
        sink(item)
    };
    let all = read(format, input, now, &mut counting)?;
    counts.skipped = all.saturating_sub(counts.all());
    Ok(counts)
}

/// Reads a page and says how many records it had, with those that are not wanted; 0 where a format does not say.
fn read<R: Read>(
    format: Format,
    input: R,
    now: Timestamp,
    sink: &mut dyn FnMut(Item) -> Result<(), SourceError>,
) -> Result<u64, SourceError> {
    let context = Context {
        source: "test".into(),
        provider: Provider::Submitter,
        now,
    };
    let everything = || ["new", "cross", "replace", "replace-cross"].map(str::to_owned);
    let mapping = BTreeMap::new();
    let list = |layout, interpret: &mut dyn FnMut(&serde_json::Value) -> Said, input, sink: &mut _| {
        json::parse(input, None, layout, &context, interpret, sink).map(|facts| facts.records)
    };
    let most = u64::MAX;
    match format {
        Format::ArxivOai => {
            let metadata = ArxivMetadata::default();
            envelope::parse(input, None, metadata, &context, sink).map(|facts| facts.records)
        }
        Format::OaiDc => {
            let metadata = DublinCore::default();
            envelope::parse(input, None, metadata, &context, sink).map(|facts| facts.records)
        }
        Format::ArxivAtom => arxiv::atom::parse(input, None, &context, sink).map(|facts| facts.records),
        Format::ArxivAnnounced => {
            let interpret = |entry| arxiv::announced::interpret(entry, &everything());
            feed::entries::parse(input, None, &context, interpret, sink).map(|facts| facts.records)
        }
        Format::Feed => {
            let interpret = |entry| feed::interpreting::interpret(entry, &[]);
            feed::entries::parse(input, None, &context, interpret, sink).map(|facts| facts.records)
        }
        Format::Biorxiv => list(
            biorxiv::LAYOUT,
            &mut |value| biorxiv::interpret(value, "biorxiv"),
            input,
            sink,
        ),
        Format::Openalex => list(
            openalex::LAYOUT,
            &mut |value| openalex::interpret(value, "/publication_date"),
            input,
            sink,
        ),
        Format::Crossref => list(
            crossref::LAYOUT,
            &mut |value| crossref::interpret(value, "/indexed"),
            input,
            sink,
        ),
        Format::SemanticScholar => list(semantic_scholar::LAYOUT, &mut semantic_scholar::interpret, input, sink),
        Format::Huggingface => list(
            huggingface::LAYOUT,
            &mut |value| huggingface::interpret(value, Some(now)),
            input,
            sink,
        ),
        Format::Acl => acl::volumes::parse(input, None, &context, sink).map(|facts| facts.records),
        Format::Jsonl => files::jsonl::parse(BufReader::new(input), 0, most, &mapping, &context, sink).map(|_| 0),
        Format::Bibtex => files::bibtex::parse(BufReader::new(input), 0, most, &context, sink).map(|_| 0),
        Format::Csv => files::csv::parse(BufReader::new(input), 0, most, &mapping, &context, sink).map(|_| 0),
    }
}
