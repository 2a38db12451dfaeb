//! The arithmetic with AVX2 and FMA, and in [`vnni`] one product with newer instructions: the only unsafe code there is.
//!
//! What makes it sound, and where each part is seen to:
//! * The instructions exist: an [`Avx2`] comes from [`Avx2::detect`] alone, and every entry is a method of it; likewise
//!   for [`vnni::Vnni`].
//! * Nothing is read or written past a slice: the entries check all shapes (`check_i16`, `check_f32`) before the tile
//!   functions, the only code here that goes through raw pointers. Everything else loads and stores through references
//!   to arrays of the right length, so that the bounds are checked by the language.
//! * No alignment is assumed anywhere.

#![expect(
    unsafe_code,
    reason = "processor instructions; the rules are stated above and at each use"
)]

pub(super) mod vnni;

use std::arch::asm;
use std::arch::x86_64::{
    __m256, __m256i, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _MM_HINT_T0, _mm_prefetch, _mm256_add_epi32,
    _mm256_add_ps, _mm256_andnot_ps, _mm256_blend_epi16, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cvtepi32_ps,
    _mm256_cvtps_epi32, _mm256_div_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_max_ps, _mm256_mul_ps, _mm256_packs_epi32, _mm256_permute2x128_si256, _mm256_permute4x64_epi64,
    _mm256_round_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_slli_epi32,
    _mm256_storeu_ps, _mm256_storeu_si256, _mm256_sub_ps, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64,
    _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};

use super::portable::{ERF, ERF_P, EXP2, EXP2_FLOOR, Portable, factor, step};
use super::{
    After, Kernel, Norm, PANEL, PROBABILITY_SUM, PanelsF32, PanelsI16, RowsF32, RowsI16, Target, VALUE_LIMIT,
    check_f32, check_i16,
};

/// Values in a register.
const LANES: usize = 8;
/// Rows that are multiplied at once: with two registers of columns each they leave six of the sixteen registers for
/// operands.
const TILE_ROWS: usize = 5;
/// Pairs in depth that the inner loop takes in one turn.
const UNROLL: usize = 2;

/// Proof that this processor has AVX2 and FMA.
pub(super) struct Avx2(());

static AVX2: Avx2 = Avx2(());

impl Avx2 {
    /// The kernel, where the processor has what it needs.
    pub(super) fn detect() -> Option<&'static Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(&AVX2)
    }
}

