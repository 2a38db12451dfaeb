//! The Atom API of arXiv: single papers by id. Pure, over a reader.

use std::io::Read;

use domain::merging::Scheme;

use super::metadata::{is_withdrawn, links};
use super::version_of;
use crate::draft::{Context, Draft};
use crate::error::SourceError;
use crate::feed::entries::{self, Entry, Facts};
use crate::page::{Outcome, Sink};

/// Reads an answer of the API.
///
/// # Errors
/// An answer that is no Atom, breaks off, or whose items nobody takes.
pub fn parse<R: Read>(
    input: R,
    charset: Option<&str>,
    context: &Context,
    sink: &mut Sink<'_>,
) -> Result<Facts, SourceError> {
    entries::parse(input, charset, context, interpret, sink)
}

fn interpret(entry: Entry) -> Outcome {
    let mut draft = Draft {
        native_id: entry.id,
        title: entry.title,
        abstract_text: entry.summary,
        authors: entry.authors,
        published: entry.published,
        updated: entry.updated.filter(|updated| Some(*updated) != entry.published),
        datestamp: entry.updated,
        categories: entry.categories,
        ..Draft::default()
    };
    // The API says that an id is wrong in an entry titled "Error".
    if draft.native_id.contains("/api/errors") {
        let reason = format!("arXiv says: {}", draft.abstract_text);
        return Outcome::Bad(Box::new(draft), reason);
    }
    draft.version = version_of(&draft.native_id);
    let id = draft.native_id.clone();
    draft.identify(Scheme::Arxiv, &id);
    if draft.identifiers.is_empty() {
        let reason = format!("id is {:?}, which is no arXiv id", domain::text::shorten(&id));
        return Outcome::Bad(Box::new(draft), reason);
    }
    for doi in &entry.identifiers {
        draft.identify(Scheme::Doi, doi);
    }
    if let Some(place) = draft
        .categories
        .iter()
        .position(|category| *category == entry.primary_category)
    {
        draft.categories[..=place].rotate_right(1);
    }
    if is_withdrawn(&entry.comment) || is_withdrawn(&draft.abstract_text) {
        let reason = if entry.comment.is_empty() {
            "withdrawn".into()
        } else {
            entry.comment
        };
        return Outcome::Withdrawn(Box::new(draft), reason);
    }
    links(&mut draft);
    Outcome::Paper(Box::new(draft))
}
