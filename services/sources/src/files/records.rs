//! Where the parsers of files send what they read.

use super::loose::Loose;
use super::unread::UnreadFields;
use super::{FileEvent, FileOptions, FileSink, fields};
use crate::draft::PageContext;
use crate::error::SourceError;
use crate::interpretation::Interpretation;
use crate::json;
use crate::record::{PageItem, RecordLocation};
use crate::text_format::{TextFormat, TextFormats};

/// Makes items of records and passes them on with their places.
pub struct RecordSender<'a, 's> {
    /// How the file is read.
    pub options: &'a FileOptions,
    /// Which source the file belongs to.
    pub context: &'a PageContext,
    /// Fields that nothing was made of.
    pub unread: UnreadFields,
    sink: &'a mut FileSink<'s>,
}

impl<'a, 's> RecordSender<'a, 's> {
    /// For one file.
    pub fn new(options: &'a FileOptions, context: &'a PageContext, sink: &'a mut FileSink<'s>) -> Self {
        Self {
            options,
            context,
            unread: UnreadFields::default(),
            sink,
        }
    }

    /// Passes on what a record means; `excerpt` is called only if it is quarantined.
    pub fn send(
        &mut self,
        interpretation: Interpretation,
        location: RecordLocation,
        excerpt: impl FnOnce() -> String,
    ) -> Result<(), SourceError> {
        send(interpretation, location, excerpt, self.context, self.sink)
    }

    /// Passes on the paper that a record of named values describes. One that people wrote themselves (plain text) is refused
    /// where it is dated into the future; an issue of a journal may be.
    pub fn send_loose(
        &mut self,
        record: &Loose<'_>,
        text: TextFormat,
        location: RecordLocation,
        excerpt: impl FnOnce() -> String,
    ) -> Result<(), SourceError> {
        let mut draft = fields::draft(record, &self.options.mapping, &mut self.unread);
        draft.formats = TextFormats::all(text);
        let interpretation = match fields::future(&draft, self.context.now).filter(|_| text == TextFormat::Plain) {
            Some(reason) => Interpretation::unusable(draft, reason),
            None => Interpretation::paper(draft),
        };
        match fields::source(record).filter(|_| self.options.own_source) {
            Some(source) => {
                let context = PageContext {
                    source: source.to_owned(),
                    ..self.context.clone()
                };
                send(interpretation, location, excerpt, &context, self.sink)
            }
            None => send(interpretation, location, excerpt, self.context, self.sink),
        }
    }

    /// Passes on an item that was made already.
    pub fn pass(&mut self, location: RecordLocation, item: PageItem) -> Result<(), SourceError> {
        (self.sink)(FileEvent::Item(location, item))
    }
}

fn send(
    interpretation: Interpretation,
    location: RecordLocation,
    excerpt: impl FnOnce() -> String,
    context: &PageContext,
    sink: &mut FileSink<'_>,
) -> Result<(), SourceError> {
    let mut located = |item| sink(FileEvent::Item(location, item));
    json::send(interpretation, excerpt, location, context, &mut located)
}
