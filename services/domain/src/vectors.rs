//! Vectors of papers and queries, valid by construction.
//!
//! It never computes a vector; encoders do.

mod int8;

use std::fmt;

pub use int8::Int8Vector;

/// Which encoder made a dense vector: model name and revision. Vectors of different encoders are never compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EncoderId(String);

/// An invalid vector.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum VectorError {
    /// No name.
    #[error("encoder id is {0:?}; it must be 1 to 128 of a-z, A-Z, 0-9, '.', '-', '_', '@'")]
    EncoderId(String),
    /// Nothing in it.
    #[error("dense vector is empty")]
    Empty,
    /// Not a number, or infinite.
    #[error("dense vector holds {value} at position {position}; all values must be finite")]
    NotFinite {
        /// Where.
        position: usize,
        /// What.
        value: f32,
    },
    /// Neither of length one nor all zeros.
    #[error("dense vector has norm {0}; it must be 1 (within 0.01), or 0 for text without known words")]
    Norm(f32),
    /// As many ids as values are needed.
    #[error("sparse vector has {indices} ids and {values} values; one value per id is required")]
    Lengths {
        /// Number of ids.
        indices: usize,
        /// Number of values.
        values: usize,
    },
    /// Ids out of order or doubled.
    #[error("sparse vector's ids do not ascend at position {0}")]
    Order(usize),
    /// A weight that is not a positive number.
    #[error("sparse vector has weight {value} at position {position}; weights must be finite and above zero")]
    Weight {
        /// Where.
        position: usize,
        /// What.
        value: f32,
    },
    /// Too few bytes.
    #[error("rounded vector has {0} bytes; at least 5 are required, four of the scale and one per value")]
    Bytes(usize),
    /// A scale that no rounding gives.
    #[error("rounded vector has scale {0}; allowed is 0 to 0.01, as vectors of norm 1 have")]
    Scale(f32),
    /// A code that no rounding gives.
    #[error("rounded vector holds -128 at position {0}; allowed are -127 to 127")]
    Code(usize),
}

impl EncoderId {
    /// Reads an encoder id.
    pub fn parse(id: &str) -> Result<Self, VectorError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
        if id.is_empty() || id.len() > 128 || !id.chars().all(allowed) {
            return Err(VectorError::EncoderId(crate::text::shorten(id)));
        }
        Ok(Self(id.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EncoderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A finite vector of norm 1, or all zeros where the text has no word the encoder knows.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseVector(Vec<f32>);

impl DenseVector {
    /// Checks finiteness and norm.
    pub fn new(values: Vec<f32>) -> Result<Self, VectorError> {
        if values.is_empty() {
            return Err(VectorError::Empty);
        }
        if let Some((position, value)) = values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(VectorError::NotFinite {
                position,
                value: *value,
            });
        }
        let norm = values.iter().map(|v| v * v).sum::<f32>().sqrt();
        if norm != 0.0 && (norm - 1.0).abs() > 0.01 {
            return Err(VectorError::Norm(norm));
        }
        Ok(Self(values))
    }

    /// The values.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// The values, without a copy.
    pub fn into_vec(self) -> Vec<f32> {
        self.0
    }

    /// Number of values.
    pub fn dimension(&self) -> usize {
        self.0.len()
    }

    /// The normalised weighted mean of vectors; weights may be negative. `None` without vectors, where they cancel each other
    /// out, or where their dimensions differ.
    pub fn mean<'a>(weighted: impl IntoIterator<Item = (f32, &'a Self)>) -> Option<Self> {
        let mut sum: Vec<f32> = Vec::new();
        for (weight, vector) in weighted {
            if sum.is_empty() {
                sum = vec![0.0; vector.dimension()];
            }
            if sum.len() != vector.dimension() {
                return None;
            }
            for (total, value) in sum.iter_mut().zip(&vector.0) {
                *total += weight * value;
            }
        }
        let norm = sum.iter().map(|v| v * v).sum::<f32>().sqrt();
        // Below it, what is left is rounding.
        if !norm.is_finite() || norm < 1e-4 {
            return None;
        }
        for value in &mut sum {
            *value /= norm;
        }
        Some(Self(sum))
    }

