//! From named values to a paper, by the mapping of the settings.

use std::collections::BTreeMap;

use domain::merging::{Identifier, Scheme};
use domain::{AuthorName, LinkKind, names};

use crate::dates;
use crate::draft::RecordDraft;

/// Where a field is looked for, in this order, when the mapping does not say.
fn usual(field: &str) -> &'static [&'static str] {
    match field {
        "id" => &["id"],
        "title" => &["title"],
        "abstract" => &["abstract", "summary", "abstract_text"],
        "authors" => &["authors", "author"],
        "categories" => &["categories", "category", "keywords"],
        "published" => &["published", "date", "published_time", "year"],
        "updated" => &["updated", "update_date"],
        "url" => &["url", "link"],
        "pdf_url" => &["pdf_url", "pdf"],
        "code_url" => &["code_url", "code"],
        "language" => &["language"],
        "doi" => &["doi"],
        "arxiv" => &["arxiv", "arxiv_id", "eprint"],
        _ => &[],
    }
}

/// Makes the draft of a paper. `values` gives the values of a name: none, one or several.
pub fn draft(mapping: &BTreeMap<String, String>, values: impl Fn(&str) -> Vec<String>) -> RecordDraft {
    let all = |field: &str| match mapping.get(field) {
        Some(name) => values(name),
        None => usual(field)
            .iter()
            .map(|name| values(name))
            .find(|found| !found.is_empty())
            .unwrap_or_default(),
    };
    let one = |field: &str| all(field).into_iter().next().unwrap_or_default();
    let mut draft = RecordDraft {
        native_id: one("id"),
        title: one("title"),
        abstract_text: all("abstract").join("\n\n"),
        authors: authors(&all("authors")),
        categories: categories(all("categories")),
        published: dates::parse(&one("published")),
        updated: dates::parse(&one("updated")),
        language: one("language"),
        ..RecordDraft::default()
    };
    draft.datestamp = draft.updated.or(draft.published);
    draft.identify(Scheme::Doi, &one("doi"));
    draft.identify(Scheme::Arxiv, &one("arxiv"));
    if let Some(identifier) = Identifier::recognise(&draft.native_id) {
        draft.identifiers.insert(identifier);
    }
    for (kind, field) in [
        (LinkKind::Abstract, "url"),
        (LinkKind::Pdf, "pdf_url"),
        (LinkKind::Code, "code_url"),
    ] {
        draft.link(kind, &one(field));
    }
    draft
}

fn authors(values: &[String]) -> Vec<AuthorName> {
    match values {
        [one] => names::list(one),
        _ => names::each(values),
    }
}

/// One text may hold a list: separated by `;` or `,`, or by blanks where all parts look like categories of arXiv.
fn categories(values: Vec<String>) -> Vec<String> {
    let [one] = values.as_slice() else {
        return values;
    };
    let parts = |separator: char| one.split(separator).map(|part| part.trim().to_owned()).collect();
    if one.contains(';') {
        return parts(';');
    }
    if one.contains(',') {
        return parts(',');
    }
    let arxiv = |part: &str| {
        let archive = part.split('.').next().unwrap_or_default();
        part.contains(['.', '-']) && archive.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    };
    if one.split_whitespace().all(arxiv) {
        return parts(' ');
    }
    values
}
