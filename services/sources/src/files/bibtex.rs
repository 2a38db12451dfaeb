//! BibTeX. Pure, over a reader.
//!
//! Entries are found by their `@`. One that never ends is quarantined, and reading goes on at the next line that begins
//! with an `@`. Macros (`@string`) are not expanded: a value without braces is read literally.

use std::io::BufRead;

use domain::merging::Scheme;
use domain::{LinkKind, names};
use jiff::Timestamp;

use super::FileProgress;
use super::latex::plain;
use crate::dates;
use crate::draft::{PageContext, RecordDraft};
use crate::encoding::lenient;
use crate::error::SourceError;
use crate::interpretation::{Interpretation, Sink};
use crate::record::{QuarantinedRecord, RecordLocation};

/// The most bytes of one entry.
const MAX_ENTRY_BYTES: usize = 1 << 20;
/// What an entry or a value begins with.
const OPENING: [char; 2] = ['{', '('];

/// Reads at most `most` records from a byte on.
///
/// # Errors
/// A file that cannot be read, and what `sink` answers.
pub fn parse(
    mut input: impl BufRead,
    from: u64,
    most: u64,
    context: &PageContext,
    sink: &mut Sink<'_>,
) -> Result<FileProgress, SourceError> {
    super::jsonl::skip(&mut input, from)?;
    let mut entries = BibtexEntries {
        input,
        byte: from,
        entry: Vec::new(),
    };
    let mut location = RecordLocation::default();
    while location.record < most {
        let Some(extent) = entries.next()? else {
            return Ok(FileProgress::Finished);
        };
        let text = lenient(&entries.entry);
        let interpretation = match extent {
            EntryExtent::Whole => interpret(&text),
            EntryExtent::Open => Interpretation::unreadable("the entry does not end"),
            EntryExtent::TooLong => Interpretation::unreadable("the entry has more than a mebibyte"),
        };
        location.byte = entries.byte - entries.entry.len() as u64;
        if matches!(interpretation, Interpretation::Skipped) {
            continue;
        }
        location.record += 1;
        let excerpt = || text.chars().take(QuarantinedRecord::EXCERPT_BYTES).collect();
        if let Some(item) = interpretation.into_item(context, location, excerpt) {
            sink(item)?;
        }
    }
    Ok(FileProgress::More(entries.byte))
}

struct BibtexEntries<R> {
    input: R,
    byte: u64,
    entry: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EntryExtent {
    Whole,
    Open,
    TooLong,
}

impl<R: BufRead> BibtexEntries<R> {
    /// Reads the next entry, from its `@` to its last brace.
    fn next(&mut self) -> Result<Option<EntryExtent>, SourceError> {
        self.entry.clear();
        if !self.find_at()? {
            return Ok(None);
        }
        let (mut depth, mut extent) = (0_u64, EntryExtent::Whole);
        let mut before = b'@';
        loop {
            let available = self
                .input
                .fill_buf()
                .map_err(|error| SourceError::from_read(error, self.byte))?;
            let Some(&next) = available.first() else {
                return Ok(Some(if extent == EntryExtent::TooLong {
                    extent
                } else {
                    EntryExtent::Open
                }));
            };
            // An entry that was not closed ends where a line begins a new one.
            if next == b'@' && before == b'\n' && depth > 0 {
                return Ok(Some(if extent == EntryExtent::TooLong {
                    extent
                } else {
                    EntryExtent::Open
                }));
            }
            self.input.consume(1);
            self.byte += 1;
            if self.entry.len() < MAX_ENTRY_BYTES {
                self.entry.push(next);
            } else {
                extent = EntryExtent::TooLong;
            }
            match next {
                b'{' | b'(' if depth == 0 => depth = 1,
                b'{' if before != b'\\' => depth += 1,
                b'}' if before != b'\\' && depth > 0 => depth -= 1,
                b')' if depth == 1 && self.entry.iter().find(|b| matches!(b, b'{' | b'(')) == Some(&b'(') => depth = 0,
                _ => {}
            }
            let closed = depth == 0 && matches!(next, b'}' | b')');
            if closed || (depth == 0 && next == b'\n') {
                return Ok(Some(extent));
            }
            before = next;
        }
    }

