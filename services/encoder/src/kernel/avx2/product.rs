//! Matrix products with AVX2 and FMA: the loops over tiles, and the tile functions, which use raw pointers.

use std::arch::asm;
use std::arch::x86_64::{
    __m256, __m256i, _MM_HINT_T0, _mm_prefetch, _mm256_add_ps, _mm256_cvtepi32_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_mul_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256,
};

use crate::kernel::{Epilogue, OutputRows, PANEL, PanelsF32, PanelsI16, RowsF32, RowsI16};

use super::registers::{REGISTER_WIDTH, gelu, load_panel, store};

/// Rows per tile: their sums take two registers each, which leaves six of the sixteen registers for operands.
const TILE_ROWS: usize = 5;
/// Pairs in depth per iteration of the inner loop.
const UNROLL: usize = 2;

/// Multiplies panel by panel, so that a panel stays in the L1 cache while all rows are multiplied with it.
///
/// # Safety
/// AVX2 and FMA must exist, and `check_i16` must have accepted the arguments.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn multiply_i16(
    rows: RowsI16<'_>,
    panels: PanelsI16<'_>,
    epilogue: Epilogue<'_>,
    mut target: OutputRows<'_>,
) {
    let count = rows.scales.len();
    for panel in 0..panels.scales.len() / PANEL {
        let mut row = 0;
        while row < count {
            let height = next_height(count - row);
            // SAFETY: the tile lies within the shapes that were checked.
            unsafe {
                match (height, row + height == count) {
                    (5, false) => tile_i16::<5, false>(&rows, row, &panels, panel, &epilogue, &mut target),
                    (5, true) => tile_i16::<5, true>(&rows, row, &panels, panel, &epilogue, &mut target),
                    (4, false) => tile_i16::<4, false>(&rows, row, &panels, panel, &epilogue, &mut target),
                    (4, true) => tile_i16::<4, true>(&rows, row, &panels, panel, &epilogue, &mut target),
                    (3, false) => tile_i16::<3, false>(&rows, row, &panels, panel, &epilogue, &mut target),
                    (3, true) => tile_i16::<3, true>(&rows, row, &panels, panel, &epilogue, &mut target),
                    (2, _) => tile_i16::<2, true>(&rows, row, &panels, panel, &epilogue, &mut target),
                    _ => tile_i16::<1, true>(&rows, row, &panels, panel, &epilogue, &mut target),
                }
            }
            row += height;
        }
    }
}

/// Rows of the next tile when `left` rows remain; the last two tiles have about the same height (6 is split into 3 and 3).
pub(super) fn next_height(left: usize) -> usize {
    if left > TILE_ROWS && left < 2 * TILE_ROWS {
        left.div_ceil(2)
    } else {
        left.min(TILE_ROWS)
    }
}

/// Computes a tile of `HEIGHT` rows, from `row` on, and one panel. The last tile of a panel prefetches the next panel.
///
/// # Safety
/// AVX2 and FMA must exist, `check_i16` must have accepted the arguments, `row + HEIGHT` must be at most the number of
/// rows, and `panel` below the number of panels.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn tile_i16<const HEIGHT: usize, const LAST: bool>(
    rows: &RowsI16<'_>,
    row: usize,
    panels: &PanelsI16<'_>,
    panel: usize,
    epilogue: &Epilogue<'_>,
    target: &mut OutputRows<'_>,
) {
    let pairs = panels.depth / 2;
    let mut sums = [[_mm256_setzero_si256(); 2]; HEIGHT];
    // SAFETY: row `row + HEIGHT - 1` ends within `rows.values`, and panel `panel` within `panels.values`, as checked; the
    // iterations add up to `pairs`.
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
    write_sums(sums, rows.scales, row, panels.scales, panel, epilogue, target);
}

/// Prefetches the cache line that is `ahead` values away, which may be past the end.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn prefetch(values: *const i16, ahead: usize) {
    _mm_prefetch::<_MM_HINT_T0>(values.wrapping_add(ahead).cast());
}

/// Scales the sums of a tile and writes them.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn write_sums<const HEIGHT: usize>(
    sums: [[__m256i; 2]; HEIGHT],
    row_scales: &[f32],
    row: usize,
    column_scales: &[f32],
    panel: usize,
    epilogue: &Epilogue<'_>,
    target: &mut OutputRows<'_>,
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
    write_tile(products, row, panel, epilogue, target);
}

