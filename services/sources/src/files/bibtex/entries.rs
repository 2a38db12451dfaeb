//! Splits BibTeX into entries by BibTeX's own rule: braces count, and a backslash before one takes nothing from it.
//!
//! An entry that never ends is given up at the next line that begins one, as `@article{key,` does; an `@` at the beginning of
//! a line of an abstract does not.

use std::io::BufRead;

use memchr::{memchr, memchr3};

use crate::error::SourceError;
use crate::record::QuarantinedRecord;

/// The braces around most entries and values.
const OPENING: u8 = b'{';
const CLOSING: u8 = b'}';
/// The most bytes of one entry.
pub const MAX_ENTRY_BYTES: usize = 1 << 20;
/// How much must be known to tell whether an entry begins.
const LOOK_AHEAD: usize = 256;

/// How an entry ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryExtent {
    /// With its last brace.
    Whole,
    /// Not at all.
    Open,
    /// Too late; only its beginning was kept.
    TooLong,
}

/// An entry as it is written, from its `@` on.
#[derive(Debug)]
pub struct RawEntry<'a> {
    pub text: &'a [u8],
    pub byte: u64,
    pub extent: EntryExtent,
}

/// Reads entries one by one.
pub struct BibtexEntries<R> {
    input: R,
    /// What was read and not yet consumed.
    buffer: Vec<u8>,
    /// Where the entry that is read begins in the buffer.
    start: usize,
    /// How far the buffer was read.
    at: usize,
    /// Bytes of the file before the buffer.
    before: u64,
    /// The beginning of an entry that is too long.
    excerpt: Vec<u8>,
}

impl<R: BufRead> BibtexEntries<R> {
    /// Over a file.
    pub fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            start: 0,
            at: 0,
            before: 0,
            excerpt: Vec::new(),
        }
    }

    /// Bytes of the file that were read.
    pub fn position(&self) -> u64 {
        self.before + self.at as u64
    }

    /// The next entry; `None` at the end of the file.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn next(&mut self) -> Result<Option<RawEntry<'_>>, SourceError> {
        self.start = self.at;
        let Some(opening) = self.find_entry()? else {
            return Ok(None);
        };
        let byte = self.before + self.start as u64;
        self.excerpt.clear();
        let extent = match self.buffer[self.at + opening] {
            OPENING => self.read_braces(opening)?,
            _ => self.read_parentheses(opening)?,
        };
        let text = match extent {
            EntryExtent::TooLong => &self.excerpt[..],
            _ => &self.buffer[self.start..self.at],
        };
        Ok(Some(RawEntry { text, byte, extent }))
    }

    /// Goes to the next `@` that begins an entry; where its opening brace is from there.
    fn find_entry(&mut self) -> Result<Option<usize>, SourceError> {
        loop {
            let Some(sign) = memchr(b'@', &self.buffer[self.at..]) else {
                self.at = self.buffer.len();
                self.start = self.at;
                if !self.fill()? {
                    return Ok(None);
                }
                continue;
            };
            self.at += sign;
            self.start = self.at;
            self.look_ahead()?;
            match opening(&self.buffer[self.at..]) {
                Some(opening) => return Ok(Some(opening)),
                None => self.at += 1,
            }
        }
    }

    /// Reads to the brace that closes the first one.
    fn read_braces(&mut self, opening: usize) -> Result<EntryExtent, SourceError> {
        self.at += opening + 1;
        let mut depth = 1_u64;
        while self.available()? {
            let Some(found) = memchr3(OPENING, CLOSING, b'\n', &self.buffer[self.at..]) else {
                self.at = self.buffer.len();
                continue;
            };
            self.at += found + 1;
            let byte = self.buffer[self.at - 1];
            match byte {
                OPENING => depth += 1,
                CLOSING => depth -= 1,
                _ if self.begins_entry()? => return Ok(self.extent(EntryExtent::Open)),
                _ => {}
            }
            if depth == 0 {
                return Ok(self.extent(EntryExtent::Whole));
            }
        }
        Ok(self.extent(EntryExtent::Open))
    }

    /// Reads to the parenthesis that is in no braces and no quotes.
    fn read_parentheses(&mut self, opening: usize) -> Result<EntryExtent, SourceError> {
        self.at += opening + 1;
        let (mut depth, mut quoted) = (0_u64, false);
        while self.available()? {
            self.at += 1;
            let byte = self.buffer[self.at - 1];
            match byte {
                OPENING => depth += 1,
                CLOSING => depth = depth.saturating_sub(1),
                b'"' if depth == 0 => quoted = !quoted,
                b')' if depth == 0 && !quoted => return Ok(self.extent(EntryExtent::Whole)),
                b'\n' if self.begins_entry()? => return Ok(self.extent(EntryExtent::Open)),
                _ => {}
            }
        }
        Ok(self.extent(EntryExtent::Open))
    }

    fn extent(&self, extent: EntryExtent) -> EntryExtent {
        if self.excerpt.is_empty() {
            extent
        } else {
            EntryExtent::TooLong
        }
    }

    /// Whether the line that begins here begins an entry.
    fn begins_entry(&mut self) -> Result<bool, SourceError> {
        self.look_ahead()?;
        Ok(is_beginning(&self.buffer[self.at..]))
    }

    /// Whether there is another byte. What an entry has too much is dropped.
    fn available(&mut self) -> Result<bool, SourceError> {
        if self.at - self.start > MAX_ENTRY_BYTES {
            if self.excerpt.is_empty() {
                let end = self.start + QuarantinedRecord::EXCERPT_BYTES;
                self.excerpt.extend_from_slice(&self.buffer[self.start..end]);
            }
            self.start = self.at;
        }
        if self.at < self.buffer.len() {
            return Ok(true);
        }
        self.fill()
    }

    fn look_ahead(&mut self) -> Result<(), SourceError> {
        while self.buffer.len() - self.at < LOOK_AHEAD && self.fill()? {}
        Ok(())
    }

    /// Reads on; `false` at the end of the file.
    fn fill(&mut self) -> Result<bool, SourceError> {
        self.buffer.drain(..self.start);
        self.before += self.start as u64;
        self.at -= self.start;
        self.start = 0;
        let position = self.before + self.buffer.len() as u64;
        let available = self
            .input
            .fill_buf()
            .map_err(|error| SourceError::from_read(error, position))?;
        let count = available.len();
        self.buffer.extend_from_slice(available);
        self.input.consume(count);
        Ok(count > 0)
    }
}

