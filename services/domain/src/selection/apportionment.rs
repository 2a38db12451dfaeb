//! Apportions the places of a digest among a reader's interests.

use std::cmp::Ordering;

use super::{DigestDraft, InterestMatches, MAX_IN_A_ROW, SelectionReason, TooFewMatches};
use crate::matching::Match;
use crate::preferences::PreparedExclusions;
use crate::{Interest, Preferences};

/// The interests with their places so far (D'Hondt).
pub(super) struct Apportionment<'a> {
    interests: Vec<InterestCursor<'a>>,
    last: usize,
    in_a_row: usize,
    too_few: TooFewMatches,
}

/// An interest and its remaining matches.
struct InterestCursor<'a> {
    interest: &'a Interest,
    exclusions: PreparedExclusions<'a>,
    rest: &'a [Match],
    /// Its remaining matches by words.
    by_words: &'a [Match],
    /// Whether the list was cut, so that there may be further matches.
    cut: bool,
    /// The next match, checked against the first `compared` selected papers.
    head: Option<Match>,
    /// Number of selected papers the head was compared with.
    compared: usize,
    places: usize,
}

impl<'a> Apportionment<'a> {
    /// Begins with the matches found in a pool of this many papers.
    pub(super) fn new(preferences: &'a Preferences, found: InterestMatches<'a>, papers: usize) -> Self {
        let cursor = |(at, (interest, matches)): (usize, (&'a Interest, &&'a [Match]))| InterestCursor {
            interest,
            exclusions: interest.exclusions.prepare(),
            rest: matches,
            by_words: found.by_words.get(at).map_or(&[], Vec::as_slice),
            cut: matches.len() >= found.k && found.k < papers,
            head: None,
            compared: 0,
            places: 0,
        };
        let interests = preferences.interests.iter();
        Self {
            interests: interests.zip(found.matches).enumerate().map(cursor).collect(),
            last: 0,
            in_a_row: 0,
            too_few: TooFewMatches {
                k: found.k.saturating_mul(2).clamp(1, papers.max(1)),
            },
        }
    }

    /// Adds matches until the digest holds `count` papers or nothing matches any more.
    pub(super) fn fill(&mut self, digest: &mut DigestDraft<'_>, count: usize) -> Result<(), TooFewMatches> {
        while digest.selected.len() < count {
            for cursor in &mut self.interests {
                if !cursor.advance(digest) {
                    return Err(self.too_few);
                }
            }
            let Some((at, head)) = self.next() else { break };
            self.in_a_row = if at == self.last { self.in_a_row + 1 } else { 1 };
            self.last = at;
            let cursor = &mut self.interests[at];
            cursor.places += 1;
            cursor.head = None;
            let value = cursor.interest.weight * head.score;
            digest.select(head.paper as usize, SelectionReason::Interest(at), Some(value));
        }
        Ok(())
    }

    fn next(&self) -> Option<(usize, Match)> {
        let ready = || (self.interests.iter().enumerate()).filter_map(|(at, cursor)| Some((at, cursor.head?)));
        let enough = self.in_a_row >= MAX_IN_A_ROW && ready().any(|(at, _)| at != self.last);
        ready()
            .filter(|(at, _)| !enough || *at != self.last)
            .min_by(|a, b| self.order(*a, *b))
    }

    /// The interest that gets the next place comes first.
    fn order(&self, a: (usize, Match), b: (usize, Match)) -> Ordering {
        let quotient = |at: usize| self.interests[at].interest.weight / (self.interests[at].places + 1) as f32;
        let value = |(at, head): (usize, Match)| self.interests[at].interest.weight * head.score;
        (quotient(b.0).total_cmp(&quotient(a.0)))
            .then_with(|| value(b).total_cmp(&value(a)))
            .then(a.1.paper.cmp(&b.1.paper))
            .then(a.0.cmp(&b.0))
    }
}

impl InterestCursor<'_> {
    /// Finds the next match that the digest can take; false where a cut list ends before that is known.
    fn advance(&mut self, digest: &DigestDraft<'_>) -> bool {
        let compared = std::mem::replace(&mut self.compared, digest.papers.len());
        if self
            .head
            .is_some_and(|head| digest.is_new(head.paper as usize, compared))
        {
            return true;
        }
        self.head = None;
        while let Some(next) = self.next(digest.pool.floor) {
            let paper = next.paper as usize;
            let allows = || {
                let covers = self.interest.covers(digest.pool.candidates[paper].paper);
                covers && !self.exclusions.exclude(&digest.pool.prepared[paper])
            };
            if digest.is_new(paper, 0) && digest.accepts(paper) && allows() {
                self.head = Some(next);
                return true;
            }
        }
        !(self.cut && self.rest.is_empty())
    }

    /// Takes the better of the next matches by meaning and by words; none where a cut list has ended, because what comes
    /// next by meaning is not known.
    fn next(&mut self, floor: f32) -> Option<Match> {
        let by_meaning = self.rest.first().filter(|one| one.score >= floor);
        let list = match (by_meaning, self.by_words.first()) {
            _ if self.rest.is_empty() && self.cut => return None,
            (Some(meaning), Some(words)) if words.score > meaning.score => &mut self.by_words,
            (Some(_), _) => &mut self.rest,
            (None, _) => &mut self.by_words,
        };
        let (next, rest) = list.split_first()?;
        *list = rest;
        Some(*next)
    }
}
