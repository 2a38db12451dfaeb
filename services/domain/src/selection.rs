//! Selects the papers of a reader's digest from a pool of recent papers, in order and with reasons.
//!
//! ```text
//! score = weight · cosine of the matched interest  +  trending score / highest in the pool
//! ```
//!
//! A reader with interests gets matches first, then trending papers: `trending_share` (rounded) of `paper_count` places belong
//! to trending papers, and places that one kind cannot fill go to the other, except that a share of 0 means matches only and
//! a share of 1 trending papers only. Interests share the places by weight (D'Hondt): the next place goes to the interest with
//! the highest weight / (places so far + 1), ties to the better match; but no interest gets more than [`MAX_IN_A_ROW`] places in a
//! row while another has a match. A place stays empty where no match is above the encoder's floor ([`floor`]). A reader without
//! interests gets trending papers, then new ones. Where the encoder cannot read an interest or a paper, the share of the
//! interest's words that the paper has stands for the cosine.
//!
//! No reader gets a paper that they have seen, excluded or given as an example, or that is a near-duplicate of another in the
//! digest. Ties go to the newer paper, then to the lower id.
//!
//! It is pure. It writes no texts for its reasons and computes no match scores (see [`crate::matching`]).

mod apportionment;
pub mod floor;
#[cfg(test)]
mod tests;

use crate::matching::{DimensionError, InterestQuery, Match, Panel, PaperSet, Workspace, top};
use crate::preferences::{PreparedExclusions, PreparedPaper};
use crate::vectors::dot;
use crate::{DenseVector, Int8Vector, Interest, Paper, Preferences};
use apportionment::Apportionment;

/// Cosine from which two papers are near-duplicates.
pub const NEAR_DUPLICATE: f32 = 0.95;
/// Most places in a row for one interest while another has a match.
pub const MAX_IN_A_ROW: usize = 3;

/// A recent paper.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The paper.
    pub paper: &'a Paper,
    /// Its vector; all candidates share one encoder.
    pub dense: &'a DenseVector,
    /// When it became searchable, in milliseconds since the epoch.
    pub indexed_ms: i64,
    /// Its trending score in any unit; 0 where it is not trending.
    pub trending: f32,
}

/// The papers to select from, newest first, then by id. Made once for all readers.
#[derive(Debug, Clone)]
pub struct CandidatePool<'a> {
    candidates: Vec<Candidate<'a>>,
    prepared: Vec<PreparedPaper<'a>>,
    /// The trending ones, highest score first.
    trending: Vec<usize>,
    highest_trending: f32,
    floor: f32,
}

/// What selection needs to know about a reader.
#[derive(Debug, Clone, Copy)]
pub struct ReaderProfile<'a> {
    /// Their preferences.
    pub preferences: &'a Preferences,
    /// Papers they have seen or rejected.
    pub seen: Option<&'a PaperSet>,
}

/// The matches of a reader's interests.
#[derive(Debug, Clone, Copy)]
pub struct InterestMatches<'a> {
    /// For each interest the best papers of [`CandidatePool::panel`], as [`top`] returns them; none for an interest without a
    /// vector.
    pub matches: &'a [&'a [Match]],
    /// For each interest all papers that match by words, because the encoder cannot read one of the two; see
    /// [`crate::matching::WordIndex`]. Interests without an entry have none.
    pub by_words: &'a [Vec<Match>],
    /// Number of papers requested per interest.
    pub k: usize,
}

/// A paper selected for a reader.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectedPaper {
    /// Its index among the candidates of the pool.
    pub paper: usize,
    /// The sum of the parts; 0 for a paper that is merely new.
    pub score: f32,
    /// The parts of the score.
    pub parts: Vec<(SelectionPart, f32)>,
    /// The interest it matches.
    pub interest: Option<usize>,
    /// Why it was selected.
    pub reason: SelectionReason,
}

/// A part of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelectionPart {
    /// Weight of the interest times cosine with it.
    Interest,
    /// Trending score, as a share of the highest in the pool.
    Trending,
}

