//! Which papers of a window a reader gets, in which order and why.
//!
//! ```text
//! score = weight · cosine of the interest that brought the paper  +  trending score / highest in the window
//! ```
//!
//! A reader with interests gets what matches first, then what is trending: of `paper_count` places `trending_share`
//! (rounded) belong to the trending papers, and what either cannot fill goes to the other, except that a share of 0 means
//! matches alone and a share of 1 trending papers alone. Matches take turns: the next place goes to the interest with the
//! highest weight / (places so far + 1), which shares places out by weight (D'Hondt), and of equal ones to the one with the
//! better match; but none has more than [`PER_TOPIC`] places in a row while another has something to give. A place for
//! which nothing is above the floor of the encoder ([`floor`]) stays empty. A reader without interests gets what is trending, then what is new.
//!
//! Nobody gets a paper twice, one that they have seen, excluded or gave as an example, or one that says nearly the same as
//! another of the edition. Ties go to the newer paper, then to the lower id.
//!
//! It is pure. It makes no words of its reasons and computes no score of an interest (see [`crate::matching`]).

pub mod floor;
#[cfg(test)]
mod tests;
mod turns;

use crate::matching::{Asked, DimensionError, Match, Panel, PaperSet, Workspace, top};
use crate::preferences::{Excluding, Legible};
use crate::vectors::dot;
use crate::{DenseVector, Int8Vector, Interest, Paper, Preferences};
use turns::Turns;

/// Cosine from which two papers say nearly the same.
pub const NEAR_DUPLICATE: f32 = 0.95;
/// Most places in a row for one interest while another has something to give.
pub const PER_TOPIC: usize = 3;

/// A paper of the window.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The paper.
    pub paper: &'a Paper,
    /// Its vector, by the encoder of the window.
    pub dense: &'a DenseVector,
    /// When it became searchable, in milliseconds since the epoch.
    pub indexed_ms: i64,
    /// How much it is trending, in any unit; 0 where it is not.
    pub trending: f32,
}

/// The papers there are to choose from, newest first, then by id. Made once for all readers.
#[derive(Debug, Clone)]
pub struct Offer<'a> {
    candidates: Vec<Candidate<'a>>,
    legible: Vec<Legible<'a>>,
    /// Those that are trending, most first.
    trending: Vec<usize>,
    hottest: f32,
    floor: f32,
}

/// Whom papers are chosen for.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// What they want.
    pub preferences: &'a Preferences,
    /// Papers they have seen or never want.
    pub seen: Option<&'a PaperSet>,
}

/// What was found for a reader.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// For each of their interests the best papers of [`Offer::panel`], as [`top`] gives them. An interest without a vector
    /// has none.
    pub matches: &'a [&'a [Match]],
    /// How many papers were asked for.
    pub k: usize,
}

/// A paper chosen for a reader.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Its place among the candidates of the offer.
    pub paper: usize,
    /// The sum of the parts; 0 for a paper that is only new.
    pub score: f32,
    /// What the score is made of.
    pub parts: Vec<(Part, f32)>,
    /// The interest that brought it.
    pub interest: Option<usize>,
    /// Why it was chosen.
    pub reason: Reason,
}

/// A part of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Weight of the interest times cosine with it.
    Interest,
    /// Trending score, as a share of the highest in the window.
    Trending,
}

/// Why a paper was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It matches the interest at this place.
    Interest(usize),
    /// It is trending.
    Trending,
    /// It is new.
    New,
}

/// The lists of matches ended before the reader was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lists of matches are too short; {ask} papers for each interest should be asked for")]
pub struct TooShort {
    /// How many to ask for, for this reader alone.
    pub ask: usize,
}

/// How many papers to ask for at first: some are excluded or say the same as others.
pub fn first_ask(paper_count: usize) -> usize {
    2 * paper_count
}

/// Chooses a reader's papers, in order, at most as many as they want. Which they are does not depend on how many were asked
/// for: where it would, the answer is [`TooShort`].
pub fn select(offer: &Offer<'_>, reader: Reader<'_>, found: Found<'_>) -> Result<Vec<Choice>, TooShort> {
    let preferences = reader.preferences;
    let (count, share) = (preferences.paper_count, preferences.trending_share);
    let mut edition = Edition::new(offer, reader);
    if preferences.interests.is_empty() {
        edition.fill(offer.trending.iter().copied(), Reason::Trending, count);
        edition.fill(0..offer.candidates.len(), Reason::New, count);
        return Ok(edition.choices);
    }
    let mut turns = Turns::new(preferences, found, offer.candidates.len());
    if share < 1.0 {
        turns.serve(&mut edition, count - places(share, count))?;
    }
    let matched = edition.choices.len();
    if share > 0.0 {
        edition.fill(offer.trending.iter().copied(), Reason::Trending, count);
    }
    let trending = edition.choices.split_off(matched);
    if share < 1.0 {
        turns.serve(&mut edition, count - trending.len())?;
    }
    edition.choices.extend(trending);
    Ok(edition.choices)
}

