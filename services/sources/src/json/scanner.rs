//! Splits a JSON document into the elements of one list, without holding more than one of them.
//!
//! It only finds where values end. Each is parsed separately afterwards, so that a broken one does not spoil the others;
//! one that is too long is skipped.

use std::io::{BufRead, Read};

use crate::encoding::{Utf8Reader, lenient};
use crate::error::SourceError;
use crate::markup;
use crate::record::{QuarantinedRecord, RecordLocation};

/// The most bytes of one element.
pub const MAX_ELEMENT_BYTES: usize = 2 << 20;
/// The most bytes of a value beside the list.
const MAX_VALUE_BYTES: usize = 64 << 10;
/// Longest key.
const MAX_KEY_BYTES: usize = 1 << 10;

/// What the scanner reads.
#[derive(Debug)]
pub enum ScanEvent<'a> {
    /// An element of the list, as JSON.
    Element(&'a [u8], RecordLocation),
    /// An element that was too long; its beginning.
    TooLong(&'a [u8], RecordLocation),
    /// A value beside the list: its path, keys separated by dots, and its JSON.
    Value(&'a str, &'a [u8]),
}

/// Splits a document into events.
pub struct ListScanner<R: Read> {
    input: Utf8Reader<R>,
    byte: u64,
    record: u64,
    buffer: Vec<u8>,
    list: &'static [&'static str],
}

/// How much of a value was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    Clipped,
}

type ScanHandler<'a> = dyn FnMut(ScanEvent<'_>) -> Result<(), SourceError> + 'a;

impl<R: Read> ListScanner<R> {
    /// Over a document. `list` are the keys that lead to the list; none where the document is the list.
    pub fn new(input: R, charset: Option<&str>, list: &'static [&'static str]) -> Result<Self, SourceError> {
        Ok(Self {
            input: Utf8Reader::new(input, charset).map_err(|error| SourceError::from_read(error, 0))?,
            byte: 0,
            record: 0,
            buffer: Vec::new(),
            list,
        })
    }

    /// Splits the document.
    ///
    /// # Errors
    /// A document that is no JSON or ends too early, and what `handler` answers.
    pub fn run(mut self, expected: &'static str, handler: &mut ScanHandler<'_>) -> Result<(), SourceError> {
        match self.peek()? {
            Some(b'{' | b'[') => self.descend("", 0, handler),
            None => Err(not_json(expected, "an empty document".into())),
            Some(_) => {
                let mut start = vec![0; 4_096];
                let count = self
                    .input
                    .read(&mut start)
                    .map_err(|error| SourceError::from_read(error, 0))?;
                Err(not_json(expected, described(&lenient(&start[..count]))))
            }
        }
    }

    /// Takes the document as values that follow one another without a list around them.
    ///
    /// # Errors
    /// Something between two values, a document that ends too early, and what `handler` answers.
    pub fn run_values(mut self, handler: &mut ScanHandler<'_>) -> Result<(), SourceError> {
        while let Some(next) = self.peek()? {
            if next == b',' {
                self.expect(b',')?;
                continue;
            }
            self.record += 1;
            self.element(handler)?;
        }
        Ok(())
    }

    /// A value on the way to the list, or the list itself.
    fn descend(&mut self, path: &str, depth: usize, handler: &mut ScanHandler<'_>) -> Result<(), SourceError> {
        match (self.peek()?, self.list.get(depth)) {
            (Some(b'['), None) => self.elements(handler),
            (Some(b'{'), Some(_)) => self.members(path, depth, handler),
            _ => self.value(path, handler),
        }
    }

    fn members(&mut self, path: &str, depth: usize, handler: &mut ScanHandler<'_>) -> Result<(), SourceError> {
        self.expect(b'{')?;
        if self.peek()? == Some(b'}') {
            return self.expect(b'}');
        }
        loop {
            if self.peek()? != Some(b'"') {
                return Err(self.wrong("a key in quotes was expected"));
            }
            self.buffer.clear();
            self.read_value(MAX_KEY_BYTES)?;
            let key: String = serde_json::from_slice(&self.buffer).unwrap_or_default();
            self.expect(b':')?;
            let inner = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            if self.list.get(depth).is_some_and(|next| *next == key) {
                self.descend(&inner, depth + 1, handler)?;
            } else {
                self.value(&inner, handler)?;
            }
            match self.peek()? {
                Some(b',') => self.expect(b',')?,
                _ => return self.expect(b'}'),
            }
        }
    }

    fn elements(&mut self, handler: &mut ScanHandler<'_>) -> Result<(), SourceError> {
        self.expect(b'[')?;
        if self.peek()? == Some(b']') {
            return self.expect(b']');
        }
        loop {
            self.record += 1;
            self.peek()?;
            self.element(handler)?;
            match self.peek()? {
                Some(b',') => self.expect(b',')?,
                _ => return self.expect(b']'),
            }
        }
    }

    fn element(&mut self, handler: &mut ScanHandler<'_>) -> Result<(), SourceError> {
        let location = RecordLocation {
            record: self.record,
            byte: self.byte,
            line: 0,
        };
        self.buffer.clear();
        match self.read_value(MAX_ELEMENT_BYTES)? {
            Extent::Whole => handler(ScanEvent::Element(&self.buffer, location)),
            Extent::Clipped => {
                let end = self.buffer.len().min(QuarantinedRecord::EXCERPT_BYTES);
                handler(ScanEvent::TooLong(&self.buffer[..end], location))
            }
        }
    }

    fn value(&mut self, path: &str, handler: &mut ScanHandler<'_>) -> Result<(), SourceError> {
        self.buffer.clear();
        match self.read_value(MAX_VALUE_BYTES)? {
            Extent::Whole => handler(ScanEvent::Value(path, &self.buffer)),
            Extent::Clipped => Ok(()),
        }
    }

    /// Reads one value to its end, and up to the limit into the buffer.
    fn read_value(&mut self, limit: usize) -> Result<Extent, SourceError> {
        let mut state = ValueScanner::default();
        let mut extent = Extent::Whole;
        self.peek()?;
        loop {
            let available = self
                .input
                .fill_buf()
                .map_err(|error| SourceError::from_read(error, self.byte))?;
            if available.is_empty() {
                return if state.ends_with_input() {
                    Ok(extent)
                } else {
                    Err(SourceError::malformed(self.byte, "it ends within a value"))
                };
            }
            let (count, ended) = state.advance(available);
            let room = limit.saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(&available[..count.min(room)]);
            if count > room {
                extent = Extent::Clipped;
            }
            self.input.consume(count);
            self.byte += count as u64;
            match ended {
                ValueEnd::Open => {}
                ValueEnd::Here => return Ok(extent),
                ValueEnd::Nowhere => return Err(SourceError::malformed(self.byte, "a value was expected")),
            }
        }
    }

    /// The next byte that is no white space, not consumed.
    fn peek(&mut self) -> Result<Option<u8>, SourceError> {
        loop {
            let available = self
                .input
                .fill_buf()
                .map_err(|error| SourceError::from_read(error, self.byte))?;
            let Some(start) = available.iter().position(|byte| !byte.is_ascii_whitespace()) else {
                if available.is_empty() {
                    return Ok(None);
                }
                let count = available.len();
                self.input.consume(count);
                self.byte += count as u64;
                continue;
            };
            let found = available[start];
            self.input.consume(start);
            self.byte += start as u64;
            return Ok(Some(found));
        }
    }

    fn expect(&mut self, expected: u8) -> Result<(), SourceError> {
        match self.peek()? {
            Some(found) if found == expected => {
                self.input.consume(1);
                self.byte += 1;
                Ok(())
            }
            Some(found) => Err(self.wrong(&format!(
                "{:?} was expected, found {:?}",
                char::from(expected),
                char::from(found)
            ))),
            None => Err(self.wrong("it ends too early")),
        }
    }

    fn wrong(&self, why: &str) -> SourceError {
        SourceError::malformed(self.byte, why)
    }
}

