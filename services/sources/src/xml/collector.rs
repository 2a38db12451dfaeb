//! Collects the text of fields while a document is read.
//!
//! A handler says which elements are fields; everything within one is its text, whatever markup is there. The handler is
//! called for each field that has ended, and for the elements around fields.

use std::io::Read;

use super::{EndTag, StartTag, XmlNode, XmlReader};
use crate::encoding::lenient;
use crate::error::SourceError;

/// The most bytes of one field; far more than an abstract may have, so that one that is too long is recognised.
const MAX_FIELD_BYTES: usize = 256 << 10;
/// The most bytes of all fields of one record.
const MAX_RECORD_BYTES: usize = 1 << 20;

/// What the elements of a format mean.
pub trait FieldHandler {
    /// An element begins outside any field. `true` if it is a field, whose text is to be read.
    fn opens(&mut self, tag: &StartTag<'_>) -> bool;

    /// A field has ended.
    fn field(&mut self, name: &[u8], text: &str);

    /// An element ends outside any field.
    fn closes(&mut self, _name: &[u8]) {}

    /// What an element within a field, beginning or ending, puts into its text.
    fn within(&self, name: &[u8]) -> &'static str {
        match name {
            b"p" | b"br" | b"div" | b"li" | b"h1" | b"h2" | b"h3" => "\n\n",
            b"tex-math" => "$",
            _ => "",
        }
    }
}

/// What a step was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectorStep {
    /// Something within the document.
    Inside,
    /// An element of the name that was asked for has begun.
    RecordStart,
    /// An element of the name that was asked for has ended.
    RecordEnd,
    /// The document has ended.
    DocumentEnd,
}

/// Collects text.
#[derive(Debug, Default)]
pub struct FieldCollector {
    name: Vec<u8>,
    nested: usize,
    text: Vec<u8>,
    record: usize,
    overflow: Option<String>,
    state: CollectorState,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum CollectorState {
    #[default]
    Outside,
    InField,
}

impl FieldCollector {
    /// Reads one event. `is_record` says which elements are records.
    pub fn step<R: Read>(
        &mut self,
        reader: &mut XmlReader<R>,
        handler: &mut impl FieldHandler,
        is_record: impl Fn(&[u8]) -> bool,
    ) -> Result<CollectorStep, SourceError> {
        match reader.next()? {
            XmlNode::Text(text) => {
                self.text(&text);
                Ok(CollectorStep::Inside)
            }
            XmlNode::Open(tag) => {
                if is_record(tag.name()) {
                    self.drop_field();
                    handler.opens(&tag);
                    return Ok(CollectorStep::RecordStart);
                }
                self.open(&tag, handler);
                Ok(CollectorStep::Inside)
            }
            XmlNode::Close(end) => {
                if is_record(end.name()) {
                    self.finish_field(handler);
                    handler.closes(end.name());
                    return Ok(CollectorStep::RecordEnd);
                }
                self.close(&end, handler);
                Ok(CollectorStep::Inside)
            }
            XmlNode::Other => Ok(CollectorStep::Inside),
            XmlNode::Finished => Ok(CollectorStep::DocumentEnd),
        }
    }

    /// What was too long since the last call. Called at the end of each record, which resets the size of the record.
    pub fn overflow(&mut self) -> Option<String> {
        self.record = 0;
        self.overflow.take()
    }

    fn open(&mut self, tag: &StartTag<'_>, handler: &mut impl FieldHandler) {
        if self.state == CollectorState::InField {
            if tag.name() == self.name {
                self.nested += 1;
            }
            let inserted = handler.within(tag.name());
            self.text(inserted.as_bytes());
            return;
        }
        if handler.opens(tag) {
            self.name.clear();
            self.name.extend_from_slice(tag.name());
            self.text.clear();
            self.nested = 0;
            self.state = CollectorState::InField;
        }
    }

    fn close(&mut self, end: &EndTag<'_>, handler: &mut impl FieldHandler) {
        if self.state == CollectorState::Outside {
            handler.closes(end.name());
            return;
        }
        if end.name() != self.name {
            let inserted = handler.within(end.name());
            self.text(inserted.as_bytes());
        } else if self.nested > 0 {
            self.nested -= 1;
        } else {
            self.finish_field(handler);
        }
    }

    fn text(&mut self, bytes: &[u8]) {
        if self.state == CollectorState::Outside {
            return;
        }
        let field = self.text.len() + bytes.len();
        self.record += bytes.len();
        if field <= MAX_FIELD_BYTES && self.record <= MAX_RECORD_BYTES {
            self.text.extend_from_slice(bytes);
            return;
        }
        if self.overflow.is_none() {
            let name = lenient(&self.name);
            self.overflow = Some(if field > MAX_FIELD_BYTES {
                format!("{name} has more than {MAX_FIELD_BYTES} bytes")
            } else {
                format!("the record has more than {MAX_RECORD_BYTES} bytes")
            });
        }
    }

    fn finish_field(&mut self, handler: &mut impl FieldHandler) {
        if self.state == CollectorState::InField {
            self.state = CollectorState::Outside;
            handler.field(&self.name, lenient(&self.text).trim());
        }
    }

    fn drop_field(&mut self) {
        self.state = CollectorState::Outside;
        self.text.clear();
    }
}
