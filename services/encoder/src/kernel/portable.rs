//! The arithmetic in plain Rust, for every CPU, and the reference that the other kernels are tested against.
//!
//! Its loops are written so that compilers vectorise them. It is never chosen where a faster kernel runs.

use super::{
    EncoderKernel, Epilogue, LayerNorm, OutputRows, PANEL, PROBABILITY_SUM, PanelsF32, PanelsI16, RowsF32, RowsI16,
    VALUE_LIMIT, check_f32, check_i16,
};

/// The kernel for every CPU.
pub(super) struct Portable;

/// Adding and then subtracting it rounds a value below 2^22 to the nearest integer, ties to even, in the default rounding
/// mode of every CPU. `f32::round_ties_even` is a function call where the target's baseline lacks the instruction.
const ROUNDER: f32 = 12_582_912.0;

impl EncoderKernel for Portable {
    fn name(&self) -> &'static str {
        "portable"
    }

    fn multiply_i16(&self, rows: RowsI16<'_>, panels: PanelsI16<'_>, epilogue: Epilogue<'_>, target: OutputRows<'_>) {
        check_i16(&rows, &panels, &epilogue, &target);
        let depth = panels.depth;
        for panel in 0..panels.scales.len() / PANEL {
            let columns = panel * PANEL..(panel + 1) * PANEL;
            let weights = &panels.values[panel * depth * PANEL..][..depth * PANEL];
            let scales = &panels.scales[columns.clone()];
            for (row, row_scale) in rows.scales.iter().enumerate() {
                let sums = product_i16(&rows.values[row * rows.stride..][..depth], weights);
                let out = &mut target.values[row * target.stride..][columns.clone()];
                for ((out, sum), scale) in out.iter_mut().zip(sums).zip(scales) {
                    *out = sum as f32 * row_scale * scale;
                }
                finish(out, &epilogue, columns.start);
            }
        }
    }

    fn multiply_f32(&self, rows: RowsF32<'_>, panels: PanelsF32<'_>, epilogue: Epilogue<'_>, target: OutputRows<'_>) {
        check_f32(&rows, &panels, &epilogue, &target);
        let depth = panels.depth;
        for panel in 0..panels.columns / PANEL {
            let weights = &panels.values[panel * depth * PANEL..][..depth * PANEL];
            for row in 0..rows.count {
                let sums = product_f32(&rows.values[row * rows.stride..][..depth], weights);
                let out = &mut target.values[row * target.stride + panel * PANEL..][..PANEL];
                out.copy_from_slice(&sums);
                finish(out, &epilogue, panel * PANEL);
            }
        }
    }

    fn quantise(&self, rows: RowsF32<'_>, width: usize, limit: i16, out: &mut [i16], scales: &mut [f32]) {
        for (row, scale) in scales[..rows.count].iter_mut().enumerate() {
            let values = &rows.values[row * rows.stride..][..width];
            let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            let factor = factor(largest, limit);
            *scale = step(largest, limit);
            for (out, value) in out[row * width..][..width].iter_mut().zip(values) {
                *out = round_i16(value * factor);
            }
        }
    }

    fn pack_keys(&self, rows: &[i16], width: usize, out: &mut [i16]) {
        let panel_length = width * PANEL;
        for (panel, rows) in out.chunks_exact_mut(panel_length).zip(rows.chunks(panel_length)) {
            panel.fill(0);
            for (column, row) in rows.chunks_exact(width).enumerate() {
                for (pair, values) in row.as_chunks::<2>().0.iter().enumerate() {
                    panel[(pair * PANEL + column) * 2..][..2].copy_from_slice(values);
                }
            }
        }
    }

    fn pack_values(&self, rows: RowsF32<'_>, width: usize, out: &mut [i16], scales: &mut [f32]) {
        let pairs = rows.count.div_ceil(2);
        for (column, scale) in scales[..width].iter_mut().enumerate() {
            let value = |row: usize| rows.values[row * rows.stride + column];
            let largest = (0..rows.count).fold(0.0_f32, |largest, row| largest.max(value(row).abs()));
            let factor = factor(largest, VALUE_LIMIT);
            *scale = step(largest, VALUE_LIMIT);
            let panel = &mut out[(column / PANEL) * pairs * PANEL * 2..][..pairs * PANEL * 2];
            for row in 0..pairs * 2 {
                let index = ((row / 2) * PANEL + column % PANEL) * 2 + row % 2;
                panel[index] = if row < rows.count {
                    round_i16(value(row) * factor)
                } else {
                    0
                };
            }
        }
    }

    fn softmax_i16(&self, scores: &mut [f32], keys: usize, out: &mut [i16]) -> f32 {
        let sum = exponentials(&mut scores[..keys]);
        let factor = f32::from(i16::MAX).min(PROBABILITY_SUM / sum);
        for (out, value) in out[..keys].iter_mut().zip(&scores[..keys]) {
            *out = round_i16(value * factor);
        }
        out[keys..].fill(0);
        1.0 / (sum * factor)
    }

    fn softmax_f32(&self, scores: &mut [f32], keys: usize) {
        let factor = 1.0 / exponentials(&mut scores[..keys]);
        for value in &mut scores[..keys] {
            *value *= factor;
        }
        scores[keys..].fill(0.0);
    }

    fn add_norm(&self, row: &mut [f32], residual: &[f32], norm: &LayerNorm) {
        let count = row.len() as f32;
        let mut sum = 0.0;
        for (value, other) in row.iter_mut().zip(residual) {
            *value += other;
            sum += *value;
        }
        let mean = sum / count;
        let mut squares = 0.0;
        for value in row.iter_mut() {
            *value -= mean;
            squares += *value * *value;
        }
        let factor = 1.0 / (squares / count + norm.epsilon).sqrt();
        for ((value, gain), shift) in row.iter_mut().zip(&norm.gain).zip(&norm.shift) {
            *value = *value * factor * gain + shift;
        }
    }
}

