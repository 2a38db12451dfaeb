//! Dense vectors rounded to eight bits: a quarter of the memory, for the vectors that are kept by the million.

use std::fmt;

use super::{DenseVector, VectorError};

/// The largest code; −128 is not used, so that negation loses nothing.
const MOST: i8 = 127;
/// No scale is larger: no value of a vector of norm 1 (within 0.01) exceeds 1.01, a 127th of which is below it.
const MOST_SCALE: f32 = 0.01;
/// Bytes of the scale before the codes.
const SCALE_BYTES: usize = 4;

/// A vector as `scale · values`, each value within half a scale of what it was.
#[derive(Clone, PartialEq)]
pub struct Int8Vector {
    scale: f32,
    values: Box<[i8]>,
}

impl Int8Vector {
    /// Rounds a vector: symmetric, `scale = max |v| / 127`. Of zeros it makes zeros with scale 0.
    pub fn quantise(vector: &DenseVector) -> Self {
        let largest = vector.as_slice().iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        let scale = largest / f32::from(MOST);
        let per_unit = if largest > 0.0 { f32::from(MOST) / largest } else { 0.0 };
        Self {
            scale,
            values: vector.as_slice().iter().map(|v| code(v * per_unit)).collect(),
        }
    }

    /// Reads what [`Self::to_bytes`] wrote. Refuses what is too short to hold a value, a scale that no vector of
    /// norm 1 has, and codes that are never written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VectorError> {
        let split = bytes.split_first_chunk::<SCALE_BYTES>();
        let Some((scale, codes)) = split.filter(|(_, codes)| !codes.is_empty()) else {
            return Err(VectorError::Bytes(bytes.len()));
        };
        let scale = f32::from_le_bytes(*scale);
        if !(0.0..=MOST_SCALE).contains(&scale) {
            return Err(VectorError::Scale(scale));
        }
        let values: Box<[i8]> = codes.iter().map(|byte| byte.cast_signed()).collect();
        match values.iter().position(|value| *value < -MOST) {
            Some(position) => Err(VectorError::Code(position)),
            None => Ok(Self { scale, values }),
        }
    }

    /// The scale as f32 in little-endian order, then one byte per value.
    pub fn to_bytes(&self) -> Vec<u8> {
        let codes = self.values.iter().map(|value| value.cast_unsigned());
        self.scale.to_le_bytes().into_iter().chain(codes).collect()
    }

    /// Whether it means nothing: it is that of a text that the encoder cannot read.
    pub fn is_zero(&self) -> bool {
        self.scale == 0.0 || self.values.iter().all(|value| *value == 0)
    }

    /// What one step of a value stands for.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// The values, from −127 to 127, in units of the scale.
    pub fn values(&self) -> &[i8] {
        &self.values
    }

    /// Number of values.
    pub fn dimension(&self) -> usize {
        self.values.len()
    }

    /// The values in full. Their norm is that of the vector that was rounded only within the rounding.
    pub fn dequantise(&self) -> Vec<f32> {
        self.values.iter().map(|value| self.scale * f32::from(*value)).collect()
    }
}

impl fmt::Debug for Int8Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Int8Vector({} values, scale {})", self.values.len(), self.scale)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounded, and held within a byte")]
fn code(value: f32) -> i8 {
    value.round().clamp(f32::from(-MOST), f32::from(MOST)) as i8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(scale: f32, codes: &[u8]) -> Vec<u8> {
        scale.to_le_bytes().iter().chain(codes).copied().collect()
    }

    #[test]
    fn zeros_stay_zeros() {
        let zero = Int8Vector::quantise(&DenseVector::new(vec![0.0; 3]).expect("zeros"));
        assert_eq!(zero.to_bytes(), [0; 7]);
        assert_eq!(Int8Vector::from_bytes(&[0; 7]), Ok(zero.clone()));
        assert_eq!(zero.dequantise(), [0.0; 3]);
    }

    #[test]
    fn the_bytes_are_the_scale_and_one_each() {
        let vector = Int8Vector::quantise(&DenseVector::new(vec![0.6, -0.8]).expect("a vector"));
        assert_eq!(vector.values(), [95, -127]);
        assert_eq!(vector.to_bytes(), bytes(0.8 / 127.0, &[95, 129]));
    }

    #[test]
    fn bytes_that_hold_no_vector_are_refused() {
        for length in 0..=SCALE_BYTES {
            let refused = Int8Vector::from_bytes(&vec![0; length]);
            assert_eq!(refused, Err(VectorError::Bytes(length)));
        }
        assert!(matches!(
            Int8Vector::from_bytes(&bytes(f32::NAN, &[1])),
            Err(VectorError::Scale(_))
        ));
        for scale in [-1.0, 0.02, f32::INFINITY] {
            let refused = Int8Vector::from_bytes(&bytes(scale, &[1]));
            assert_eq!(refused, Err(VectorError::Scale(scale)));
        }
        let refused = Int8Vector::from_bytes(&bytes(0.01, &[1, 128]));
        assert_eq!(refused, Err(VectorError::Code(1)));
    }

    proptest! {
        #[test]
        fn nothing_moves_by_more_than_half_a_step_and_bytes_come_back(
            values in prop::collection::vec(-1.0_f32..1.0, 1..400),
        ) {
            let norm = values.iter().map(|v| v * v).sum::<f32>().sqrt();
            prop_assume!(norm > 1e-3);
            let vector = DenseVector::new(values.iter().map(|v| v / norm).collect()).expect("a vector");
            let rounded = Int8Vector::quantise(&vector);
            let half = rounded.scale() * 0.5 * 1.0001;
            for (was, is) in vector.as_slice().iter().zip(rounded.dequantise()) {
                prop_assert!((was - is).abs() <= half, "{was} {is} {half}");
            }
            let written = rounded.to_bytes();
            prop_assert_eq!(written.len(), vector.dimension() + 4);
            prop_assert_eq!(Int8Vector::from_bytes(&written), Ok(rounded));
        }
    }
}
