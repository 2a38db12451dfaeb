//! The dense vectors of a segment, twice: as they came, and as codes of one byte per value with a bound on the error.
//!
//! The codes serve a first scan of a quarter of the memory; the bound makes the result exact all the same. With
//! v = s·c + e for a vector of length one (codes c, scale s, error e), and likewise q = t·a + f for the query,
//!
//! ```text
//! |q·v - s·t·(a·c)| = |q·e + f·(v - e)| <= |e| + |f|·(1 + |e|)
//! ```
//!
//! by the inequality of Cauchy and Schwarz. It selects nothing: `super::dense` does.

use super::bits::Bits;
use super::kernel::{QueryCodes, STEP};

/// More than what rounding in single precision adds to a score near one.
const ROUNDING: f32 = 2e-6;

/// The vectors of a segment, by slot.
#[derive(Debug)]
pub struct SegmentVectors {
    dimension: usize,
    values: Vec<f32>,
    inverse_norms: Vec<f64>,
    /// Bytes of a row of codes.
    pub stride: usize,
    /// Codes of all rows.
    pub codes: Vec<i8>,
    /// Sum of the codes of a row.
    pub sums: Vec<i32>,
    /// What a code stands for, the vector being of length one.
    pub scales: Vec<f32>,
    /// Length of what the codes leave out.
    pub errors: Vec<f32>,
    /// Whose vector is not zero.
    pub has_meaning: Bits,
}

/// The vector of a query, to compare with those of segments.
#[derive(Debug, Clone)]
pub struct QueryVector {
    values: Vec<f32>,
    inverse_norm: f64,
    /// Its codes.
    pub codes: QueryCodes,
    /// What a code stands for.
    pub scale: f32,
    /// Length of what the codes leave out.
    pub error: f32,
}

/// A vector in codes.
struct QuantizedVector {
    scale: f32,
    error: f32,
    sum: i32,
    inverse_norm: f64,
}

impl SegmentVectors {
    /// From the values of all vectors, one behind the other.
    pub fn new(dimension: usize, values: Vec<f32>) -> Self {
        let rows = values.len() / dimension.max(1);
        let stride = dimension.next_multiple_of(STEP);
        let mut it = Self {
            dimension,
            inverse_norms: Vec::with_capacity(rows),
            stride,
            codes: vec![0; rows * stride],
            sums: Vec::with_capacity(rows),
            scales: Vec::with_capacity(rows),
            errors: Vec::with_capacity(rows),
            has_meaning: Bits::none(rows),
            values,
        };
        for (row, codes) in it.values.chunks_exact(dimension).zip(it.codes.chunks_exact_mut(stride)) {
            let found = encode(row, codes);
            if found.inverse_norm > 0.0 {
                it.has_meaning.insert(it.sums.len());
            }
            it.sums.push(found.sum);
            it.scales.push(found.scale);
            it.errors.push(found.error);
            it.inverse_norms.push(found.inverse_norm);
        }
        it
    }

    /// Values in a vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// A vector as it came.
    pub fn get(&self, slot: usize) -> &[f32] {
        &self.values[slot * self.dimension..][..self.dimension]
    }

    /// The cosine of a vector and the query, in double precision and always summed in the same order.
    pub fn cosine(&self, slot: usize, query: &QueryVector) -> f64 {
        dot(self.get(slot), &query.values) * self.inverse_norms[slot] * query.inverse_norm
    }
}

impl QueryVector {
    /// `None` for a vector of zeros, which is similar to nothing.
    pub fn new(values: &[f32]) -> Option<Self> {
        let mut codes = vec![0; values.len()];
        let found = encode(values, &mut codes);
        (found.inverse_norm > 0.0).then(|| Self {
            values: values.to_vec(),
            inverse_norm: found.inverse_norm,
            codes: QueryCodes::new(codes),
            scale: found.scale,
            error: found.error,
        })
    }

    /// The most by which the codes of a row with an error may be wrong about the cosine.
    pub fn bound(&self, error: f32) -> f32 {
        error + self.error * (1.0 + error) + ROUNDING
    }
}

/// Writes the codes of a vector, and returns what they stand for.
#[expect(
    clippy::cast_possible_truncation,
    reason = "codes lie between -127 and 127, and rounding is bounded"
)]
fn encode(values: &[f32], codes: &mut [i8]) -> QuantizedVector {
    let norm = dot(values, values).sqrt();
    let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    if norm == 0.0 || !norm.is_finite() {
        return QuantizedVector {
            scale: 0.0,
            error: 0.0,
            sum: 0,
            inverse_norm: 0.0,
        };
    }
    let unit = largest / 127.0;
    let per_unit = unit.recip();
    let mut sum = 0;
    for (value, code) in values.iter().zip(codes.iter_mut()) {
        // Adding and subtracting 1.5 * 2^23 rounds to whole numbers.
        let rounded = (value * per_unit + 12_582_912.0) - 12_582_912.0;
        *code = rounded.clamp(-127.0, 127.0) as i8;
        sum += i32::from(*code);
    }
    let mut squares = [0.0_f64; 8];
    for (at, (value, code)) in values.iter().zip(codes.iter()).enumerate() {
        let left = f64::from(*value) - f64::from(unit) * f64::from(*code);
        squares[at % 8] += left * left;
    }
    let error = squares.iter().sum::<f64>().sqrt();
    QuantizedVector {
        scale: (f64::from(unit) / norm) as f32,
        error: (error / norm) as f32,
        sum,
        inverse_norm: norm.recip(),
    }
}

/// In eight sums, which the compiler turns into vector instructions without changing the result.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| f64::from(*a) * f64::from(*b));
    sums.iter().sum::<f64>() + rest.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::kernel::DotKernel;
    use super::*;

    proptest! {
        #[test]
        fn codes_are_never_further_off_than_the_bound(
            values in prop::collection::vec(prop::collection::vec(-1.0_f32..1.0, 70), 2..9),
            spikes in prop::collection::vec(0_usize..70, 2),
        ) {
            let mut values = values;
            // One large value makes the codes of all others coarse.
            values[0][spikes[0]] = 40.0;
            let query = QueryVector::new(&values[0]).expect("not zero");
            let mut other = values[1].clone();
            other[spikes[1]] = -25.0;
            let rows = SegmentVectors::new(70, values.concat());
            for query in [query, QueryVector::new(&other).expect("not zero")] {
                let mut dots = vec![0; rows.sums.len()];
                DotKernel::choose().dots(&query.codes, &rows.codes, &rows.sums, &mut dots);
                for (slot, dot) in dots.into_iter().enumerate() {
                    let near = dot as f32 * (rows.scales[slot] * query.scale);
                    let off = f64::from(near) - rows.cosine(slot, &query);
                    prop_assert!(off.abs() <= f64::from(query.bound(rows.errors[slot])), "{off} at {slot}");
                }
            }
        }
    }

    #[test]
    fn zeros_mean_nothing() {
        assert!(QueryVector::new(&[0.0; 3]).is_none());
        let vectors = SegmentVectors::new(2, vec![0.0, 0.0, 0.6, 0.8]);
        assert_eq!(vectors.has_meaning.slots().collect::<Vec<_>>(), [1]);
        assert_eq!(vectors.get(1), [0.6, 0.8]);
    }
}
