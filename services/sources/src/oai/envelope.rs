//! The envelope of OAI-PMH: records with headers, a resumption token, errors of the protocol. Pure, over a reader.
//!
//! What lies in `metadata` is read by a form of the format that was asked for.

use std::io::Read;

use jiff::Timestamp;

use crate::dates;
use crate::draft::{Context, Draft};
use crate::error::SourceError;
use crate::page::{Outcome, Sink};
use crate::record::Place;
use crate::xml::{Collector, Form, Step, Tag, Walker, malformed};

/// How the metadata of one format becomes a paper.
pub trait Metadata: Form {
    /// Makes the record and forgets it. `header` has id and datestamp.
    fn finish(&mut self, header: &Header) -> Outcome;
}

/// The header of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// `oai:arXiv.org:1601.03238`.
    pub identifier: String,
    /// When the record was changed.
    pub datestamp: Option<Timestamp>,
    /// Sets it belongs to.
    pub sets: Vec<String>,
    /// Whether the record was deleted.
    pub status: Status,
}

/// Whether a record is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// It is.
    #[default]
    Present,
    /// It was deleted.
    Deleted,
}

/// What is known at the end of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The token of the next page; `None` at the end of the list.
    pub token: Option<String>,
    /// How many records the list has, by its own account.
    pub announced: Option<u64>,
    /// The clock of the server.
    pub clock: Option<Timestamp>,
    /// Errors of the protocol, code and text.
    pub errors: Vec<(String, String)>,
    /// Records on the page, with those that are not wanted.
    pub records: u64,
    /// The newest datestamp of all of them.
    pub newest: Option<Timestamp>,
}

struct Reading<M> {
    metadata: M,
    header: Header,
    part: Part,
    envelope: Envelope,
    error_code: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Envelope,
    Record,
    Header,
    Metadata,
}

/// Reads a page.
///
/// # Errors
/// A page that is no OAI-PMH, breaks off, or whose items nobody takes. Errors of the protocol are no errors here.
pub fn parse<R: Read, M: Metadata>(
    input: R,
    charset: Option<&str>,
    metadata: M,
    context: &Context,
    sink: &mut Sink<'_>,
) -> Result<Envelope, SourceError> {
    let mut walker = Walker::new(input, charset, "an OAI-PMH document")?;
    let mut collector = Collector::default();
    let mut reading = Reading {
        metadata,
        header: Header::default(),
        part: Part::Envelope,
        envelope: Envelope::default(),
        error_code: String::new(),
    };
    let mut place = Place::default();
    loop {
        match collector.step(&mut walker, &mut reading, |name| name == b"record")? {
            Step::On => {}
            Step::Began => {
                if reading.part != Part::Envelope {
                    // A record that never ended: what it held is void, and the new one counts.
                    let _ = reading.finish(None);
                }
                reading.part = Part::Record;
                place.record += 1;
                place.byte = walker.position();
                walker.mark();
                let _ = (walker.was_clipped(), collector.overflow());
            }
            Step::Ended => {
                let overflow = collector.overflow();
                let overflow = overflow.or_else(|| walker.was_clipped().then(|| "a field is too long".to_owned()));
                if reading.part == Part::Envelope {
                    continue;
                }
                let outcome = reading.finish(overflow);
                if let Some(item) = outcome.into_item(context, place, || walker.excerpt()) {
                    sink(item)?;
                }
            }
            Step::Finished if reading.part == Part::Envelope => return Ok(reading.envelope),
            Step::Finished => return Err(malformed(walker.position(), "it ends within a record")),
        }
    }
}

impl<M: Metadata> Reading<M> {
    fn finish(&mut self, overflow: Option<String>) -> Outcome {
        self.part = Part::Envelope;
        let header = std::mem::take(&mut self.header);
        self.envelope.records += 1;
        self.envelope.newest = self.envelope.newest.max(header.datestamp);
        let outcome = self.metadata.finish(&header);
        let reason = match overflow {
            Some(reason) => reason,
            None if header.identifier.is_empty() => "identifier is missing in the header".to_owned(),
            None => return outcome,
        };
        let draft = Draft {
            native_id: header.identifier,
            datestamp: header.datestamp,
            ..Draft::default()
        };
        Outcome::Bad(Box::new(draft), reason)
    }
}

impl<M: Metadata> Form for Reading<M> {
    fn opens(&mut self, tag: &Tag<'_>) -> bool {
        match (self.part, tag.name()) {
            (Part::Metadata, _) => self.metadata.opens(tag),
            (Part::Record, b"header") => {
                self.part = Part::Header;
                if tag.attribute("status").is_some_and(|status| status == "deleted") {
                    self.header.status = Status::Deleted;
                }
                false
            }
            (Part::Record, b"metadata") => {
                self.part = Part::Metadata;
                false
            }
            (Part::Header, b"identifier" | b"datestamp" | b"setSpec") | (Part::Envelope, b"responseDate") => true,
            (Part::Envelope, b"error") => {
                self.error_code = tag.attribute("code").unwrap_or_default();
                true
            }
            (Part::Envelope, b"resumptionToken") => {
                self.envelope.announced = tag.attribute("completeListSize").and_then(|size| size.parse().ok());
                true
            }
            _ => false,
        }
    }

    fn field(&mut self, name: &[u8], text: &str) {
        match (self.part, name) {
            (Part::Metadata, _) => self.metadata.field(name, text),
            (Part::Header, b"identifier") => text.clone_into(&mut self.header.identifier),
            (Part::Header, b"datestamp") => self.header.datestamp = dates::parse(text),
            (Part::Header, b"setSpec") => self.header.sets.push(text.to_owned()),
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
        match (self.part, name) {
            (Part::Header, b"header") | (Part::Metadata, b"metadata") => self.part = Part::Record,
            (Part::Metadata, _) => self.metadata.closes(name),
            _ => {}
        }
    }

    fn within(&self, name: &[u8]) -> &'static str {
        self.metadata.within(name)
    }
}
