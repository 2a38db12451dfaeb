//! The Atom API of arXiv: single papers by id. Pure, over a reader.

use std::io::Read;

use domain::merging::Scheme;
use domain::names;

use super::metadata::links;
use super::version_of;
use crate::draft::{PageContext, RecordDraft};
use crate::error::SourceError;
use crate::feed::entries::{self, FeedEntry, FeedSummary};
use crate::interpretation::{Interpretation, Sink};

/// Reads a response of the API.
///
/// # Errors
/// A response that is no Atom or breaks off, and what `sink` answers.
pub fn parse<R: Read>(
    input: R,
    charset: Option<&str>,
    context: &PageContext,
    sink: &mut Sink<'_>,
) -> Result<FeedSummary, SourceError> {
    entries::parse(input, charset, None, context, interpret, sink)
}

fn interpret(entry: FeedEntry) -> Interpretation {
    let mut draft = RecordDraft {
        native_id: entry.id,
        title: entry.title.text,
        abstract_text: entry.summary.text,
        authors: names::each(&entry.authors),
        published: entry.published,
        updated: entry.updated.filter(|updated| Some(*updated) != entry.published),
        datestamp: entry.updated,
        categories: entry.categories,
        comment: entry.comment,
        ..RecordDraft::default()
    };
    // The API says that an id is wrong in an entry titled "Error".
    if draft.native_id.contains("/api/errors") {
        let reason = format!("arXiv says: {}", draft.abstract_text);
        return Interpretation::unusable(draft, reason);
    }
    draft.version = version_of(&draft.native_id);
    let id = draft.native_id.clone();
    draft.identify(Scheme::Arxiv, &id);
    if draft.identifiers.is_empty() {
        let reason = format!("id is {:?}, which is no arXiv id", domain::text::shorten(&id));
        return Interpretation::unusable(draft, reason);
    }
    for doi in &entry.identifiers {
        draft.identify(Scheme::Doi, doi);
    }
    if let Some(location) = draft
        .categories
        .iter()
        .position(|category| *category == entry.primary_category)
    {
        draft.categories[..=location].rotate_right(1);
    }
    links(&mut draft);
    Interpretation::paper(draft)
}
