//! What a work is by all that is claimed about it.
//!
//! Of one source only its newest claim counts: the highest version, then the latest datestamp. Each field is then taken
//! from the most trusted source that has it. Ties are broken by content, so the result depends on the set of claims alone.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::trust::{Field, Provider, rank};
use super::{Claim, Identifiers, Scheme};
use crate::submission::MAX_CATEGORIES;
use crate::{LinkKind, PaperId, Submission};

/// A work by all claims about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// What it is called.
    pub id: PaperId,
    /// The paper, ready for ingest.
    pub submission: Submission,
    /// All names that anybody has for it.
    pub identifiers: Identifiers,
    /// Whose word each field is.
    pub origins: Vec<(Field, Origin)>,
    /// Where sources contradict each other in what should be one.
    pub conflicts: Vec<Conflict>,
}

/// Whose word a field is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who says it.
    pub provider: Provider,
    /// The name of the source.
    pub source: String,
}

/// Names that contradict each other: a work has one arXiv id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// In which scheme.
    pub scheme: Scheme,
    /// The names.
    pub values: Vec<String>,
}

/// Merges claims about one work. `None` without a claim that can be called something.
pub fn merge(claims: &[Claim]) -> Option<Merged> {
    let newest = newest_of_each(claims);
    let mut identifiers = Identifiers::new();
    for claim in &newest {
        identifiers.extend(&claim.identifiers);
    }
    let pick = Pick { claims: &newest };
    let mut origins = Vec::new();
    let mut take = |field: Field, has: fn(&Submission) -> bool| {
        let claim = pick.best(field, has)?;
        origins.push((field, origin(claim)));
        Some(&claim.submission)
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
    let id = called(&identifiers, own.copied(), &submission)?;
    Some(Merged {
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

/// The newest claim of each source and paper of it. A source may list a work twice, as preprint and as article.
fn newest_of_each(claims: &[Claim]) -> Vec<&Claim> {
    let mut newest: BTreeMap<(Provider, &str, &str), &Claim> = BTreeMap::new();
    for claim in claims {
        let key = (
            claim.provider,
            claim.submission.source.as_str(),
            claim.submission.id.as_str(),
        );
        let known = newest.entry(key).or_insert(claim);
        if age(claim) > age(known) {
            *known = claim;
        }
    }
    newest.into_values().collect()
}

/// What makes a claim newer than another of the same source; content decides between equals.
fn age(claim: &Claim) -> impl Ord + '_ {
    let paper = &claim.submission;
    (
        claim.version,
        claim.datestamp,
        paper.updated,
        paper.published,
        (paper.abstract_text.len(), &paper.abstract_text, &paper.title),
        (&paper.authors, &paper.categories, &paper.language),
        format!("{:?}{:?}", paper.links, claim.identifiers),
    )
}

fn origin(claim: &Claim) -> Origin {
    Origin {
        provider: claim.provider,
        source: claim.submission.source.clone(),
    }
}

struct Pick<'a> {
    claims: &'a [&'a Claim],
}

impl<'a> Pick<'a> {
    /// The most trusted claim that has a field; of several from one provider the newest.
    fn best(&self, field: Field, has: fn(&Submission) -> bool) -> Option<&'a &'a Claim> {
        self.claims
            .iter()
            .filter(|claim| has(&claim.submission))
            .min_by_key(|claim| {
                let paper = &claim.submission;
                (
                    rank(field, claim.provider),
                    Reverse((claim.version, claim.datestamp)),
                    (&paper.source, &paper.id),
                )
            })
    }

    /// All links, those of the most trusted first, each address once.
    fn links(&self) -> Vec<(LinkKind, String)> {
        let mut claims: Vec<&&Claim> = self.claims.iter().collect();
        claims.sort_by_key(|claim| {
            let paper = &claim.submission;
            (
                rank(Field::Links, claim.provider),
                Reverse((claim.version, claim.datestamp)),
                (&paper.source, &paper.id),
            )
        });
        let mut links: Vec<(LinkKind, String)> = Vec::new();
        for (kind, url) in claims.iter().flat_map(|claim| &claim.submission.links) {
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

/// By a shared scheme, else as its source calls it, else by title and first author.
fn called(identifiers: &Identifiers, own: Option<&Claim>, submission: &Submission) -> Option<PaperId> {
    if let Some(id) = identifiers.paper_id() {
        return Some(id);
    }
    match own {
        Some(claim) => PaperId::from_submission(&claim.submission.id, &claim.submission.source).ok(),
        None => Some(PaperId::from_title(
            &submission.title,
            submission.authors.first().map(String::as_str),
        )),
    }
}

fn conflicts(identifiers: &Identifiers) -> Vec<Conflict> {
    [Scheme::Arxiv, Scheme::Acl, Scheme::Pubmed]
        .into_iter()
        .filter_map(|scheme| {
            let values: Vec<String> = identifiers.of(scheme).map(str::to_owned).collect();
            (values.len() > 1).then_some(Conflict { scheme, values })
        })
        .collect()
}
