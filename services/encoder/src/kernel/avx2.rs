//! The arithmetic with AVX2 and FMA, and in [`vnni`] one product with newer instructions: the only unsafe code there is.
//!
//! What makes it sound, and where each part is seen to:
//! * The instructions exist: an [`Avx2`] comes from [`Avx2::detect`] alone, and every entry is a method of it; likewise
//!   for [`vnni::Vnni`].
//! * Nothing is read or written past a slice: the entries check all shapes (`check_i16`, `check_f32`) before the tile
//!   functions in [`product`] and [`vnni`], the only code here that goes through raw pointers. Everything else loads and stores through references
//!   to arrays of the right length, so that the bounds are checked by the language.
//! * No alignment is assumed anywhere.

#![expect(
    unsafe_code,
    reason = "processor instructions; the rules are stated above and at each use"
)]

mod lanes;
mod product;
mod rows;
pub(super) mod vnni;

use super::portable::Portable;
use super::{After, Kernel, Norm, PANEL, PanelsF32, PanelsI16, RowsF32, RowsI16, Target, check_f32, check_i16};
use lanes::LANES;

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
        unsafe { product::multiply_i16(rows, panels, after, target) }
    }

    fn multiply_f32(&self, rows: RowsF32<'_>, panels: PanelsF32<'_>, after: After<'_>, target: Target<'_>) {
        check_f32(&rows, &panels, &after, &target);
        // SAFETY: the processor has the instructions (self), and the shapes were checked in the line above.
        unsafe { product::multiply_f32(rows, panels, after, target) }
    }

    fn quantise(&self, rows: RowsF32<'_>, width: usize, limit: i16, out: &mut [i16], scales: &mut [f32]) {
        if !width.is_multiple_of(2 * LANES) {
            return Portable.quantise(rows, width, limit, out, scales);
        }
        for (row, scale) in scales[..rows.count].iter_mut().enumerate() {
            let values = &rows.values[row * rows.stride..][..width];
            // SAFETY: the processor has the instructions (self).
            *scale = unsafe { rows::quantise_row(values, limit, &mut out[row * width..][..width]) };
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
            unsafe { rows::pack_panel(rows, width, panel) }
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
            unsafe { rows::pack_values_panel(rows, columns.start, out, &mut scales[columns]) }
        }
    }

    fn softmax_i16(&self, scores: &mut [f32], keys: usize, out: &mut [i16]) -> f32 {
        let padded = keys.next_multiple_of(2 * LANES);
        if scores.len() < padded || out.len() < padded {
            return Portable.softmax_i16(scores, keys, out);
        }
        out[padded..].fill(0);
        // SAFETY: the processor has the instructions (self).
        unsafe { rows::softmax_i16(&mut scores[..padded], keys, &mut out[..padded]) }
    }

    fn softmax_f32(&self, scores: &mut [f32], keys: usize) {
        let padded = keys.next_multiple_of(2 * LANES);
        if scores.len() < padded {
            return Portable.softmax_f32(scores, keys);
        }
        // SAFETY: the processor has the instructions (self).
        unsafe { rows::softmax_f32(&mut scores[..padded], keys) }
        scores[keys..].fill(0.0);
    }

    fn add_norm(&self, row: &mut [f32], residual: &[f32], norm: &Norm) {
        if !row.len().is_multiple_of(LANES) {
            return Portable.add_norm(row, residual, norm);
        }
        // SAFETY: the processor has the instructions (self).
        unsafe { rows::add_norm(row, residual, norm) }
    }
}
