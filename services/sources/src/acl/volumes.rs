//! The XML of the anthology: a collection of volumes of papers. Pure, over a reader.

use std::io::Read;

use domain::LinkKind;
use domain::merging::Scheme;
use jiff::Timestamp;

use crate::draft::{Context, Draft};
use crate::error::SourceError;
use crate::page::{Outcome, Sink};
use crate::record::Place;
use crate::xml::{Collector, Form, Step, Tag, Walker, malformed};
use crate::{dates, names};

/// What is known at the end of a file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Papers.
    pub records: u64,
    /// The newest day on which a volume was taken in.
    pub newest: Option<Timestamp>,
}

#[derive(Default)]
struct Reading {
    part: Part,
    collection: String,
    volume: String,
    ingested: Option<Timestamp>,
    year: String,
    month: String,
    paper: Draft,
    number: String,
    first: String,
    last: String,
    retracted: Option<String>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    #[default]
    Outside,
    Meta,
    Paper,
    Author,
}

/// Reads a file.
///
/// # Errors
/// A file that is no XML of the anthology, breaks off, or whose items nobody takes.
pub fn parse<R: Read>(
    input: R,
    charset: Option<&str>,
    context: &Context,
    sink: &mut Sink<'_>,
) -> Result<Facts, SourceError> {
    let mut walker = Walker::new(input, charset, "an XML file of the ACL Anthology")?;
    let mut collector = Collector::default();
    let mut reading = Reading::default();
    let mut facts = Facts::default();
    let mut place = Place::default();
    loop {
        match collector.step(&mut walker, &mut reading, |name| name == b"paper")? {
            Step::On => {}
            Step::Began => {
                place.record += 1;
                place.byte = walker.position();
                walker.mark();
                let _ = (walker.was_clipped(), collector.overflow());
            }
            Step::Ended => {
                if reading.part == Part::Outside {
                    continue;
                }
                let overflow = collector.overflow();
                let overflow = overflow.or_else(|| walker.was_clipped().then(|| "a field is too long".to_owned()));
                let outcome = reading.finish(overflow);
                facts.records += 1;
                facts.newest = facts.newest.max(reading.ingested);
                if let Some(item) = outcome.into_item(context, place, || walker.excerpt()) {
                    sink(item)?;
                }
            }
            Step::Finished if matches!(reading.part, Part::Outside | Part::Meta) => return Ok(facts),
            Step::Finished => return Err(malformed(walker.position(), "it ends within a paper")),
        }
    }
}

impl Form for Reading {
    fn opens(&mut self, tag: &Tag<'_>) -> bool {
        let id = || tag.attribute("id").unwrap_or_default();
        match (self.part, tag.name()) {
            (_, b"collection") => self.collection = id(),
            (_, b"volume") => {
                self.volume = id();
                self.ingested = tag.attribute("ingest-date").and_then(|date| dates::parse(&date));
                self.year.clear();
                self.month.clear();
            }
            (_, b"meta") => self.part = Part::Meta,
            (_, b"paper") => {
                self.part = Part::Paper;
                self.paper = Draft::default();
                self.retracted = None;
                self.number = id();
            }
            (Part::Meta, name) => return matches!(name, b"year" | b"month"),
            (Part::Paper, b"author") => self.part = Part::Author,
            (Part::Author, name) => return matches!(name, b"first" | b"last"),
            (Part::Paper, name) => {
                return matches!(
                    name,
                    b"title" | b"abstract" | b"url" | b"doi" | b"retracted" | b"removed" | b"language"
                );
            }
            (Part::Outside, _) => {}
        }
        false
    }

    fn field(&mut self, name: &[u8], text: &str) {
        match name {
            b"year" => text.clone_into(&mut self.year),
            b"month" => text.clone_into(&mut self.month),
            b"first" if self.first.is_empty() => text.clone_into(&mut self.first),
            b"last" if self.last.is_empty() => text.clone_into(&mut self.last),
            b"title" => text.clone_into(&mut self.paper.title),
            b"abstract" => text.clone_into(&mut self.paper.abstract_text),
            b"url" => text.clone_into(&mut self.paper.native_id),
            b"doi" => self.paper.identify(Scheme::Doi, text),
            b"language" => text.clone_into(&mut self.paper.language),
            b"retracted" | b"removed" => self.retracted = Some(text.to_owned()),
            _ => {}
        }
    }

    fn closes(&mut self, name: &[u8]) {
        match (self.part, name) {
            (Part::Meta, b"meta") => self.part = Part::Outside,
            (Part::Author, b"author") => {
                self.part = Part::Paper;
                self.paper.authors.push(names::join(&self.first, &self.last, ""));
                self.first.clear();
                self.last.clear();
            }
            _ => {}
        }
    }
}

impl Reading {
    fn finish(&mut self, overflow: Option<String>) -> Outcome {
        self.part = Part::Outside;
        let mut draft = std::mem::take(&mut self.paper);
        draft.datestamp = self.ingested;
        if draft.native_id.is_empty() || draft.native_id.contains('/') {
            draft.native_id = format!("{}-{}.{}", self.collection, self.volume, self.number);
        }
        let id = draft.native_id.clone();
        draft.identify(Scheme::Acl, &id);
        if let Some(reason) = overflow {
            return Outcome::Bad(Box::new(draft), reason);
        }
        if draft.identifiers.of(Scheme::Acl).next().is_none() {
            let shown = domain::text::shorten(&id);
            return Outcome::Bad(
                Box::new(draft),
                format!("id is {shown:?}, which is no id of the anthology"),
            );
        }
        // `July-August`, `29 July` and worse: the first month counts, and without one the year.
        let month: String = self
            .month
            .chars()
            .take_while(|c| !matches!(c, '-' | '–' | '/'))
            .collect();
        draft.published = dates::parse(&format!("{month} {}", self.year)).or_else(|| dates::parse(&self.year));
        draft.published = draft.published.or(self.ingested);
        let venue = self.collection.rsplit_once('.').map(|(_, venue)| venue.to_owned());
        draft.categories = venue.into_iter().chain(["cs.CL".to_owned()]).collect();
        draft.link(LinkKind::Abstract, &format!("https://aclanthology.org/{id}"));
        draft.link(LinkKind::Pdf, &format!("https://aclanthology.org/{id}.pdf"));
        match self.retracted.take() {
            Some(reason) if reason.is_empty() => Outcome::Withdrawn(Box::new(draft), "retracted".into()),
            Some(reason) => Outcome::Withdrawn(Box::new(draft), reason),
            None => Outcome::Paper(Box::new(draft)),
        }
    }
}
