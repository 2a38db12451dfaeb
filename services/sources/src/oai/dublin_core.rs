//! `oai_dc`: fifteen elements, each as often as you like, each meaning what its server means by it.

use domain::merging::Identifier;
use domain::{AuthorName, LinkKind, names};

use super::envelope::{MetadataHandler, OaiHeader, RecordStatus};
use crate::dates;
use crate::draft::RecordDraft;
use crate::interpretation::Interpretation;
use crate::text_format::{TextFormat, TextFormats};
use crate::xml::{FieldHandler, StartTag};

/// Reads `oai_dc`.
#[derive(Debug, Default)]
pub struct DublinCore {
    draft: RecordDraft,
    dates: Vec<jiff::Timestamp>,
    has_metadata: bool,
}

impl FieldHandler for DublinCore {
    fn opens(&mut self, tag: &StartTag<'_>) -> bool {
        matches!(
            tag.name(),
            b"title" | b"creator" | b"subject" | b"description" | b"date" | b"identifier" | b"relation" | b"language"
        )
    }

    fn field(&mut self, name: &[u8], text: &str) {
        if text.is_empty() {
            return;
        }
        self.has_metadata = true;
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

impl MetadataHandler for DublinCore {
    fn finish(&mut self, header: &OaiHeader) -> Interpretation {
        let Self {
            mut draft,
            mut dates,
            has_metadata,
        } = std::mem::take(self);
        // Some servers give HTML, some plain text, and none says which.
        draft.formats = TextFormats::all(TextFormat::Mixed);
        draft.native_id.clone_from(&header.identifier);
        draft.datestamp = header.datestamp;
        draft.recognise(&header.identifier);
        if header.status == RecordStatus::Deleted {
            return Interpretation::withdrawn(draft, "deleted by its repository");
        }
        if !has_metadata {
            return Interpretation::unusable(draft, "metadata is missing");
        }
        dates.sort_unstable();
        draft.published = dates.first().copied();
        draft.updated = dates.last().copied().filter(|last| Some(*last) != draft.published);
        Interpretation::paper(draft)
    }
}

fn identifier(draft: &mut RecordDraft, text: &str) {
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

/// Relations lead to other works more often than to this one, so only what is certainly code is read, and an
/// identifier of arXiv that says it is a version of this.
fn relation(draft: &mut RecordDraft, text: &str) {
    if text.starts_with("https://github.com/") || text.starts_with("https://gitlab.com/") {
        draft.link(LinkKind::Code, text);
    }
    if text.starts_with("info:eu-repo/semantics/altIdentifier/") {
        draft.recognise(text);
    }
}

fn creators(text: &str) -> Vec<AuthorName> {
    if text.contains(';') {
        names::list(text)
    } else {
        names::each([text])
    }
}

fn subjects(text: &str) -> Vec<String> {
    text.split(';')
        .map(|part| part.trim().trim_end_matches('.').to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}
