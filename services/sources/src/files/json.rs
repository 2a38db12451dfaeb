//! Records in JSON: lines, lists, and values one after another. Pure, over a reader.

use std::io::BufRead;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::layout::JsonLayout;
use super::lines::{LineExtent, Lines, MAX_LINE_BYTES};
use super::loose::Loose;
use super::records::RecordSender;
use super::{FileFormat, FilePage, FileProgress, csl};
use crate::encoding::lenient;
use crate::error::SourceError;
use crate::interpretation::Interpretation;
use crate::json::scanner::{ListScanner, ScanEvent};
use crate::json::too_long;
use crate::record::RecordLocation;
use crate::text_format::TextFormat;
use crate::{crossref, huggingface, openalex, semantic_scholar};

/// Reads a page of a file. One that is not made of lines is a single page.
///
/// # Errors
/// A file that cannot be read on, and what the receiver answers.
pub fn parse(
    input: impl BufRead,
    format: FileFormat,
    layout: JsonLayout,
    page: FilePage,
    records: &mut RecordSender<'_, '_>,
) -> Result<FileProgress, SourceError> {
    let mut handle = |event: ScanEvent<'_>| match event {
        ScanEvent::Element(json, location) => send(format, json, location, records),
        ScanEvent::TooLong(start, location) => records.pass(location, too_long(start, location)),
        ScanEvent::Value(..) => Ok(()),
    };
    match layout {
        JsonLayout::Lines => return lines(input, format, page, records),
        JsonLayout::List(list) => ListScanner::new(input, None, list)?.run("papers in JSON", &mut handle)?,
        JsonLayout::Values => ListScanner::new(input, None, &[])?.run_values(&mut handle)?,
    }
    Ok(FileProgress::Finished)
}

fn lines(
    input: impl BufRead,
    format: FileFormat,
    page: FilePage,
    records: &mut RecordSender<'_, '_>,
) -> Result<FileProgress, SourceError> {
    let mut lines = Lines::new(input, page.from)?;
    let mut location = RecordLocation::default();
    while location.record < page.most {
        location.byte = lines.byte;
        let Some(extent) = lines.read()? else {
            return Ok(FileProgress::Finished);
        };
        location.line = lines.number;
        if lines.line.trim_ascii().is_empty() {
            continue;
        }
        location.record += 1;
        if extent == LineExtent::Clipped {
            let reason = format!("the record has more than {MAX_LINE_BYTES} bytes");
            records.send(Interpretation::unreadable(reason), location, || lines.excerpt())?;
        } else {
            send(format, &lines.line, location, records)?;
        }
    }
    Ok(FileProgress::More(lines.byte))
}

/// Sends what a record in JSON means.
fn send(
    format: FileFormat,
    json: &[u8],
    location: RecordLocation,
    records: &mut RecordSender<'_, '_>,
) -> Result<(), SourceError> {
    let text = lenient(json);
    let text = text.trim_start_matches('\u{feff}');
    let repaired = without_numbers_that_are_none(text);
    let text = repaired.as_deref().unwrap_or(text);
    let interpretation = match format {
        FileFormat::Jsonl | FileFormat::ArxivSnapshot => return send_loose(text, location, records),
        format => match serde_json::from_str::<Value>(text) {
            Ok(value) => interpret(format, &value),
            Err(error) => Interpretation::unreadable(format!("the record is no JSON: {error}")),
        },
    };
    // A record of another shape among them may be a paper all the same.
    if matches!(interpretation, Interpretation::Unusable(..))
        && serde_json::from_str::<Loose<'_>>(text).is_ok_and(|record| record.get("title").is_some())
    {
        return send_loose(text, location, records);
    }
    records.send(interpretation, location, || text.to_owned())
}

fn send_loose(text: &str, location: RecordLocation, records: &mut RecordSender<'_, '_>) -> Result<(), SourceError> {
    let unusable = match serde_json::from_str::<Loose<'_>>(text) {
        Ok(record @ Loose::Object(_)) => {
            return records.send_loose(&record, TextFormat::Plain, location, || text.to_owned());
        }
        Ok(_) => Interpretation::unreadable("the record is no object"),
        Err(error) => Interpretation::unreadable(format!("the record is no JSON: {error}")),
    };
    records.send(unusable, location, || text.to_owned())
}

/// What a record of one of the APIs means.
fn interpret(format: FileFormat, value: &Value) -> Interpretation {
    match format {
        FileFormat::SemanticScholar => semantic_scholar::interpret(value),
        FileFormat::Openalex => openalex::interpret(value, "/updated_date"),
        FileFormat::Huggingface => huggingface::interpret(value, None),
        FileFormat::Csl => csl::interpret(value),
        // A single work comes in an envelope.
        _ => crossref::interpret(value.get("message").unwrap_or(value), "/indexed"),
    }
}

/// A record in which `NaN` and `Infinity`, which are no JSON though many programs write them, are null; `None` where that
/// is not needed.
fn without_numbers_that_are_none(text: &str) -> Option<String> {
    const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    let found = |word: &str| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some();
    if !(found("NaN") || found("Infinity")) || serde_json::from_str::<IgnoredAny>(text).is_ok() {
        return None;
    }
    let mut repaired = String::with_capacity(text.len());
    for (index, part) in pieces(text).enumerate() {
        if index % 2 == 1 {
            repaired.push_str(part);
            continue;
        }
        let replaced = WORDS
            .iter()
            .fold(part.to_owned(), |part, word| part.replace(word, "null"));
        repaired.push_str(&replaced);
    }
    Some(repaired)
}

/// What is outside of quotes and what is within them, in turn.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    let mut quoted = false;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let from = usize::from(quoted);
        let mut escaped = false;
        let end = rest.bytes().enumerate().skip(from).find(|(_, byte)| {
            let ends = *byte == b'"' && !escaped;
            escaped = quoted && *byte == b'\\' && !escaped;
            ends
        });
        let length = end.map_or(rest.len(), |(at, _)| at + from);
        let (piece, behind) = rest.split_at(length);
        rest = behind;
        quoted = !quoted;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_become_null_outside_of_quotes() {
        let text = r#"{"a":NaN,"b":"NaN \" NaN","c":[-Infinity,Infinity]}"#;
        let expected = r#"{"a":null,"b":"NaN \" NaN","c":[null,null]}"#;
        assert_eq!(without_numbers_that_are_none(text).as_deref(), Some(expected));
        assert_eq!(without_numbers_that_are_none("{}"), None);
    }
}