/// Matches and selects for one reader alone, asking for more until that is enough: first for `k` papers of each interest.
/// `vectors` are those of the interests, in their order. For many readers, match them together and come here with those for
/// whom the answer was [`TooShort`].
pub fn select_alone(
    offer: &Offer<'_>,
    panel: &Panel,
    reader: Reader<'_>,
    vectors: &[Int8Vector],
    mut k: usize,
    workspace: &mut Workspace,
) -> Result<Vec<Choice>, DimensionError> {
    let asked: Vec<Asked<'_>> = vectors
        .iter()
        .map(|vector| Asked {
            vector,
            skip: reader.seen,
        })
        .collect();
    loop {
        let found = top(panel, &asked, k, workspace)?;
        let matches: Vec<&[Match]> = (0..asked.len()).map(|interest| found.of(interest)).collect();
        let matches = &matches;
        match select(offer, reader, Found { matches, k }) {
            Ok(choices) => return Ok(choices),
            Err(TooShort { ask }) => k = ask,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a small count"
)]
fn places(share: f32, count: usize) -> usize {
    ((share * count as f32).round() as usize).min(count)
}

impl<'a> Offer<'a> {
    /// Of a window, in any order. A trending score that is not above zero, or not finite, is none.
    pub fn new(mut candidates: Vec<Candidate<'a>>) -> Self {
        candidates.sort_by(|a, b| {
            b.indexed_ms
                .cmp(&a.indexed_ms)
                .then_with(|| a.paper.id.cmp(&b.paper.id))
        });
        let mut trending: Vec<usize> = (0..candidates.len()).collect();
        trending.retain(|at| candidates[*at].is_trending());
        // Stable: of equal ones the newer stays before.
        trending.sort_by(|a, b| candidates[*b].trending.total_cmp(&candidates[*a].trending));
        let hottest = trending.first().map_or(0.0, |at| candidates[*at].trending);
        Self {
            legible: candidates.iter().map(|one| Legible::new(one.paper)).collect(),
            candidates,
            trending,
            hottest,
            floor: floor::MATCH_FLOOR,
        }
    }

    /// The same with another floor: a paper whose cosine with an interest is below it does not match.
    #[must_use]
    pub fn with_floor(self, floor: f32) -> Self {
        Self { floor, ..self }
    }

    /// Cosine below which a paper does not match an interest.
    pub fn floor(&self) -> f32 {
        self.floor
    }

    /// The papers, in the order in which matches and choices name them.
    pub fn candidates(&self) -> &[Candidate<'a>] {
        &self.candidates
    }

    /// The papers for [`crate::matching::top`], in the same order.
    pub fn panel(&self, dimension: usize) -> Result<Panel, DimensionError> {
        Panel::new(dimension, self.candidates.iter().map(|one| one.dense))
    }

    fn trending_part(&self, paper: usize) -> Option<(Part, f32)> {
        let one = &self.candidates[paper];
        one.is_trending().then(|| (Part::Trending, one.trending / self.hottest))
    }
}

impl Candidate<'_> {
    fn is_trending(&self) -> bool {
        self.trending > 0.0 && self.trending.is_finite()
    }
}

/// The papers chosen so far.
struct Edition<'a> {
    offer: &'a Offer<'a>,
    reader: Reader<'a>,
    exclusions: Excluding<'a>,
    choices: Vec<Choice>,
    /// All that were ever chosen, in that order.
    papers: Vec<usize>,
}

impl<'a> Edition<'a> {
    fn new(offer: &'a Offer<'a>, reader: Reader<'a>) -> Self {
        Self {
            offer,
            reader,
            exclusions: reader.preferences.exclusions.ready(),
            choices: Vec::with_capacity(reader.preferences.paper_count),
            papers: Vec::with_capacity(reader.preferences.paper_count),
        }
    }

    /// Takes what is wanted of a list until there are so many papers in all.
    fn fill(&mut self, list: impl Iterator<Item = usize>, reason: Reason, count: usize) {
        for paper in list {
            if self.papers.len() >= count {
                return;
            }
            if self.is_new(paper, 0) && self.wants(paper) {
                self.choose(paper, reason, None);
            }
        }
    }

    fn choose(&mut self, paper: usize, reason: Reason, matched: Option<f32>) {
        let matched = matched.map(|value| (Part::Interest, value));
        let parts: Vec<(Part, f32)> = matched.into_iter().chain(self.offer.trending_part(paper)).collect();
        self.papers.push(paper);
        self.choices.push(Choice {
            paper,
            score: parts.iter().map(|(_, value)| value).sum(),
            parts,
            interest: match reason {
                Reason::Interest(interest) => Some(interest),
                Reason::Trending | Reason::New => None,
            },
            reason,
        });
    }

    /// Whether a paper is, and says, something else than those chosen, the first so many of which are not looked at.
    fn is_new(&self, paper: usize, known: usize) -> bool {
        let dense = |paper: usize| self.offer.candidates[paper].dense.as_slice();
        let same = |other: &usize| *other == paper || dot(dense(*other), dense(paper)) >= NEAR_DUPLICATE;
        !self.papers[known..].iter().any(same)
    }

    /// Whether nothing speaks against a paper, whatever else is chosen. Words are looked for last, for they take longest.
    fn wants(&self, paper: usize) -> bool {
        let seen = self.reader.seen.is_some_and(|seen| seen.contains(paper));
        let legible = &self.offer.legible[paper];
        let paper = self.offer.candidates[paper].paper;
        let interests = &self.reader.preferences.interests;
        let is_example = |one: &Interest| one.like.contains(&paper.id) || one.unlike.contains(&paper.id);
        !seen && !interests.iter().any(is_example) && !self.exclusions.exclude(legible)
    }
}
