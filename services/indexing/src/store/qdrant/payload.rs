//! A paper as the payload of its point: flat, for people to read and for filters to find.
//!
//! A withdrawn paper keeps its id and revision alone. [`LAYOUT`] says which fields the points of a collection have; a point
//! that lacks one of them is damaged, unless it is one that may be unknown.

use std::collections::HashMap;

use domain::{AuthorName, Link, LinkKind, Paper, PaperId, names};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use qdrant_client::Payload;
use qdrant_client::qdrant::{PayloadExcludeSelector, PayloadIncludeSelector, Value};
use serde::{Deserialize, Serialize};

use crate::store::{IndexedPaper, PaperRevision, StoreError};

/// Which fields points have. Another set of fields is another number.
pub const LAYOUT: i64 = 2;

/// Canonical id of the paper.
pub const ID: &str = "id";
/// Its revision.
pub const REVISION: &str = "revision";
/// Whether only the tombstone is left.
pub const WITHDRAWN: &str = "withdrawn";
/// Categories.
pub const CATEGORIES: &str = "categories";
/// The feed.
pub const SOURCE: &str = "source";
/// Authors as printed.
pub const AUTHORS: &str = "authors";
/// The keys that authors are filtered by.
pub const AUTHOR_KEYS: &str = "author_keys";
/// The year of publication, UTC; not there when it is unknown.
pub const YEAR: &str = "year";
/// The language; not there when it is unknown.
pub const LANGUAGE: &str = "language";
/// Whether there is a link to code.
pub const HAS_CODE: &str = "has_code";
/// Ids of the terms of the paper.
pub const TERMS: &str = "terms";
/// When it was published, in milliseconds since the epoch; not there when it is unknown.
pub const PUBLISHED_MS: &str = "published_ms";

type PayloadFields = HashMap<String, Value>;

/// The payload of a paper that can be found.
#[derive(Debug, Serialize, Deserialize)]
pub struct PaperPayload {
    id: String,
    title: String,
    #[serde(rename = "abstract")]
    abstract_text: String,
    authors: Vec<String>,
    /// The parts of their names, one each; points of earlier versions have none.
    #[serde(default)]
    author_names: Vec<NamePayload>,
    /// Left out of reads that need the paper alone.
    #[serde(default)]
    author_keys: Vec<String>,
    categories: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    published: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    published_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    year: Option<i16>,
    updated: Option<Timestamp>,
    links: Vec<LinkPayload>,
    source: String,
    /// The revision as the server can compare it.
    pub revision: i64,
    content_hash: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    language: String,
    accepted: Timestamp,
    /// Not there in points of earlier releases, whose time of acceptance is that of the revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revised: Option<Timestamp>,
    has_code: bool,
    /// Left out of reads that need the paper alone.
    #[serde(default)]
    terms: Vec<u32>,
    truncated: bool,
    withdrawn: bool,
}

/// The parts of a name; none for a name without parts.
#[derive(Debug, Serialize, Deserialize)]
struct NamePayload {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    given: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    family: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    suffix: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct LinkPayload {
    kind: LinkKindPayload,
    url: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LinkKindPayload {
    Abstract,
    Pdf,
    Code,
}

/// The fields that every point has, of a paper or a tombstone.
#[derive(Deserialize)]
struct RevisionPayload {
    id: String,
    revision: i64,
    withdrawn: bool,
}

#[derive(Deserialize)]
struct PublishedPayload {
    id: String,
    published_ms: i64,
}

impl From<&IndexedPaper> for PaperPayload {
    fn from(one: &IndexedPaper) -> Self {
        let paper = &one.paper;
        Self {
            id: paper.id.to_string(),
            title: paper.title.clone(),
            abstract_text: paper.abstract_text.clone(),
            authors: paper.authors.iter().map(ToString::to_string).collect(),
            author_names: paper.authors.iter().map(NamePayload::from).collect(),
            author_keys: names::keys_of_all(&paper.authors),
            categories: paper.categories.clone(),
            published: paper.published,
            published_ms: paper.published.map(Timestamp::as_millisecond),
            year: paper.published.map(|time| TimeZone::UTC.to_datetime(time).year()),
            updated: paper.updated,
            links: paper.links.iter().map(LinkPayload::from).collect(),
            source: paper.source.clone(),
            revision: stored(paper.revision),
            content_hash: paper.content_hash.clone(),
            language: paper.language.clone(),
            accepted: paper.accepted,
            revised: Some(paper.revised),
            has_code: paper.link(LinkKind::Code).is_some(),
            terms: one.vectors.sparse.indices().to_vec(),
            truncated: one.vectors.truncated,
            withdrawn: false,
        }
    }
}

impl From<&AuthorName> for NamePayload {
    fn from(name: &AuthorName) -> Self {
        Self {
            given: name.given().to_owned(),
            family: name.family().unwrap_or_default().to_owned(),
            suffix: name.suffix().to_owned(),
        }
    }
}

impl From<&Link> for LinkPayload {
    fn from(link: &Link) -> Self {
        Self {
            kind: match link.kind {
                LinkKind::Abstract => LinkKindPayload::Abstract,
                LinkKind::Pdf => LinkKindPayload::Pdf,
                LinkKind::Code => LinkKindPayload::Code,
            },
            url: link.url.clone(),
        }
    }
}

impl From<LinkPayload> for Link {
    fn from(link: LinkPayload) -> Self {
        Self {
            kind: match link.kind {
                LinkKindPayload::Abstract => LinkKind::Abstract,
                LinkKindPayload::Pdf => LinkKind::Pdf,
                LinkKindPayload::Code => LinkKind::Code,
            },
            url: link.url,
        }
    }
}

impl PaperPayload {
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
            authors: names_of(&self.authors, &self.author_names),
            categories: self.categories,
            published: self.published,
            updated: self.updated,
            links: self.links.into_iter().map(Link::from).collect(),
            source: self.source,
            revision: self.revision.unsigned_abs(),
            content_hash: self.content_hash,
            language: self.language,
            accepted: self.accepted,
            revised: self.revised.unwrap_or(self.accepted),
        })
    }
}

