//! The XML of the anthology: a collection of volumes of papers. Pure, over a reader.

use std::io::Read;

use domain::merging::Scheme;
use domain::{AuthorName, LinkKind};
use jiff::Timestamp;

use crate::dates;
use crate::draft::{PageContext, RecordDraft};
use crate::error::SourceError;
use crate::interpretation::{Interpretation, Sink};
use crate::text_format::{TextFormat, TextFormats};
use crate::xml::{FieldContent, FieldHandler, RecordHandler, StartTag, read_records};

/// What is known at the end of a file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct VolumeSummary {
    /// Papers.
    pub records: u64,
    /// The newest day on which a volume was added.
    pub newest: Option<Timestamp>,
}

#[derive(Default)]
struct VolumeHandler {
    summary: VolumeSummary,
    element: VolumeElement,
    collection: String,
    volume: String,
    ingested: Option<Timestamp>,
    year: String,
    month: String,
    paper: RecordDraft,
    number: String,
    first: String,
    last: String,
    retracted: Option<String>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum VolumeElement {
    #[default]
    Outside,
    Meta,
    Paper,
    Author,
}

/// Reads a file.
///
/// # Errors
/// A file that is no XML of the anthology or breaks off, and what `sink` answers.
pub fn parse<R: Read>(
    input: R,
    charset: Option<&str>,
    context: &PageContext,
    sink: &mut Sink<'_>,
) -> Result<VolumeSummary, SourceError> {
    let mut handler = VolumeHandler::default();
    read_records(input, charset, &mut handler, context, sink)?;
    Ok(handler.summary)
}

impl RecordHandler for VolumeHandler {
    const EXPECTED: &'static str = "an XML file of the ACL Anthology";
    const RECORD: &'static str = "a paper";

    fn is_record(name: &[u8]) -> bool {
        name == b"paper"
    }

    fn record_ends(&mut self, overflow: Option<String>) -> Option<Interpretation> {
        if self.element == VolumeElement::Outside {
            return None;
        }
        self.summary.records += 1;
        self.summary.newest = self.summary.newest.max(self.ingested);
        Some(self.finish(overflow))
    }

    fn is_in_record(&self) -> bool {
        !matches!(self.element, VolumeElement::Outside | VolumeElement::Meta)
    }
}

impl FieldHandler for VolumeHandler {
    fn opens(&mut self, tag: &StartTag<'_>) -> bool {
        let id = || tag.attribute("id").unwrap_or_default();
        match (self.element, tag.name()) {
            (_, b"collection") => self.collection = id(),
            (_, b"volume") => {
                self.volume = id();
                self.ingested = tag.attribute("ingest-date").and_then(|date| dates::parse(&date));
                self.year.clear();
                self.month.clear();
            }
            (_, b"meta") => self.element = VolumeElement::Meta,
            (_, b"paper") => {
                self.element = VolumeElement::Paper;
                self.paper = RecordDraft {
                    formats: TextFormats::all(TextFormat::Markup),
                    ..RecordDraft::default()
                };
                self.retracted = None;
                self.number = id();
            }
            (VolumeElement::Meta, name) => return matches!(name, b"year" | b"month"),
            (VolumeElement::Paper, b"author") => self.element = VolumeElement::Author,
            (VolumeElement::Author, name) => return matches!(name, b"first" | b"last"),
            (VolumeElement::Paper, name) => {
                return matches!(
                    name,
                    b"title" | b"abstract" | b"url" | b"doi" | b"retracted" | b"removed" | b"language"
                );
            }
            (VolumeElement::Outside, _) => {}
        }
        false
    }

    fn field(&mut self, name: &[u8], text: &str) {
        match name {
            b"year" => text.clone_into(&mut self.year),
            b"month" => text.clone_into(&mut self.month),
            b"first" if self.first.is_empty() => text.clone_into(&mut self.first),
            b"last" if self.last.is_empty() => text.clone_into(&mut self.last),
            b"title" => text.clone_into(&mut self.paper.title),
            b"abstract" => text.clone_into(&mut self.paper.abstract_text),
            b"url" => text.clone_into(&mut self.paper.native_id),
            b"doi" => self.paper.identify(Scheme::Doi, text),
            b"language" => text.clone_into(&mut self.paper.language),
            b"retracted" | b"removed" => self.retracted = Some(text.to_owned()),
            _ => {}
        }
    }

    fn content(&self, name: &[u8]) -> FieldContent {
        match name {
            b"title" | b"abstract" | b"first" | b"last" => FieldContent::Elements,
            _ => FieldContent::Text,
        }
    }

    fn closes(&mut self, name: &[u8]) {
        match (self.element, name) {
            (VolumeElement::Meta, b"meta") => self.element = VolumeElement::Outside,
            (VolumeElement::Author, b"author") => {
                self.element = VolumeElement::Paper;
                self.paper.authors.push(AuthorName::new(&self.first, &self.last, ""));
                self.first.clear();
                self.last.clear();
            }
            _ => {}
        }
    }
}

impl VolumeHandler {
    fn finish(&mut self, overflow: Option<String>) -> Interpretation {
        self.element = VolumeElement::Outside;
        let mut draft = std::mem::take(&mut self.paper);
        draft.datestamp = self.ingested;
        if draft.native_id.is_empty() || draft.native_id.contains('/') {
            draft.native_id = format!("{}-{}.{}", self.collection, self.volume, self.number);
        }
        let id = draft.native_id.clone();
        draft.identify(Scheme::Acl, &id);
        if let Some(reason) = overflow {
            return Interpretation::unusable(draft, reason);
        }
        if draft.identifiers.of(Scheme::Acl).next().is_none() {
            let shown = domain::text::shorten(&id);
            return Interpretation::unusable(draft, format!("id is {shown:?}, which is no id of the anthology"));
        }
        draft.published = dates::of_parts(&self.year, &self.month, "").or(self.ingested);
        let venue = self.collection.rsplit_once('.').map(|(_, venue)| venue.to_owned());
        draft.categories = venue.into_iter().chain(["cs.CL".to_owned()]).collect();
        draft.link(LinkKind::Abstract, &format!("https://aclanthology.org/{id}"));
        draft.link(LinkKind::Pdf, &format!("https://aclanthology.org/{id}.pdf"));
        match self.retracted.take() {
            Some(reason) if reason.is_empty() => Interpretation::withdrawn(draft, "retracted"),
            Some(reason) => Interpretation::withdrawn(draft, reason),
            None => Interpretation::paper(draft),
        }
    }
}
