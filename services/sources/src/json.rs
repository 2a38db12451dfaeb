//! Lists in JSON, as the APIs of sources give them: one element at a time, whatever their number and size.

pub mod scanner;

use std::collections::BTreeMap;
use std::io::Read;

use domain::PaperId;
use jiff::Timestamp;
use serde_json::Value;

use crate::draft::{PageContext, RecordDraft};
use crate::encoding::lenient;
use crate::error::SourceError;
use crate::interpretation::{Interpretation, Sink, quarantined};
use crate::record::{PageItem, RecordLocation, Signal, SignalKind};
use scanner::{ListScanner, MAX_ELEMENT_BYTES, ScanEvent};

/// Values beside a list that are kept.
const MAX_VALUES: usize = 256;

/// What is known at the end of a list.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct ListSummary {
    /// Values beside the list, by path.
    pub values: BTreeMap<String, Value>,
    /// Elements of the list, with the skipped ones.
    pub records: u64,
    /// The newest datestamp of all of them.
    pub newest: Option<Timestamp>,
}

impl ListSummary {
    /// Text beside the list; `None` where it is missing, empty or something else.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.values.get(path)?.as_str().filter(|text| !text.is_empty())
    }

    /// A number beside the list, even if it is quoted.
    pub fn number(&self, path: &str) -> Option<u64> {
        number(self.values.get(path)?)
    }
}

/// Where the list is.
#[derive(Debug, Clone, Copy)]
pub struct ListLayout {
    /// The keys that lead to it.
    pub list: &'static [&'static str],
    /// What the document should be, for the error when it is not.
    pub expected: &'static str,
}

/// Reads a list; `interpret` says what each element is. Pure, over a reader.
///
/// # Errors
/// A document that is no JSON or breaks off, and what `sink` answers.
pub fn parse<R: Read>(
    input: R,
    charset: Option<&str>,
    layout: ListLayout,
    context: &PageContext,
    mut interpret: impl FnMut(&Value) -> Interpretation,
    sink: &mut Sink<'_>,
) -> Result<ListSummary, SourceError> {
    let mut summary = ListSummary::default();
    let scanner = ListScanner::new(input, charset, layout.list)?;
    scanner.run(layout.expected, &mut |event| match event {
        ScanEvent::Value(path, json) => {
            if summary.values.len() < MAX_VALUES
                && let Ok(value) = serde_json::from_str(&lenient(json))
            {
                summary.values.insert(path.to_owned(), value);
            }
            Ok(())
        }
        ScanEvent::TooLong(start, location) => {
            summary.records += 1;
            sink(too_long(start, location))
        }
        ScanEvent::Element(json, location) => {
            summary.records += 1;
            let text = lenient(json);
            let interpretation = match serde_json::from_str::<Value>(&text) {
                Ok(value) => interpret(&value),
                Err(error) => Interpretation::unreadable(format!("the record is no JSON: {error}")),
            };
            summary.newest = summary.newest.max(interpretation.datestamp());
            send(interpretation, || text.to_string(), location, context, sink)
        }
    })?;
    Ok(summary)
}

/// What becomes of an element that is too long; `start` is its beginning.
pub fn too_long(start: &[u8], location: RecordLocation) -> PageItem {
    let reason = format!("the record has more than {MAX_ELEMENT_BYTES} bytes");
    quarantined(reason, location, String::new(), None, &lenient(start))
}

/// Sends the item of an element, and after a paper its signals.
pub fn send(
    mut interpretation: Interpretation,
    excerpt: impl FnOnce() -> String,
    location: RecordLocation,
    context: &PageContext,
    sink: &mut Sink<'_>,
) -> Result<(), SourceError> {
    let counted = interpretation.take_signals();
    let Some(item) = interpretation.into_item(context, location, excerpt) else {
        return Ok(());
    };
    let signals = signals(&item, &counted, context);
    sink(item)?;
    signals
        .into_iter()
        .try_for_each(|signal| sink(PageItem::Signal(signal)))
}

/// The signals of a paper, under its id.
fn signals(item: &PageItem, counted: &[(SignalKind, u64)], context: &PageContext) -> Vec<Signal> {
    let PageItem::Paper(record) = item else {
        return Vec::new();
    };
    let Ok(id) = PaperId::from_submission(&record.submission.id, &context.source) else {
        return Vec::new();
    };
    counted
        .iter()
        .map(|&(kind, count)| Signal {
            id: id.clone(),
            kind,
            count,
            observed: context.now,
            since: record.submission.published.filter(|since| *since < context.now),
        })
        .collect()
}

/// Text at a pointer such as `/ids/doi`; empty where there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The first text of a list at a pointer, or the text that is there instead of a list.
pub fn first_text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    match value.pointer(pointer) {
        Some(Value::Array(list)) => list.iter().find_map(Value::as_str).unwrap_or_default(),
        Some(Value::String(text)) => text,
        _ => "",
    }
}

/// The elements of a list at a pointer; none where there is no list.
pub fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A whole number, even if it is quoted.
pub fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A whole number at a pointer.
pub fn number_at(value: &Value, pointer: &str) -> Option<u64> {
    number(value.pointer(pointer)?)
}

/// A date at a pointer.
pub fn date(value: &Value, pointer: &str) -> Option<Timestamp> {
    crate::dates::parse(text(value, pointer))
}

/// An empty draft for an element.
///
/// # Errors
/// An element that is no object cannot be a record.
pub fn object(value: &Value) -> Result<RecordDraft, Interpretation> {
    if value.is_object() {
        return Ok(RecordDraft::default());
    }
    Err(Interpretation::unreadable("the record is no object"))
}
