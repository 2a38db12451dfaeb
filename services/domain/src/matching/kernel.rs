//! A tile of the product: a few interests times a few papers, and which scores are above the threshold.
//!
//! One function per kind of processor, chosen at run time. The two with vector instructions add in the same order and give
//! the same scores; the portable one rounds each product before it is added, about 1e-6 of the largest score.

#[cfg(target_arch = "x86_64")]
mod x86;

/// Interests in a tile.
pub const ROWS: usize = 12;
/// Papers in a tile, as many as a word has bits.
pub const COLUMNS: usize = 32;

/// The scores of a tile.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Tile {
    /// By interest, then by paper.
    pub scores: [[f32; COLUMNS]; ROWS],
    /// Per interest, a bit for each paper whose score is above the threshold.
    pub above: [u32; ROWS],
}

/// `rows` is `[value][ROWS]`, `papers` is `[value][COLUMNS]`, and as deep.
type Multiply =
    fn(rows: &[[f32; ROWS]], papers: &[[f32; COLUMNS]], scales: &[f32; ROWS], least: &[f32; ROWS], tile: &mut Tile);

/// The arithmetic for a kind of processor.
#[derive(Clone, Copy)]
pub struct TileKernel {
    /// Its name, for people.
    pub name: &'static str,
    multiply: Multiply,
    peak: fn(rounds: u64) -> u64,
}

impl TileKernel {
    /// The fastest that this processor runs.
    pub fn choose() -> Self {
        Self::all().pop().unwrap_or(PORTABLE)
    }

    /// Those that this processor runs, the fastest last.
    pub fn all() -> Vec<Self> {
        let mut kernels = vec![PORTABLE];
        #[cfg(target_arch = "x86_64")]
        kernels.extend(x86::detect());
        kernels
    }

    /// Multiplies and adds `rounds` times in registers alone, as fast as the processor can with these instructions. Returns
    /// how many products that were; what a benchmark compares the kernel with.
    pub fn peak(&self, rounds: u64) -> u64 {
        (self.peak)(rounds)
    }

    /// The scores of a tile: `scales[row] · Σ rows[value][row] · papers[value][column]`. Both sides must be equally deep.
    pub(super) fn multiply(
        &self,
        rows: &[f32],
        papers: &[f32],
        scales: &[f32; ROWS],
        least: &[f32; ROWS],
        tile: &mut Tile,
    ) {
        let ((rows, left), (papers, over)) = (rows.as_chunks(), papers.as_chunks());
        assert!(left.is_empty() && over.is_empty());
        assert_eq!(rows.len(), papers.len());
        (self.multiply)(rows, papers, scales, least, tile);
    }
}

const PORTABLE: TileKernel = TileKernel {
    name: "portable",
    multiply: |rows, papers, scales, least, tile| {
        tile.scores = [[0.0; COLUMNS]; ROWS];
        for (values, papers) in rows.iter().zip(papers) {
            for (scores, value) in tile.scores.iter_mut().zip(values) {
                for (score, paper) in scores.iter_mut().zip(papers) {
                    *score += value * paper;
                }
            }
        }
        for (row, scores) in tile.scores.iter_mut().enumerate() {
            tile.above[row] = 0;
            for (column, score) in scores.iter_mut().enumerate() {
                *score *= scales[row];
                tile.above[row] |= u32::from(*score > least[row]) << column;
            }
        }
    },
    peak: |rounds| {
        let mut sums = std::hint::black_box([0.0_f32; COLUMNS]);
        let factor = std::hint::black_box(0.999_f32);
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = *sum * factor + factor;
            }
        }
        std::hint::black_box(sums);
        rounds * COLUMNS as u64
    },
};
