//! Every kernel compared with the portable one, and the portable one with naive sums, over odd and even sizes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const UNTOUCHED: f32 = 123.5;

/// The kernels that this CPU runs.
fn kernels() -> Vec<&'static dyn EncoderKernel> {
    [Instructions::Portable, Instructions::Avx2, Instructions::Auto]
        .map(choose)
        .to_vec()
}

fn close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let largest = expected
        .iter()
        .fold(1e-3_f32, |largest, value| largest.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= tolerance * largest,
            "{found} instead of {expected} at {index}"
        );
    }
}

/// Rows, padding between rows, depth (or pairs of it) and panels of a product.
fn shape() -> impl Strategy<Value = (usize, usize, usize, usize)> {
    (0_usize..30, 0_usize..5, 1_usize..40, 1_usize..4)
}

/// Pseudo-random numbers from a seed.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the values are below the limit")]
fn integers(seed: u64, count: usize, limit: i16) -> Vec<i16> {
    noise(seed, count)
        .into_iter()
        .map(|value| (value * f32::from(limit)) as i16)
        .collect()
}

proptest! {
    #[test]
    fn integer_products_are_exact((rows, padding, pairs, panels) in shape(), seed: u64) {
        let (depth, columns) = (2 * pairs, panels * PANEL);
        let stride = depth + padding;
        let values = integers(seed, rows * stride, ACTIVATION_LIMIT);
        let weights = integers(seed ^ 1, depth * columns, 2047);
        let (row_scales, scales) = (noise(seed ^ 2, rows), noise(seed ^ 3, columns));
        let mut expected = vec![UNTOUCHED; rows * (columns + padding)];
        for row in 0..rows {
            for column in 0..columns {
                let weight = |k: usize| weights[(column / PANEL * depth + k / 2 * 2) * PANEL + column % PANEL * 2 + k % 2];
                let sum: i32 = (0..depth).map(|k| i32::from(values[row * stride + k]) * i32::from(weight(k))).sum();
                expected[row * (columns + padding) + column] = sum as f32 * row_scales[row] * scales[column];
            }
        }
        for kernel in kernels() {
            let mut out = vec![UNTOUCHED; expected.len()];
            let target = OutputRows { values: &mut out, stride: columns + padding };
            let rows = RowsI16 { values: &values, stride, scales: &row_scales };
            let panels = PanelsI16 { values: &weights, scales: &scales, depth };
            kernel.multiply_i16(rows, panels, Epilogue::Nothing, target);
            prop_assert_eq!(&out, &expected, "{}", kernel.name());
        }
    }

    #[test]
    fn products_in_f32_agree((rows, padding, depth, panels) in shape(), seed: u64) {
        let columns = panels * PANEL;
        let stride = depth + padding;
        let values = noise(seed, rows * stride);
        let weights = noise(seed ^ 1, depth * columns);
        let bias = noise(seed ^ 2, columns);
        let mut expected = vec![UNTOUCHED; rows * (columns + padding)];
        for row in 0..rows {
            for column in 0..columns {
                let weight = |k: usize| weights[(column / PANEL * depth + k) * PANEL + column % PANEL];
                let sum: f32 = (0..depth).map(|k| values[row * stride + k] * weight(k)).sum();
                expected[row * (columns + padding) + column] = sum + bias[column];
            }
        }
        for kernel in kernels() {
            let mut out = vec![UNTOUCHED; expected.len()];
            let target = OutputRows { values: &mut out, stride: columns + padding };
            let rows = RowsF32 { values: &values, stride, count: rows };
            let panels = PanelsF32 { values: &weights, columns, depth };
            kernel.multiply_f32(rows, panels, Epilogue::Bias(&bias), target);
            close(&out, &expected, 2e-6);
        }
    }

    #[test]
    fn quantising_is_the_same_everywhere(rows in 0_usize..6, width in 1_usize..70, padding in 0_usize..3, seed: u64) {
        let stride = width + padding;
        let values = noise(seed, rows * stride);
        let rows = RowsF32 { values: &values, stride, count: rows };
        let mut results = kernels().into_iter().map(|kernel| {
            let (mut out, mut scales) = (vec![0; rows.count * width], vec![0.0; rows.count]);
            kernel.quantise(rows, width, ACTIVATION_LIMIT, &mut out, &mut scales);
            (out, scales)
        });
        let first = results.next().expect("a kernel");
        for (row, scale) in first.1.iter().enumerate() {
            for column in 0..width {
                let back = f32::from(first.0[row * width + column]) * scale;
                prop_assert!((back - values[row * stride + column]).abs() <= 0.51 * scale);
            }
        }
        prop_assert!(results.all(|other| other == first));
    }

    #[test]
    fn packing_is_the_same_everywhere(count in 1_usize..40, panels in 1_usize..4, seed: u64) {
        let width = panels * PANEL;
        let padded = count.next_multiple_of(PANEL);
        let keys = integers(seed, count * width, i16::MAX);
        let values = noise(seed, count * width);
        let rows = RowsF32 { values: &values, stride: width, count };
        let mut results = kernels().into_iter().map(|kernel| {
            let mut key_panels = vec![77; padded * width];
            kernel.pack_keys(&keys, width, &mut key_panels);
            let mut value_panels = vec![77; count.next_multiple_of(2) * width];
            let mut scales = vec![0.0; width];
            kernel.pack_values(rows, width, &mut value_panels, &mut scales);
            (key_panels, value_panels, scales)
        });
        let first = results.next().expect("a kernel");
        for (row, key) in keys.chunks(width).enumerate() {
            for (column, value) in key.iter().enumerate() {
                let index = ((row / PANEL * width / 2 + column / 2) * PANEL + row % PANEL) * 2 + column % 2;
                prop_assert_eq!(first.0[index], *value);
            }
        }
        prop_assert!(results.all(|other| other == first));
    }

    #[test]
    fn softmax_adds_up_to_one(keys in 1_usize..50, seed: u64, spread in 0.1_f32..40.0) {
        let scores: Vec<f32> = noise(seed, keys).into_iter().map(|value| value * spread).collect();
        let largest = scores.iter().copied().fold(f32::MIN, f32::max);
        let powers: Vec<f32> = scores.iter().map(|score| (score - largest).exp()).collect();
        let sum: f32 = powers.iter().sum();
        let expected: Vec<f32> = powers.iter().map(|power| power / sum).collect();
        for kernel in kernels() {
            for room in [keys, keys.next_multiple_of(PANEL), keys + 40] {
                let mut row = scores.clone();
                row.resize(room, UNTOUCHED);
                kernel.softmax_f32(&mut row, keys);
                close(&row[..keys], &expected, 2e-6);
                prop_assert!(row[keys..].iter().all(|value| *value == 0.0));

                let mut row = scores.clone();
                row.resize(room, UNTOUCHED);
                let mut out = vec![77; room];
                let scale = kernel.softmax_i16(&mut row, keys, &mut out);
                let back: Vec<f32> = out.iter().map(|value| f32::from(*value) * scale).collect();
                close(&back[..keys], &expected, 1e-3);
                prop_assert!(out[keys..].iter().all(|value| *value == 0));
                let total: i64 = out.iter().map(|value| i64::from(*value)).sum();
                prop_assert!(total * i64::from(VALUE_LIMIT) <= i64::from(i32::MAX));
            }
        }
    }

    #[test]
    fn norms_and_activations_agree(width in 1_usize..70, seed: u64, spread in 0.1_f32..12.0) {
        let values: Vec<f32> = noise(seed, width).into_iter().map(|value| value * spread).collect();
        let residual = noise(seed ^ 1, width);
        let norm = LayerNorm { gain: noise(seed ^ 2, width), shift: noise(seed ^ 3, width), epsilon: 1e-5 };
        let sums: Vec<f64> = values.iter().zip(&residual).map(|(a, b)| f64::from(a + b)).collect();
        let mean = sums.iter().sum::<f64>() / width as f64;
        let variance = sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>() / width as f64;
        let deviation = (variance + f64::from(norm.epsilon)).sqrt();
        let expected: Vec<f32> = sums.iter().enumerate().map(|(index, sum)| {
            #[expect(clippy::cast_possible_truncation, reason = "what is compared is f32")]
            let value = ((sum - mean) / deviation) as f32;
            value * norm.gain[index] + norm.shift[index]
        }).collect();
        for kernel in kernels() {
            let mut row = values.clone();
            kernel.add_norm(&mut row, &residual, &norm);
            close(&row, &expected, 1e-4);
        }
    }

    #[test]
    fn gelu_is_that_of_the_error_function(values in vec(-9.0_f32..9.0, PANEL)) {
        let expected: Vec<f32> = values.iter().map(|x| {
            #[expect(clippy::cast_possible_truncation, reason = "what is compared is f32")]
            let value = (0.5 * f64::from(*x) * (1.0 + erf(f64::from(*x) * std::f64::consts::FRAC_1_SQRT_2))) as f32;
            value
        }).collect();
        for kernel in kernels() {
            let mut out = vec![0.0; PANEL];
            let target = OutputRows { values: &mut out, stride: PANEL };
            let nothing = RowsF32 { values: &[0.0], stride: 1, count: 1 };
            let zeros = PanelsF32 { values: &[0.0; PANEL], columns: PANEL, depth: 1 };
            kernel.multiply_f32(nothing, zeros, Epilogue::BiasGelu(&values), target);
            for (found, expected) in out.iter().zip(&expected) {
                prop_assert!((found - expected).abs() < 2e-6, "{} instead of {}", found, expected);
            }
        }
    }
}

/// The error function by its Maclaurin series, in f64: exact enough up to 6.4.
fn erf(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        let n = f64::from(n);
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

#[test]
fn the_largest_sums_fit_into_32_bits() {
    assert!(MAX_COLUMN_SUM * i64::from(ACTIVATION_LIMIT) <= i64::from(i32::MAX));
    let probabilities = f64::from(PROBABILITY_SUM) + MAX_KEYS as f64 / 2.0;
    assert!(probabilities * f64::from(VALUE_LIMIT) <= f64::from(i32::MAX));
}

#[test]
#[should_panic(expected = "assertion failed")]
fn a_short_slice_is_refused_before_anything_is_read() {
    let target = OutputRows {
        values: &mut [0.0; PANEL],
        stride: PANEL,
    };
    let rows = RowsI16 {
        values: &[0; 4],
        stride: 4,
        scales: &[1.0],
    };
    let panels = PanelsI16 {
        values: &[0; 4 * PANEL - 1],
        scales: &[1.0; PANEL],
        depth: 4,
    };
    choose(Instructions::Auto).multiply_i16(rows, panels, Epilogue::Nothing, target);
}
