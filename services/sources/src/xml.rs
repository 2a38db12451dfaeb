//! XML as it comes over the network: read while it arrives, in bounded memory.
//!
//! Names are read without their namespace, because feeds omit declarations; end tags need not match, because in practice
//! they do not; entities that a document declares are never expanded; text longer than a field may be is dropped while it
//! is read, and its record is marked. HTML in place of XML is recognised at the first tag.

mod clipping;
mod collector;
mod records;

use std::borrow::Cow;
use std::io::Read;

use quick_xml::Reader;
use quick_xml::events::{BytesEnd, BytesRef, BytesStart, Event};

use crate::encoding::{Utf8Reader, lenient};
use crate::error::SourceError;
use crate::markup;
use clipping::ClippingReader;
pub use collector::{FieldContent, FieldHandler};
pub use records::{RecordHandler, read_records};

/// How deep elements may be nested; more is an attack.
const MAX_DEPTH: usize = 10_000;
/// Steps into an HTML page in which its title is looked for.
const TITLE_STEPS: usize = 64;

/// A document that is being read.
pub struct XmlReader<R: Read> {
    reader: Reader<ClippingReader<Utf8Reader<R>>>,
    buffer: Vec<u8>,
    depth: usize,
    expected: &'static str,
    phase: DocumentPhase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DocumentPhase {
    /// Nothing but declarations so far.
    Before,
    /// Within the document.
    Inside,
    /// It turned out to be HTML.
    Html,
}

/// One step through a document.
#[derive(Debug)]
pub enum XmlNode<'a> {
    /// An element begins.
    Open(StartTag<'a>),
    /// An element ends.
    Close(EndTag<'a>),
    /// Text, as bytes that are mostly UTF-8.
    Text(Cow<'a, [u8]>),
    /// A comment, an instruction, or a mistake that can be passed over.
    Other,
    /// The document ends.
    Finished,
}

/// An element that begins.
#[derive(Debug)]
pub struct StartTag<'a>(BytesStart<'a>);

/// An element that ends.
#[derive(Debug)]
pub struct EndTag<'a>(BytesEnd<'a>);

impl StartTag<'_> {
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

    /// Its name without prefix and its attributes, as they are written.
    pub fn source(&self) -> Vec<u8> {
        [self.name(), self.0.attributes_raw()].concat()
    }

    /// An attribute by its name without prefix.
    pub fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.0.attributes();
        let attribute = attributes
            .with_checks(false)
            .flatten()
            .find(|attribute| attribute.key.local_name().into_inner() == name.as_bytes())?;
        Some(markup::unescaped(&lenient(&attribute.value)).trim().to_owned())
    }
}

impl EndTag<'_> {
    /// Its name without prefix.
    pub fn name(&self) -> &[u8] {
        self.0.local_name().into_inner()
    }
}

