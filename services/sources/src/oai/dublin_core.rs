//! `oai_dc`: fifteen elements, each as often as you like, each meaning what its server means by it.

use domain::LinkKind;
use domain::merging::{Identifier, Scheme};

use super::envelope::{Header, Metadata, Status};
use crate::draft::Draft;
use crate::page::Outcome;
use crate::xml::{Form, Tag};
use crate::{dates, names};

/// Reads `oai_dc`.
#[derive(Debug, Default)]
pub struct DublinCore {
    draft: Draft,
    dates: Vec<jiff::Timestamp>,
    read: Read,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Read {
    #[default]
    Nothing,
    Something,
}

impl Form for DublinCore {
    fn opens(&mut self, tag: &Tag<'_>) -> bool {
        matches!(
            tag.name(),
            b"title" | b"creator" | b"subject" | b"description" | b"date" | b"identifier" | b"relation" | b"language"
        )
    }

    fn field(&mut self, name: &[u8], text: &str) {
        if text.is_empty() {
            return;
        }
        self.read = Read::Something;
        let draft = &mut self.draft;
        match name {
            b"title" if draft.title.is_empty() => text.clone_into(&mut draft.title),
            b"creator" => draft.authors.extend(creators(text)),
            b"subject" => draft.categories.extend(subjects(text)),
            // Servers put comments and licences here, too; an abstract is the longest of them.
            b"description" if text.len() > draft.abstract_text.len() => text.clone_into(&mut draft.abstract_text),
            b"date" => self.dates.extend(dates::parse(text)),
            b"identifier" => identifier(draft, text),
            b"relation" => relation(draft, text),
            b"language" if draft.language.is_empty() => text.clone_into(&mut draft.language),
            _ => {}
        }
    }
}

impl Metadata for DublinCore {
    fn finish(&mut self, header: &Header) -> Outcome {
        let Self {
            mut draft,
            mut dates,
            read,
        } = std::mem::take(self);
        draft.native_id.clone_from(&header.identifier);
        draft.datestamp = header.datestamp;
        if let Some(identifier) = Identifier::recognise(&header.identifier) {
            draft.identifiers.insert(identifier);
        }
        if header.status == Status::Deleted {
            return Outcome::Withdrawn(Box::new(draft), "deleted by its repository".into());
        }
        if read == Read::Nothing {
            return Outcome::Bad(Box::new(draft), "metadata is missing".into());
        }
        dates.sort_unstable();
        draft.published = dates.first().copied();
        draft.updated = dates.last().copied().filter(|last| Some(*last) != draft.published);
        Outcome::Paper(Box::new(draft))
    }
}

fn identifier(draft: &mut Draft, text: &str) {
    match Identifier::recognise(text) {
        Some(identifier) => draft.identifiers.insert(identifier),
        None if text.starts_with("http") => {}
        None => return,
    }
    if text.starts_with("http") {
        let pdf = text.to_ascii_lowercase().ends_with(".pdf");
        draft.link(if pdf { LinkKind::Pdf } else { LinkKind::Abstract }, text);
    }
}

/// Relations lead to other works more often than to this one, so of them only what is surely code is taken, and an
/// identifier of arXiv that says it is a version of this.
fn relation(draft: &mut Draft, text: &str) {
    if text.starts_with("https://github.com/") || text.starts_with("https://gitlab.com/") {
        draft.link(LinkKind::Code, text);
    }
    if let Some(id) = text.strip_prefix("info:eu-repo/semantics/altIdentifier/arxiv/") {
        draft.identify(Scheme::Arxiv, id);
    }
    if let Some(id) = text.strip_prefix("info:eu-repo/semantics/altIdentifier/doi/") {
        draft.identify(Scheme::Doi, id);
    }
}

fn creators(text: &str) -> Vec<String> {
    if text.contains(';') {
        names::list(text)
    } else {
        vec![names::natural(text)]
    }
}

fn subjects(text: &str) -> Vec<String> {
    text.split(';')
        .map(|part| part.trim().trim_end_matches('.').to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}
