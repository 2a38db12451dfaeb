//! Collects the text of fields while a document is read.
//!
//! A handler says which elements are fields, and what they hold. Elements within one become markup of its text again, so that
//! they are read like markup that was escaped. The handler is called for each field that has ended, and for the elements
//! around fields.

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

    /// What a field holds.
    fn content(&self, _name: &[u8]) -> FieldContent {
        FieldContent::Any
    }
}

/// What a field holds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum FieldContent {
    /// Text alone; elements are dropped.
    Text,
    /// Text with elements, which is markup as it stands.
    Elements,
    /// Either elements, or text that may be markup.
    #[default]
    Any,
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
    content: FieldContent,
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
                self.characters(&text);
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
            self.element(&[b"<", &*tag.source(), b">"].concat());
            return;
        }
        if handler.opens(tag) {
            self.name.clear();
            self.name.extend_from_slice(tag.name());
            self.text.clear();
            self.content = handler.content(tag.name());
            self.nested = 0;
            self.state = CollectorState::InField;
        }
    }

    fn close(&mut self, end: &EndTag<'_>, handler: &mut impl FieldHandler) {
        if self.state == CollectorState::Outside {
            handler.closes(end.name());
            return;
        }
        if end.name() == self.name {
            if self.nested == 0 {
                return self.finish_field(handler);
            }
            self.nested -= 1;
        }
        self.element(&[b"</", end.name(), b">"].concat());
    }

    fn characters(&mut self, text: &[u8]) {
        if self.content == FieldContent::Elements {
            self.text(&escaped(text));
        } else {
            self.text(text);
        }
    }

    /// The tag of an element within a field. From the first one on, the text around is no markup.
    fn element(&mut self, tag: &[u8]) {
        match self.content {
            FieldContent::Text => return,
            FieldContent::Any => {
                self.content = FieldContent::Elements;
                self.text = escaped(&self.text);
            }
            FieldContent::Elements => {}
        }
        self.text(tag);
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

/// Text as markup spells it.
fn escaped(text: &[u8]) -> Vec<u8> {
    let mut markup = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'<' => markup.extend_from_slice(b"&lt;"),
            b'>' => markup.extend_from_slice(b"&gt;"),
            b'&' => markup.extend_from_slice(b"&amp;"),
            other => markup.push(*other),
        }
    }
    markup
}
