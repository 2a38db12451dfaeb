//! Transformations of rows with AVX2 and FMA: quantising, packing, softmax, normalisation. Every access is bounds-checked.

use std::arch::x86_64::{
    __m256, __m256i, _mm256_add_ps, _mm256_blend_epi16, _mm256_cvtps_epi32, _mm256_fmadd_ps, _mm256_max_ps,
    _mm256_mul_ps, _mm256_packs_epi32, _mm256_permute2x128_si256, _mm256_permute4x64_epi64, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_setzero_si256, _mm256_slli_epi32, _mm256_sub_ps, _mm256_unpackhi_epi32,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};

use crate::kernel::portable::{factor, step};
use crate::kernel::{LayerNorm, PROBABILITY_SUM, RowsF32, VALUE_LIMIT};

use super::registers::{
    REGISTER_WIDTH, absolute, exp2, largest_of, load, load_i16, load_pair, store, store_i16, sum_of,
};

#[target_feature(enable = "avx2,fma")]
pub(super) fn quantise_row(row: &[f32], limit: i16, out: &mut [i16]) -> f32 {
    let row = row.as_chunks::<{ 2 * REGISTER_WIDTH }>().0;
    let mut largest = [_mm256_setzero_ps(); 2];
    for values in row {
        let [low, high] = load_pair(values);
        largest[0] = _mm256_max_ps(largest[0], absolute(low));
        largest[1] = _mm256_max_ps(largest[1], absolute(high));
    }
    let largest = largest_of(_mm256_max_ps(largest[0], largest[1]));
    let factor = _mm256_set1_ps(factor(largest, limit));
    for (values, out) in row.iter().zip(out.as_chunks_mut().0) {
        store_i16(out, quantise_pair(load_pair(values), factor));
    }
    step(largest, limit)
}

/// Sixteen rounded values, in order.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn quantise_pair([low, high]: [__m256; 2], factor: __m256) -> __m256i {
    let low = _mm256_cvtps_epi32(_mm256_mul_ps(low, factor));
    let high = _mm256_cvtps_epi32(_mm256_mul_ps(high, factor));
    // The pack instruction works on halves of registers, which swaps the two middle quarters; this swaps them back.
    _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high))
}

/// Turns sixteen rows of `width` values into a panel: a transposition of pairs, eight by eight.
#[target_feature(enable = "avx2,fma")]
pub(super) fn pack_panel(rows: &[i16], width: usize, out: &mut [i16]) {
    let out = out.as_chunks_mut::<{ 2 * REGISTER_WIDTH }>().0;
    for (block, rows) in rows.chunks_exact(REGISTER_WIDTH * width).enumerate() {
        for column in (0..width).step_by(2 * REGISTER_WIDTH) {
            let mut pairs = [_mm256_setzero_si256(); REGISTER_WIDTH];
            for (pairs, row) in pairs.iter_mut().zip(rows.chunks_exact(width)) {
                if let Some(values) = row[column..].first_chunk() {
                    *pairs = load_i16(values);
                }
            }
            for (depth, pairs) in transpose(pairs).into_iter().enumerate() {
                store_i16(&mut out[(column / 2 + depth) * 2 + block], pairs);
            }
        }
    }
}

