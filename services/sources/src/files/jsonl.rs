//! JSON Lines. Pure, over a reader.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};

use serde_json::Value;

use super::{FileProgress, fields};
use crate::draft::PageContext;
use crate::encoding::lenient;
use crate::error::SourceError;
use crate::interpretation::{Interpretation, Sink};
use crate::record::{QuarantinedRecord, RecordLocation};

/// The most bytes of one line.
const MAX_LINE_BYTES: usize = 2 << 20;

/// Reads at most `most` records from a byte on.
///
/// # Errors
/// A file that cannot be read, and what `sink` answers.
pub fn parse(
    mut input: impl BufRead,
    from: u64,
    most: u64,
    mapping: &BTreeMap<String, String>,
    context: &PageContext,
    sink: &mut Sink<'_>,
) -> Result<FileProgress, SourceError> {
    skip(&mut input, from)?;
    let mut byte = from;
    let mut line = Vec::new();
    let mut location = RecordLocation::default();
    while location.record < most {
        let Some((length, extent)) = take_line(&mut input, &mut line, byte)? else {
            return Ok(FileProgress::Finished);
        };
        location.byte = byte;
        byte += length;
        if line.trim_ascii().is_empty() {
            continue;
        }
        location.record += 1;
        let interpretation = match extent {
            LineExtent::Whole => interpret(&line, mapping),
            LineExtent::Clipped => {
                Interpretation::unreadable(format!("the record has more than {MAX_LINE_BYTES} bytes"))
            }
        };
        let excerpt = || lenient(&line[..line.len().min(QuarantinedRecord::EXCERPT_BYTES)]).into_owned();
        if let Some(item) = interpretation.into_item(context, location, excerpt) {
            sink(item)?;
        }
    }
    Ok(FileProgress::More(byte))
}

/// Whether all of a line was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineExtent {
    Whole,
    Clipped,
}

/// Reads a line, and as much of it as is allowed into the buffer. `None` at the end.
fn take_line(
    input: &mut impl BufRead,
    line: &mut Vec<u8>,
    byte: u64,
) -> Result<Option<(u64, LineExtent)>, SourceError> {
    line.clear();
    let mut length = 0;
    loop {
        let available = input.fill_buf().map_err(|error| SourceError::from_read(error, byte))?;
        if available.is_empty() {
            let clipped = length > line.len() as u64;
            let extent = if clipped {
                LineExtent::Clipped
            } else {
                LineExtent::Whole
            };
            return Ok((length > 0).then_some((length, extent)));
        }
        let end = memchr::memchr(b'\n', available);
        let count = end.map_or(available.len(), |end| end + 1);
        let room = MAX_LINE_BYTES.saturating_sub(line.len());
        line.extend_from_slice(&available[..count.min(room)]);
        input.consume(count);
        length += count as u64;
        if end.is_some() {
            let extent = if length > line.len() as u64 {
                LineExtent::Clipped
            } else {
                LineExtent::Whole
            };
            return Ok(Some((length, extent)));
        }
    }
}

/// Skips the first bytes.
pub(super) fn skip(input: &mut impl Read, count: u64) -> Result<(), SourceError> {
    std::io::copy(&mut input.take(count), &mut std::io::sink())
        .map(|_| ())
        .map_err(|error| SourceError::from_read(error, 0))
}

fn interpret(line: &[u8], mapping: &BTreeMap<String, String>) -> Interpretation {
    let text = lenient(line);
    match serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) {
        Ok(value) if value.is_object() => Interpretation::paper(fields::draft(mapping, |name| values(&value, name))),
        Ok(_) => Interpretation::unreadable("the record is no object"),
        Err(error) => Interpretation::unreadable(format!("the record is no JSON: {error}")),
    }
}

/// The values of a key; `a.b` leads into objects.
fn values(value: &Value, name: &str) -> Vec<String> {
    let mut at = Some(value);
    if value.get(name).is_some() {
        at = value.get(name);
    } else {
        for key in name.split('.') {
            at = at.and_then(|value| value.get(key));
        }
    }
    match at {
        Some(Value::Array(list)) => list.iter().filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// A text, a number, or the name of an object.
fn one(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Object(object) => object.get("name")?.as_str()?.trim().to_owned(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}