/// Where the brace or parenthesis is that opens the entry of an `@`; `None` where it begins none.
fn opening(text: &[u8]) -> Option<usize> {
    let (kind, behind) = kind(text)?;
    let blanks = behind.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let opens = matches!(behind.get(blanks), Some(b'{' | b'('));
    (opens && !kind.is_empty()).then(|| text.len() - behind.len() + blanks)
}

/// The word behind an `@`, and what follows it.
fn kind(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let behind = text.strip_prefix(b"@")?;
    let behind = behind.trim_ascii_start();
    let length = behind
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        .count();
    let starts = behind.first().is_some_and(u8::is_ascii_alphabetic);
    starts.then(|| behind.split_at(length))
}

/// Whether a line looks like the beginning of an entry: its kind, and a key before a comma or a macro before its value.
fn is_beginning(line: &[u8]) -> bool {
    let indent = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let line = &line[indent..];
    let (Some(opening), Some((kind, _))) = (opening(line), kind(line)) else {
        return false;
    };
    if kind.eq_ignore_ascii_case(b"comment") || kind.eq_ignore_ascii_case(b"preamble") {
        return true;
    }
    let body = line[opening + 1..].trim_ascii_start();
    let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b'=' | b'{' | b'}' | b'"' | b'#' | b'%');
    let key = body.iter().position(ends).unwrap_or(body.len());
    let sign = body[key..].trim_ascii_start().first();
    let expected = if kind.eq_ignore_ascii_case(b"string") {
        b'='
    } else {
        b','
    };
    key > 0 && sign == Some(&expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<(String, EntryExtent)> {
        let mut entries = BibtexEntries::new(text.as_bytes());
        let mut found = Vec::new();
        while let Some(entry) = entries.next().expect("entries") {
            found.push((String::from_utf8_lossy(entry.text).into_owned(), entry.extent));
        }
        found
    }

    #[test]
    fn braces_count_even_behind_a_backslash() {
        let text = "@a{x, author = {Arne {\\{O}}.}, year = 1} @b{y, title = {z}}";
        let found = entries(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|(_, extent)| *extent == EntryExtent::Whole));
    }

    #[test]
    fn parentheses_end_outside_quotes_and_braces() {
        let found = entries("@a(x, title = \"On (a) thing\", note = {:)}) rest @b(y)");
        assert_eq!(found[0].0, "@a(x, title = \"On (a) thing\", note = {:)})");
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn an_open_entry_ends_where_the_next_begins() {
        let found = entries("@a{x, title = {One,\n@b{y, title={Two\n@10 and @100\n@user{z} said}}\n  @c {z,\n}\n@d{w");
        let extents: Vec<EntryExtent> = found.iter().map(|(_, extent)| *extent).collect();
        let (open, whole) = (EntryExtent::Open, EntryExtent::Whole);
        assert_eq!(extents, [open, whole, whole, open], "{found:?}");
    }

    #[test]
    fn what_is_no_entry_is_passed_over() {
        let found = entries("% mail ada@example.org { and @ sign\n@ article {x, a=1}\n@Comment jabref: x[]\n@b{y}");
        let texts: Vec<&str> = found.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts, ["@ article {x, a=1}", "@b{y}"]);
    }

    #[test]
    fn a_long_entry_is_dropped_and_the_next_is_read() {
        let text = format!("@a{{x, title = {{{}}}}}\n@b{{y}}", "z".repeat(MAX_ENTRY_BYTES * 3));
        let mut entries = BibtexEntries::new(std::io::BufReader::with_capacity(100, text.as_bytes()));
        let first = entries.next().expect("entries").expect("an entry");
        assert_eq!(
            (first.extent, first.text.len()),
            (EntryExtent::TooLong, QuarantinedRecord::EXCERPT_BYTES)
        );
        assert!(entries.buffer.capacity() < MAX_ENTRY_BYTES * 3);
        let second = entries.next().expect("entries").expect("an entry");
        assert_eq!((second.text, second.byte), (&b"@b{y}"[..], text.len() as u64 - 5));
    }
}
