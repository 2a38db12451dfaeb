//! Which papers of a window an edition holds: the one place that calls the matching rules of the domain.
//!
//! It knows no store and no clock.

use std::collections::HashSet;

use domain::matching::{self, Candidate, Match};
use domain::{DenseVector, Paper, Preferences};
use jiff::{SignedDuration, Timestamp};

use super::EditionPaper;
use crate::subscribers::seen::Seen;
use crate::window::Snapshot;

/// Editions look back behind the slot of the last one by this much: papers that came in while it was made, and good ones
/// that it had no room for, get another chance.
const OVERLAP: SignedDuration = SignedDuration::from_hours(24);
/// Room for what is trending is given to papers above this.
const TRENDING: f32 = 0.0;

/// Why a slot yields nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emptiness {
    /// All papers since the last edition were sent before, or there are none.
    NoNewPaper,
    /// There are some, but none that any interest allows.
    NothingMatched,
    /// There are some, but each has something that the reader excluded.
    EverythingExcluded,
    /// The papers chosen at an earlier attempt are gone.
    Withdrawn,
    /// The subscription is not active, or is no more.
    NotActive,
}

impl Emptiness {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NoNewPaper,
        Self::NothingMatched,
        Self::EverythingExcluded,
        Self::Withdrawn,
        Self::NotActive,
    ];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoNewPaper => "no_new_paper",
            Self::NothingMatched => "nothing_matched",
            Self::EverythingExcluded => "everything_excluded",
            Self::Withdrawn => "withdrawn",
            Self::NotActive => "not_active",
        }
    }

    /// The words in the record.
    pub fn detail(self) -> &'static str {
        match self {
            Self::NoNewPaper => "no paper in the window that this subscriber has not been sent",
            Self::NothingMatched => "none of the new papers is one that the interests allow",
            Self::EverythingExcluded => "every new paper has something that the subscriber excluded",
            Self::Withdrawn => "the papers chosen for it were withdrawn",
            Self::NotActive => "the subscription is not active",
        }
    }
}

/// Chooses the papers of one edition, best first.
pub fn choose(
    window: &Snapshot,
    preferences: &Preferences,
    vectors: &[DenseVector],
    seen: &Seen,
) -> Result<Vec<EditionPaper>, Emptiness> {
    let fresh = fresh(window, seen);
    if fresh.is_empty() {
        return Err(Emptiness::NoNewPaper);
    }
    let candidates: Vec<Candidate<'_>> = fresh
        .iter()
        .map(|&index| Candidate {
            id: &window.papers[index].paper.id,
            dense: &window.papers[index].vectors.dense,
            indexed_ms: window.papers[index].indexed.as_millisecond(),
        })
        .collect();
    let mut ranked = matching::best_papers(&candidates, vectors, &HashSet::new(), usize::MAX);
    for one in &mut ranked {
        one.candidate = fresh[one.candidate];
    }
    let trending = by_trending(window, &ranked);
    if vectors.is_empty() {
        return pick(
            window,
            preferences,
            trending.into_iter().chain(ranked),
            preferences.paper_count,
        );
    }
    let room = trending_room(preferences).min(trending.len());
    let mut chosen = pick(window, preferences, ranked.into_iter(), preferences.paper_count - room)?;
    let taken: HashSet<_> = chosen.iter().map(|one| one.paper.id.clone()).collect();
    let others = trending.into_iter();
    let others = others.filter(|one| !taken.contains(&window.papers[one.candidate].paper.id));
    chosen.extend(pick(window, preferences, others, room).unwrap_or_default());
    Ok(chosen)
}

/// Places of the papers that came in since the last edition and were not sent, newest first.
fn fresh(window: &Snapshot, seen: &Seen) -> Vec<usize> {
    let since = seen.last_slot.and_then(|slot| slot.checked_sub(OVERLAP).ok());
    let since = since.unwrap_or(Timestamp::MIN);
    let end = window.papers.partition_point(|entry| entry.indexed >= since);
    (0..end).filter(|&index| !seen.contains(window.keys[index])).collect()
}

/// What is trending, most first, with its heat as the score.
fn by_trending(window: &Snapshot, ranked: &[Match]) -> Vec<Match> {
    let heat = |one: &Match| window.trending[one.candidate];
    let mut trending: Vec<Match> = ranked
        .iter()
        .filter(|one| heat(one) > TRENDING)
        .map(|one| Match {
            score: heat(one),
            interest: None,
            ..one.clone()
        })
        .collect();
    trending.sort_by(|a, b| b.score.total_cmp(&a.score));
    trending
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of at most 50 papers"
)]
fn trending_room(preferences: &Preferences) -> usize {
    (preferences.trending_share * preferences.paper_count as f32).round() as usize
}

/// The first papers that the reader does not exclude, each once.
fn pick(
    window: &Snapshot,
    preferences: &Preferences,
    ranked: impl Iterator<Item = Match>,
    most: usize,
) -> Result<Vec<EditionPaper>, Emptiness> {
    let (mut chosen, mut taken, mut excluded) = (Vec::new(), HashSet::new(), false);
    for one in ranked {
        if chosen.len() == most {
            break;
        }
        let paper = &window.papers[one.candidate].paper;
        if preferences.exclusions.exclude(paper) {
            excluded = true;
        } else if allowed(preferences, &one, paper) && taken.insert(one.candidate) {
            chosen.push(EditionPaper {
                paper: paper.clone(),
                score: one.score,
                reason: reason(preferences, window, &one),
            });
        }
    }
    match (chosen.is_empty() && most > 0, excluded) {
        (true, true) => Err(Emptiness::EverythingExcluded),
        (true, false) => Err(Emptiness::NothingMatched),
        (false, _) => Ok(chosen),
    }
}

fn allowed(preferences: &Preferences, one: &Match, paper: &Paper) -> bool {
    let interest = one.interest.and_then(|index| preferences.interests.get(index));
    interest.is_none_or(|interest| interest.allows(paper))
}

fn reason(preferences: &Preferences, window: &Snapshot, one: &Match) -> String {
    let interest = one.interest.and_then(|index| preferences.interests.get(index));
    // An interest without a word the encoder knows is near nothing; the papers are then the newest ones.
    match interest {
        Some(interest) if one.score > 0.0 => {
            format!("because you follow “{}” (match {:.2})", interest.name(), one.score)
        }
        None if window.trending[one.candidate] > TRENDING => "trending now".to_owned(),
        _ => "new today".to_owned(),
    }
}

#[cfg(test)]
mod tests;
