//! The vector of an interest, from its words and its example papers.
//!
//! It computes no embeddings: callers pass vectors of one encoder.

use crate::DenseVector;

/// Weight of the negative examples relative to the positive ones. Rocchio feedback, with a weaker negative part as usual
/// (Manning, Raghavan, Schütze, *Introduction to Information Retrieval*, 9.1).
pub const UNLIKE_WEIGHT: f32 = 0.5;

/// The mean of the words' vector and the mean of the positive examples, minus [`UNLIKE_WEIGHT`] times the mean of the
/// negative ones, normalised.
///
/// Where the negative part cancels everything out, it is ignored. `None` without words and positive examples, or where the
/// dimensions differ.
pub fn interest_vector(
    words: Option<&DenseVector>,
    like: &[&DenseVector],
    unlike: &[&DenseVector],
) -> Option<DenseVector> {
    // A text without a known word has no meaning, and must not take half of the weight.
    let meaningful = words.filter(|vector| !vector.is_zero());
    let sides = if meaningful.is_some() && !like.is_empty() {
        2.0
    } else {
        1.0
    };
    let toward = (meaningful.map(|vector| (1.0 / sides, vector)).into_iter()).chain(shares(1.0 / sides, like));
    let wanted: Vec<(f32, &DenseVector)> = toward.collect();
    if wanted.is_empty() {
        return words.cloned();
    }
    let all = wanted.iter().copied().chain(shares(-UNLIKE_WEIGHT, unlike));
    DenseVector::mean(all).or_else(|| DenseVector::mean(wanted.iter().copied()))
}

#[expect(clippy::cast_precision_loss, reason = "at most 50 examples")]
fn shares<'a>(whole: f32, vectors: &[&'a DenseVector]) -> impl Iterator<Item = (f32, &'a DenseVector)> {
    let share = whole / vectors.len() as f32;
    vectors.iter().map(move |vector| (share, *vector))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dense(values: [f32; 3]) -> DenseVector {
        DenseVector::new(values.into()).expect("a sound vector")
    }

    fn near(found: Option<DenseVector>, expected: [f32; 3]) {
        let found = found.expect("a vector");
        let close = |(a, b): (&f32, f32)| (a - b).abs() < 1e-6;
        assert!(
            found.as_slice().iter().zip(expected).all(close),
            "{found:?} is not {expected:?}"
        );
    }

    #[test]
    fn words_weigh_as_much_as_all_examples_together() {
        let (x, y, z) = (dense([1.0, 0.0, 0.0]), dense([0.0, 1.0, 0.0]), dense([0.0, 0.0, 1.0]));
        near(interest_vector(Some(&x), &[], &[]), [1.0, 0.0, 0.0]);
        near(interest_vector(None, &[&y], &[]), [0.0, 1.0, 0.0]);
        // 1/2 x + 1/4 y + 1/4 z
        let norm = (0.25_f32 + 0.0625 + 0.0625).sqrt();
        let expected = [0.5 / norm, 0.25 / norm, 0.25 / norm];
        near(interest_vector(Some(&x), &[&y, &z], &[]), expected);
    }

    #[test]
    fn what_it_should_not_be_like_turns_it_away_by_half() {
        let (x, y, z) = (dense([1.0, 0.0, 0.0]), dense([0.0, 1.0, 0.0]), dense([0.0, 0.0, 1.0]));
        let norm = (1.0_f32 + 0.0625 + 0.0625).sqrt();
        let expected = [1.0 / norm, -0.25 / norm, -0.25 / norm];
        near(interest_vector(Some(&x), &[], &[&y, &z]), expected);
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        let (x, zero) = (dense([1.0, 0.0, 0.0]), dense([0.0; 3]));
        near(interest_vector(Some(&zero), &[&x], &[]), [1.0, 0.0, 0.0]);
        assert_eq!(interest_vector(Some(&zero), &[], &[&x]), Some(zero.clone()));
        assert_eq!(interest_vector(None, &[], &[&x]), None);
        let half = dense([1.0, 0.0, 0.0]);
        near(interest_vector(Some(&x), &[], &[&half]), [1.0, 0.0, 0.0]);
        let other = DenseVector::new(vec![1.0]).expect("a sound vector");
        assert_eq!(interest_vector(Some(&x), &[&other], &[]), None);
    }
}
