//! Gathers the text of fields while a document is walked.
//!
//! A form says which elements are fields; everything within one is its text, whatever markup lies there. The form is told
//! of each field that has ended, and of the elements around fields.

use std::io::Read;

use super::{End, Node, Tag, Walker};
use crate::encoding::lenient;
use crate::error::SourceError;

/// Most bytes of one field; far more than an abstract may have, so that what is too long is known to be.
const MAX_FIELD_BYTES: usize = 256 << 10;
/// Most bytes of all fields of one record.
const MAX_RECORD_BYTES: usize = 1 << 20;

/// What the elements of a format mean.
pub trait Form {
    /// An element begins outside any field. `true` if it is a field: its text is wanted.
    fn opens(&mut self, tag: &Tag<'_>) -> bool;

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

/// What a step was, for whoever parts a document into records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Something within the document.
    On,
    /// An element of the name that was asked for has begun.
    Began,
    /// An element of the name that was asked for has ended.
    Ended,
    /// The document has ended.
    Finished,
}

/// Gathers text.
#[derive(Debug, Default)]
pub struct Collector {
    name: Vec<u8>,
    nested: usize,
    text: Vec<u8>,
    record: usize,
    overflow: Option<String>,
    collecting: Collecting,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Collecting {
    #[default]
    Nothing,
    Field,
}

impl Collector {
    /// Walks one step. `records` says which elements are records.
    pub fn step<R: Read>(
        &mut self,
        walker: &mut Walker<R>,
        form: &mut impl Form,
        is_record: impl Fn(&[u8]) -> bool,
    ) -> Result<Step, SourceError> {
        match walker.next()? {
            Node::Text(text) => {
                self.text(&text);
                Ok(Step::On)
            }
            Node::Open(tag) => {
                if is_record(tag.name()) {
                    self.drop_field();
                    form.opens(&tag);
                    return Ok(Step::Began);
                }
                self.open(&tag, form);
                Ok(Step::On)
            }
            Node::Close(end) => {
                if is_record(end.name()) {
                    self.finish_field(form);
                    form.closes(end.name());
                    return Ok(Step::Ended);
                }
                self.close(&end, form);
                Ok(Step::On)
            }
            Node::Other => Ok(Step::On),
            Node::Finished => Ok(Step::Finished),
        }
    }

    /// What was too long since this was asked last. Asked at the end of each record, whose measure begins anew with it.
    pub fn overflow(&mut self) -> Option<String> {
        self.record = 0;
        self.overflow.take()
    }

    fn open(&mut self, tag: &Tag<'_>, form: &mut impl Form) {
        if self.collecting == Collecting::Field {
            if tag.name() == self.name {
                self.nested += 1;
            }
            let inserted = form.within(tag.name());
            self.text(inserted.as_bytes());
            return;
        }
        if form.opens(tag) {
            self.name.clear();
            self.name.extend_from_slice(tag.name());
            self.text.clear();
            self.nested = 0;
            self.collecting = Collecting::Field;
        }
    }

    fn close(&mut self, end: &End<'_>, form: &mut impl Form) {
        if self.collecting == Collecting::Nothing {
            form.closes(end.name());
            return;
        }
        if end.name() != self.name {
            let inserted = form.within(end.name());
            self.text(inserted.as_bytes());
        } else if self.nested > 0 {
            self.nested -= 1;
        } else {
            self.finish_field(form);
        }
    }

    fn text(&mut self, bytes: &[u8]) {
        if self.collecting == Collecting::Nothing {
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

    fn finish_field(&mut self, form: &mut impl Form) {
        if self.collecting == Collecting::Field {
            self.collecting = Collecting::Nothing;
            form.field(&self.name, lenient(&self.text).trim());
        }
    }

    fn drop_field(&mut self) {
        self.collecting = Collecting::Nothing;
        self.text.clear();
    }
}
