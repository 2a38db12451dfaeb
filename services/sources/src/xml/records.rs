//! Reads the records of an XML document one by one, whatever its format.

use std::io::Read;

use super::XmlReader;
use super::collector::{CollectorStep, FieldCollector, FieldHandler};
use crate::draft::PageContext;
use crate::error::SourceError;
use crate::interpretation::{Interpretation, Sink};
use crate::record::RecordLocation;

/// What makes records of the elements of a format.
pub trait RecordHandler: FieldHandler {
    /// What the document should be, for the error when it is not.
    const EXPECTED: &'static str;
    /// What a record is called in that error, such as `an entry`.
    const RECORD: &'static str;

    /// Whether an element of this name is a record.
    fn is_record(name: &[u8]) -> bool;

    /// The element of a record has begun; [`FieldHandler::opens`] has seen it already.
    fn record_begins(&mut self) {}

    /// The element of a record has ended. `overflow` says what in it was too long. `None` where no record was open.
    fn record_ends(&mut self, overflow: Option<String>) -> Option<Interpretation>;

    /// Whether the document is within a record.
    fn is_in_record(&self) -> bool;
}

/// Reads a document to its end and sends the items of its records.
///
/// # Errors
/// A document of another format or one that breaks off, and what `sink` answers.
pub fn read_records<R: Read, H: RecordHandler>(
    input: R,
    charset: Option<&str>,
    handler: &mut H,
    context: &PageContext,
    sink: &mut Sink<'_>,
) -> Result<(), SourceError> {
    let mut reader = XmlReader::new(input, charset, H::EXPECTED)?;
    let mut collector = FieldCollector::default();
    let mut location = RecordLocation::default();
    loop {
        match collector.step(&mut reader, handler, H::is_record)? {
            CollectorStep::Inside => {}
            CollectorStep::RecordStart => {
                handler.record_begins();
                location.record += 1;
                location.byte = reader.position();
                reader.mark();
                // What was too long before the record does not count against it.
                let _ = (reader.was_clipped(), collector.overflow());
            }
            CollectorStep::RecordEnd => {
                let overflow = collector.overflow();
                let overflow = overflow.or_else(|| reader.was_clipped().then(|| "a field is too long".to_owned()));
                let interpretation = handler.record_ends(overflow);
                if let Some(item) = interpretation.and_then(|it| it.into_item(context, location, || reader.excerpt())) {
                    sink(item)?;
                }
            }
            CollectorStep::DocumentEnd if handler.is_in_record() => {
                let why = format!("it ends within {}", H::RECORD);
                return Err(SourceError::malformed(reader.position(), why));
            }
            CollectorStep::DocumentEnd => return Ok(()),
        }
    }
}
