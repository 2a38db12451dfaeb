//! A paper as the payload of its point: flat, for people to read and for filters to find.
//!
//! A withdrawn paper keeps its id and revision alone.

use std::collections::HashMap;

use domain::{Link, LinkKind, Paper, PaperId, text};
use jiff::Timestamp;
use qdrant_client::Payload;
use qdrant_client::qdrant::{PayloadIncludeSelector, Value};
use serde::{Deserialize, Serialize};

use crate::store::StoreError;

/// Canonical id of the paper.
pub const ID: &str = "id";
/// Its revision.
pub const REVISION: &str = "revision";
/// Whether only the mark of a withdrawal is left.
pub const WITHDRAWN: &str = "withdrawn";
/// Categories.
pub const CATEGORIES: &str = "categories";
/// The feed.
pub const SOURCE: &str = "source";
/// Authors as filters give them.
pub const AUTHORS_FOLDED: &str = "authors_folded";
/// When it was published, in milliseconds since the epoch.
pub const PUBLISHED_MS: &str = "published_ms";

type Fields = HashMap<String, Value>;

/// The payload of a paper that can be found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    id: String,
    title: String,
    #[serde(rename = "abstract")]
    abstract_text: String,
    authors: Vec<String>,
    authors_folded: Vec<String>,
    categories: Vec<String>,
    published: Timestamp,
    published_ms: i64,
    updated: Option<Timestamp>,
    links: Vec<EntryLink>,
    source: String,
    /// The revision as the server can compare it.
    pub revision: i64,
    content_hash: String,
    language: String,
    accepted: Timestamp,
    withdrawn: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct EntryLink {
    kind: Kind,
    url: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Abstract,
    Pdf,
    Code,
}

/// What every point says of itself.
#[derive(Debug, Deserialize)]
pub struct Mark {
    /// Canonical id of the paper.
    pub id: String,
    /// Its revision.
    pub revision: i64,
}

#[derive(Deserialize)]
struct Published {
    id: String,
    published_ms: i64,
}

impl From<&Paper> for Entry {
    fn from(paper: &Paper) -> Self {
        Self {
            id: paper.id.to_string(),
            title: paper.title.clone(),
            abstract_text: paper.abstract_text.clone(),
            authors: paper.authors.clone(),
            authors_folded: paper.authors.iter().map(|author| text::fold(author)).collect(),
            categories: paper.categories.clone(),
            published: paper.published,
            published_ms: paper.published.as_millisecond(),
            updated: paper.updated,
            links: paper.links.iter().map(EntryLink::from).collect(),
            source: paper.source.clone(),
            revision: stored(paper.revision),
            content_hash: paper.content_hash.clone(),
            language: paper.language.clone(),
            accepted: paper.accepted,
            withdrawn: false,
        }
    }
}

impl From<&Link> for EntryLink {
    fn from(link: &Link) -> Self {
        Self {
            kind: match link.kind {
                LinkKind::Abstract => Kind::Abstract,
                LinkKind::Pdf => Kind::Pdf,
                LinkKind::Code => Kind::Code,
            },
            url: link.url.clone(),
        }
    }
}

impl From<EntryLink> for Link {
    fn from(link: EntryLink) -> Self {
        Self {
            kind: match link.kind {
                Kind::Abstract => LinkKind::Abstract,
                Kind::Pdf => LinkKind::Pdf,
                Kind::Code => LinkKind::Code,
            },
            url: link.url,
        }
    }
}

impl Entry {
    /// As the server takes it.
    pub fn into_payload(self) -> Result<Payload, StoreError> {
        let unwritable = |error: &dyn std::fmt::Display| StoreError::Refused(error.to_string());
        let json = serde_json::to_value(self).map_err(|error| unwritable(&error))?;
        Payload::try_from(json).map_err(|error| unwritable(&error))
    }

    fn into_paper(self) -> Result<Paper, StoreError> {
        Ok(Paper {
            id: parse_id(&self.id)?,
            title: self.title,
            abstract_text: self.abstract_text,
            authors: self.authors,
            categories: self.categories,
            published: self.published,
            updated: self.updated,
            links: self.links.into_iter().map(Link::from).collect(),
            source: self.source,
            revision: self.revision.unsigned_abs(),
            content_hash: self.content_hash,
            language: self.language,
            accepted: self.accepted,
        })
    }
}

/// The server has signed numbers; revisions count from one and never come near the end of either.
pub fn stored(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

/// Asks for these fields alone.
pub fn only<const N: usize>(fields: [&str; N]) -> PayloadIncludeSelector {
    PayloadIncludeSelector::new(fields.map(str::to_owned).to_vec())
}

/// The paper, unless it is withdrawn.
pub fn paper_of(fields: Fields) -> Result<Option<Paper>, StoreError> {
    if fields.get(WITHDRAWN).and_then(Value::as_bool) == Some(true) {
        return Ok(None);
    }
    read::<Entry>(fields)?.into_paper().map(Some)
}

/// Id and revision, also of a withdrawn paper.
pub fn mark_of(fields: Fields) -> Result<Mark, StoreError> {
    read(fields)
}

/// The id alone.
pub fn id_of(fields: Fields) -> Result<PaperId, StoreError> {
    #[derive(Deserialize)]
    struct Named {
        id: String,
    }
    parse_id(&read::<Named>(fields)?.id)
}

/// When it was published, in milliseconds since the epoch, and its id.
pub fn published_of(fields: Fields) -> Result<(i64, PaperId), StoreError> {
    let Published { id, published_ms } = read(fields)?;
    Ok((published_ms, parse_id(&id)?))
}

fn read<T: serde::de::DeserializeOwned>(fields: Fields) -> Result<T, StoreError> {
    let name = fields.get(ID).and_then(Value::as_str).cloned();
    Payload::from(fields)
        .deserialize()
        .map_err(|error| damaged(name.as_deref().unwrap_or("without id"), &error))
}

fn parse_id(id: &str) -> Result<PaperId, StoreError> {
    PaperId::parse(id).map_err(|error| damaged(id, &error))
}

fn damaged(entry: &str, problem: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged {
        entry: entry.to_owned(),
        problem: problem.to_string(),
    }
}
