//! Merges the source records of one work into one paper.
//!
//! Of one source only its newest record counts: the highest version, then the latest datestamp. Its date of publication is
//! that of its newest record that has one, because later versions often lack it; the month that the arXiv id names gives way
//! to any date of the same provider. Each field is then taken from the most
//! trusted source that has it. Ties are broken by content, so the result depends on the set of records alone.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::trust::{Field, Provider, rank};
use super::{Identifiers, Scheme, SourceRecord};
use crate::submission::MAX_CATEGORIES;
use crate::{AuthorName, LinkKind, PaperId, Submission};

/// A work, merged from all its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedWork {
    /// Its paper id.
    pub id: PaperId,
    /// The paper, ready for ingest.
    pub submission: Submission,
    /// Every identifier that any record has.
    pub identifiers: Identifiers,
    /// Where each field was taken from.
    pub origins: Vec<(Field, FieldOrigin)>,
    /// Schemes in which a work should have one identifier and has several.
    pub conflicts: Vec<IdentifierConflict>,
}

/// The source a field was taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldOrigin {
    /// Its provider.
    pub provider: Provider,
    /// The name of the source.
    pub source: String,
}

/// Several identifiers in a scheme that gives a work only one, such as arXiv.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifierConflict {
    /// The scheme.
    pub scheme: Scheme,
    /// The identifiers.
    pub values: Vec<String>,
}

/// Merges the records of one work. `None` where no record has a title.
pub fn merge(records: &[SourceRecord]) -> Option<MergedWork> {
    let pick = FieldPicker::new(records);
    let mut identifiers = Identifiers::new();
    for record in &pick.newest {
        identifiers.extend(&record.identifiers);
    }
    let mut origins = Vec::new();
    let mut take = |field: Field, has: fn(&Submission) -> bool| {
        let record = pick.best(field, has)?;
        origins.push((field, origin(record)));
        Some(&record.submission)
    };
    let title = take(Field::Title, |paper| !paper.title.trim().is_empty())?;
    let abstract_text = take(Field::Abstract, |paper| !paper.abstract_text.trim().is_empty());
    let authors = take(Field::Authors, |paper| !paper.authors.is_empty());
    let categories = take(Field::Categories, |paper| !paper.categories.is_empty());
    let published = take(Field::Published, |paper| paper.published.is_some());
    let updated = take(Field::Updated, |paper| paper.updated.is_some());
    let language = take(Field::Language, |paper| !paper.language.is_empty());
    let own = pick.best(Field::Title, |paper| !paper.id.is_empty());
    let submission = Submission {
        id: String::new(),
        title: title.title.clone(),
        abstract_text: abstract_text
            .map(|paper| paper.abstract_text.clone())
            .unwrap_or_default(),
        authors: authors.map(|paper| paper.authors.clone()).unwrap_or_default(),
        categories: categories.map(|paper| capped(&paper.categories)).unwrap_or_default(),
        published: published.and_then(|paper| paper.published),
        updated: updated.and_then(|paper| paper.updated),
        links: pick.links(),
        source: title.source.clone(),
        language: language.map(|paper| paper.language.clone()).unwrap_or_default(),
    };
    let id = paper_id(&identifiers, own, &submission)?;
    Some(MergedWork {
        submission: Submission {
            id: id.to_string(),
            ..submission
        },
        id,
        conflicts: conflicts(&identifiers),
        identifiers,
        origins,
    })
}

/// The newest record per source and submission id. A source may list a work twice, as preprint and as article.
fn newest_of_each<'a, K: Ord>(
    records: impl Iterator<Item = &'a SourceRecord>,
    recency: impl Fn(&'a SourceRecord) -> K,
) -> Vec<&'a SourceRecord> {
    let mut newest: BTreeMap<(Provider, &str, &str), &SourceRecord> = BTreeMap::new();
    for record in records {
        let key = (
            record.provider,
            record.submission.source.as_str(),
            record.submission.id.as_str(),
        );
        let known = newest.entry(key).or_insert(record);
        if recency(record) > recency(known) {
            *known = record;
        }
    }
    newest.into_values().collect()
}

