//! Whether two source records describe the same work (record linkage).
//!
//! Shared identifiers decide. Two different arXiv ids are two works, whatever else they share. Without a shared identifier,
//! title, authors and date must all agree and no identifier may conflict; anything less is a possible match, which is
//! reported and left to people.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::identifiers::IdentifierOverlap;
use super::{Scheme, SourceRecord};
use crate::{AuthorName, names, text};

/// Titles with fewer letters are too generic: "Editorial", "Introduction", "Reply".
const MIN_TITLE_LETTERS: usize = 20;
/// So are titles with fewer words.
const MIN_TITLE_WORDS: usize = 4;
/// Share of words two titles must have in common to be similar.
const SIMILAR_TITLES: f64 = 0.8;
/// Share of the shorter author list that must be on both lists.
const SAME_AUTHORS: f64 = 0.6;
/// Preprint and article are rarely further apart than this.
const MAX_DATE_GAP: SignedDuration = SignedDuration::from_hours(24 * 365 * 5);

/// Whether two records describe the same work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkMatch {
    /// The same work.
    Match(MatchBasis),
    /// Perhaps the same work: reported, not merged.
    Possible(PossibleMatch),
    /// Different works.
    NoMatch,
}

/// What a match rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchBasis {
    /// A shared identifier in this scheme.
    Identifier(Scheme),
    /// Title, authors and date.
    Text,
}

/// Why two records are only a possible match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PossibleMatch {
    /// They share an identifier in one scheme and conflict in another.
    ConflictingIdentifiers {
        /// Where they agree.
        shared: Scheme,
        /// Where they do not.
        conflicting: Scheme,
    },
    /// The same title and authors, but different identifiers in this scheme.
    SameText {
        /// Where they do not agree.
        conflicting: Scheme,
    },
    /// The same title, but the authors are unknown or differ.
    SameTitle,
    /// Nearly the same title by the same authors.
    SimilarTitle,
}

/// Compares two records. Symmetric.
pub fn same_work(one: &SourceRecord, two: &SourceRecord) -> WorkMatch {
    let overlap = |scheme| one.identifiers.overlap(&two.identifiers, scheme);
    let conflicting_arxiv = overlap(Scheme::Arxiv) == IdentifierOverlap::Conflicting;
    for scheme in Scheme::ALL {
        if overlap(scheme) != IdentifierOverlap::Shared {
            continue;
        }
        if conflicting_arxiv {
            return WorkMatch::Possible(PossibleMatch::ConflictingIdentifiers {
                shared: scheme,
                conflicting: Scheme::Arxiv,
            });
        }
        // Aggregators sometimes merge works by mistake, and chapters carry the ISBN of their book, so these do not overrule two
        // DOIs.
        let derived = matches!(
            scheme,
            Scheme::OpenAlex | Scheme::SemanticScholar | Scheme::CorpusId | Scheme::Isbn
        );
        if derived && overlap(Scheme::Doi) == IdentifierOverlap::Conflicting {
            return WorkMatch::Possible(PossibleMatch::ConflictingIdentifiers {
                shared: scheme,
                conflicting: Scheme::Doi,
            });
        }
        return WorkMatch::Match(MatchBasis::Identifier(scheme));
    }
    by_text(
        one,
        two,
        [Scheme::Arxiv, Scheme::Doi]
            .into_iter()
            .find(|scheme| overlap(*scheme) == IdentifierOverlap::Conflicting),
    )
}

fn by_text(one: &SourceRecord, two: &SourceRecord, conflicting: Option<Scheme>) -> WorkMatch {
    let (left, right) = (text::fold(&one.submission.title), text::fold(&two.submission.title));
    if !is_specific(&left) || !is_specific(&right) {
        return WorkMatch::NoMatch;
    }
    let authors = compare_authors(&one.submission.authors, &two.submission.authors);
    if left != right {
        let near = authors == AuthorOverlap::Same && jaccard(&left, &right) >= SIMILAR_TITLES;
        return if near {
            WorkMatch::Possible(PossibleMatch::SimilarTitle)
        } else {
            WorkMatch::NoMatch
        };
    }
    match (authors, conflicting) {
        (AuthorOverlap::Same, Some(conflicting)) => WorkMatch::Possible(PossibleMatch::SameText { conflicting }),
        (AuthorOverlap::Same, None) if close_in_time(one, two) => WorkMatch::Match(MatchBasis::Text),
        _ => WorkMatch::Possible(PossibleMatch::SameTitle),
    }
}

/// Index key under which records of the same work by text are found: the folded title. `None` for a title that is too
/// generic.
pub fn title_key(record: &SourceRecord) -> Option<String> {
    let key = text::fold(&record.submission.title);
    is_specific(&key).then_some(key)
}

fn is_specific(folded: &str) -> bool {
    folded.chars().filter(|c| *c != ' ').count() >= MIN_TITLE_LETTERS && folded.split(' ').count() >= MIN_TITLE_WORDS
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AuthorOverlap {
    Same,
    Different,
    Unknown,
}

/// Authors agree when the first author's family name and most family names of the shorter list do. A family name may be the
/// first or the last word of a name, because sources order names differently.
fn compare_authors(one: &[AuthorName], two: &[AuthorName]) -> AuthorOverlap {
    let (Some(left), Some(right)) = (one.first(), two.first()) else {
        return AuthorOverlap::Unknown;
    };
    if name_words(left).is_disjoint(&name_words(right)) {
        return AuthorOverlap::Different;
    }
    let shared = match one.len().cmp(&two.len()) {
        Ordering::Less => shared(one, two),
        Ordering::Greater => shared(two, one),
        Ordering::Equal => shared(one, two).min(shared(two, one)),
    };
    let (fewer, more) = (one.len().min(two.len()), one.len().max(two.len()));
    // Lists cut at "et al." are short, but a single author is no match for a long list.
    let plausible = fewer * 4 >= more || fewer >= 3;
    let same = shared as f64 >= SAME_AUTHORS * fewer as f64 && plausible;
    if same {
        AuthorOverlap::Same
    } else {
        AuthorOverlap::Different
    }
}

/// How many of one list may also be on the other.
fn shared(of: &[AuthorName], among: &[AuthorName]) -> usize {
    let known: BTreeSet<String> = among.iter().flat_map(name_words).collect();
    of.iter().filter(|name| !name_words(name).is_disjoint(&known)).count()
}

/// The words of a name that may be its family name: at least two letters, so no initials.
fn name_words(name: &AuthorName) -> BTreeSet<String> {
    let folded = names::fold(name.without_suffix());
    let words: Vec<&str> = folded.split(' ').filter(|word| word.chars().count() >= 2).collect();
    match words.as_slice() {
        [first, .., last] => [*first, *last].map(str::to_owned).into(),
        [only] => [(*only).to_owned()].into(),
        [] => BTreeSet::new(),
    }
}

fn close_in_time(one: &SourceRecord, two: &SourceRecord) -> bool {
    let (Some(left), Some(right)) = (one.submission.published, two.submission.published) else {
        return true;
    };
    left.duration_since(right).abs() <= MAX_DATE_GAP
}

fn jaccard(left: &str, right: &str) -> f64 {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
    let (left, right) = (words(left), words(right));
    let shared = left.intersection(&right).count();
    shared as f64 / (left.len() + right.len() - shared).max(1) as f64
}
