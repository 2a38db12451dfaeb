//! The entries of Atom, RSS 2.0 and RSS 1.0 documents, as they are written. Pure, over a reader.
//!
//! It says what an entry contains and not what that means, which differs from feed to feed.

use std::io::Read;
use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use super::base::FeedBase;
use crate::dates;
use crate::draft::{PageContext, RecordDraft};
use crate::error::SourceError;
use crate::interpretation::{Interpretation, Sink};
use crate::text_format::TextFormat;
use crate::xml::{FieldContent, FieldHandler, RecordHandler, StartTag, read_records};

/// Links or categories of one entry that are read.
const MAX_LIST: usize = 20_000;

/// A text and what the feed says it is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct FeedText {
    /// As it is written.
    pub text: String,
    /// What it is written in.
    pub format: TextFormat,
}

/// An entry as it is written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct FeedEntry {
    /// `id`, `guid` or `rdf:about`.
    pub id: String,
    /// `title`.
    pub title: FeedText,
    /// `summary` or `description`.
    pub summary: FeedText,
    /// `content` or `content:encoded`.
    pub content: FeedText,
    /// `link`: relation, media type, absolute address.
    pub links: Vec<(String, String, String)>,
    /// `author/name`, or `author` of RSS; one each.
    pub authors: Vec<String>,
    /// `dc:creator`: one or many in one.
    pub creators: Vec<String>,
    /// `category`, `dc:subject`.
    pub categories: Vec<String>,
    /// `arxiv:primary_category`.
    pub primary_category: String,
    /// `published`, `pubDate`, `dc:date`.
    pub published: Option<Timestamp>,
    /// `updated`, `modified`.
    pub updated: Option<Timestamp>,
    /// `prism:doi`, `arxiv:doi`, `dc:identifier`.
    pub identifiers: Vec<String>,
    /// `arxiv:announce_type`.
    pub announcement: String,
    /// `arxiv:comment`.
    pub comment: String,
    /// `language`.
    pub language: String,
}

/// What is known at the end of a document.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct FeedSummary {
    /// Entries, with the skipped ones.
    pub records: u64,
    /// The newest date of all of them.
    pub newest: Option<Timestamp>,
    /// How long the feed says it stays unchanged.
    pub time_to_live: Option<Duration>,
}

struct FeedHandler<I> {
    entry: FeedEntry,
    summary: FeedSummary,
    element: FeedElement,
    base: FeedBase,
    format: TextFormat,
    content: FieldContent,
    interpret: I,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FeedElement {
    Feed,
    Atom,
    AtomAuthor,
    Rss,
}

/// Reads a document; `interpret` says what each entry is. `address` is where it came from.
///
/// # Errors
/// A document that is no feed or breaks off, and what `sink` answers.
pub fn parse<R: Read>(
    input: R,
    charset: Option<&str>,
    address: Option<&Url>,
    context: &PageContext,
    interpret: impl FnMut(FeedEntry) -> Interpretation,
    sink: &mut Sink<'_>,
) -> Result<FeedSummary, SourceError> {
    let mut handler = FeedHandler {
        entry: FeedEntry::default(),
        summary: FeedSummary::default(),
        element: FeedElement::Feed,
        base: FeedBase::new(address),
        format: TextFormat::default(),
        content: FieldContent::default(),
        interpret,
    };
    read_records(input, charset, &mut handler, context, sink)?;
    Ok(handler.summary)
}

impl<I: FnMut(FeedEntry) -> Interpretation> RecordHandler for FeedHandler<I> {
    const EXPECTED: &'static str = "an RSS or Atom feed";
    const RECORD: &'static str = "an entry";

    fn is_record(name: &[u8]) -> bool {
        name == b"entry" || name == b"item"
    }

    fn record_ends(&mut self, overflow: Option<String>) -> Option<Interpretation> {
        if self.element == FeedElement::Feed {
            return None;
        }
        self.element = FeedElement::Feed;
        let entry = std::mem::take(&mut self.entry);
        self.summary.records += 1;
        self.summary.newest = self.summary.newest.max(entry.updated.or(entry.published));
        Some(match overflow {
            Some(reason) => too_long(&entry, reason),
            None => (self.interpret)(entry),
        })
    }

    fn is_in_record(&self) -> bool {
        self.element != FeedElement::Feed
    }
}

fn too_long(entry: &FeedEntry, reason: String) -> Interpretation {
    let draft = RecordDraft {
        native_id: entry.id.clone(),
        datestamp: entry.updated.or(entry.published),
        ..RecordDraft::default()
    };
    Interpretation::unusable(draft, reason)
}

impl<I> FieldHandler for FeedHandler<I> {
    fn opens(&mut self, tag: &StartTag<'_>) -> bool {
        (self.format, self.content) = match (self.element, tag.name()) {
            (FeedElement::Atom, b"title" | b"summary" | b"content") => text_construct(tag),
            (_, b"title") => (TextFormat::Mixed, FieldContent::Any),
            _ => (TextFormat::Markup, FieldContent::Any),
        };
        match (self.element, tag.name()) {
            (_, b"entry") => self.begin(tag, FeedElement::Atom),
            (_, b"item") => self.begin(tag, FeedElement::Rss),
            (FeedElement::Feed, name) => self.around_entries(name, tag),
            (FeedElement::Atom, b"author") => {
                self.element = FeedElement::AtomAuthor;
                false
            }
            (FeedElement::AtomAuthor, name) => name == b"name",
            // Images and videos have titles and descriptions of their own.
            _ if tag.has_prefix("media") => false,
            (_, b"link") => {
                self.link(tag);
                true
            }
            (_, b"category") => {
                self.category(tag.attribute("term"));
                true
            }
            (_, b"primary_category") => {
                self.entry.primary_category = tag.attribute("term").unwrap_or_default();
                false
            }
            (element, name) => is_field(element, name),
        }
    }