/// Why a paper was selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelectionReason {
    /// It matches the interest with this index.
    Interest(usize),
    /// It is trending.
    Trending,
    /// It is new.
    New,
}

/// The lists of matches ended before the digest was complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lists of matches are too short; request {k} papers per interest")]
pub struct TooFewMatches {
    /// Number of papers per interest to request next, for this reader alone.
    pub k: usize,
}

/// Number of papers per interest to request at first: some will be excluded or near-duplicates.
pub fn initial_k(paper_count: usize) -> usize {
    2 * paper_count
}

/// Selects a reader's papers, in order, at most `paper_count`. The result does not depend on how many matches were requested:
/// where it would, the answer is [`TooFewMatches`].
pub fn select(
    pool: &CandidatePool<'_>,
    reader: ReaderProfile<'_>,
    found: InterestMatches<'_>,
) -> Result<Vec<SelectedPaper>, TooFewMatches> {
    let preferences = reader.preferences;
    let (count, share) = (preferences.paper_count, preferences.trending_share);
    let mut digest = DigestDraft::new(pool, reader);
    if preferences.interests.is_empty() {
        digest.fill(pool.trending.iter().copied(), SelectionReason::Trending, count);
        digest.fill(0..pool.candidates.len(), SelectionReason::New, count);
        return Ok(digest.selected);
    }
    let mut interests = Apportionment::new(preferences, found, pool.candidates.len());
    if share < 1.0 {
        interests.fill(&mut digest, count - places(share, count))?;
    }
    let matched = digest.selected.len();
    if share > 0.0 {
        digest.fill(pool.trending.iter().copied(), SelectionReason::Trending, count);
    }
    let trending = digest.selected.split_off(matched);
    if share < 1.0 {
        interests.fill(&mut digest, count - trending.len())?;
    }
    digest.selected.extend(trending);
    Ok(digest.selected)
}