/// The factor that turns a value into an integer of at most `limit`.
pub(super) fn factor(largest: f32, limit: i16) -> f32 {
    f32::from(limit) / largest.max(SMALLEST)
}

/// The factor that turns the integer back into the value.
pub(super) fn step(largest: f32, limit: i16) -> f32 {
    largest.max(SMALLEST) / f32::from(limit)
}

/// A row whose values are all smaller is treated as zeros.
const SMALLEST: f32 = 1e-12;

fn product_i16(row: &[i16], weights: &[i16]) -> [i32; PANEL] {
    let mut sums = [0_i32; PANEL];
    let pairs = weights.as_chunks::<{ 2 * PANEL }>().0;
    for (pair, weights) in row.as_chunks::<2>().0.iter().zip(pairs) {
        for (sum, weight) in sums.iter_mut().zip(weights.as_chunks::<2>().0) {
            let products = i32::from(pair[0]) * i32::from(weight[0]) + i32::from(pair[1]) * i32::from(weight[1]);
            // This wraps only when an activation was not finite; the check of the final vector then fails.
            *sum = sum.wrapping_add(products);
        }
    }
    sums
}

fn product_f32(row: &[f32], weights: &[f32]) -> [f32; PANEL] {
    let mut sums = [0.0_f32; PANEL];
    for (value, weights) in row.iter().zip(weights.as_chunks::<PANEL>().0) {
        for (sum, weight) in sums.iter_mut().zip(weights) {
            *sum += value * weight;
        }
    }
    sums
}

fn finish(out: &mut [f32], epilogue: &Epilogue<'_>, first: usize) {
    if let Epilogue::Bias(bias) | Epilogue::BiasGelu(bias) = epilogue {
        for (out, bias) in out.iter_mut().zip(&bias[first..]) {
            *out += bias;
        }
    }
    if let Epilogue::BiasGelu(_) = epilogue {
        for out in out {
            *out = gelu(*out);
        }
    }
}

/// Replaces scores by their exponentials relative to the largest, and returns their sum.
fn exponentials(scores: &mut [f32]) -> f32 {
    let largest = scores.iter().copied().fold(f32::MIN, f32::max);
    let mut sum = 0.0;
    for score in scores {
        *score = exp2((*score - largest) * std::f32::consts::LOG2_E);
        sum += *score;
    }
    sum
}

/// The nearest integer, ties to even, of a value that was scaled into range.
#[expect(
    clippy::cast_possible_truncation,
    reason = "values are within ±32767 by their scale, and the cast saturates"
)]
pub(crate) fn round_i16(value: f32) -> i16 {
    ((value + ROUNDER) - ROUNDER) as i16
}

/// Coefficients of 2^x on ±0.5, highest power first: a minimax fit with a relative error of 1e-7.
pub(super) const EXP2: [f32; 6] = [
    1.327_647e-3,
    9.675_541e-3,
    5.550_713_5e-2,
    2.402_212e-1,
    6.931_469_4e-1,
    1.000_000_1,
];
/// Below it, 2^x is computed as 2^-126.
pub(super) const EXP2_FLOOR: f32 = -126.0;

/// 2^x for x up to 0 and a little above.
fn exp2(x: f32) -> f32 {
    let x = x.max(EXP2_FLOOR);
    let whole = (x + ROUNDER) - ROUNDER;
    let rest = x - whole;
    let mut value = EXP2[0];
    for coefficient in &EXP2[1..] {
        value = value * rest + coefficient;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole is an integer from -126 to 1"
    )]
    let power = f32::from_bits((((whole as i32) + 127) << 23) as u32);
    value * power
}

/// Coefficients of the error function by Abramowitz and Stegun, 7.1.26, highest power first; error at most 1.5e-7.
pub(super) const ERF: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_8, -0.284_496_72, 0.254_829_6];
pub(super) const ERF_P: f32 = 0.327_591_1;

/// `x / 2 * (1 + erf(x / sqrt(2)))`, written as `max(x, 0) - |x| / 2 * (1 - erf(|x| / sqrt(2)))`.
fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + ERF_P * z);
    let mut polynomial = ERF[0];
    for coefficient in &ERF[1..] {
        polynomial = polynomial * t + coefficient;
    }
    let tail = 0.5 * polynomial * t * exp2(-z * z * std::f32::consts::LOG2_E);
    x.max(0.0) - x.abs() * tail
}