impl<R: Read> XmlReader<R> {
    /// Over bytes of any encoding. `charset` is the encoding that the server names; `expected` is what the document should
    /// be, for the error when it is not.
    pub fn new(input: R, charset: Option<&str>, expected: &'static str) -> Result<Self, SourceError> {
        let input = Utf8Reader::new(input, charset).map_err(|error| SourceError::from_read(error, 0))?;
        let mut reader = Reader::from_reader(ClippingReader::new(input));
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
            phase: DocumentPhase::Before,
        })
    }

    /// The next step.
    ///
    /// # Errors
    /// What makes reading on impossible: a broken connection, HTML, markup that never ends.
    pub fn next(&mut self) -> Result<XmlNode<'_>, SourceError> {
        if self.phase == DocumentPhase::Html {
            return Err(self.html());
        }
        self.buffer.clear();
        self.reader.get_mut().event_begins();
        let byte = self.reader.get_ref().position();
        let event = match self.reader.read_event_into(&mut self.buffer) {
            Ok(event) => event,
            Err(quick_xml::Error::IllFormed(_)) => return Ok(XmlNode::Other),
            Err(error) => return Err(fatal(error, byte)),
        };
        match event {
            Event::Start(tag) | Event::Empty(tag) => {
                let tag = StartTag(tag);
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    let why = format!("elements are nested more than {MAX_DEPTH} deep");
                    return Err(SourceError::malformed(byte, why));
                }
                if self.phase == DocumentPhase::Before {
                    self.phase = DocumentPhase::of_root(tag.name());
                }
                Ok(XmlNode::Open(tag))
            }
            Event::End(end) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(XmlNode::Close(EndTag(end)))
            }
            Event::Text(text) => self.phase.text(text.into_inner(), self.expected),
            Event::CData(text) => self.phase.text(text.into_inner(), self.expected),
            Event::GeneralRef(name) => Ok(XmlNode::Text(resolved(name))),
            Event::DocType(kind) => {
                if is_html(&kind.into_inner()) {
                    self.phase = DocumentPhase::Html;
                }
                Ok(XmlNode::Other)
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => Ok(XmlNode::Other),
            Event::Eof if self.phase == DocumentPhase::Before => Err(SourceError::UnexpectedFormat {
                expected: self.expected,
                found: "an empty document".into(),
            }),
            Event::Eof => Ok(XmlNode::Finished),
        }
    }

    /// Bytes of the document up to the present step.
    pub fn position(&self) -> u64 {
        self.reader.get_ref().position()
    }

    /// Keeps the first bytes from here on, for [`XmlReader::excerpt`].
    pub fn mark(&mut self) {
        self.reader.get_mut().mark();
    }

    /// The first bytes after the last mark.
    pub fn excerpt(&self) -> String {
        lenient(self.reader.get_ref().excerpt()).into_owned()
    }

    /// Whether text was dropped since this was asked last.
    pub fn was_clipped(&mut self) -> bool {
        self.reader.get_mut().was_clipped()
    }

    /// The error that names the HTML page by its title.
    fn html(&mut self) -> SourceError {
        self.phase = DocumentPhase::Inside;
        let mut title = None::<String>;
        for _ in 0..TITLE_STEPS {
            match self.next() {
                Ok(XmlNode::Open(tag)) if tag.name().eq_ignore_ascii_case(b"title") => title = Some(String::new()),
                Ok(XmlNode::Text(text)) => {
                    if let Some(title) = &mut title {
                        title.push_str(&lenient(&text));
                    }
                }
                Ok(XmlNode::Close(_)) if title.is_some() => break,
                Ok(XmlNode::Finished) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let title = markup::first_words(&title.unwrap_or_default());
        SourceError::UnexpectedFormat {
            expected: self.expected,
            found: format!("an HTML page titled {title:?}"),
        }
    }
}

/// Whether a document type is that of HTML.
fn is_html(doctype: &[u8]) -> bool {
    let name = doctype.trim_ascii_start().get(..4);
    name.is_some_and(|name| name.eq_ignore_ascii_case(b"html"))
}

impl DocumentPhase {
    /// After the first element.
    fn of_root(name: &[u8]) -> Self {
        if name.eq_ignore_ascii_case(b"html") {
            Self::Html
        } else {
            Self::Inside
        }
    }

    /// Text before the first element means that this is no XML at all.
    fn text<'a>(self, text: Cow<'a, [u8]>, expected: &'static str) -> Result<XmlNode<'a>, SourceError> {
        if self == Self::Before && !text.trim_ascii().is_empty() {
            return Err(SourceError::UnexpectedFormat {
                expected,
                found: format!("{:?}", markup::first_words(&lenient(&text))),
            });
        }
        Ok(XmlNode::Text(text))
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

fn fatal(error: quick_xml::Error, byte: u64) -> SourceError {
    match error {
        quick_xml::Error::Io(error) => match std::sync::Arc::try_unwrap(error) {
            Ok(error) => SourceError::from_read(error, byte),
            Err(error) => SourceError::malformed(byte, error.to_string()),
        },
        other => SourceError::malformed(byte, other.to_string()),
    }
}
