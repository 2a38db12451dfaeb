//! What an entry of any feed means.

use domain::merging::{Identifier, Scheme};
use domain::{LinkKind, names};

use super::entries::FeedEntry;
use crate::draft::RecordDraft;
use crate::interpretation::Interpretation;

/// A summary of at least this many bytes is an abstract, even beside a longer text.
const ABSTRACT_BYTES: usize = 200;

/// Makes a paper of an entry. `categories` go before those of the entry.
pub fn interpret(entry: FeedEntry, categories: &[String]) -> Interpretation {
    let mut draft = RecordDraft {
        title: entry.title,
        abstract_text: abstract_of(entry.summary, entry.content),
        published: entry.published.or(entry.updated),
        updated: entry.updated.filter(|_| entry.published.is_some()),
        datestamp: entry.updated.or(entry.published),
        language: entry.language,
        categories: categories.iter().cloned().chain(entry.categories).collect(),
        ..RecordDraft::default()
    };
    draft.authors = entry.authors.iter().flat_map(|author| names::list(author)).collect();
    if draft.authors.is_empty() {
        draft.authors = entry.creators.iter().flat_map(|creator| names::list(creator)).collect();
    }
    let addresses = entry.links.iter().map(|(_, _, address)| address);
    for text in entry.identifiers.iter().chain([&entry.id]).chain(addresses) {
        if let Some(identifier) = recognise(text) {
            draft.identifiers.insert(identifier);
        }
    }
    for (relation, media, address) in &entry.links {
        match (relation.as_str(), media.as_str()) {
            (_, "application/pdf") => draft.link(LinkKind::Pdf, address),
            ("" | "alternate", _) => draft.link(LinkKind::Abstract, address),
            _ => {}
        }
    }
    draft.native_id = if entry.id.is_empty() {
        draft.links.first().map(|(_, url)| url.clone()).unwrap_or_default()
    } else {
        entry.id
    };
    Interpretation::paper(draft)
}

fn abstract_of(summary: String, content: String) -> String {
    if content.is_empty() || summary.len() >= ABSTRACT_BYTES || summary.len() >= content.len() {
        return summary;
    }
    if content.len() > domain::submission::MAX_ABSTRACT_CHARS && !summary.is_empty() {
        return summary;
    }
    content
}

/// A name of the work, as ids, addresses and identifiers of feeds give it.
pub fn recognise(text: &str) -> Option<Identifier> {
    if let Some(identifier) = Identifier::recognise(text) {
        return Some(identifier);
    }
    // Preprint servers of Cold Spring Harbor have the DOI in the address, followed by the version.
    let (_, path) = text.split_once("rxiv.org/content/")?;
    let doi = path
        .split(['?', '#'])
        .next()?
        .trim_end_matches(".full")
        .trim_end_matches(".abstract");
    let doi = match doi.rsplit_once('v') {
        Some((doi, version)) if !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) => doi,
        _ => doi,
    };
    Identifier::new(Scheme::Doi, doi).ok()
}
