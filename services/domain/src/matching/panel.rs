//! Recent papers, laid out for the kernel.

use super::DimensionError;
use super::kernel::{COLUMNS, TileKernel};
use crate::DenseVector;

/// The vectors of papers in strips of [`COLUMNS`], `[strip][value][column]`; the last strip is filled up with zeros.
#[derive(Clone)]
pub struct Panel {
    kernel: TileKernel,
    dimension: usize,
    papers: usize,
    strips: Vec<f32>,
}

impl Panel {
    /// From papers in order, for the fastest kernel available. Refuses a vector of another dimension.
    pub fn new<'a>(
        dimension: usize,
        vectors: impl IntoIterator<Item = &'a DenseVector>,
    ) -> Result<Self, DimensionError> {
        Self::for_kernel(TileKernel::choose(), dimension, vectors)
    }

    /// For a certain kernel.
    pub fn for_kernel<'a>(
        kernel: TileKernel,
        dimension: usize,
        vectors: impl IntoIterator<Item = &'a DenseVector>,
    ) -> Result<Self, DimensionError> {
        let mut panel = Self {
            kernel,
            dimension,
            papers: 0,
            strips: Vec::new(),
        };
        for vector in vectors {
            panel.check(vector.dimension())?;
            panel.push(vector.as_slice());
        }
        Ok(panel)
    }

    /// Number of papers.
    pub fn papers(&self) -> usize {
        self.papers
    }

    /// Values in a vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// What computes with it.
    pub(super) fn kernel(&self) -> &TileKernel {
        &self.kernel
    }

    /// The strips with their numbers.
    pub(super) fn strips(&self) -> impl Iterator<Item = (usize, &[f32])> {
        // An empty panel may be of no dimension.
        self.strips.chunks_exact((self.dimension * COLUMNS).max(1)).enumerate()
    }

    /// A bit for each column of a strip that holds a paper.
    pub(super) fn filled(&self, strip: usize) -> u32 {
        match self.papers - strip * COLUMNS {
            COLUMNS.. => u32::MAX,
            rest => (1 << rest) - 1,
        }
    }

    pub(super) fn check(&self, found: usize) -> Result<(), DimensionError> {
        let expected = self.dimension;
        if found == expected {
            Ok(())
        } else {
            Err(DimensionError { found, expected })
        }
    }

    fn push(&mut self, values: &[f32]) {
        let column = self.papers % COLUMNS;
        let strip = self.papers / COLUMNS * self.dimension * COLUMNS;
        if column == 0 {
            self.strips.resize(strip + self.dimension * COLUMNS, 0.0);
        }
        let (rows, _) = self.strips[strip..].as_chunks_mut::<COLUMNS>();
        for (row, value) in rows.iter_mut().zip(values) {
            row[column] = *value;
        }
        self.papers += 1;
    }
}

impl std::fmt::Debug for Panel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Panel({} papers of {} values)", self.papers, self.dimension)
    }
}
