//! XML as it comes over the network: read as it arrives, in memory that is bounded whatever comes.
//!
//! Names are taken without their namespace, because feeds leave declarations out; ends need not match beginnings, because
//! they do not; no entity that a document declares is ever expanded; text that is longer than a field may be is dropped
//! while it passes, and the record is marked. HTML in the place of XML is told from it at the first tag.

mod clip;
mod collector;

use std::borrow::Cow;
use std::io::Read;

use quick_xml::Reader;
use quick_xml::events::{BytesEnd, BytesRef, BytesStart, Event};

use crate::encoding::{Utf8Reader, lenient};
use crate::error::SourceError;
use crate::http::body::source_error;
use crate::markup;
use clip::Clip;
pub use collector::{Collector, Form, Step};

/// Elements within each other; more is no document but an attack.
const MAX_DEPTH: usize = 10_000;
/// Steps into an HTML page in which its title is looked for.
const TITLE_STEPS: usize = 64;

/// A document that is being read.
pub struct Walker<R: Read> {
    reader: Reader<Clip<Utf8Reader<R>>>,
    buffer: Vec<u8>,
    depth: usize,
    expected: &'static str,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing but declarations so far.
    Before,
    /// Within the document.
    Inside,
    /// It turned out to be HTML.
    Html,
}

/// One step through a document.
#[derive(Debug)]
pub enum Node<'a> {
    /// An element begins.
    Open(Tag<'a>),
    /// An element ends.
    Close(End<'a>),
    /// Text, as bytes that are mostly UTF-8.
    Text(Cow<'a, [u8]>),
    /// A comment, an instruction, or a mistake that can be passed over.
    Other,
    /// The document ends.
    Finished,
}

/// An element that begins.
#[derive(Debug)]
pub struct Tag<'a>(BytesStart<'a>);

/// An element that ends.
#[derive(Debug)]
pub struct End<'a>(BytesEnd<'a>);

impl Tag<'_> {
    /// Its name without prefix.
    pub fn name(&self) -> &[u8] {
        self.0.local_name().into_inner()
    }

    /// Whether its name has this prefix.
    pub fn has_prefix(&self, prefix: &str) -> bool {
        self.0
            .name()
            .prefix()
            .is_some_and(|found| found.as_ref() == prefix.as_bytes())
    }

    /// An attribute by its name without prefix.
    pub fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.0.attributes();
        let attribute = attributes
            .with_checks(false)
            .flatten()
            .find(|attribute| attribute.key.local_name().into_inner() == name.as_bytes())?;
        Some(markup::plain(&lenient(&attribute.value)).trim().to_owned())
    }
}

impl End<'_> {
    /// Its name without prefix.
    pub fn name(&self) -> &[u8] {
        self.0.local_name().into_inner()
    }
}

impl<R: Read> Walker<R> {
    /// Over bytes of any encoding. `charset` is what the server says, `expected` names what the document should be, for
    /// the error when it is not.
    pub fn new(input: R, charset: Option<&str>, expected: &'static str) -> Result<Self, SourceError> {
        let input = Utf8Reader::new(input, charset).map_err(|error| source_error(error, 0))?;
        let mut reader = Reader::from_reader(Clip::new(input));
        let config = reader.config_mut();
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = true;
        config.expand_empty_elements = true;
        Ok(Self {
            reader,
            buffer: Vec::new(),
            depth: 0,
            expected,
            phase: Phase::Before,
        })
    }