impl Kernel for Avx2 {
    fn name(&self) -> &'static str {
        "avx2"
    }

    fn multiply_i16(&self, rows: RowsI16<'_>, panels: PanelsI16<'_>, after: After<'_>, target: Target<'_>) {
        check_i16(&rows, &panels, &after, &target);
        // SAFETY: the processor has the instructions (self), and the shapes were checked in the line above.
        unsafe { multiply_i16(rows, panels, after, target) }
    }

    fn multiply_f32(&self, rows: RowsF32<'_>, panels: PanelsF32<'_>, after: After<'_>, target: Target<'_>) {
        check_f32(&rows, &panels, &after, &target);
        // SAFETY: the processor has the instructions (self), and the shapes were checked in the line above.
        unsafe { multiply_f32(rows, panels, after, target) }
    }

    fn quantise(&self, rows: RowsF32<'_>, width: usize, limit: i16, out: &mut [i16], scales: &mut [f32]) {
        if !width.is_multiple_of(2 * LANES) {
            return Portable.quantise(rows, width, limit, out, scales);
        }
        for (row, scale) in scales[..rows.count].iter_mut().enumerate() {
            let values = &rows.values[row * rows.stride..][..width];
            // SAFETY: the processor has the instructions (self).
            *scale = unsafe { quantise_row(values, limit, &mut out[row * width..][..width]) };
        }
    }

    fn pack_keys(&self, rows: &[i16], width: usize, out: &mut [i16]) {
        let panel_length = width * PANEL;
        let whole = if width.is_multiple_of(2 * LANES) {
            rows.len() / panel_length * panel_length
        } else {
            0
        };
        for (panel, rows) in out
            .chunks_exact_mut(panel_length)
            .zip(rows[..whole].chunks_exact(panel_length))
        {
            // SAFETY: the processor has the instructions (self).
            unsafe { pack_panel(rows, width, panel) }
        }
        Portable.pack_keys(&rows[whole..], width, &mut out[whole..]);
    }

    fn pack_values(&self, rows: RowsF32<'_>, width: usize, out: &mut [i16], scales: &mut [f32]) {
        assert!(width.is_multiple_of(PANEL));
        let panel_length = rows.count.div_ceil(2) * 2 * PANEL;
        for panel in 0..width / PANEL {
            let columns = panel * PANEL..(panel + 1) * PANEL;
            let out = &mut out[panel * panel_length..][..panel_length];
            // SAFETY: the processor has the instructions (self).
            unsafe { pack_values_panel(rows, columns.start, out, &mut scales[columns]) }
        }
    }

    fn softmax_i16(&self, scores: &mut [f32], keys: usize, out: &mut [i16]) -> f32 {
        let padded = keys.next_multiple_of(2 * LANES);
        if scores.len() < padded || out.len() < padded {
            return Portable.softmax_i16(scores, keys, out);
        }
        out[padded..].fill(0);
        // SAFETY: the processor has the instructions (self).
        unsafe { softmax_i16(&mut scores[..padded], keys, &mut out[..padded]) }
    }

    fn softmax_f32(&self, scores: &mut [f32], keys: usize) {
        let padded = keys.next_multiple_of(2 * LANES);
        if scores.len() < padded {
            return Portable.softmax_f32(scores, keys);
        }
        // SAFETY: the processor has the instructions (self).
        unsafe { softmax_f32(&mut scores[..padded], keys) }
        scores[keys..].fill(0.0);
    }

    fn add_norm(&self, row: &mut [f32], residual: &[f32], norm: &Norm) {
        if !row.len().is_multiple_of(LANES) {
            return Portable.add_norm(row, residual, norm);
        }
        // SAFETY: the processor has the instructions (self).
        unsafe { add_norm(row, residual, norm) }
    }
}

/// Panel by panel, so that a panel stays in the nearest cache while all rows pass it.
///
/// # Safety
/// AVX2 and FMA must exist, and `check_i16` must have accepted the arguments.
#[target_feature(enable = "avx2,fma")]
unsafe fn multiply_i16(rows: RowsI16<'_>, panels: PanelsI16<'_>, after: After<'_>, mut target: Target<'_>) {
    let count = rows.scales.len();
    for panel in 0..panels.scales.len() / PANEL {
        let mut row = 0;
        while row < count {
            let height = next_height(count - row);
            // SAFETY: the tile lies within the shapes that were checked.
            unsafe {
                match (height, row + height == count) {
                    (5, false) => tile_i16::<5, false>(&rows, row, &panels, panel, &after, &mut target),
                    (5, true) => tile_i16::<5, true>(&rows, row, &panels, panel, &after, &mut target),
                    (4, false) => tile_i16::<4, false>(&rows, row, &panels, panel, &after, &mut target),
                    (4, true) => tile_i16::<4, true>(&rows, row, &panels, panel, &after, &mut target),
                    (3, false) => tile_i16::<3, false>(&rows, row, &panels, panel, &after, &mut target),
                    (3, true) => tile_i16::<3, true>(&rows, row, &panels, panel, &after, &mut target),
                    (2, _) => tile_i16::<2, true>(&rows, row, &panels, panel, &after, &mut target),
                    _ => tile_i16::<1, true>(&rows, row, &panels, panel, &after, &mut target),
                }
            }
            row += height;
        }
    }
}

/// Rows of the next tile when so many are left; the last two tiles are of like height (6 is 3 and 3).
fn next_height(left: usize) -> usize {
    if left > TILE_ROWS && left < 2 * TILE_ROWS {
        left.div_ceil(2)
    } else {
        left.min(TILE_ROWS)
    }
}

