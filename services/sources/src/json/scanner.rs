//! Parts a JSON document into the elements of one list, without holding more than one of them.
//!
//! It only finds where values end. What is in one is parsed afterwards, each for itself, so that one that is broken in
//! itself does not take the others along; one that is too long is passed over.

use std::io::{BufRead, Read};

use crate::encoding::{Utf8Reader, lenient};
use crate::error::SourceError;
use crate::http::body::source_error;
use crate::markup;
use crate::record::{Place, SetAside};
use crate::xml::malformed;

/// Most bytes of one element.
pub const MAX_ELEMENT_BYTES: usize = 2 << 20;
/// Most bytes of a value beside the list.
const MAX_VALUE_BYTES: usize = 64 << 10;
/// Longest key.
const MAX_KEY_BYTES: usize = 1 << 10;

/// What is found.
#[derive(Debug)]
pub enum Found<'a> {
    /// An element of the list, as JSON.
    Element(&'a [u8], Place),
    /// An element that was too long; its beginning.
    TooLong(&'a [u8], Place),
    /// A value beside the list: its path, keys parted by dots, and its JSON.
    Value(&'a str, &'a [u8]),
}

/// A document that is being parted.
pub struct Scanner<R: Read> {
    input: Utf8Reader<R>,
    byte: u64,
    record: u64,
    buffer: Vec<u8>,
    list: &'static [&'static str],
}

/// How a value was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Whole,
    Clipped,
}

type Handler<'a> = dyn FnMut(Found<'_>) -> Result<(), SourceError> + 'a;