/// Where a value ends.
#[derive(Debug, Default)]
struct ValueScanner {
    depth: u64,
    state: ValueState,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum ValueState {
    #[default]
    Nothing,
    Text,
    Escape,
    /// A number or a word.
    Bare,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueEnd {
    Open,
    Here,
    Nowhere,
}

impl ValueScanner {
    /// How many of the bytes belong to the value, and whether it ends with them.
    fn advance(&mut self, bytes: &[u8]) -> (usize, ValueEnd) {
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                ValueState::Text => {
                    let Some(stop) = memchr::memchr2(b'"', b'\\', &bytes[at..]) else {
                        return (bytes.len(), ValueEnd::Open);
                    };
                    at += stop + 1;
                    if bytes[at - 1] == b'\\' {
                        self.state = ValueState::Escape;
                        continue;
                    }
                    self.state = ValueState::Nothing;
                    if self.depth == 0 {
                        return (at, ValueEnd::Here);
                    }
                }
                ValueState::Escape => {
                    self.state = ValueState::Text;
                    at += 1;
                }
                ValueState::Bare if matches!(bytes[at], b',' | b'}' | b']') || bytes[at].is_ascii_whitespace() => {
                    return (at, ValueEnd::Here);
                }
                ValueState::Bare => at += 1,
                ValueState::Nothing => match self.begin(bytes[at]) {
                    ValueEnd::Open => at += 1,
                    ValueEnd::Here => return (at + 1, ValueEnd::Here),
                    ValueEnd::Nowhere => return (at, ValueEnd::Nowhere),
                },
            }
        }
        (at, ValueEnd::Open)
    }

    fn begin(&mut self, byte: u8) -> ValueEnd {
        match byte {
            b'"' => self.state = ValueState::Text,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' | b',' | b':' if self.depth == 0 => return ValueEnd::Nowhere,
            b'}' | b']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    return ValueEnd::Here;
                }
            }
            _ if self.depth == 0 => self.state = ValueState::Bare,
            _ => {}
        }
        ValueEnd::Open
    }

    fn ends_with_input(&self) -> bool {
        self.state == ValueState::Bare && self.depth == 0
    }
}

fn not_json(expected: &'static str, found: String) -> SourceError {
    SourceError::UnexpectedFormat { expected, found }
}

/// What came in the location of JSON: an HTML page by its title, else its first words.
pub fn described(start: &str) -> String {
    let lower = start.to_ascii_lowercase();
    if let Some(title) = lower.find("<title>").map(|at| at + "<title>".len()) {
        let end = lower[title..].find('<').map_or(start.len(), |length| title + length);
        return format!("an HTML page titled {:?}", markup::first_words(&start[title..end]));
    }
    format!("{:?}", markup::first_words(start))
}
