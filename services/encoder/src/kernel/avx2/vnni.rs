//! The integer product with AVX-512 VNNI, which multiplies and adds in one instruction and holds all columns of a panel in
//! one register. The sums are the same integers as elsewhere. Everything else is delegated to AVX2; the documentation of
//! that module says why this one is sound.

use std::arch::x86_64::{
    __m256i, _mm256_setzero_si256, _mm512_castsi512_si256, _mm512_dpwssd_epi32, _mm512_extracti64x4_epi64,
    _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512,
};

use super::product::{prefetch, write_sums};
use super::{AVX2, Avx2};
use crate::kernel::{
    EncoderKernel, Epilogue, LayerNorm, OutputRows, PANEL, PanelsF32, PanelsI16, RowsF32, RowsI16, check_i16,
};

/// Rows per tile: enough to hide the four cycles of latency until a sum is ready.
const TILE_ROWS: usize = 12;

/// Proof that this CPU has AVX-512 VNNI, AVX2 and FMA.
pub(in crate::kernel) struct Vnni(&'static Avx2);

static VNNI: Vnni = Vnni(&AVX2);

impl Vnni {
    /// The kernel, if the CPU has the instructions.
    pub(in crate::kernel) fn detect() -> Option<&'static Self> {
        let has_avx512 = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni");
        (has_avx512 && Avx2::detect().is_some()).then_some(&VNNI)
    }
}

impl EncoderKernel for Vnni {
    fn name(&self) -> &'static str {
        "avx512vnni"
    }

    fn multiply_i16(&self, rows: RowsI16<'_>, panels: PanelsI16<'_>, epilogue: Epilogue<'_>, target: OutputRows<'_>) {
        check_i16(&rows, &panels, &epilogue, &target);
        // SAFETY: the CPU has the instructions (self), and the shapes were checked on the line above.
        unsafe { multiply_i16(rows, panels, epilogue, target) }
    }

    fn multiply_f32(&self, rows: RowsF32<'_>, panels: PanelsF32<'_>, epilogue: Epilogue<'_>, target: OutputRows<'_>) {
        self.0.multiply_f32(rows, panels, epilogue, target);
    }

    fn quantise(&self, rows: RowsF32<'_>, width: usize, limit: i16, out: &mut [i16], scales: &mut [f32]) {
        self.0.quantise(rows, width, limit, out, scales);
    }

    fn pack_keys(&self, rows: &[i16], width: usize, out: &mut [i16]) {
        self.0.pack_keys(rows, width, out);
    }

    fn pack_values(&self, rows: RowsF32<'_>, width: usize, out: &mut [i16], scales: &mut [f32]) {
        self.0.pack_values(rows, width, out, scales);
    }

    fn softmax_i16(&self, scores: &mut [f32], keys: usize, out: &mut [i16]) -> f32 {
        self.0.softmax_i16(scores, keys, out)
    }

    fn softmax_f32(&self, scores: &mut [f32], keys: usize) {
        self.0.softmax_f32(scores, keys);
    }

    fn add_norm(&self, row: &mut [f32], residual: &[f32], norm: &LayerNorm) {
        self.0.add_norm(row, residual, norm);
    }
}

/// Multiplies panel by panel, so that a panel stays in the L1 cache while all rows are multiplied with it.
///
/// # Safety
/// AVX-512 VNNI, AVX2 and FMA must exist, and `check_i16` must have accepted the arguments.
#[target_feature(enable = "avx512f,avx512vnni,avx2,fma")]
unsafe fn multiply_i16(rows: RowsI16<'_>, panels: PanelsI16<'_>, epilogue: Epilogue<'_>, mut target: OutputRows<'_>) {
    let count = rows.scales.len();
    for panel in 0..panels.scales.len() / PANEL {
        let mut row = 0;
        while row < count {
            let left = count - row;
            let height = if left > TILE_ROWS && left < 2 * TILE_ROWS {
                left.div_ceil(2)
            } else {
                left.min(TILE_ROWS)
            };
            // SAFETY: the tile lies within the shapes that were checked.
            unsafe {
                match height {
                    12 => tile_i16::<12>(&rows, row, &panels, panel, &epilogue, &mut target),
                    11 => tile_i16::<11>(&rows, row, &panels, panel, &epilogue, &mut target),
                    10 => tile_i16::<10>(&rows, row, &panels, panel, &epilogue, &mut target),
                    9 => tile_i16::<9>(&rows, row, &panels, panel, &epilogue, &mut target),
                    8 => tile_i16::<8>(&rows, row, &panels, panel, &epilogue, &mut target),
                    7 => tile_i16::<7>(&rows, row, &panels, panel, &epilogue, &mut target),
                    6 => tile_i16::<6>(&rows, row, &panels, panel, &epilogue, &mut target),
                    5 => tile_i16::<5>(&rows, row, &panels, panel, &epilogue, &mut target),
                    4 => tile_i16::<4>(&rows, row, &panels, panel, &epilogue, &mut target),
                    3 => tile_i16::<3>(&rows, row, &panels, panel, &epilogue, &mut target),
                    2 => tile_i16::<2>(&rows, row, &panels, panel, &epilogue, &mut target),
                    _ => tile_i16::<1>(&rows, row, &panels, panel, &epilogue, &mut target),
                }
            }
            row += height;
        }
    }
}

/// Computes a tile of `HEIGHT` rows, from `row` on, and one panel, and prefetches the next panel.
///
/// # Safety
/// AVX-512 VNNI, AVX2 and FMA must exist, `check_i16` must have accepted the arguments, `row + HEIGHT` must be at most the
/// number of rows, and `panel` below the number of panels.
#[target_feature(enable = "avx512f,avx512vnni,avx2,fma")]
unsafe fn tile_i16<const HEIGHT: usize>(
    rows: &RowsI16<'_>,
    row: usize,
    panels: &PanelsI16<'_>,
    panel: usize,
    epilogue: &Epilogue<'_>,
    target: &mut OutputRows<'_>,
) {
    let mut sums = [_mm512_setzero_si512(); HEIGHT];
    // SAFETY: row `row + HEIGHT - 1` ends within `rows.values`, and panel `panel` within `panels.values`, as checked. A
    // pair of i16 is read as one i32, unaligned, to be repeated in all lanes.
    unsafe {
        let mut values = rows.values.as_ptr().add(row * rows.stride);
        let mut weights = panels.values.as_ptr().add(panel * panels.depth * PANEL);
        for _ in 0..panels.depth / 2 {
            prefetch(weights, panels.depth * PANEL);
            let columns = _mm512_loadu_si512(weights.cast());
            for (offset, sum) in sums.iter_mut().enumerate() {
                let both = values.add(offset * rows.stride).cast::<i32>().read_unaligned();
                *sum = _mm512_dpwssd_epi32(*sum, _mm512_set1_epi32(both), columns);
            }
            values = values.add(2);
            weights = weights.add(2 * PANEL);
        }
    }
    let mut halves: [[__m256i; 2]; HEIGHT] = [[_mm256_setzero_si256(); 2]; HEIGHT];
    for (halves, sum) in halves.iter_mut().zip(sums) {
        *halves = [_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64::<1>(sum)];
    }
    write_sums(halves, rows.scales, row, panels.scales, panel, epilogue, target);
}
