//! Whether two claims are about the same work.
//!
//! Names decide where there are any in common. Two different arXiv ids are two works, whatever else they share: arXiv knows
//! its papers apart. Without a common name, title, authors and date must agree, and nothing may speak against it; what
//! falls short of that is reported as alike and left to people.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::identifiers::Meeting;
use super::{Claim, Scheme};
use crate::text;

/// A title of fewer letters says too little: "Editorial", "Introduction", "Reply".
const MIN_TITLE_LETTERS: usize = 20;
/// And one of fewer words.
const MIN_TITLE_WORDS: usize = 4;
/// Share of words that two titles have in common to be alike.
const ALIKE_TITLES: f64 = 0.8;
/// Share of the shorter list of authors that both have, to be the same people.
const SAME_AUTHORS: f64 = 0.6;
/// Preprint and article are rarely further apart.
const MAX_APART: SignedDuration = SignedDuration::from_hours(24 * 365 * 5);

/// How two claims stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sameness {
    /// About the same work.
    Same(By),
    /// Perhaps about the same work: to be reported, not merged.
    Alike(Alike),
    /// About different works.
    Different,
}

/// What two claims about the same work have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A name in this scheme.
    Identifier(Scheme),
    /// Title, authors and date.
    Text,
}

/// Why two claims are alike and yet not taken for the same work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alike {
    /// They share a name in one scheme and contradict each other in another.
    ContraryIdentifiers {
        /// Where they agree.
        shared: Scheme,
        /// Where they do not.
        contrary: Scheme,
    },
    /// The same title and people, but different names in this scheme.
    SameText {
        /// Where they do not agree.
        contrary: Scheme,
    },
    /// The same title; too little is known of the authors, or they differ.
    SameTitle,
    /// Nearly the same title, by the same people.
    NearTitle,
}

/// Whether two claims are about the same work. Symmetric.
pub fn same_work(one: &Claim, two: &Claim) -> Sameness {
    let meet = |scheme| one.identifiers.meet(&two.identifiers, scheme);
    let contrary_arxiv = meet(Scheme::Arxiv) == Meeting::Contrary;
    for scheme in [
        Scheme::Arxiv,
        Scheme::Doi,
        Scheme::Acl,
        Scheme::Pubmed,
        Scheme::OpenAlex,
        Scheme::SemanticScholar,
    ] {
        if meet(scheme) != Meeting::Shared {
            continue;
        }
        if contrary_arxiv {
            return Sameness::Alike(Alike::ContraryIdentifiers {
                shared: scheme,
                contrary: Scheme::Arxiv,
            });
        }
        // Catalogues that gather from others merge works by mistake: a name of theirs does not overrule two DOIs.
        let derived = matches!(scheme, Scheme::OpenAlex | Scheme::SemanticScholar);
        if derived && meet(Scheme::Doi) == Meeting::Contrary {
            return Sameness::Alike(Alike::ContraryIdentifiers {
                shared: scheme,
                contrary: Scheme::Doi,
            });
        }
        return Sameness::Same(By::Identifier(scheme));
    }
    by_text(
        one,
        two,
        [Scheme::Arxiv, Scheme::Doi]
            .into_iter()
            .find(|scheme| meet(*scheme) == Meeting::Contrary),
    )
}

fn by_text(one: &Claim, two: &Claim, contrary: Option<Scheme>) -> Sameness {
    let (left, right) = (text::fold(&one.submission.title), text::fold(&two.submission.title));
    if !is_telling(&left) || !is_telling(&right) {
        return Sameness::Different;
    }
    let people = same_people(&one.submission.authors, &two.submission.authors);
    if left != right {
        let near = people == People::Same && overlap(&left, &right) >= ALIKE_TITLES;
        return if near {
            Sameness::Alike(Alike::NearTitle)
        } else {
            Sameness::Different
        };
    }
    match (people, contrary) {
        (People::Same, Some(contrary)) => Sameness::Alike(Alike::SameText { contrary }),
        (People::Same, None) if close_in_time(one, two) => Sameness::Same(By::Text),
        _ => Sameness::Alike(Alike::SameTitle),
    }
}

/// What claims about the same work by text have in common, for an index in which to look for them: the folded title.
/// `None` for a title that says too little.
pub fn title_key(claim: &Claim) -> Option<String> {
    let key = text::fold(&claim.submission.title);
    is_telling(&key).then_some(key)
}

fn is_telling(folded: &str) -> bool {
    folded.chars().filter(|c| *c != ' ').count() >= MIN_TITLE_LETTERS && folded.split(' ').count() >= MIN_TITLE_WORDS
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum People {
    Same,
    Others,
    Unknown,
}

/// The same people have the same first author's family name and most of the family names of the shorter list. Families are
/// taken for the longest of the first and last words, because sources turn names round.
fn same_people(one: &[String], two: &[String]) -> People {
    let (Some(left), Some(right)) = (one.first(), two.first()) else {
        return People::Unknown;
    };
    if name_words(left).is_disjoint(&name_words(right)) {
        return People::Others;
    }
    let shared = match one.len().cmp(&two.len()) {
        Ordering::Less => shared(one, two),
        Ordering::Greater => shared(two, one),
        Ordering::Equal => shared(one, two).min(shared(two, one)),
    };
    let (fewer, more) = (one.len().min(two.len()), one.len().max(two.len()));
    // "et al." lists end early, but a lone author is not a crowd.
    let plausible = fewer * 4 >= more || fewer >= 3;
    let same = shared as f64 >= SAME_AUTHORS * fewer as f64 && plausible;
    if same { People::Same } else { People::Others }
}

/// How many of one list may be on the other.
fn shared(of: &[String], among: &[String]) -> usize {
    let known: BTreeSet<String> = among.iter().flat_map(|name| name_words(name)).collect();
    of.iter().filter(|name| !name_words(name).is_disjoint(&known)).count()
}

/// The words of a name that may be a family name: at least two letters, so no initials.
fn name_words(name: &str) -> BTreeSet<String> {
    let folded = text::fold(name);
    let words: Vec<&str> = folded.split(' ').filter(|word| word.chars().count() >= 2).collect();
    match words.as_slice() {
        [first, .., last] => [*first, *last].map(str::to_owned).into(),
        [only] => [(*only).to_owned()].into(),
        [] => BTreeSet::new(),
    }
}

fn close_in_time(one: &Claim, two: &Claim) -> bool {
    let (Some(left), Some(right)) = (one.submission.published, two.submission.published) else {
        return true;
    };
    left.duration_since(right).abs() <= MAX_APART
}

fn overlap(left: &str, right: &str) -> f64 {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
    let (left, right) = (words(left), words(right));
    let shared = left.intersection(&right).count();
    shared as f64 / (left.len() + right.len() - shared).max(1) as f64
}