/// Transposes eight by eight values of 32 bits.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn transpose(rows: [__m256i; REGISTER_WIDTH]) -> [__m256i; REGISTER_WIDTH] {
    let mut quads = [_mm256_setzero_si256(); REGISTER_WIDTH];
    for half in 0..2 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|row| rows[half * 4 + row]);
        let (low_ab, high_ab) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
        let (low_cd, high_cd) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
        quads[half * 4] = _mm256_unpacklo_epi64(low_ab, low_cd);
        quads[half * 4 + 1] = _mm256_unpackhi_epi64(low_ab, low_cd);
        quads[half * 4 + 2] = _mm256_unpacklo_epi64(high_ab, high_cd);
        quads[half * 4 + 3] = _mm256_unpackhi_epi64(high_ab, high_cd);
    }
    let mut columns = [_mm256_setzero_si256(); REGISTER_WIDTH];
    for column in 0..4 {
        columns[column] = _mm256_permute2x128_si256::<0x20>(quads[column], quads[column + 4]);
        columns[column + 4] = _mm256_permute2x128_si256::<0x31>(quads[column], quads[column + 4]);
    }
    columns
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn pack_values_panel(rows: RowsF32<'_>, first: usize, out: &mut [i16], scales: &mut [f32]) {
    let row = |row: usize| match rows.values[row * rows.stride + first..].first_chunk() {
        Some(values) => load_pair(values),
        None => [_mm256_setzero_ps(); 2],
    };
    let mut largest = [_mm256_set1_ps(f32::MIN_POSITIVE); 2];
    for index in 0..rows.count {
        let values = row(index);
        largest[0] = _mm256_max_ps(largest[0], absolute(values[0]));
        largest[1] = _mm256_max_ps(largest[1], absolute(values[1]));
    }
    let mut factors = [_mm256_setzero_ps(); 2];
    for half in 0..2 {
        let mut values = [0.0; REGISTER_WIDTH];
        store(&mut values, largest[half]);
        let scales = &mut scales[half * REGISTER_WIDTH..][..REGISTER_WIDTH];
        for (value, scale) in values.iter_mut().zip(scales) {
            *scale = step(*value, VALUE_LIMIT);
            *value = factor(*value, VALUE_LIMIT);
        }
        factors[half] = load(&values);
    }
    for (pair, out) in out.as_chunks_mut::<{ 4 * REGISTER_WIDTH }>().0.iter_mut().enumerate() {
        let even = row(pair * 2);
        let odd = if pair * 2 + 1 < rows.count {
            row(pair * 2 + 1)
        } else {
            [_mm256_setzero_ps(); 2]
        };
        let out = out.as_chunks_mut::<{ 2 * REGISTER_WIDTH }>().0;
        for half in 0..2 {
            let even = _mm256_cvtps_epi32(_mm256_mul_ps(even[half], factors[half]));
            let odd = _mm256_cvtps_epi32(_mm256_mul_ps(odd[half], factors[half]));
            // In each 32 bits, the even row's value is in the low half and the odd row's value in the high half.
            let both = _mm256_blend_epi16::<0b1010_1010>(even, _mm256_slli_epi32::<16>(odd));
            store_i16(&mut out[half], both);
        }
    }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn softmax_i16(scores: &mut [f32], keys: usize, out: &mut [i16]) -> f32 {
    let sum = exponentials(scores, keys);
    let factor = f32::from(i16::MAX).min(PROBABILITY_SUM / sum);
    let factors = _mm256_set1_ps(factor);
    for (values, out) in scores.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        store_i16(out, quantise_pair(load_pair(values), factors));
    }
    1.0 / (sum * factor)
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn softmax_f32(scores: &mut [f32], keys: usize) {
    let factor = _mm256_set1_ps(1.0 / exponentials(scores, keys));
    for values in scores.as_chunks_mut().0 {
        store(values, _mm256_mul_ps(load(values), factor));
    }
}

/// Replaces scores by their exponentials relative to the largest, those past `keys` by zeros; returns the sum.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn exponentials(scores: &mut [f32], keys: usize) -> f32 {
    scores[keys..].fill(f32::MIN);
    let scores = scores.as_chunks_mut::<{ 2 * REGISTER_WIDTH }>().0;
    let mut largest = [_mm256_set1_ps(f32::MIN); 2];
    for values in &*scores {
        let values = load_pair(values);
        largest[0] = _mm256_max_ps(largest[0], values[0]);
        largest[1] = _mm256_max_ps(largest[1], values[1]);
    }
    let log2_e = _mm256_set1_ps(std::f32::consts::LOG2_E);
    let largest = _mm256_set1_ps(largest_of(_mm256_max_ps(largest[0], largest[1])));
    let mut sums = [_mm256_setzero_ps(); 2];
    for values in scores {
        let values = values.as_chunks_mut::<REGISTER_WIDTH>().0;
        for (values, sum) in values.iter_mut().zip(&mut sums) {
            let value = exp2(_mm256_mul_ps(_mm256_sub_ps(load(values), largest), log2_e));
            *sum = _mm256_add_ps(*sum, value);
            store(values, value);
        }
    }
    sum_of(_mm256_add_ps(sums[0], sums[1]))
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn add_norm(row: &mut [f32], residual: &[f32], norm: &LayerNorm) {
    let count = row.len() as f32;
    let row = row.as_chunks_mut::<REGISTER_WIDTH>().0;
    let mut sum = _mm256_setzero_ps();
    for (values, others) in row.iter_mut().zip(residual.as_chunks().0) {
        let value = _mm256_add_ps(load(values), load(others));
        sum = _mm256_add_ps(sum, value);
        store(values, value);
    }
    let mean = _mm256_set1_ps(sum_of(sum) / count);
    let mut squares = _mm256_setzero_ps();
    for values in &*row {
        let value = _mm256_sub_ps(load(values), mean);
        squares = _mm256_fmadd_ps(value, value, squares);
    }
    let factor = _mm256_set1_ps(1.0 / (sum_of(squares) / count + norm.epsilon).sqrt());
    let (gains, shifts) = (norm.gain.as_chunks().0, norm.shift.as_chunks().0);
    for ((values, gain), shift) in row.iter_mut().zip(gains).zip(shifts) {
        let value = _mm256_mul_ps(_mm256_sub_ps(load(values), mean), factor);
        store(values, _mm256_fmadd_ps(value, load(gain), load(shift)));
    }
}