/// Adds the products of `PAIRS` pairs in depth to the sums of a tile.
///
/// # Safety
/// AVX2 and FMA must exist; `values` must be valid for reading `2 * PAIRS` values in each of `HEIGHT` rows, `stride` apart, and
/// `weights` for `2 * PANEL * PAIRS` values.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn step_i16<const HEIGHT: usize, const PAIRS: usize>(
    mut sums: [[__m256i; 2]; HEIGHT],
    values: *const i16,
    stride: usize,
    weights: *const i16,
) -> [[__m256i; 2]; HEIGHT] {
    for pair in 0..PAIRS {
        // SAFETY: guaranteed by the caller. A pair of i16 is read as one i32, unaligned, to be repeated in all lanes.
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

/// Adds pairs of products to the sums. Written in assembly because the optimiser would first add up the products of several
/// iterations, for which there are not enough registers.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn add_products(mut sums: __m256i, values: __m256i, weights: __m256i) -> __m256i {
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

/// The same as [`multiply_i16`], in f32.
///
/// # Safety
/// AVX2 and FMA must exist, and `check_f32` must have accepted the arguments.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn multiply_f32(
    rows: RowsF32<'_>,
    panels: PanelsF32<'_>,
    epilogue: Epilogue<'_>,
    mut target: OutputRows<'_>,
) {
    for panel in 0..panels.columns / PANEL {
        let mut row = 0;
        while row < rows.count {
            let height = next_height(rows.count - row);
            // SAFETY: the tile lies within the shapes that were checked.
            unsafe {
                match height {
                    5 => tile_f32::<5>(&rows, row, &panels, panel, &epilogue, &mut target),
                    4 => tile_f32::<4>(&rows, row, &panels, panel, &epilogue, &mut target),
                    3 => tile_f32::<3>(&rows, row, &panels, panel, &epilogue, &mut target),
                    2 => tile_f32::<2>(&rows, row, &panels, panel, &epilogue, &mut target),
                    _ => tile_f32::<1>(&rows, row, &panels, panel, &epilogue, &mut target),
                }
            }
            row += height;
        }
    }
}

/// Computes a tile of `HEIGHT` rows, from `row` on, and one panel.
///
/// # Safety
/// AVX2 and FMA must exist, `check_f32` must have accepted the arguments, `row + HEIGHT` must be at most the number of
/// rows, and `panel` below the number of panels.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn tile_f32<const HEIGHT: usize>(
    rows: &RowsF32<'_>,
    row: usize,
    panels: &PanelsF32<'_>,
    panel: usize,
    epilogue: &Epilogue<'_>,
    target: &mut OutputRows<'_>,
) {
    let mut sums = [[_mm256_setzero_ps(); 2]; HEIGHT];
    // SAFETY: row `row + HEIGHT - 1` ends within `rows.values`, and panel `panel` within `panels.values`, as checked.
    unsafe {
        let mut values = rows.values.as_ptr().add(row * rows.stride);
        let mut weights = panels.values.as_ptr().add(panel * panels.depth * PANEL);
        for _ in 0..panels.depth {
            let low = _mm256_loadu_ps(weights);
            let high = _mm256_loadu_ps(weights.add(REGISTER_WIDTH));
            for (offset, sums) in sums.iter_mut().enumerate() {
                let value = _mm256_set1_ps(values.add(offset * rows.stride).read());
                sums[0] = _mm256_fmadd_ps(value, low, sums[0]);
                sums[1] = _mm256_fmadd_ps(value, high, sums[1]);
            }
            values = values.add(1);
            weights = weights.add(PANEL);
        }
    }
    write_tile(sums, row, panel, epilogue, target);
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn write_tile<const HEIGHT: usize>(
    mut products: [[__m256; 2]; HEIGHT],
    row: usize,
    panel: usize,
    epilogue: &Epilogue<'_>,
    target: &mut OutputRows<'_>,
) {
    if let Epilogue::Bias(bias) | Epilogue::BiasGelu(bias) = epilogue {
        let bias = load_panel(bias, panel);
        for products in &mut products {
            products[0] = _mm256_add_ps(products[0], bias[0]);
            products[1] = _mm256_add_ps(products[1], bias[1]);
        }
    }
    let is_gelu = matches!(epilogue, Epilogue::BiasGelu(_));
    for (offset, products) in products.into_iter().enumerate() {
        let start = (row + offset) * target.stride + panel * PANEL;
        let out = target.values[start..start + PANEL].as_chunks_mut::<REGISTER_WIDTH>().0;
        for (out, product) in out.iter_mut().zip(products) {
            store(out, if is_gelu { gelu(product) } else { product });
        }
    }
}
