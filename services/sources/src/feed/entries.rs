//! The entries of Atom, RSS 2.0 and RSS 1.0 documents, as they are written. Pure, over a reader.
//!
//! It says what stands in an entry and never what it means; that differs from feed to feed.

use std::io::Read;
use std::time::Duration;

use jiff::Timestamp;

use crate::dates;
use crate::draft::{Context, Draft};
use crate::error::SourceError;
use crate::page::{Outcome, Sink};
use crate::record::Place;
use crate::xml::{Collector, Form, Step, Tag, Walker, malformed};

/// Links, authors or categories of one entry that are looked at.
const MAX_LIST: usize = 20_000;

/// An entry as it is written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `id`, `guid` or `rdf:about`.
    pub id: String,
    /// `title`.
    pub title: String,
    /// `summary` or `description`.
    pub summary: String,
    /// `content` or `content:encoded`.
    pub content: String,
    /// `link`: relation, media type, address.
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
pub struct Facts {
    /// Entries, with those that are not wanted.
    pub records: u64,
    /// The newest date of all of them.
    pub newest: Option<Timestamp>,
    /// How long the feed says it stays as it is.
    pub time_to_live: Option<Duration>,
}

#[derive(Default)]
struct Reading {
    entry: Entry,
    facts: Facts,
    part: Part,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    #[default]
    Feed,
    Atom,
    AtomAuthor,
    Rss,
}

/// Reads a document; `interpret` says what each entry is.
///
/// # Errors
/// A document that is no feed, breaks off, or whose items nobody takes.
pub fn parse<R: Read>(
    input: R,
    charset: Option<&str>,
    context: &Context,
    mut interpret: impl FnMut(Entry) -> Outcome,
    sink: &mut Sink<'_>,
) -> Result<Facts, SourceError> {
    let mut walker = Walker::new(input, charset, "an RSS or Atom feed")?;
    let mut collector = Collector::default();
    let mut reading = Reading::default();
    let mut place = Place::default();
    loop {
        match collector.step(&mut walker, &mut reading, |name| name == b"entry" || name == b"item")? {
            Step::On => {}
            Step::Began => {
                place.record += 1;
                place.byte = walker.position();
                walker.mark();
                let _ = (walker.was_clipped(), collector.overflow());
            }
            Step::Ended => {
                if reading.part == Part::Feed {
                    continue;
                }
                reading.part = Part::Feed;
                let entry = std::mem::take(&mut reading.entry);
                let date = entry.updated.or(entry.published);
                reading.facts.records += 1;
                reading.facts.newest = reading.facts.newest.max(date);
                let overflow = collector.overflow();
                let overflow = overflow.or_else(|| walker.was_clipped().then(|| "a field is too long".to_owned()));
                let outcome = match overflow {
                    Some(reason) => too_long(&entry, reason),
                    None => interpret(entry),
                };
                if let Some(item) = outcome.into_item(context, place, || walker.excerpt()) {
                    sink(item)?;
                }
            }
            Step::Finished if reading.part == Part::Feed => return Ok(reading.facts),
            Step::Finished => return Err(malformed(walker.position(), "it ends within an entry")),
        }
    }
}

fn too_long(entry: &Entry, reason: String) -> Outcome {
    let draft = Draft {
        native_id: entry.id.clone(),
        datestamp: entry.updated.or(entry.published),
        ..Draft::default()
    };
    Outcome::Bad(Box::new(draft), reason)
}

impl Form for Reading {
    fn opens(&mut self, tag: &Tag<'_>) -> bool {
        match (self.part, tag.name()) {
            (_, b"entry") => {
                self.entry = Entry::default();
                self.part = Part::Atom;
                false
            }
            (_, b"item") => {
                self.entry = Entry::default();
                self.entry.id = tag.attribute("about").unwrap_or_default();
                self.part = Part::Rss;
                false
            }
            (Part::Feed, name) => name == b"ttl",
            (Part::Atom, b"author") => {
                self.part = Part::AtomAuthor;
                false
            }
            (Part::AtomAuthor, name) => name == b"name",
            // Pictures and films have titles and descriptions of their own.
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
            (part, name) => is_field(part, name),
        }
    }

    fn field(&mut self, name: &[u8], text: &str) {
        if text.is_empty() {
            return;
        }
        let entry = &mut self.entry;
        match name {
            b"ttl" => {
                let minutes = text.parse::<u64>().unwrap_or(0).min(24 * 60);
                self.facts.time_to_live = Some(Duration::from_secs(minutes * 60));
            }
            b"id" | b"guid" => text.clone_into(&mut entry.id),
            b"title" if entry.title.is_empty() => text.clone_into(&mut entry.title),
            b"summary" | b"description" => text.clone_into(&mut entry.summary),
            b"content" | b"encoded" => text.clone_into(&mut entry.content),
            b"link" => entry.links.push((String::new(), String::new(), text.to_owned())),
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

    fn closes(&mut self, name: &[u8]) {
        if self.part == Part::AtomAuthor && name == b"author" {
            self.part = Part::Atom;
        }
    }
}

impl Reading {
    fn link(&mut self, tag: &Tag<'_>) {
        if let Some(address) = tag.attribute("href")
            && self.entry.links.len() < MAX_LIST
        {
            let of = |name| tag.attribute(name).unwrap_or_default();
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

fn is_field(part: Part, name: &[u8]) -> bool {
    match name {
        b"author" => part == Part::Rss,
        b"id" | b"guid" | b"title" | b"summary" | b"description" | b"content" | b"encoded" | b"creator"
        | b"subject" | b"published" | b"pubDate" | b"issued" | b"date" | b"publicationDate" | b"updated"
        | b"modified" | b"doi" | b"identifier" | b"announce_type" | b"comment" | b"language" => true,
        _ => false,
    }
}
