//! The `arXiv` format of OAI-PMH.

use domain::LinkKind;
use domain::merging::Scheme;

use crate::draft::Draft;
use crate::oai::envelope::{Header, Metadata, Status};
use crate::page::Outcome;
use crate::xml::{Form, Tag};
use crate::{dates, names};

/// Words that begin the comment or the abstract of a paper that was taken back.
const WITHDRAWN: [&str; 6] = [
    "this paper has been withdrawn",
    "this article has been withdrawn",
    "this submission has been withdrawn",
    "paper withdrawn",
    "withdrawn by",
    "this paper is withdrawn",
];

/// Reads the `arXiv` format.
#[derive(Debug, Default)]
pub struct ArxivMetadata {
    keep: Vec<String>,
    draft: Draft,
    comment: String,
    family: String,
    given: String,
    suffix: String,
}

impl ArxivMetadata {
    /// Keeps what lies in one of the categories, or everything where there are none.
    pub fn new(keep: Vec<String>) -> Self {
        Self {
            keep,
            ..Self::default()
        }
    }
}

impl Form for ArxivMetadata {
    fn opens(&mut self, tag: &Tag<'_>) -> bool {
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
            b"comments" => text.clone_into(&mut self.comment),
            // Several, parted by blanks or commas, where a paper appeared more than once.
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
                .push(names::join(&self.given, &self.family, &self.suffix));
            self.given.clear();
            self.family.clear();
            self.suffix.clear();
        }
    }

    /// Line ends in titles and abstracts are the authors'; nothing within is markup.
    fn within(&self, _name: &[u8]) -> &'static str {
        ""
    }
}

impl Metadata for ArxivMetadata {
    fn finish(&mut self, header: &Header) -> Outcome {
        let mut draft = std::mem::take(&mut self.draft);
        let comment = std::mem::take(&mut self.comment);
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
            return Outcome::Bad(Box::new(draft), format!("id is {shown:?}, which is no arXiv id"));
        }
        if header.status == Status::Deleted {
            return Outcome::Withdrawn(Box::new(draft), "deleted by arXiv".into());
        }
        if !kept(&self.keep, &draft.categories) {
            return Outcome::Skipped;
        }
        if is_withdrawn(&comment) || is_withdrawn(&draft.abstract_text) {
            let reason = if comment.is_empty() {
                "withdrawn".to_owned()
            } else {
                comment
            };
            return Outcome::Withdrawn(Box::new(draft), reason);
        }
        links(&mut draft);
        Outcome::Paper(Box::new(draft))
    }
}

/// Whether one of the categories is, or lies below, one of those to keep.
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

/// Whether a comment or an abstract says, at its beginning, that the paper was taken back. Papers about withdrawal say so
/// later.
pub fn is_withdrawn(text: &str) -> bool {
    let text = text.trim_start();
    WITHDRAWN.iter().any(|words| {
        text.get(..words.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(words))
    })
}

/// The pages that arXiv has of each paper.
pub fn links(draft: &mut Draft) {
    let Some(id) = draft.identifiers.of(Scheme::Arxiv).next().map(str::to_owned) else {
        return;
    };
    draft.link(LinkKind::Abstract, &format!("https://arxiv.org/abs/{id}"));
    draft.link(LinkKind::Pdf, &format!("https://arxiv.org/pdf/{id}"));
}
