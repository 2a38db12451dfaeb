//! The tile with AVX2 and FMA, and with AVX-512: the only unsafe code of this crate.
//!
//! What makes it sound: a [`TileKernel`] with these functions comes from [`detect`] alone, which has asked the processor for the
//! instructions; and everything is loaded and stored through references to arrays of the right length, so that the language
//! checks the bounds. No alignment is assumed.

#![expect(
    unsafe_code,
    reason = "processor instructions; the rules are stated above and at each use"
)]

use std::arch::x86_64::{
    __m256, __m512, _CMP_GT_OQ, _mm256_cmp_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_movemask_ps, _mm256_mul_ps,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps, _mm512_cmp_ps_mask, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};
use std::hint::black_box;

use super::{COLUMNS, ROWS, Tile, TileKernel};

/// Interests that AVX2 takes at once: with two registers of papers each they leave four of sixteen for operands.
const ROWS_AVX2: usize = 6;
/// Sums that are added to in turn when the peak is measured; an addition is done before its sum is needed again.
const CHAINS: usize = 12;

/// The kernels for which this processor has the instructions, the fastest last.
pub(super) fn detect() -> Vec<TileKernel> {
    let mut kernels = Vec::new();
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        kernels.push(TileKernel {
            name: "avx2",
            // SAFETY: the processor has the instructions; it was asked above.
            multiply: |rows, papers, scales, least, tile| unsafe { avx2(rows, papers, scales, least, tile) },
            // SAFETY: as above.
            peak: |rounds| unsafe { peak_avx2(rounds) },
        });
    }
    if is_x86_feature_detected!("avx512f") {
        kernels.push(TileKernel {
            name: "avx512",
            // SAFETY: the processor has the instructions; it was asked above.
            multiply: |rows, papers, scales, least, tile| unsafe { avx512(rows, papers, scales, least, tile) },
            // SAFETY: as above.
            peak: |rounds| unsafe { peak_avx512(rounds) },
        });
    }
    kernels
}

/// All rows at once, in 24 of 32 registers.
#[target_feature(enable = "avx512f")]
fn avx512(rows: &[[f32; ROWS]], papers: &[[f32; COLUMNS]], scales: &[f32; ROWS], least: &[f32; ROWS], tile: &mut Tile) {
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    for (values, papers) in rows.iter().zip(papers) {
        let papers = halves512(papers);
        for (sums, value) in sums.iter_mut().zip(values) {
            let value = _mm512_set1_ps(*value);
            sums[0] = _mm512_fmadd_ps(value, papers[0], sums[0]);
            sums[1] = _mm512_fmadd_ps(value, papers[1], sums[1]);
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        let (scale, least) = (_mm512_set1_ps(scales[row]), _mm512_set1_ps(least[row]));
        let (out, _) = tile.scores[row].as_chunks_mut::<16>();
        tile.above[row] = 0;
        for (half, (out, sum)) in out.iter_mut().zip(sums).enumerate() {
            let scores = _mm512_mul_ps(sum, scale);
            // SAFETY: the array is as long as the register; no alignment is needed.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), scores) };
            let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(scores, least);
            tile.above[row] |= u32::from(above) << (16 * half);
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn halves512(values: &[f32; COLUMNS]) -> [__m512; 2] {
    let halves: &[[f32; 16]] = values.as_chunks().0;
    // SAFETY: the arrays are as long as the register; no alignment is needed.
    unsafe { [_mm512_loadu_ps(halves[0].as_ptr()), _mm512_loadu_ps(halves[1].as_ptr())] }
}

/// Four parts, each of half the rows and half the papers, because there are only 16 registers.
#[target_feature(enable = "avx2,fma")]
fn avx2(rows: &[[f32; ROWS]], papers: &[[f32; COLUMNS]], scales: &[f32; ROWS], least: &[f32; ROWS], tile: &mut Tile) {
    tile.above = [0; ROWS];
    for half in 0..COLUMNS / 16 {
        for first in (0..ROWS).step_by(ROWS_AVX2) {
            part_avx2(rows, papers, (first, half), (scales, least), tile);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn part_avx2(
    rows: &[[f32; ROWS]],
    papers: &[[f32; COLUMNS]],
    (first, half): (usize, usize),
    (scales, least): (&[f32; ROWS], &[f32; ROWS]),
    tile: &mut Tile,
) {
    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS_AVX2];
    for (values, papers) in rows.iter().zip(papers) {
        let papers = pair256(&papers.as_chunks().0[half]);
        let values: &[f32; ROWS_AVX2] = &values.as_chunks().0[first / ROWS_AVX2];
        for (sums, value) in sums.iter_mut().zip(values) {
            let value = _mm256_set1_ps(*value);
            sums[0] = _mm256_fmadd_ps(value, papers[0], sums[0]);
            sums[1] = _mm256_fmadd_ps(value, papers[1], sums[1]);
        }
    }
    for (row, sums) in (first..).zip(sums) {
        let (scale, least) = (_mm256_set1_ps(scales[row]), _mm256_set1_ps(least[row]));
        let (out, _) = tile.scores[row].as_chunks_mut::<8>();
        for (at, sum) in (2 * half..).zip(sums) {
            let scores = _mm256_mul_ps(sum, scale);
            // SAFETY: the array is as long as the register; no alignment is needed.
            unsafe { _mm256_storeu_ps(out[at].as_mut_ptr(), scores) };
            let above = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(scores, least));
            tile.above[row] |= above.cast_unsigned() << (8 * at);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn pair256(values: &[f32; 16]) -> [__m256; 2] {
    let halves: &[[f32; 8]] = values.as_chunks().0;
    // SAFETY: the arrays are as long as the register; no alignment is needed.
    unsafe { [_mm256_loadu_ps(halves[0].as_ptr()), _mm256_loadu_ps(halves[1].as_ptr())] }
}

#[target_feature(enable = "avx512f")]
fn peak_avx512(rounds: u64) -> u64 {
    let mut sums = black_box([_mm512_setzero_ps(); CHAINS]);
    let factor = black_box(_mm512_set1_ps(0.999));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, factor, factor);
        }
    }
    black_box(sums);
    rounds * (CHAINS * 16) as u64
}

#[target_feature(enable = "avx2,fma")]
fn peak_avx2(rounds: u64) -> u64 {
    let mut sums = black_box([_mm256_setzero_ps(); CHAINS]);
    let factor = black_box(_mm256_set1_ps(0.999));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, factor, factor);
        }
    }
    black_box(sums);
    rounds * (CHAINS * 8) as u64
}
