//! BibTeX. Pure, over a reader.
//!
//! Entries are found by their `@`; one that never ends is set aside, and reading goes on at the next line that begins with
//! an `@`. Macros (`@string`) are not looked up: what is written without braces is taken as it stands.

use std::io::BufRead;

use domain::LinkKind;
use domain::merging::Scheme;

use super::latex::plain;
use super::{Part, Rest};
use crate::draft::{Context, Draft};
use crate::encoding::lenient;
use crate::error::SourceError;
use crate::http::body::source_error;
use crate::page::{Outcome, Sink};
use crate::record::{Place, SetAside};
use crate::{dates, names};

/// Most bytes of one entry.
const MAX_ENTRY_BYTES: usize = 1 << 20;

/// Reads at most `most` records from a byte on.
///
/// # Errors
/// A file that cannot be read, or whose items nobody takes.
pub fn parse(
    mut input: impl BufRead,
    from: u64,
    most: u64,
    context: &Context,
    sink: &mut Sink<'_>,
) -> Result<Part, SourceError> {
    super::jsonl::skip(&mut input, from)?;
    let mut entries = Entries {
        input,
        byte: from,
        entry: Vec::new(),
    };
    let mut place = Place::default();
    while place.record < most {
        let Some(found) = entries.next()? else {
            return Ok(Part {
                byte: entries.byte,
                rest: Rest::None,
            });
        };
        let text = lenient(&entries.entry);
        let outcome = match found {
            Found::Whole => interpret(&text),
            Found::Open => bad("the entry does not end"),
            Found::TooLong => bad("the entry has more than a mebibyte"),
        };
        place.byte = entries.byte - entries.entry.len() as u64;
        if matches!(outcome, Outcome::Skipped) {
            continue;
        }
        place.record += 1;
        let excerpt = || text.chars().take(SetAside::EXCERPT_BYTES).collect();
        if let Some(item) = outcome.into_item(context, place, excerpt) {
            sink(item)?;
        }
    }
    Ok(Part {
        byte: entries.byte,
        rest: Rest::Some,
    })
}

fn bad(reason: &str) -> Outcome {
    Outcome::Bad(Box::<Draft>::default(), reason.to_owned())
}

struct Entries<R> {
    input: R,
    byte: u64,
    entry: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Whole,
    Open,
    TooLong,
}

impl<R: BufRead> Entries<R> {
    /// Takes the next entry, from its `@` to its last brace.
    fn next(&mut self) -> Result<Option<Found>, SourceError> {
        self.entry.clear();
        if !self.find_at()? {
            return Ok(None);
        }
        let (mut depth, mut found) = (0_u64, Found::Whole);
        let mut before = b'@';
        loop {
            let available = self.input.fill_buf().map_err(|error| source_error(error, self.byte))?;
            let Some(&next) = available.first() else {
                return Ok(Some(if found == Found::TooLong { found } else { Found::Open }));
            };
            // An entry that was not closed ends where a line begins a new one.
            if next == b'@' && before == b'\n' && depth > 0 {
                return Ok(Some(if found == Found::TooLong { found } else { Found::Open }));
            }
            self.input.consume(1);
            self.byte += 1;
            if self.entry.len() < MAX_ENTRY_BYTES {
                self.entry.push(next);
            } else {
                found = Found::TooLong;
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
                return Ok(Some(found));
            }
            before = next;
        }
    }

    /// Passes over everything before the next `@`, and over it.
    fn find_at(&mut self) -> Result<bool, SourceError> {
        loop {
            let available = self.input.fill_buf().map_err(|error| source_error(error, self.byte))?;
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
fn interpret(text: &str) -> Outcome {
    let Some((kind, body)) = text[1..].split_once(['{', '(']) else {
        return Outcome::Skipped;
    };
    let kind = kind.trim().to_ascii_lowercase();
    let word = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphabetic());
    if !word || matches!(kind.as_str(), "comment" | "string" | "preamble") {
        return Outcome::Skipped;
    }
    let body = &body[..body.len().saturating_sub(1)];
    let (key, rest) = body.split_once(',').unwrap_or((body, ""));
    let mut draft = Draft {
        native_id: key.trim().to_owned(),
        ..Draft::default()
    };
    let mut date = [String::new(), String::new(), String::new()];
    for (name, value) in pairs(rest) {
        let text = plain(&value);
        match name.as_str() {
            "title" => draft.title = text,
            "abstract" => draft.abstract_text = text,
            "author" => draft.authors = value.split(" and ").map(|name| names::natural(&plain(name))).collect(),
            "keywords" => draft.categories = text.split([',', ';']).map(|word| word.trim().to_owned()).collect(),
            "primaryclass" => draft.categories.insert(0, text),
            "date" => draft.published = dates::parse(&text),
            "year" => date[2] = text,
            "month" => date[1] = text,
            "day" => date[0] = text,
            "doi" => draft.identify(Scheme::Doi, &value),
            "eprint" => draft.identify(Scheme::Arxiv, &value),
            "pmid" => draft.identify(Scheme::Pubmed, &value),
            "url" => draft.link(LinkKind::Abstract, &value),
            "pdf" => draft.link(LinkKind::Pdf, &value),
            "language" | "langid" => draft.language = text,
            _ => {}
        }
    }
    let [day, month, year] = date;
    let month = if month.len() <= 2 {
        format!("{year}-{month}")
    } else {
        format!("{day} {month} {year}")
    };
    draft.published = draft
        .published
        .or_else(|| dates::parse(&month))
        .or_else(|| dates::parse(&year));
    draft.datestamp = draft.published;
    Outcome::Paper(Box::new(draft))
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