/// One tile of `HEIGHT` rows and one panel, from `row` on. The last tile of a panel fetches the next panel meanwhile.
///
/// # Safety
/// AVX2 and FMA must exist, `check_i16` must have accepted the arguments, `row + HEIGHT` must be at most the number of
/// rows, and `panel` below the number of panels.
#[target_feature(enable = "avx2,fma")]
unsafe fn tile_i16<const HEIGHT: usize, const LAST: bool>(
    rows: &RowsI16<'_>,
    row: usize,
    panels: &PanelsI16<'_>,
    panel: usize,
    after: &After<'_>,
    target: &mut Target<'_>,
) {
    let pairs = panels.depth / 2;
    let mut sums = [[_mm256_setzero_si256(); 2]; HEIGHT];
    // SAFETY: row `row + HEIGHT - 1` ends within `rows.values`, and panel `panel` within `panels.values`, as checked; the
    // steps taken add up to `pairs`.
    unsafe {
        let mut values = rows.values.as_ptr().add(row * rows.stride);
        let mut weights = panels.values.as_ptr().add(panel * panels.depth * PANEL);
        for _ in 0..pairs / UNROLL {
            if LAST {
                for step in 0..UNROLL {
                    prefetch(weights, panels.depth * PANEL + 2 * PANEL * step);
                }
            }
            sums = step_i16::<HEIGHT, UNROLL>(sums, values, rows.stride, weights);
            values = values.add(2 * UNROLL);
            weights = weights.add(2 * PANEL * UNROLL);
        }
        for _ in 0..pairs % UNROLL {
            sums = step_i16::<HEIGHT, 1>(sums, values, rows.stride, weights);
            values = values.add(2);
            weights = weights.add(2 * PANEL);
        }
    }
    write_sums(sums, rows.scales, row, panels.scales, panel, after, target);
}

/// Asks for the cache line that lies so many values ahead, which may be past the end.
#[inline]
#[target_feature(enable = "avx2")]
fn prefetch(values: *const i16, ahead: usize) {
    _mm_prefetch::<_MM_HINT_T0>(values.wrapping_add(ahead).cast());
}

/// Scales the sums of a tile and writes it.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn write_sums<const HEIGHT: usize>(
    sums: [[__m256i; 2]; HEIGHT],
    row_scales: &[f32],
    row: usize,
    column_scales: &[f32],
    panel: usize,
    after: &After<'_>,
    target: &mut Target<'_>,
) {
    let scales = load_panel(column_scales, panel);
    let mut products = [[_mm256_setzero_ps(); 2]; HEIGHT];
    for (offset, (products, sums)) in products.iter_mut().zip(sums).enumerate() {
        let row_scale = _mm256_set1_ps(row_scales[row + offset]);
        for half in 0..2 {
            let sum = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[half]), row_scale);
            products[half] = _mm256_mul_ps(sum, scales[half]);
        }
    }
    write_tile(products, row, panel, after, target);
}

/// Adds the products of `PAIRS` pairs in depth to the sums of a tile.
///
/// # Safety
/// AVX2 and FMA must exist; `values` must be good for reading `2 * PAIRS` values in each of `HEIGHT` rows, `stride` apart, and
/// `weights` for `2 * PANEL * PAIRS` values.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn step_i16<const HEIGHT: usize, const PAIRS: usize>(
    mut sums: [[__m256i; 2]; HEIGHT],
    values: *const i16,
    stride: usize,
    weights: *const i16,
) -> [[__m256i; 2]; HEIGHT] {
    for pair in 0..PAIRS {
        // SAFETY: as the caller promises. A pair of i16 is read as one i32, unaligned, to be repeated in all lanes.
        unsafe {
            let low = _mm256_loadu_si256(weights.add(2 * PANEL * pair).cast());
            let high = _mm256_loadu_si256(weights.add(2 * PANEL * pair + PANEL).cast());
            for (offset, sums) in sums.iter_mut().enumerate() {
                let both = values.add(offset * stride + 2 * pair).cast::<i32>().read_unaligned();
                let both = _mm256_set1_epi32(both);
                sums[0] = add_products(sums[0], both, low);
                sums[1] = add_products(sums[1], both, high);
            }
        }
    }
    sums
}

