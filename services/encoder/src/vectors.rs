//! Arithmetic on finished vectors that every architecture needs.

/// Scales a vector to length one; zeros stay zeros.
pub(crate) fn normalise(values: &mut [f32]) {
    let norm = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    if norm == 0.0 {
        return;
    }
    for value in values {
        *value /= norm;
    }
}