    /// Skips everything up to and including the next `@`.
    fn find_at(&mut self) -> Result<bool, SourceError> {
        loop {
            let available = self
                .input
                .fill_buf()
                .map_err(|error| SourceError::from_read(error, self.byte))?;
            if available.is_empty() {
                return Ok(false);
            }
            let at = memchr::memchr(b'@', available);
            let count = at.map_or(available.len(), |at| at + 1);
            self.input.consume(count);
            self.byte += count as u64;
            if at.is_some() {
                self.entry.push(b'@');
                return Ok(true);
            }
        }
    }
}

/// What an entry means; comments, macros and what is no entry at all (an address in a remark) are skipped.
fn interpret(text: &str) -> Interpretation {
    let Some((kind, body)) = text[1..].split_once(OPENING) else {
        return Interpretation::Skipped;
    };
    let kind = kind.trim().to_ascii_lowercase();
    let word = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphabetic());
    if !word || matches!(kind.as_str(), "comment" | "string" | "preamble") {
        return Interpretation::Skipped;
    }
    let body = &body[..body.len().saturating_sub(1)];
    let (key, rest) = body.split_once(',').unwrap_or((body, ""));
    let mut draft = RecordDraft {
        native_id: key.trim().to_owned(),
        ..RecordDraft::default()
    };
    let mut date = PartialDate::default();
    for (name, value) in pairs(rest) {
        match name.as_str() {
            "year" => date.year = plain(&value),
            "month" => date.month = plain(&value),
            "day" => date.day = plain(&value),
            name => read_field(&mut draft, name, &value),
        }
    }
    draft.published = draft.published.or_else(|| date.parse());
    draft.datestamp = draft.published;
    Interpretation::paper(draft)
}

/// A date in fields of its own.
#[derive(Default)]
struct PartialDate {
    day: String,
    month: String,
    year: String,
}

impl PartialDate {
    fn parse(&self) -> Option<Timestamp> {
        let Self { day, month, year } = self;
        let date = if month.len() <= 2 {
            format!("{year}-{month}")
        } else {
            format!("{day} {month} {year}")
        };
        dates::parse(&date).or_else(|| dates::parse(year))
    }
}

/// Reads a field into the draft; an unknown one is left out.
fn read_field(draft: &mut RecordDraft, name: &str, value: &str) {
    match name {
        "title" => draft.title = plain(value),
        "abstract" => draft.abstract_text = plain(value),
        "author" => draft.authors = names::bibtex_list(value, &plain),
        "keywords" => {
            let words = plain(value);
            draft.categories = words.split([',', ';']).map(|word| word.trim().to_owned()).collect();
        }
        "primaryclass" => draft.categories.insert(0, plain(value)),
        "date" => draft.published = dates::parse(&plain(value)),
        "doi" => draft.identify(Scheme::Doi, value),
        "eprint" => draft.identify(Scheme::Arxiv, value),
        "pmid" => draft.identify(Scheme::Pubmed, value),
        "url" => draft.link(LinkKind::Abstract, value),
        "pdf" => draft.link(LinkKind::Pdf, value),
        "language" | "langid" => draft.language = plain(value),
        _ => {}
    }
}

/// `name = value` pairs; values in braces or quotes, or bare, joined by `#`.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while let Some((name, behind)) = rest.split_once('=') {
        let name = name
            .trim_matches(|c: char| c.is_whitespace() || c == ',')
            .to_ascii_lowercase();
        let mut value = String::new();
        rest = behind.trim_start();
        loop {
            let (part, behind) = part(rest);
            value.push_str(part);
            rest = behind.trim_start();
            match rest.strip_prefix('#') {
                Some(more) => rest = more.trim_start(),
                None => break,
            }
        }
        pairs.push((name, value.trim().to_owned()));
    }
    pairs
}

/// One part of a value and what follows it.
fn part(text: &str) -> (&str, &str) {
    let (quote, inner) = match text.chars().next() {
        Some('{') => ('}', &text[1..]),
        Some('"') => ('"', &text[1..]),
        _ => {
            let end = text.find([',', '#', '\n', '}']).unwrap_or(text.len());
            return (text[..end].trim(), &text[end..]);
        }
    };
    let mut depth = 0_u64;
    let mut before = ' ';
    for (at, c) in inner.char_indices() {
        match c {
            _ if before == '\\' => {}
            c if c == quote && depth == 0 => return (&inner[..at], &inner[at + 1..]),
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        before = c;
    }
    (inner, "")
}
