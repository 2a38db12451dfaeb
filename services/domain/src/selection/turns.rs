//! The interests of a reader take turns.

use std::cmp::Ordering;

use super::{Edition, Found, PER_TOPIC, Reason, TooShort};
use crate::matching::Match;
use crate::preferences::Excluding;
use crate::{Interest, Preferences};

/// The interests, and whose turn it was last.
pub(super) struct Turns<'a> {
    interests: Vec<Turn<'a>>,
    last: usize,
    in_a_row: usize,
    too_short: TooShort,
}

/// An interest and what is left of its matches.
struct Turn<'a> {
    interest: &'a Interest,
    exclusions: Excluding<'a>,
    rest: &'a [Match],
    /// There may be more behind the end of the list.
    cut: bool,
    /// The next match, with nothing against it but what was chosen since.
    head: Option<Match>,
    /// How many choices the head was compared with.
    compared: usize,
    places: usize,
}

impl<'a> Turns<'a> {
    /// In an offer of so many papers.
    pub(super) fn new(preferences: &'a Preferences, found: Found<'a>, papers: usize) -> Self {
        let turn = |(interest, matches): (&'a Interest, &&'a [Match])| Turn {
            interest,
            exclusions: interest.exclusions.ready(),
            rest: matches,
            cut: matches.len() >= found.k && found.k < papers,
            head: None,
            compared: 0,
            places: 0,
        };
        let interests = preferences.interests.iter();
        Self {
            interests: interests.zip(found.matches).map(turn).collect(),
            last: 0,
            in_a_row: 0,
            too_short: TooShort {
                ask: found.k.saturating_mul(2).clamp(1, papers.max(1)),
            },
        }
    }

    /// Takes matches until the edition holds so many papers, or nothing matches any more.
    pub(super) fn serve(&mut self, edition: &mut Edition<'_>, count: usize) -> Result<(), TooShort> {
        while edition.choices.len() < count {
            for turn in &mut self.interests {
                if !turn.look(edition) {
                    return Err(self.too_short);
                }
            }
            let Some((at, head)) = self.next() else { break };
            self.in_a_row = if at == self.last { self.in_a_row + 1 } else { 1 };
            self.last = at;
            let turn = &mut self.interests[at];
            turn.places += 1;
            turn.head = None;
            let value = turn.interest.weight * head.score;
            edition.choose(head.paper as usize, Reason::Interest(at), Some(value));
        }
        Ok(())
    }

    fn next(&self) -> Option<(usize, Match)> {
        let ready = || (self.interests.iter().enumerate()).filter_map(|(at, turn)| Some((at, turn.head?)));
        let enough = self.in_a_row >= PER_TOPIC && ready().any(|(at, _)| at != self.last);
        ready()
            .filter(|(at, _)| !enough || *at != self.last)
            .min_by(|a, b| self.order(*a, *b))
    }

    /// Whose turn it is comes first.
    fn order(&self, a: (usize, Match), b: (usize, Match)) -> Ordering {
        let claim = |at: usize| self.interests[at].interest.weight / (self.interests[at].places + 1) as f32;
        let value = |(at, head): (usize, Match)| self.interests[at].interest.weight * head.score;
        (claim(b.0).total_cmp(&claim(a.0)))
            .then_with(|| value(b).total_cmp(&value(a)))
            .then(a.1.paper.cmp(&b.1.paper))
            .then(a.0.cmp(&b.0))
    }
}

impl Turn<'_> {
    /// Finds the next match that the edition can take, if there is one; false where the list ends before that is known.
    fn look(&mut self, edition: &Edition<'_>) -> bool {
        let compared = std::mem::replace(&mut self.compared, edition.papers.len());
        if self
            .head
            .is_some_and(|head| edition.is_new(head.paper as usize, compared))
        {
            return true;
        }
        self.head = None;
        while let Some((next, rest)) = self.rest.split_first() {
            if next.score < edition.offer.floor {
                return true;
            }
            self.rest = rest;
            let paper = next.paper as usize;
            let allows = || {
                let covers = self.interest.covers(edition.offer.candidates[paper].paper);
                covers && !self.exclusions.exclude(&edition.offer.legible[paper])
            };
            if edition.is_new(paper, 0) && edition.wants(paper) && allows() {
                self.head = Some(*next);
                return true;
            }
        }
        !self.cut
    }
}