    /// Whether it is all zeros, as for text without a known word; it is similar to nothing.
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|v| *v == 0.0)
    }
}

/// Term weights by ascending term id.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SparseVector {
    indices: Vec<u32>,
    values: Vec<f32>,
}

impl SparseVector {
    /// Checks order and weights.
    pub fn new(indices: Vec<u32>, values: Vec<f32>) -> Result<Self, VectorError> {
        if indices.len() != values.len() {
            return Err(VectorError::Lengths {
                indices: indices.len(),
                values: values.len(),
            });
        }
        if let Some(position) = (1..indices.len()).find(|i| indices[i - 1] >= indices[*i]) {
            return Err(VectorError::Order(position));
        }
        if let Some((position, value)) = values.iter().enumerate().find(|(_, v)| !v.is_finite() || **v <= 0.0) {
            return Err(VectorError::Weight {
                position,
                value: *value,
            });
        }
        Ok(Self { indices, values })
    }

    /// Term ids, ascending.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// Weights, one per id.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Ids with their weights.
    pub fn iter(&self) -> impl Iterator<Item = (u32, f32)> + '_ {
        self.indices.iter().copied().zip(self.values.iter().copied())
    }

    /// True when it holds no term.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }
}

/// The vectors of one paper.
#[derive(Debug, Clone, PartialEq)]
pub struct PaperVectors {
    /// Which encoder made the dense one.
    pub encoder: EncoderId,
    /// By meaning.
    pub dense: DenseVector,
    /// By words.
    pub sparse: SparseVector,
    /// True when the end of the text was left out.
    pub truncated: bool,
}

/// Dot product in eight partial sums, which the compiler vectorises.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (a_blocks, b_blocks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = (a_blocks.remainder().iter().zip(b_blocks.remainder()))
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a_blocks.zip(b_blocks) {
        for at in 0..8 {
            sums[at] += x[at] * y[at];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_have_norm_one_and_may_turn_away() {
        let dense = |values: [f32; 2]| DenseVector::new(values.into()).expect("a sound vector");
        let (east, north, west) = (dense([1.0, 0.0]), dense([0.0, 1.0]), dense([-1.0, 0.0]));
        let mean = DenseVector::mean([(3.0, &east), (4.0, &north)]).expect("a mean");
        assert!((mean.as_slice()[0] - 0.6).abs() < 1e-6 && (mean.as_slice()[1] - 0.8).abs() < 1e-6);
        let away = DenseVector::mean([(1.0, &north), (-1.0, &east)]).expect("a mean");
        assert!(away.as_slice()[0] < 0.0);
        assert_eq!(DenseVector::mean([(1.0, &east), (1.0, &west)]), None);
        assert_eq!(DenseVector::mean([]), None);
        let other = DenseVector::new(vec![1.0]).expect("a sound vector");
        assert_eq!(DenseVector::mean([(1.0, &east), (1.0, &other)]), None);
    }

    #[test]
    fn unsound_dense_vectors_are_refused() {
        assert_eq!(DenseVector::new(vec![]), Err(VectorError::Empty));
        assert!(matches!(
            DenseVector::new(vec![f32::NAN, 0.0]),
            Err(VectorError::NotFinite { position: 0, .. })
        ));
        assert!(matches!(DenseVector::new(vec![3.0, 4.0]), Err(VectorError::Norm(_))));
        assert!(DenseVector::new(vec![0.6, 0.8]).is_ok());
        assert!(DenseVector::new(vec![0.0, 0.0]).expect("zeros").is_zero());
    }

    #[test]
    fn unsound_sparse_vectors_are_refused() {
        assert!(matches!(
            SparseVector::new(vec![1], vec![]),
            Err(VectorError::Lengths { .. })
        ));
        assert_eq!(
            SparseVector::new(vec![2, 2], vec![1.0, 1.0]),
            Err(VectorError::Order(1))
        );
        assert!(matches!(
            SparseVector::new(vec![1], vec![0.0]),
            Err(VectorError::Weight { .. })
        ));
    }
}