/// `sums + pairs of products`. In assembly, because the optimiser would add up the products of several steps first, for
/// which the registers do not suffice.
#[inline]
#[target_feature(enable = "avx2")]
fn add_products(mut sums: __m256i, values: __m256i, weights: __m256i) -> __m256i {
    // SAFETY: two instructions of AVX2 on registers; neither memory nor flags are touched.
    unsafe {
        asm!(
            "vpmaddwd {products}, {values}, {weights}",
            "vpaddd {sums}, {sums}, {products}",
            products = out(ymm_reg) _,
            values = in(ymm_reg) values,
            weights = in(ymm_reg) weights,
            sums = inout(ymm_reg) sums,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// As `multiply_i16`.
///
/// # Safety
/// AVX2 and FMA must exist, and `check_f32` must have accepted the arguments.
#[target_feature(enable = "avx2,fma")]
unsafe fn multiply_f32(rows: RowsF32<'_>, panels: PanelsF32<'_>, after: After<'_>, mut target: Target<'_>) {
    for panel in 0..panels.columns / PANEL {
        let mut row = 0;
        while row < rows.count {
            let height = next_height(rows.count - row);
            // SAFETY: the tile lies within the shapes that were checked.
            unsafe {
                match height {
                    5 => tile_f32::<5>(&rows, row, &panels, panel, &after, &mut target),
                    4 => tile_f32::<4>(&rows, row, &panels, panel, &after, &mut target),
                    3 => tile_f32::<3>(&rows, row, &panels, panel, &after, &mut target),
                    2 => tile_f32::<2>(&rows, row, &panels, panel, &after, &mut target),
                    _ => tile_f32::<1>(&rows, row, &panels, panel, &after, &mut target),
                }
            }
            row += height;
        }
    }
}

/// One tile of `HEIGHT` rows and one panel, from `row` on.
///
/// # Safety
/// AVX2 and FMA must exist, `check_f32` must have accepted the arguments, `row + HEIGHT` must be at most the number of
/// rows, and `panel` below the number of panels.
#[target_feature(enable = "avx2,fma")]
unsafe fn tile_f32<const HEIGHT: usize>(
    rows: &RowsF32<'_>,
    row: usize,
    panels: &PanelsF32<'_>,
    panel: usize,
    after: &After<'_>,
    target: &mut Target<'_>,
) {
    let mut sums = [[_mm256_setzero_ps(); 2]; HEIGHT];
    // SAFETY: row `row + HEIGHT - 1` ends within `rows.values`, and panel `panel` within `panels.values`, as checked.
    unsafe {
        let mut values = rows.values.as_ptr().add(row * rows.stride);
        let mut weights = panels.values.as_ptr().add(panel * panels.depth * PANEL);
        for _ in 0..panels.depth {
            let low = _mm256_loadu_ps(weights);
            let high = _mm256_loadu_ps(weights.add(LANES));
            for (offset, sums) in sums.iter_mut().enumerate() {
                let value = _mm256_set1_ps(values.add(offset * rows.stride).read());
                sums[0] = _mm256_fmadd_ps(value, low, sums[0]);
                sums[1] = _mm256_fmadd_ps(value, high, sums[1]);
            }
            values = values.add(1);
            weights = weights.add(PANEL);
        }
    }
    write_tile(sums, row, panel, after, target);
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn write_tile<const HEIGHT: usize>(
    mut products: [[__m256; 2]; HEIGHT],
    row: usize,
    panel: usize,
    after: &After<'_>,
    target: &mut Target<'_>,
) {
    if let After::Bias(bias) | After::BiasGelu(bias) = after {
        let bias = load_panel(bias, panel);
        for products in &mut products {
            products[0] = _mm256_add_ps(products[0], bias[0]);
            products[1] = _mm256_add_ps(products[1], bias[1]);
        }
    }
    let is_gelu = matches!(after, After::BiasGelu(_));
    for (offset, products) in products.into_iter().enumerate() {
        let start = (row + offset) * target.stride + panel * PANEL;
        let out = target.values[start..start + PANEL].as_chunks_mut::<LANES>().0;
        for (out, product) in out.iter_mut().zip(products) {
            store(out, if is_gelu { gelu(product) } else { product });
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn quantise_row(row: &[f32], limit: i16, out: &mut [i16]) -> f32 {
    let row = row.as_chunks::<{ 2 * LANES }>().0;
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
fn quantise_pair([low, high]: [__m256; 2], factor: __m256) -> __m256i {
    let low = _mm256_cvtps_epi32(_mm256_mul_ps(low, factor));
    let high = _mm256_cvtps_epi32(_mm256_mul_ps(high, factor));
    // Packing works on halves of registers and leaves the middle quarters exchanged.
    _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high))
}

/// Turns [`PANEL`] rows of `width` values into a panel: a transposition of pairs, eight by eight.
#[target_feature(enable = "avx2,fma")]
fn pack_panel(rows: &[i16], width: usize, out: &mut [i16]) {
    let out = out.as_chunks_mut::<{ 2 * LANES }>().0;
    for (block, rows) in rows.chunks_exact(LANES * width).enumerate() {
        for column in (0..width).step_by(2 * LANES) {
            let mut pairs = [_mm256_setzero_si256(); LANES];
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
fn transpose(rows: [__m256i; LANES]) -> [__m256i; LANES] {
    let mut quads = [_mm256_setzero_si256(); LANES];
    for half in 0..2 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|row| rows[half * 4 + row]);
        let (low_ab, high_ab) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
        let (low_cd, high_cd) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
        quads[half * 4] = _mm256_unpacklo_epi64(low_ab, low_cd);
        quads[half * 4 + 1] = _mm256_unpackhi_epi64(low_ab, low_cd);
        quads[half * 4 + 2] = _mm256_unpacklo_epi64(high_ab, high_cd);
        quads[half * 4 + 3] = _mm256_unpackhi_epi64(high_ab, high_cd);
    }
    let mut columns = [_mm256_setzero_si256(); LANES];
    for column in 0..4 {
        columns[column] = _mm256_permute2x128_si256::<0x20>(quads[column], quads[column + 4]);
        columns[column + 4] = _mm256_permute2x128_si256::<0x31>(quads[column], quads[column + 4]);
    }
    columns
}

#[target_feature(enable = "avx2,fma")]
fn pack_values_panel(rows: RowsF32<'_>, first: usize, out: &mut [i16], scales: &mut [f32]) {
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
        let mut lanes = [0.0; LANES];
        store(&mut lanes, largest[half]);
        let scales = &mut scales[half * LANES..][..LANES];
        for (lane, scale) in lanes.iter_mut().zip(scales) {
            *scale = step(*lane, VALUE_LIMIT);
            *lane = factor(*lane, VALUE_LIMIT);
        }
        factors[half] = load(&lanes);
    }
    for (pair, out) in out.as_chunks_mut::<{ 4 * LANES }>().0.iter_mut().enumerate() {
        let even = row(pair * 2);
        let odd = if pair * 2 + 1 < rows.count {
            row(pair * 2 + 1)
        } else {
            [_mm256_setzero_ps(); 2]
        };
        let out = out.as_chunks_mut::<{ 2 * LANES }>().0;
        for half in 0..2 {
            let even = _mm256_cvtps_epi32(_mm256_mul_ps(even[half], factors[half]));
            let odd = _mm256_cvtps_epi32(_mm256_mul_ps(odd[half], factors[half]));
            // Each 32 bits: the even row's value below, the odd row's above.
            let both = _mm256_blend_epi16::<0b1010_1010>(even, _mm256_slli_epi32::<16>(odd));
            store_i16(&mut out[half], both);
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn softmax_i16(scores: &mut [f32], keys: usize, out: &mut [i16]) -> f32 {
    let sum = exponentials(scores, keys);
    let factor = f32::from(i16::MAX).min(PROBABILITY_SUM / sum);
    let factors = _mm256_set1_ps(factor);
    for (values, out) in scores.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        store_i16(out, quantise_pair(load_pair(values), factors));
    }
    1.0 / (sum * factor)
}

#[target_feature(enable = "avx2,fma")]
fn softmax_f32(scores: &mut [f32], keys: usize) {
    let factor = _mm256_set1_ps(1.0 / exponentials(scores, keys));
    for values in scores.as_chunks_mut().0 {
        store(values, _mm256_mul_ps(load(values), factor));
    }
}

/// Replaces scores by their exponentials relative to the largest, those past `keys` by zeros; returns the sum.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn exponentials(scores: &mut [f32], keys: usize) -> f32 {
    scores[keys..].fill(f32::MIN);
    let scores = scores.as_chunks_mut::<{ 2 * LANES }>().0;
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
        let values = values.as_chunks_mut::<LANES>().0;
        for (values, sum) in values.iter_mut().zip(&mut sums) {
            let value = exp2(_mm256_mul_ps(_mm256_sub_ps(load(values), largest), log2_e));
            *sum = _mm256_add_ps(*sum, value);
            store(values, value);
        }
    }
    sum_of(_mm256_add_ps(sums[0], sums[1]))
}

#[target_feature(enable = "avx2,fma")]
fn add_norm(row: &mut [f32], residual: &[f32], norm: &Norm) {
    let count = row.len() as f32;
    let row = row.as_chunks_mut::<LANES>().0;
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

/// 2^x, x at most about 0; the portable kernel says by which polynomial.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn exp2(x: __m256) -> __m256 {
    let x = _mm256_max_ps(x, _mm256_set1_ps(EXP2_FLOOR));
    let whole = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x);
    let rest = _mm256_sub_ps(x, whole);
    let mut value = _mm256_set1_ps(EXP2[0]);
    for coefficient in &EXP2[1..] {
        value = _mm256_fmadd_ps(value, rest, _mm256_set1_ps(*coefficient));
    }
    // Adding to the exponent's bits multiplies by a power of two.
    let power = _mm256_slli_epi32::<23>(_mm256_cvtps_epi32(whole));
    _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value), power))
}

/// `max(x, 0) - |x| / 2 * (1 - erf(|x| / sqrt(2)))`; the portable kernel says by which polynomial.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn gelu(x: __m256) -> __m256 {
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
fn absolute(x: __m256) -> __m256 {
    _mm256_andnot_ps(_mm256_set1_ps(-0.0), x)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn largest_of(values: __m256) -> f32 {
    let mut lanes = [0.0; LANES];
    store(&mut lanes, values);
    lanes.into_iter().fold(f32::MIN, f32::max)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum_of(values: __m256) -> f32 {
    let mut lanes = [0.0; LANES];
    store(&mut lanes, values);
    lanes.iter().sum()
}

/// A panel's worth of a row that has one value per column.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_panel(columns: &[f32], panel: usize) -> [__m256; 2] {
    load_pair(&columns.as_chunks().0[panel])
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_pair(values: &[f32; 2 * LANES]) -> [__m256; 2] {
    let halves = values.as_chunks().0;
    [load(&halves[0]), load(&halves[1])]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load(values: &[f32; LANES]) -> __m256 {
    // SAFETY: the array is as long as the register; no alignment is needed.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn store(out: &mut [f32; LANES], values: __m256) {
    // SAFETY: the array is as long as the register; no alignment is needed.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), values) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_i16(values: &[i16; 2 * LANES]) -> __m256i {
    // SAFETY: the array is as long as the register; no alignment is needed.
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn store_i16(out: &mut [i16; 2 * LANES], values: __m256i) {
    // SAFETY: the array is as long as the register; no alignment is needed.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), values) }
}