/// Matches and selects for one reader, requesting more until that is enough, at first `k` papers per interest. `vectors` are
/// those of the interests, in order, and `by_words` their matches by words. Match many readers together, and use this for
/// those with [`TooFewMatches`].
pub fn select_alone(
    pool: &CandidatePool<'_>,
    panel: &Panel,
    reader: ReaderProfile<'_>,
    vectors: &[Int8Vector],
    by_words: &[Vec<Match>],
    mut k: usize,
    workspace: &mut Workspace,
) -> Result<Vec<SelectedPaper>, DimensionError> {
    let queries: Vec<InterestQuery<'_>> = vectors
        .iter()
        .map(|vector| InterestQuery {
            vector,
            skip: reader.seen,
        })
        .collect();
    loop {
        let found = top(panel, &queries, k, workspace)?;
        let matches: Vec<&[Match]> = (0..queries.len()).map(|interest| found.of(interest)).collect();
        let matches = &matches;
        match select(pool, reader, InterestMatches { matches, by_words, k }) {
            Ok(selected) => return Ok(selected),
            Err(more) => k = more.k,
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

impl<'a> CandidatePool<'a> {
    /// From candidates in any order. A trending score that is not positive and finite counts as none.
    pub fn new(mut candidates: Vec<Candidate<'a>>) -> Self {
        candidates.sort_by(|a, b| {
            b.indexed_ms
                .cmp(&a.indexed_ms)
                .then_with(|| a.paper.id.cmp(&b.paper.id))
        });
        let mut trending: Vec<usize> = (0..candidates.len()).collect();
        trending.retain(|at| candidates[*at].is_trending());
        // A stable sort: among equal scores the newer paper stays first.
        trending.sort_by(|a, b| candidates[*b].trending.total_cmp(&candidates[*a].trending));
        let highest_trending = trending.first().map_or(0.0, |at| candidates[*at].trending);
        Self {
            prepared: candidates.iter().map(|one| PreparedPaper::new(one.paper)).collect(),
            candidates,
            trending,
            highest_trending,
            floor: floor::MATCH_FLOOR,
        }
    }

    /// The same pool with another floor: a paper whose cosine with an interest is below it does not match.
    #[must_use]
    pub fn with_floor(self, floor: f32) -> Self {
        Self { floor, ..self }
    }

    /// Cosine below which a paper does not match an interest.
    pub fn floor(&self) -> f32 {
        self.floor
    }

    /// The papers, in the order of the indices in matches and selections.
    pub fn candidates(&self) -> &[Candidate<'a>] {
        &self.candidates
    }

    /// The papers as a panel for [`crate::matching::top`], in the same order.
    pub fn panel(&self, dimension: usize) -> Result<Panel, DimensionError> {
        Panel::new(dimension, self.candidates.iter().map(|one| one.dense))
    }

    fn trending_part(&self, paper: usize) -> Option<(SelectionPart, f32)> {
        let one = &self.candidates[paper];
        one.is_trending()
            .then(|| (SelectionPart::Trending, one.trending / self.highest_trending))
    }
}

impl Candidate<'_> {
    fn is_trending(&self) -> bool {
        self.trending > 0.0 && self.trending.is_finite()
    }
}

/// A digest while its papers are selected.
struct DigestDraft<'a> {
    pool: &'a CandidatePool<'a>,
    reader: ReaderProfile<'a>,
    exclusions: PreparedExclusions<'a>,
    selected: Vec<SelectedPaper>,
    /// Every paper ever selected, in order.
    papers: Vec<usize>,
}

impl<'a> DigestDraft<'a> {
    fn new(pool: &'a CandidatePool<'a>, reader: ReaderProfile<'a>) -> Self {
        Self {
            pool,
            reader,
            exclusions: reader.preferences.exclusions.prepare(),
            selected: Vec::with_capacity(reader.preferences.paper_count),
            papers: Vec::with_capacity(reader.preferences.paper_count),
        }
    }

    /// Takes suitable papers from a list until there are `count` papers in total.
    fn fill(&mut self, list: impl Iterator<Item = usize>, reason: SelectionReason, count: usize) {
        for paper in list {
            if self.papers.len() >= count {
                return;
            }
            if self.is_new(paper, 0) && self.accepts(paper) {
                self.select(paper, reason, None);
            }
        }
    }

    fn select(&mut self, paper: usize, reason: SelectionReason, matched: Option<f32>) {
        let matched = matched.map(|value| (SelectionPart::Interest, value));
        let parts: Vec<(SelectionPart, f32)> = matched.into_iter().chain(self.pool.trending_part(paper)).collect();
        self.papers.push(paper);
        self.selected.push(SelectedPaper {
            paper,
            score: parts.iter().map(|(_, value)| value).sum(),
            parts,
            interest: match reason {
                SelectionReason::Interest(interest) => Some(interest),
                SelectionReason::Trending | SelectionReason::New => None,
            },
            reason,
        });
    }

    /// Whether a paper is neither one of the selected papers nor a near-duplicate; the first `compared` were checked before.
    fn is_new(&self, paper: usize, compared: usize) -> bool {
        let dense = |paper: usize| self.pool.candidates[paper].dense.as_slice();
        let same = |other: &usize| *other == paper || dot(dense(*other), dense(paper)) >= NEAR_DUPLICATE;
        !self.papers[compared..].iter().any(same)
    }

    /// Whether the reader may get a paper, whatever else is selected. Words are checked last because they take longest.
    fn accepts(&self, paper: usize) -> bool {
        let seen = self.reader.seen.is_some_and(|seen| seen.contains(paper));
        let prepared = &self.pool.prepared[paper];
        let paper = self.pool.candidates[paper].paper;
        let interests = &self.reader.preferences.interests;
        let is_example = |one: &Interest| one.like.contains(&paper.id) || one.unlike.contains(&paper.id);
        !seen && !interests.iter().any(is_example) && !self.exclusions.exclude(prepared)
    }
}
