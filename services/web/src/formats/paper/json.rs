//! A paper as JSON with every field of the contract.

use proto::papers::v1::{Link, LinkKind, Paper};
use serde_json::{Value, json};

use super::{accepted, published, updated};

/// The object as text.
pub fn render(paper: &Paper, page: &str) -> String {
    format!("{}\n", object(paper, page))
}

/// The object. `page` is the absolute address of the paper's page.
pub fn object(paper: &Paper, page: &str) -> Value {
    let authors: Vec<&str> = paper.authors.iter().map(|author| author.name.as_str()).collect();
    let links: Vec<Value> = paper
        .links
        .iter()
        .map(|link| json!({ "kind": kind_of(link), "url": link.url }))
        .collect();
    json!({
        "id": paper.id,
        "title": paper.title,
        "abstract": paper.r#abstract,
        "authors": authors,
        "categories": paper.categories,
        "published": published(paper).map(|time| time.to_string()),
        "updated": updated(paper).map(|time| time.to_string()),
        "accepted": accepted(paper).map(|time| time.to_string()),
        "links": links,
        "source": paper.source,
        "language": Some(&paper.language).filter(|language| !language.is_empty()),
        "revision": paper.revision,
        "content_hash": paper.content_hash,
        "page": page,
    })
}

/// The kind of a link, in one word.
pub fn kind_of(link: &Link) -> &'static str {
    match link.kind() {
        LinkKind::Abstract => "abstract",
        LinkKind::Pdf => "pdf",
        LinkKind::Code => "code",
        LinkKind::Unspecified => "other",
    }
}