/// Sort key: a greater one is a newer record of the same source. Content breaks ties.
fn recency(record: &SourceRecord) -> impl Ord + '_ {
    let paper = &record.submission;
    (
        record.version,
        record.datestamp,
        paper.updated,
        paper.published,
        (paper.abstract_text.len(), &paper.abstract_text, &paper.title),
        (&paper.authors, &paper.categories, &paper.language),
        format!("{:?}{:?}", paper.links, record.identifiers),
    )
}

fn origin(record: &SourceRecord) -> FieldOrigin {
    FieldOrigin {
        provider: record.provider,
        source: record.submission.source.clone(),
    }
}

struct FieldPicker<'a> {
    /// The newest record of each source.
    newest: Vec<&'a SourceRecord>,
    /// For the date of publication: the newest one of each source that has one, better one of its own.
    dated: Vec<&'a SourceRecord>,
}

impl<'a> FieldPicker<'a> {
    fn new(records: &'a [SourceRecord]) -> Self {
        let is_dated = |record: &&SourceRecord| record.submission.published.is_some();
        Self {
            newest: newest_of_each(records.iter(), recency),
            dated: newest_of_each(records.iter().filter(is_dated), |record| {
                (record.own_date().is_some(), recency(record))
            }),
        }
    }

    /// The most trusted record that has a field; of several from one provider the newest.
    fn best(&self, field: Field, has: fn(&Submission) -> bool) -> Option<&'a SourceRecord> {
        let records = match field {
            Field::Published => &self.dated,
            _ => &self.newest,
        };
        records
            .iter()
            .copied()
            .filter(|record| has(&record.submission))
            .min_by_key(|record| {
                let paper = &record.submission;
                (
                    rank(field, record.provider),
                    field == Field::Published && record.own_date().is_none(),
                    Reverse((record.version, record.datestamp)),
                    (&paper.source, &paper.id),
                )
            })
    }

    /// All links, most trusted first, each URL once.
    fn links(&self) -> Vec<(LinkKind, String)> {
        let mut records = self.newest.clone();
        records.sort_by_key(|record| {
            let paper = &record.submission;
            (
                rank(Field::Links, record.provider),
                Reverse((record.version, record.datestamp)),
                (&paper.source, &paper.id),
            )
        });
        let mut links: Vec<(LinkKind, String)> = Vec::new();
        for (kind, url) in records.iter().flat_map(|record| &record.submission.links) {
            if !links.iter().any(|(_, known)| known == url) {
                links.push((*kind, url.clone()));
            }
        }
        links
    }
}

fn capped(categories: &[String]) -> Vec<String> {
    categories.iter().take(MAX_CATEGORIES).cloned().collect()
}

/// By a shared scheme, else by the source's own id, else by title and first author.
fn paper_id(identifiers: &Identifiers, own: Option<&SourceRecord>, submission: &Submission) -> Option<PaperId> {
    if let Some(id) = identifiers.paper_id() {
        return Some(id);
    }
    let own = own.and_then(|record| PaperId::from_submission(&record.submission.id, &record.submission.source).ok());
    own.or_else(|| {
        let author = submission.authors.first().map(AuthorName::as_str);
        Some(PaperId::from_title(&submission.title, author))
    })
}

fn conflicts(identifiers: &Identifiers) -> Vec<IdentifierConflict> {
    [Scheme::Arxiv, Scheme::Acl, Scheme::Pubmed]
        .into_iter()
        .filter_map(|scheme| {
            let values: Vec<String> = identifiers.of(scheme).map(str::to_owned).collect();
            (values.len() > 1).then_some(IdentifierConflict { scheme, values })
        })
        .collect()
}