impl<R: Read> Scanner<R> {
    /// Over a document. `list` are the keys that lead to the list; none where the document is the list.
    pub fn new(input: R, charset: Option<&str>, list: &'static [&'static str]) -> Result<Self, SourceError> {
        Ok(Self {
            input: Utf8Reader::new(input, charset).map_err(|error| source_error(error, 0))?,
            byte: 0,
            record: 0,
            buffer: Vec::new(),
            list,
        })
    }

    /// Parts the document.
    ///
    /// # Errors
    /// A document that is no JSON or ends too early, and what `handler` answers.
    pub fn run(mut self, expected: &'static str, handler: &mut Handler<'_>) -> Result<(), SourceError> {
        match self.peek()? {
            Some(b'{' | b'[') => self.descend("", 0, handler),
            None => Err(not_json(expected, "an empty document".into())),
            Some(_) => {
                let mut start = vec![0; 4_096];
                let count = self.input.read(&mut start).map_err(|error| source_error(error, 0))?;
                Err(not_json(expected, described(&lenient(&start[..count]))))
            }
        }
    }

    /// A value on the way to the list, or the list itself.
    fn descend(&mut self, path: &str, depth: usize, handler: &mut Handler<'_>) -> Result<(), SourceError> {
        match (self.peek()?, self.list.get(depth)) {
            (Some(b'['), None) => self.elements(handler),
            (Some(b'{'), Some(_)) => self.members(path, depth, handler),
            _ => self.value(path, handler),
        }
    }

    fn members(&mut self, path: &str, depth: usize, handler: &mut Handler<'_>) -> Result<(), SourceError> {
        self.expect(b'{')?;
        if self.peek()? == Some(b'}') {
            return self.expect(b'}');
        }
        loop {
            if self.peek()? != Some(b'"') {
                return Err(self.wrong("a key in quotes was expected"));
            }
            self.buffer.clear();
            self.take(MAX_KEY_BYTES)?;
            let key: String = serde_json::from_slice(&self.buffer).unwrap_or_default();
            self.expect(b':')?;
            let inner = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            if self.list.get(depth).is_some_and(|wanted| *wanted == key) {
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

    fn elements(&mut self, handler: &mut Handler<'_>) -> Result<(), SourceError> {
        self.expect(b'[')?;
        if self.peek()? == Some(b']') {
            return self.expect(b']');
        }
        loop {
            self.record += 1;
            self.peek()?;
            let place = Place {
                record: self.record,
                byte: self.byte,
            };
            self.buffer.clear();
            match self.take(MAX_ELEMENT_BYTES)? {
                Taken::Whole => handler(Found::Element(&self.buffer, place))?,
                Taken::Clipped => {
                    let end = self.buffer.len().min(SetAside::EXCERPT_BYTES);
                    handler(Found::TooLong(&self.buffer[..end], place))?;
                }
            }
            match self.peek()? {
                Some(b',') => self.expect(b',')?,
                _ => return self.expect(b']'),
            }
        }
    }

    fn value(&mut self, path: &str, handler: &mut Handler<'_>) -> Result<(), SourceError> {
        self.buffer.clear();
        match self.take(MAX_VALUE_BYTES)? {
            Taken::Whole => handler(Found::Value(path, &self.buffer)),
            Taken::Clipped => Ok(()),
        }
    }

    /// Takes one value into the buffer, as far as the limit reaches, and all of it off the input.
    fn take(&mut self, limit: usize) -> Result<Taken, SourceError> {
        let mut state = Value::default();
        let mut taken = Taken::Whole;
        self.peek()?;
        loop {
            let available = self.input.fill_buf().map_err(|error| source_error(error, self.byte))?;
            if available.is_empty() {
                return if state.ends_with_input() {
                    Ok(taken)
                } else {
                    Err(malformed(self.byte, "it ends within a value"))
                };
            }
            let (count, ended) = state.advance(available);
            let room = limit.saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(&available[..count.min(room)]);
            if count > room {
                taken = Taken::Clipped;
            }
            self.input.consume(count);
            self.byte += count as u64;
            match ended {
                End::Open => {}
                End::Here => return Ok(taken),
                End::Nowhere => return Err(malformed(self.byte, "a value was expected")),
            }
        }
    }

    /// The next byte that is no white space, left where it is.
    fn peek(&mut self) -> Result<Option<u8>, SourceError> {
        loop {
            let available = self.input.fill_buf().map_err(|error| source_error(error, self.byte))?;
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

    fn expect(&mut self, wanted: u8) -> Result<(), SourceError> {
        match self.peek()? {
            Some(found) if found == wanted => {
                self.input.consume(1);
                self.byte += 1;
                Ok(())
            }
            Some(found) => Err(self.wrong(&format!(
                "{:?} was expected, found {:?}",
                char::from(wanted),
                char::from(found)
            ))),
            None => Err(self.wrong("it ends too early")),
        }
    }

    fn wrong(&self, why: &str) -> SourceError {
        malformed(self.byte, why)
    }
}

/// Where a value ends.
#[derive(Debug, Default)]
struct Value {
    depth: u64,
    inside: Inside,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Inside {
    #[default]
    Nothing,
    Text,
    Escape,
    /// A number or a word.
    Bare,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Here,
    Nowhere,
}

impl Value {
    /// How many of the bytes belong to the value, and whether it ends with them.
    fn advance(&mut self, bytes: &[u8]) -> (usize, End) {
        let mut at = 0;
        while at < bytes.len() {
            match self.inside {
                Inside::Text => {
                    let Some(stop) = memchr::memchr2(b'"', b'\\', &bytes[at..]) else {
                        return (bytes.len(), End::Open);
                    };
                    at += stop + 1;
                    if bytes[at - 1] == b'\\' {
                        self.inside = Inside::Escape;
                        continue;
                    }
                    self.inside = Inside::Nothing;
                    if self.depth == 0 {
                        return (at, End::Here);
                    }
                }
                Inside::Escape => {
                    self.inside = Inside::Text;
                    at += 1;
                }
                Inside::Bare if matches!(bytes[at], b',' | b'}' | b']') || bytes[at].is_ascii_whitespace() => {
                    return (at, End::Here);
                }
                Inside::Bare => at += 1,
                Inside::Nothing => match self.begin(bytes[at]) {
                    End::Open => at += 1,
                    End::Here => return (at + 1, End::Here),
                    End::Nowhere => return (at, End::Nowhere),
                },
            }
        }
        (at, End::Open)
    }

    fn begin(&mut self, byte: u8) -> End {
        match byte {
            b'"' => self.inside = Inside::Text,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' | b',' | b':' if self.depth == 0 => return End::Nowhere,
            b'}' | b']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    return End::Here;
                }
            }
            _ if self.depth == 0 => self.inside = Inside::Bare,
            _ => {}
        }
        End::Open
    }

    fn ends_with_input(&self) -> bool {
        self.inside == Inside::Bare && self.depth == 0
    }
}

fn not_json(expected: &'static str, found: String) -> SourceError {
    SourceError::NotTheFormat { expected, found }
}

/// What came in the place of JSON: an HTML page by its title, else its first words.
fn described(start: &str) -> String {
    let lower = start.to_ascii_lowercase();
    if let Some(title) = lower.find("<title>").map(|at| at + "<title>".len()) {
        let end = lower[title..].find('<').map_or(start.len(), |length| title + length);
        return format!("an HTML page titled {:?}", markup::first_words(&start[title..end]));
    }
    format!("{:?}", markup::first_words(start))
}