/// The server has signed numbers; revisions count from one and never come near the end of either.
pub fn stored(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

/// Names as printed, with their parts; where these are missing, they are found in what is printed.
fn names_of(printed: &[String], parts: &[NamePayload]) -> Vec<AuthorName> {
    if printed.len() != parts.len() {
        return printed.iter().map(|name| AuthorName::parse(name)).collect();
    }
    let names = printed
        .iter()
        .zip(parts)
        .map(|(printed, parts)| match parts.family.as_str() {
            "" => AuthorName::literal(printed),
            family => AuthorName::new(&parts.given, family, &parts.suffix),
        });
    names.collect()
}

/// The fields of a paper, without what only filters need, which is as much again.
pub fn paper_fields() -> PayloadExcludeSelector {
    PayloadExcludeSelector::new([AUTHOR_KEYS, TERMS].map(str::to_owned).to_vec())
}

/// The fields of a revision.
pub fn revision_fields() -> PayloadIncludeSelector {
    only([ID, REVISION, WITHDRAWN])
}

/// These fields alone.
pub fn only<const N: usize>(fields: [&str; N]) -> PayloadIncludeSelector {
    PayloadIncludeSelector::new(fields.map(str::to_owned).to_vec())
}

/// The paper, and whether the end of its text is not in the vectors; `None` where it is withdrawn.
pub fn paper_of(fields: PayloadFields) -> Result<Option<(Paper, bool)>, StoreError> {
    if fields.get(WITHDRAWN).and_then(Value::as_bool) == Some(true) {
        return Ok(None);
    }
    let payload: PaperPayload = read(fields)?;
    let truncated = payload.truncated;
    Ok(Some((payload.into_paper()?, truncated)))
}

/// Id and revision, also of a withdrawn paper.
pub fn revision_of(fields: PayloadFields) -> Result<PaperRevision, StoreError> {
    let marked: RevisionPayload = read(fields)?;
    Ok(PaperRevision {
        id: parse_id(&marked.id)?,
        revision: marked.revision.unsigned_abs(),
        withdrawn: marked.withdrawn,
    })
}

/// The id alone.
pub fn id_of(fields: PayloadFields) -> Result<PaperId, StoreError> {
    #[derive(Deserialize)]
    struct IdPayload {
        id: String,
    }
    parse_id(&read::<IdPayload>(fields)?.id)
}

/// When it was published, in milliseconds since the epoch, and its id.
pub fn published_of(fields: PayloadFields) -> Result<(i64, PaperId), StoreError> {
    let PublishedPayload { id, published_ms } = read(fields)?;
    Ok((published_ms, parse_id(&id)?))
}

fn read<T: serde::de::DeserializeOwned>(fields: PayloadFields) -> Result<T, StoreError> {
    let name = fields.get(ID).and_then(Value::as_str).cloned();
    Payload::from(fields)
        .deserialize()
        .map_err(|error| damaged(name.as_deref().unwrap_or("without id"), &error))
}

fn parse_id(id: &str) -> Result<PaperId, StoreError> {
    PaperId::parse(id).map_err(|error| damaged(id, &error))
}

/// What is kept of a paper cannot be read.
pub fn damaged(entry: &str, problem: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged {
        entry: entry.to_owned(),
        problem: problem.to_string(),
    }
}
