//! The dot products with AVX2, and with AVX-512 and VNNI: the only unsafe code of this service.
//!
//! What makes it sound: a [`DotKernel`] with these functions comes from [`detect`] alone, which has checked that the processor
//! has the instructions; and everything is loaded through references to arrays of the right length, so that the language checks
//! the bounds. No alignment is assumed.

#![expect(
    unsafe_code,
    reason = "processor instructions; the rules are stated above and at each use"
)]

use std::arch::x86_64::{
    __m256i, __m512i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_loadu_si128, _mm_shuffle_epi32, _mm256_add_epi32,
    _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_extracti128_si256, _mm256_madd_epi16, _mm256_setzero_si256,
    _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_reduce_add_epi32, _mm512_setzero_si512,
};

use super::{DotKernel, QueryCodes, STEP};

/// The kernels for which this processor has the instructions, the fastest last.
pub(super) fn detect() -> Vec<DotKernel> {
    let mut kernels = Vec::new();
    if is_x86_feature_detected!("avx2") {
        kernels.push(DotKernel {
            name: "avx2",
            // SAFETY: the processor has the instructions; that was checked above.
            dots: |query, rows, _, out| unsafe { avx2(query, rows, out) },
        });
    }
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
        kernels.push(DotKernel {
            name: "avx512-vnni",
            // SAFETY: the processor has the instructions; that was checked above.
            dots: |query, rows, sums, out| unsafe { vnni(query, rows, sums, out) },
        });
    }
    kernels
}

/// Codes are widened to 16 bits: the multiplication of bytes would overflow.
#[target_feature(enable = "avx2")]
fn avx2(query: &QueryCodes, rows: &[i8], out: &mut [i32]) {
    let (query, _) = query.codes.as_chunks::<16>();
    for (row, out) in rows.chunks_exact(query.len() * 16).zip(out) {
        let (row, _) = row.as_chunks::<16>();
        let mut sums = [_mm256_setzero_si256(); 2];
        for (at, (a, b)) in query.iter().zip(row).enumerate() {
            let products = _mm256_madd_epi16(widened(a), widened(b));
            sums[at % 2] = _mm256_add_epi32(sums[at % 2], products);
        }
        *out = total(_mm256_add_epi32(sums[0], sums[1]));
    }
}

#[target_feature(enable = "avx2")]
fn widened(codes: &[i8; 16]) -> __m256i {
    // SAFETY: the reference covers the 16 bytes that are read.
    let codes = unsafe { _mm_loadu_si128(std::ptr::from_ref(codes).cast()) };
    _mm256_cvtepi8_epi16(codes)
}

#[target_feature(enable = "avx2")]
fn total(sums: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two)))
}

/// The instruction takes one side without sign: 128 is added to each code of the query, and 128 times the sum of the row
/// subtracted again. Nothing overflows: each product is below 2^15, and rows are far shorter than 2^16.
#[target_feature(enable = "avx512f,avx512vnni")]
fn vnni(query: &QueryCodes, rows: &[i8], sums: &[i32], out: &mut [i32]) {
    let (query, _) = query.shifted.as_chunks::<STEP>();
    let length = query.len() * STEP;
    let mut fours = rows.chunks_exact(4 * length);
    let mut at = 0;
    for four in &mut fours {
        let mut totals = [_mm512_setzero_si512(); 4];
        let (first, rest) = four.split_at(length);
        let (second, rest) = rest.split_at(length);
        let (third, fourth) = rest.split_at(length);
        let [first, second, third, fourth] = [first, second, third, fourth].map(|row| row.as_chunks::<STEP>().0);
        let rows = first.iter().zip(second).zip(third.iter().zip(fourth));
        for (query, ((first, second), (third, fourth))) in query.iter().zip(rows) {
            let query = loaded(query);
            for (total, row) in totals.iter_mut().zip([first, second, third, fourth]) {
                *total = _mm512_dpbusd_epi32(*total, query, loaded(row));
            }
        }
        for total in totals {
            out[at] = _mm512_reduce_add_epi32(total) - 128 * sums[at];
            at += 1;
        }
    }
    for row in fours.remainder().chunks_exact(length) {
        let mut total = _mm512_setzero_si512();
        for (query, row) in query.iter().zip(row.as_chunks::<STEP>().0) {
            total = _mm512_dpbusd_epi32(total, loaded(query), loaded(row));
        }
        out[at] = _mm512_reduce_add_epi32(total) - 128 * sums[at];
        at += 1;
    }
}

#[target_feature(enable = "avx512f")]
fn loaded<T: Byte>(codes: &[T; STEP]) -> __m512i {
    // SAFETY: the reference covers the 64 bytes that are read, for only bytes are `Byte`.
    unsafe { _mm512_loadu_si512(std::ptr::from_ref(codes).cast()) }
}

/// One byte.
trait Byte {}
impl Byte for i8 {}
impl Byte for u8 {}
