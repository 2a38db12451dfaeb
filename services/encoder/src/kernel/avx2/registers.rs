//! Functions of a register of eight values, and loading and storing registers.

use std::arch::x86_64::{
    __m256, __m256i, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm256_add_epi32, _mm256_andnot_ps,
    _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cvtps_epi32, _mm256_div_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps,
    _mm256_loadu_ps, _mm256_loadu_si256, _mm256_max_ps, _mm256_mul_ps, _mm256_round_ps, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_storeu_si256, _mm256_sub_ps,
};

use crate::kernel::portable::{ERF, ERF_P, EXP2, EXP2_FLOOR};

/// f32 values in a register.
pub(super) const REGISTER_WIDTH: usize = 8;

/// 2^x for x of at most about 0, with the polynomial of the portable kernel.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn exp2(x: __m256) -> __m256 {
    let x = _mm256_max_ps(x, _mm256_set1_ps(EXP2_FLOOR));
    let whole = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x);
    let rest = _mm256_sub_ps(x, whole);
    let mut value = _mm256_set1_ps(EXP2[0]);
    for coefficient in &EXP2[1..] {
        value = _mm256_fmadd_ps(value, rest, _mm256_set1_ps(*coefficient));
    }
    // Adding to the exponent bits multiplies by a power of two.
    let power = _mm256_slli_epi32::<23>(_mm256_cvtps_epi32(whole));
    _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value), power))
}

/// `max(x, 0) - |x| / 2 * (1 - erf(|x| / sqrt(2)))`; with the polynomial of the portable kernel.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn gelu(x: __m256) -> __m256 {
    let one = _mm256_set1_ps(1.0);
    let size = absolute(x);
    let z = _mm256_mul_ps(size, _mm256_set1_ps(std::f32::consts::FRAC_1_SQRT_2));
    let t = _mm256_div_ps(one, _mm256_fmadd_ps(z, _mm256_set1_ps(ERF_P), one));
    let mut polynomial = _mm256_set1_ps(ERF[0]);
    for coefficient in &ERF[1..] {
        polynomial = _mm256_fmadd_ps(polynomial, t, _mm256_set1_ps(*coefficient));
    }
    let power = exp2(_mm256_mul_ps(
        _mm256_mul_ps(z, z),
        _mm256_set1_ps(-std::f32::consts::LOG2_E),
    ));
    let tail = _mm256_mul_ps(_mm256_mul_ps(polynomial, t), _mm256_mul_ps(power, _mm256_set1_ps(0.5)));
    _mm256_fnmadd_ps(size, tail, _mm256_max_ps(x, _mm256_setzero_ps()))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn absolute(x: __m256) -> __m256 {
    _mm256_andnot_ps(_mm256_set1_ps(-0.0), x)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn largest_of(values: __m256) -> f32 {
    let mut array = [0.0; REGISTER_WIDTH];
    store(&mut array, values);
    array.into_iter().fold(f32::MIN, f32::max)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn sum_of(values: __m256) -> f32 {
    let mut array = [0.0; REGISTER_WIDTH];
    store(&mut array, values);
    array.iter().sum()
}

/// The values of one panel from a slice with one value per column.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn load_panel(columns: &[f32], panel: usize) -> [__m256; 2] {
    load_pair(&columns.as_chunks().0[panel])
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn load_pair(values: &[f32; 2 * REGISTER_WIDTH]) -> [__m256; 2] {
    let halves = values.as_chunks().0;
    [load(&halves[0]), load(&halves[1])]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn load(values: &[f32; REGISTER_WIDTH]) -> __m256 {
    // SAFETY: the array is as long as the register; no alignment is needed.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn store(out: &mut [f32; REGISTER_WIDTH], values: __m256) {
    // SAFETY: the array is as long as the register; no alignment is needed.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), values) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn load_i16(values: &[i16; 2 * REGISTER_WIDTH]) -> __m256i {
    // SAFETY: the array is as long as the register; no alignment is needed.
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn store_i16(out: &mut [i16; 2 * REGISTER_WIDTH], values: __m256i) {
    // SAFETY: the array is as long as the register; no alignment is needed.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), values) }
}
