//! The `arXiv` format of OAI-PMH.

use domain::merging::Scheme;
use domain::{AuthorName, LinkKind};

use crate::dates;
use crate::draft::RecordDraft;
use crate::interpretation::Interpretation;
use crate::oai::envelope::{MetadataHandler, OaiHeader, RecordStatus};
use crate::xml::{FieldContent, FieldHandler, StartTag};

/// Reads the `arXiv` format.
#[derive(Debug, Default)]
pub struct ArxivMetadata {
    keep: Vec<String>,
    draft: RecordDraft,
    family: String,
    given: String,
    suffix: String,
}

impl ArxivMetadata {
    /// Keeps papers of these categories and their subcategories, or all if there are none.
    pub fn new(keep: Vec<String>) -> Self {
        Self {
            keep,
            ..Self::default()
        }
    }
}

impl FieldHandler for ArxivMetadata {
    fn opens(&mut self, tag: &StartTag<'_>) -> bool {
        matches!(
            tag.name(),
            b"id"
                | b"created"
                | b"updated"
                | b"title"
                | b"categories"
                | b"comments"
                | b"doi"
                | b"abstract"
                | b"keyname"
                | b"forenames"
                | b"suffix"
        )
    }

    fn field(&mut self, name: &[u8], text: &str) {
        let draft = &mut self.draft;
        match name {
            b"id" => {
                draft.identify(Scheme::Arxiv, text);
                text.clone_into(&mut draft.native_id);
            }
            b"created" => draft.published = dates::parse(text),
            b"updated" => draft.updated = dates::parse(text),
            b"title" => text.clone_into(&mut draft.title),
            b"categories" => draft.categories.extend(text.split_whitespace().map(str::to_owned)),
            b"comments" => text.clone_into(&mut draft.comment),
            // Several, separated by blanks or commas, where a paper appeared more than once.
            b"doi" => text
                .split([' ', ',', '\n'])
                .for_each(|doi| draft.identify(Scheme::Doi, doi)),
            b"abstract" => text.clone_into(&mut draft.abstract_text),
            b"keyname" => text.clone_into(&mut self.family),
            b"forenames" => text.clone_into(&mut self.given),
            b"suffix" => text.clone_into(&mut self.suffix),
            _ => {}
        }
    }

    fn closes(&mut self, name: &[u8]) {
        if name == b"author" {
            self.draft
                .authors
                .push(AuthorName::new(&self.given, &self.family, &self.suffix));
            self.given.clear();
            self.family.clear();
            self.suffix.clear();
        }
    }

    /// Titles and abstracts are plain text.
    fn content(&self, _name: &[u8]) -> FieldContent {
        FieldContent::Text
    }
}

impl MetadataHandler for ArxivMetadata {
    fn finish(&mut self, header: &OaiHeader) -> Interpretation {
        let mut draft = std::mem::take(&mut self.draft);
        self.given.clear();
        self.family.clear();
        self.suffix.clear();
        draft.datestamp = header.datestamp;
        if draft.identifiers.is_empty() {
            draft.identify(Scheme::Arxiv, &header.identifier);
            draft.native_id.clone_from(&header.identifier);
        }
        if draft.identifiers.of(Scheme::Arxiv).next().is_none() {
            let shown = domain::text::shorten(&draft.native_id);
            return Interpretation::unusable(draft, format!("id is {shown:?}, which is no arXiv id"));
        }
        if header.status == RecordStatus::Deleted {
            return Interpretation::withdrawn(draft, "deleted by arXiv");
        }
        if !kept(&self.keep, &draft.categories) {
            return Interpretation::Skipped;
        }
        links(&mut draft);
        Interpretation::paper(draft)
    }
}

/// Whether one of the categories is one of those to keep, or a subcategory of one.
pub fn kept(keep: &[String], categories: &[String]) -> bool {
    keep.is_empty()
        || categories.iter().any(|category| {
            keep.iter().any(|wanted| {
                category
                    .strip_prefix(wanted.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        })
}

/// The pages that arXiv has of each paper.
pub fn links(draft: &mut RecordDraft) {
    let Some(id) = draft.identifiers.of(Scheme::Arxiv).next().map(str::to_owned) else {
        return;
    };
    draft.link(LinkKind::Abstract, &format!("https://arxiv.org/abs/{id}"));
    draft.link(LinkKind::Pdf, &format!("https://arxiv.org/pdf/{id}"));
}
