//! What an entry of any feed means.

use domain::{LinkKind, names};

use super::entries::{FeedEntry, FeedText};
use crate::draft::RecordDraft;
use crate::interpretation::Interpretation;
use crate::text_format::{TextFormat, TextFormats};

/// A summary of at least this many bytes is an abstract, even beside a longer text.
const ABSTRACT_BYTES: usize = 200;

/// Makes a paper of an entry. `categories` go before those of the entry.
pub fn interpret(entry: FeedEntry, categories: &[String]) -> Interpretation {
    let text = abstract_of(entry.summary, entry.content);
    let (title, named) = without_arxiv(&entry.title.text);
    let mut draft = RecordDraft {
        formats: TextFormats {
            title: entry.title.format,
            abstract_text: text.format,
            names: TextFormat::Markup,
        },
        title: title.to_owned(),
        abstract_text: text.text,
        comment: entry.comment,
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
    let texts = entry.identifiers.iter().chain([&entry.id]).chain(addresses);
    for text in texts.map(String::as_str).chain(named) {
        draft.recognise(text);
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

fn abstract_of(summary: FeedText, content: FeedText) -> FeedText {
    let (short, long) = (summary.text.len(), content.text.len());
    if long == 0 || short >= ABSTRACT_BYTES || short >= long {
        return summary;
    }
    if long > domain::submission::MAX_ABSTRACT_CHARS && short > 0 {
        return summary;
    }
    content
}

/// A title without the `(arXiv:2403.00004v1 [astro-ph.GA])` that readers of arXiv's feeds put behind it, and that id.
fn without_arxiv(title: &str) -> (&str, Option<&str>) {
    let behind = title
        .trim_end()
        .strip_suffix(')')
        .and_then(|rest| rest.rsplit_once(" ("));
    match behind {
        Some((title, id)) if id.starts_with("arXiv:") && !id.contains(')') => (title, id.split(' ').next()),
        _ => (title, None),
    }
}