    fn field(&mut self, name: &[u8], text: &str) {
        if text.is_empty() {
            return;
        }
        let entry = &mut self.entry;
        let read = || FeedText {
            text: text.to_owned(),
            format: self.format,
        };
        match name {
            b"ttl" => {
                let minutes = text.parse::<u64>().unwrap_or(0).min(24 * 60);
                self.summary.time_to_live = Some(Duration::from_secs(minutes * 60));
            }
            b"id" | b"guid" => text.clone_into(&mut entry.id),
            b"title" if entry.title.text.is_empty() => entry.title = read(),
            b"summary" | b"description" => entry.summary = read(),
            b"content" | b"encoded" => entry.content = read(),
            b"link" if self.element == FeedElement::Feed => self.base.links_to(text),
            b"link" => {
                let address = self.base.resolve(text, None);
                entry.links.push((String::new(), String::new(), address));
            }
            b"author" | b"name" => entry.authors.push(text.to_owned()),
            b"creator" => entry.creators.push(text.to_owned()),
            b"category" | b"subject" => self.category(Some(text.to_owned())),
            b"published" | b"pubDate" | b"issued" => entry.published = dates::parse(text).or(entry.published),
            b"date" | b"publicationDate" => entry.published = entry.published.or_else(|| dates::parse(text)),
            b"updated" | b"modified" => entry.updated = dates::parse(text).or(entry.updated),
            b"doi" | b"identifier" => entry.identifiers.push(text.to_owned()),
            b"announce_type" => text.clone_into(&mut entry.announcement),
            b"comment" => text.clone_into(&mut entry.comment),
            b"language" => text.clone_into(&mut entry.language),
            _ => {}
        }
    }

    fn content(&self, _name: &[u8]) -> FieldContent {
        self.content
    }

    fn closes(&mut self, name: &[u8]) {
        if self.element == FeedElement::AtomAuthor && name == b"author" {
            self.element = FeedElement::Atom;
        }
    }
}

impl<I> FeedHandler<I> {
    fn begin(&mut self, tag: &StartTag<'_>, element: FeedElement) -> bool {
        self.base.in_entry(tag.attribute("base").as_deref());
        self.element = element;
        self.entry = FeedEntry {
            id: tag.attribute("about").unwrap_or_default(),
            ..FeedEntry::default()
        };
        false
    }

    /// An element of the feed or the channel.
    fn around_entries(&mut self, name: &[u8], tag: &StartTag<'_>) -> bool {
        let address = tag.attribute("href").filter(|_| name == b"link");
        if let Some(address) = address {
            if tag.attribute("rel").as_deref() == Some("self") {
                self.base.says_itself(&address);
            }
            return false;
        }
        self.base.in_feed(tag.attribute("base").as_deref());
        matches!(name, b"ttl" | b"link")
    }

    fn link(&mut self, tag: &StartTag<'_>) {
        if let Some(address) = tag.attribute("href")
            && self.entry.links.len() < MAX_LIST
        {
            let of = |name| tag.attribute(name).unwrap_or_default();
            let address = self.base.resolve(&address, tag.attribute("base").as_deref());
            self.entry.links.push((of("rel"), of("type"), address));
        }
    }

    fn category(&mut self, name: Option<String>) {
        if let Some(name) = name.filter(|name| !name.is_empty())
            && self.entry.categories.len() < MAX_LIST
        {
            self.entry.categories.push(name);
        }
    }
}

/// What the `type` of a text of Atom says. Many feeds leave it out and give HTML.
fn text_construct(tag: &StartTag<'_>) -> (TextFormat, FieldContent) {
    match tag.attribute("type").unwrap_or_default().as_str() {
        "text" | "text/plain" => (TextFormat::Plain, FieldContent::Text),
        "xhtml" | "application/xhtml+xml" => (TextFormat::Markup, FieldContent::Elements),
        "html" | "text/html" => (TextFormat::Markup, FieldContent::Any),
        _ => (TextFormat::Mixed, FieldContent::Any),
    }
}

fn is_field(element: FeedElement, name: &[u8]) -> bool {
    match name {
        b"author" => element == FeedElement::Rss,
        b"id" | b"guid" | b"title" | b"summary" | b"description" | b"content" | b"encoded" | b"creator"
        | b"subject" | b"published" | b"pubDate" | b"issued" | b"date" | b"publicationDate" | b"updated"
        | b"modified" | b"doi" | b"identifier" | b"announce_type" | b"comment" | b"language" => true,
        _ => false,
    }
}
