//! The envelope of OAI-PMH: records with headers, a resumption token, errors of the protocol. Pure, over a reader.
//!
//! A [`MetadataHandler`] of the requested format reads the `metadata` element.

use std::io::Read;

use jiff::Timestamp;

use crate::dates;
use crate::draft::{PageContext, RecordDraft};
use crate::error::SourceError;
use crate::interpretation::{Interpretation, Sink};
use crate::xml::{FieldContent, FieldHandler, RecordHandler, StartTag, read_records};

/// How the metadata of one format becomes a paper.
pub trait MetadataHandler: FieldHandler {
    /// Interprets the record read so far and resets itself. `header` has id and datestamp.
    fn finish(&mut self, header: &OaiHeader) -> Interpretation;
}

/// The header of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OaiHeader {
    /// `oai:arXiv.org:1601.03238`.
    pub identifier: String,
    /// When the record was changed.
    pub datestamp: Option<Timestamp>,
    /// Sets it belongs to.
    pub sets: Vec<String>,
    /// Whether the record was deleted.
    pub status: RecordStatus,
}

/// Whether a record was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordStatus {
    /// It exists.
    #[default]
    Present,
    /// It was deleted.
    Deleted,
}

/// What is known at the end of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OaiEnvelope {
    /// The token of the next page; `None` at the end of the list.
    pub token: Option<String>,
    /// How many records the list has according to the server.
    pub announced: Option<u64>,
    /// The time by the server's clock.
    pub clock: Option<Timestamp>,
    /// Errors of the protocol, code and text.
    pub errors: Vec<(String, String)>,
    /// Records on the page, with the skipped ones.
    pub records: u64,
    /// The newest datestamp of all of them.
    pub newest: Option<Timestamp>,
}

struct EnvelopeHandler<M> {
    metadata: M,
    header: OaiHeader,
    element: EnvelopeElement,
    envelope: OaiEnvelope,
    error_code: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EnvelopeElement {
    Envelope,
    Record,
    Header,
    Metadata,
}

/// Reads a page.
///
/// # Errors
/// A page that is no OAI-PMH or breaks off, and what `sink` answers. Errors of the protocol are in the envelope.
pub fn parse<R: Read, M: MetadataHandler>(
    input: R,
    charset: Option<&str>,
    metadata: M,
    context: &PageContext,
    sink: &mut Sink<'_>,
) -> Result<OaiEnvelope, SourceError> {
    let mut handler = EnvelopeHandler {
        metadata,
        header: OaiHeader::default(),
        element: EnvelopeElement::Envelope,
        envelope: OaiEnvelope::default(),
        error_code: String::new(),
    };
    read_records(input, charset, &mut handler, context, sink)?;
    Ok(handler.envelope)
}

impl<M: MetadataHandler> RecordHandler for EnvelopeHandler<M> {
    const EXPECTED: &'static str = "an OAI-PMH document";
    const RECORD: &'static str = "a record";

    fn is_record(name: &[u8]) -> bool {
        name == b"record"
    }

    fn record_begins(&mut self) {
        if self.is_in_record() {
            // A record that never ended: its content is dropped, and the new one counts.
            let _ = self.finish(None);
        }
        self.element = EnvelopeElement::Record;
    }

    fn record_ends(&mut self, overflow: Option<String>) -> Option<Interpretation> {
        self.is_in_record().then(|| self.finish(overflow))
    }

    fn is_in_record(&self) -> bool {
        self.element != EnvelopeElement::Envelope
    }
}

impl<M: MetadataHandler> EnvelopeHandler<M> {
    fn finish(&mut self, overflow: Option<String>) -> Interpretation {
        self.element = EnvelopeElement::Envelope;
        let header = std::mem::take(&mut self.header);
        self.envelope.records += 1;
        self.envelope.newest = self.envelope.newest.max(header.datestamp);
        let outcome = self.metadata.finish(&header);
        let reason = match overflow {
            Some(reason) => reason,
            None if header.identifier.is_empty() => "identifier is missing in the header".to_owned(),
            None => return outcome,
        };
        let draft = RecordDraft {
            native_id: header.identifier,
            datestamp: header.datestamp,
            ..RecordDraft::default()
        };
        Interpretation::unusable(draft, reason)
    }
}

impl<M: MetadataHandler> FieldHandler for EnvelopeHandler<M> {
    fn opens(&mut self, tag: &StartTag<'_>) -> bool {
        match (self.element, tag.name()) {
            (EnvelopeElement::Metadata, _) => self.metadata.opens(tag),
            (EnvelopeElement::Record, b"header") => {
                self.element = EnvelopeElement::Header;
                if tag.attribute("status").is_some_and(|status| status == "deleted") {
                    self.header.status = RecordStatus::Deleted;
                }
                false
            }
            (EnvelopeElement::Record, b"metadata") => {
                self.element = EnvelopeElement::Metadata;
                false
            }
            (EnvelopeElement::Header, b"identifier" | b"datestamp" | b"setSpec")
            | (EnvelopeElement::Envelope, b"responseDate") => true,
            (EnvelopeElement::Envelope, b"error") => {
                self.error_code = tag.attribute("code").unwrap_or_default();
                true
            }
            (EnvelopeElement::Envelope, b"resumptionToken") => {
                self.envelope.announced = tag.attribute("completeListSize").and_then(|size| size.parse().ok());
                true
            }
            _ => false,
        }
    }

    fn field(&mut self, name: &[u8], text: &str) {
        match (self.element, name) {
            (EnvelopeElement::Metadata, _) => self.metadata.field(name, text),
            (EnvelopeElement::Header, b"identifier") => text.clone_into(&mut self.header.identifier),
            (EnvelopeElement::Header, b"datestamp") => self.header.datestamp = dates::parse(text),
            (EnvelopeElement::Header, b"setSpec") => self.header.sets.push(text.to_owned()),
            (_, b"responseDate") => self.envelope.clock = dates::parse(text),
            (_, b"error") => self
                .envelope
                .errors
                .push((std::mem::take(&mut self.error_code), text.to_owned())),
            (_, b"resumptionToken") if !text.is_empty() => self.envelope.token = Some(text.to_owned()),
            _ => {}
        }
    }

    fn closes(&mut self, name: &[u8]) {
        match (self.element, name) {
            (EnvelopeElement::Header, b"header") | (EnvelopeElement::Metadata, b"metadata") => {
                self.element = EnvelopeElement::Record;
            }
            (EnvelopeElement::Metadata, _) => self.metadata.closes(name),
            _ => {}
        }
    }

    fn content(&self, name: &[u8]) -> FieldContent {
        self.metadata.content(name)
    }
}