    /// The next step.
    ///
    /// # Errors
    /// What makes reading on impossible: a broken connection, HTML, markup that never ends.
    pub fn next(&mut self) -> Result<Node<'_>, SourceError> {
        if self.phase == Phase::Html {
            return Err(self.html());
        }
        self.buffer.clear();
        self.reader.get_mut().event_begins();
        let byte = self.reader.get_ref().position();
        let event = match self.reader.read_event_into(&mut self.buffer) {
            Ok(event) => event,
            Err(quick_xml::Error::IllFormed(_)) => return Ok(Node::Other),
            Err(error) => return Err(fatal(error, byte)),
        };
        match event {
            Event::Start(tag) | Event::Empty(tag) => {
                let tag = Tag(tag);
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(malformed(
                        byte,
                        format!("more than {MAX_DEPTH} elements lie within each other"),
                    ));
                }
                if self.phase == Phase::Before {
                    let html = tag.name().eq_ignore_ascii_case(b"html");
                    self.phase = if html { Phase::Html } else { Phase::Inside };
                }
                Ok(Node::Open(tag))
            }
            Event::End(end) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(Node::Close(End(end)))
            }
            Event::Text(text) => self.phase.text(text.into_inner(), self.expected),
            Event::CData(text) => self.phase.text(text.into_inner(), self.expected),
            Event::GeneralRef(name) => Ok(Node::Text(resolved(name))),
            Event::DocType(kind) => {
                let kind = kind.into_inner();
                if kind
                    .trim_ascii_start()
                    .get(..4)
                    .is_some_and(|name| name.eq_ignore_ascii_case(b"html"))
                {
                    self.phase = Phase::Html;
                }
                Ok(Node::Other)
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => Ok(Node::Other),
            Event::Eof if self.phase == Phase::Before => Err(SourceError::NotTheFormat {
                expected: self.expected,
                found: "an empty document".into(),
            }),
            Event::Eof => Ok(Node::Finished),
        }
    }

    /// Bytes of the document up to the present step.
    pub fn position(&self) -> u64 {
        self.reader.get_ref().position()
    }

    /// Keeps the first bytes from here on, for [`Walker::excerpt`].
    pub fn mark(&mut self) {
        self.reader.get_mut().mark();
    }

    /// The first bytes behind the last mark.
    pub fn excerpt(&self) -> String {
        lenient(self.reader.get_ref().excerpt()).into_owned()
    }

    /// Whether text was dropped since this was asked last.
    pub fn was_clipped(&mut self) -> bool {
        self.reader.get_mut().was_clipped()
    }

    /// The error that names the HTML page by its title.
    fn html(&mut self) -> SourceError {
        self.phase = Phase::Inside;
        let mut title = None::<String>;
        for _ in 0..TITLE_STEPS {
            match self.next() {
                Ok(Node::Open(tag)) if tag.name().eq_ignore_ascii_case(b"title") => title = Some(String::new()),
                Ok(Node::Text(text)) => {
                    if let Some(title) = &mut title {
                        title.push_str(&lenient(&text));
                    }
                }
                Ok(Node::Close(_)) if title.is_some() => break,
                Ok(Node::Finished) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let title = markup::first_words(&title.unwrap_or_default());
        SourceError::NotTheFormat {
            expected: self.expected,
            found: format!("an HTML page titled {title:?}"),
        }
    }
}

impl Phase {
    /// Text before the first element means that this is no XML at all.
    fn text<'a>(self, text: Cow<'a, [u8]>, expected: &'static str) -> Result<Node<'a>, SourceError> {
        if self == Self::Before && !text.trim_ascii().is_empty() {
            return Err(SourceError::NotTheFormat {
                expected,
                found: format!("{:?}", markup::first_words(&lenient(&text))),
            });
        }
        Ok(Node::Text(text))
    }
}

/// Predefined and numeric references and those of HTML; others stay as they are written.
fn resolved(name: BytesRef<'_>) -> Cow<'_, [u8]> {
    let name = name.into_inner();
    let known = std::str::from_utf8(&name).ok().and_then(markup::reference);
    match known {
        Some(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
        Some(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
        None => Cow::Owned([b"&", &*name, b";"].concat()),
    }
}

/// A page that cannot be read on.
pub fn malformed(byte: u64, why: impl Into<String>) -> SourceError {
    SourceError::Malformed { byte, why: why.into() }
}

fn fatal(error: quick_xml::Error, byte: u64) -> SourceError {
    match error {
        quick_xml::Error::Io(error) => match std::sync::Arc::try_unwrap(error) {
            Ok(error) => source_error(error, byte),
            Err(error) => malformed(byte, error.to_string()),
        },
        other => malformed(byte, other.to_string()),
    }
}
