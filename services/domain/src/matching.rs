//! Matches interests with recent papers: the exact best papers of every interest, by the product of two matrices.
//!
//! Millions of interests, stored as [`Int8Vector`]s, are multiplied by the papers of a [`Panel`] tile by tile. Of each tile
//! only scores above the worst of the best so far are kept, so the whole matrix is never written. A score is
//! `scale · Σ code · value`, summed in f32; the result is exact with regard to these scores.
//!
//! It knows no subscriber and selects nothing (see [`crate::selection`]), starts no thread, and never compares vectors of
//! different encoders: callers pass vectors of one encoder.

mod best;
pub mod kernel;
mod panel;
mod set;
#[cfg(test)]
mod tests;
mod words;

use crate::Int8Vector;
use best::Best;
use kernel::{COLUMNS, ROWS, Tile};

pub use panel::Panel;
pub use set::PaperSet;
pub use words::WordIndex;

/// Interests multiplied together. As floats they fit into the second-level cache, beside one strip of papers.
const BLOCK: usize = 4 * ROWS;

/// Vectors that cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("vector has {found} values; those it is compared with have {expected}")]
pub struct DimensionError {
    /// Values of the vector.
    pub found: usize,
    /// Values it should have.
    pub expected: usize,
}

/// An interest to find papers for.
#[derive(Debug, Clone, Copy)]
pub struct InterestQuery<'a> {
    /// Its vector.
    pub vector: &'a Int8Vector,
    /// Papers to skip, such as those its reader has seen.
    pub skip: Option<&'a PaperSet>,
}

/// A paper that matches an interest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// The paper's index in the panel.
    pub paper: u32,
    /// Cosine with the interest, within the rounding of its vector.
    pub score: f32,
}

/// Memory reused from call to call; one per thread.
#[derive(Debug, Default)]
pub struct Workspace {
    rows: Vec<f32>,
    best: Vec<Best>,
    tile: Tile,
    matches: Vec<Match>,
    ends: Vec<usize>,
}

/// The matches, in the order of the queries.
#[derive(Debug, Clone, Copy)]
pub struct Matches<'a> {
    matches: &'a [Match],
    ends: &'a [usize],
}

impl<'a> Matches<'a> {
    /// The best papers of an interest, best first; of equal scores the paper that comes first in the panel.
    pub fn of(&self, interest: usize) -> &'a [Match] {
        let begin = interest.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.matches[begin..self.ends[interest]]
    }
}

/// For each interest the `k` papers with the highest scores, fewer only where the panel holds fewer that are not skipped.
/// Refuses an interest whose dimension is not the panel's. Memory grows with `k` papers per interest, so millions of
/// interests are matched in chunks.
pub fn top<'w>(
    panel: &Panel,
    asked: &[InterestQuery<'_>],
    k: usize,
    workspace: &'w mut Workspace,
) -> Result<Matches<'w>, DimensionError> {
    for one in asked {
        panel.check(one.vector.dimension())?;
    }
    workspace.matches.clear();
    workspace.ends.clear();
    for block in asked.chunks(BLOCK) {
        find(panel, block, k, workspace);
        for best in &mut workspace.best[..block.len()] {
            best.finish(&mut workspace.matches);
            workspace.ends.push(workspace.matches.len());
        }
    }
    Ok(Matches {
        matches: &workspace.matches,
        ends: &workspace.ends,
    })
}

/// Strip by strip, so that a strip of papers stays in the cache while all interests of the block are multiplied with it.
fn find(panel: &Panel, block: &[InterestQuery<'_>], k: usize, workspace: &mut Workspace) {
    let Workspace { rows, best, tile, .. } = workspace;
    let scales = unpack(panel.dimension(), block, rows);
    best.resize_with(best.len().max(block.len()), Best::default);
    for best in &mut best[..block.len()] {
        best.begin(k);
    }
    let height = panel.dimension() * ROWS;
    for (strip, papers) in panel.strips() {
        let tiles = block.chunks(ROWS).zip(best.chunks_mut(ROWS)).zip(&scales);
        for (at, ((asked, best), scales)) in tiles.enumerate() {
            let rows = &rows[at * height..][..height];
            let least = std::array::from_fn(|row| best.get(row).map_or(f32::INFINITY, Best::least));
            panel.kernel().multiply(rows, papers, scales, &least, tile);
            for (row, (asked, best)) in asked.iter().zip(best).enumerate() {
                let above = tile.above[row] & panel.filled(strip);
                if above != 0 {
                    best.offer(&tile.scores[row], above, strip * COLUMNS, asked.skip);
                }
            }
        }
    }
}

/// Writes the codes as floats, `[tile][value][row]`, zeros where the last tile has no interest. Returns the scales.
fn unpack(dimension: usize, block: &[InterestQuery<'_>], rows: &mut Vec<f32>) -> Vec<[f32; ROWS]> {
    let height = dimension * ROWS;
    rows.clear();
    rows.resize(block.len().div_ceil(ROWS) * height, 0.0);
    let mut scales = Vec::with_capacity(BLOCK / ROWS);
    for (tile, asked) in rows.chunks_exact_mut(height).zip(block.chunks(ROWS)) {
        scales.push(std::array::from_fn(|row| {
            asked.get(row).map_or(0.0, |one| one.vector.scale())
        }));
        let (tile, _) = tile.as_chunks_mut::<ROWS>();
        for (row, one) in asked.iter().enumerate() {
            for (values, code) in tile.iter_mut().zip(one.vector.values()) {
                values[row] = f32::from(*code);
            }
        }
    }
    scales
}
