//! The arithmetic with AVX2 and FMA, and in [`vnni`] one product with AVX-512: the only unsafe code of this crate.
//!
//! Why it is sound:
//! * The instructions exist: only [`Avx2::detect`] returns an [`Avx2`], and every entry point is a method of it; the same
//!   holds for [`vnni::Vnni`].
//! * Nothing is read or written past a slice: the entry points check all shapes (`check_i16`, `check_f32`) before they call
//!   the tile functions in [`product`] and [`vnni`], the only code that uses raw pointers. Everything else loads and stores
//!   through references to arrays of the right length, so the compiler checks the bounds.
//! * No alignment is assumed anywhere.

#![expect(
    unsafe_code,
    reason = "CPU intrinsics; the module documentation and each use say why they are sound"
)]

mod product;
mod registers;
mod rows;
pub(super) mod vnni;

use super::portable::Portable;
use super::{
    EncoderKernel, Epilogue, LayerNorm, OutputRows, PANEL, PanelsF32, PanelsI16, RowsF32, RowsI16, check_f32, check_i16,
};
use registers::REGISTER_WIDTH;

/// Proof that this CPU has AVX2 and FMA.
pub(super) struct Avx2(());

static AVX2: Avx2 = Avx2(());

impl Avx2 {
    /// The kernel, if the CPU has the instructions.
    pub(super) fn detect() -> Option<&'static Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(&AVX2)
    }
}

impl EncoderKernel for Avx2 {
    fn name(&self) -> &'static str {
        "avx2"
    }

    fn multiply_i16(&self, rows: RowsI16<'_>, panels: PanelsI16<'_>, epilogue: Epilogue<'_>, target: OutputRows<'_>) {
        check_i16(&rows, &panels, &epilogue, &target);
        // SAFETY: the CPU has the instructions (self), and the shapes were checked on the line above.
        unsafe { product::multiply_i16(rows, panels, epilogue, target) }
    }

    fn multiply_f32(&self, rows: RowsF32<'_>, panels: PanelsF32<'_>, epilogue: Epilogue<'_>, target: OutputRows<'_>) {
        check_f32(&rows, &panels, &epilogue, &target);
        // SAFETY: the CPU has the instructions (self), and the shapes were checked on the line above.
        unsafe { product::multiply_f32(rows, panels, epilogue, target) }
    }

    fn quantise(&self, rows: RowsF32<'_>, width: usize, limit: i16, out: &mut [i16], scales: &mut [f32]) {
        if !width.is_multiple_of(2 * REGISTER_WIDTH) {
            return Portable.quantise(rows, width, limit, out, scales);
        }
        for (row, scale) in scales[..rows.count].iter_mut().enumerate() {
            let values = &rows.values[row * rows.stride..][..width];
            // SAFETY: the CPU has the instructions (self).
            *scale = unsafe { rows::quantise_row(values, limit, &mut out[row * width..][..width]) };
        }
    }

    fn pack_keys(&self, rows: &[i16], width: usize, out: &mut [i16]) {
        let panel_length = width * PANEL;
        let whole = if width.is_multiple_of(2 * REGISTER_WIDTH) {
            rows.len() / panel_length * panel_length
        } else {
            0
        };
        for (panel, rows) in out
            .chunks_exact_mut(panel_length)
            .zip(rows[..whole].chunks_exact(panel_length))
        {
            // SAFETY: the CPU has the instructions (self).
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
            // SAFETY: the CPU has the instructions (self).
            unsafe { rows::pack_values_panel(rows, columns.start, out, &mut scales[columns]) }
        }
    }

    fn softmax_i16(&self, scores: &mut [f32], keys: usize, out: &mut [i16]) -> f32 {
        let padded = keys.next_multiple_of(2 * REGISTER_WIDTH);
        if scores.len() < padded || out.len() < padded {
            return Portable.softmax_i16(scores, keys, out);
        }
        out[padded..].fill(0);
        // SAFETY: the CPU has the instructions (self).
        unsafe { rows::softmax_i16(&mut scores[..padded], keys, &mut out[..padded]) }
    }

    fn softmax_f32(&self, scores: &mut [f32], keys: usize) {
        let padded = keys.next_multiple_of(2 * REGISTER_WIDTH);
        if scores.len() < padded {
            return Portable.softmax_f32(scores, keys);
        }
        // SAFETY: the CPU has the instructions (self).
        unsafe { rows::softmax_f32(&mut scores[..padded], keys) }
        scores[keys..].fill(0.0);
    }

    fn add_norm(&self, row: &mut [f32], residual: &[f32], norm: &LayerNorm) {
        if !row.len().is_multiple_of(REGISTER_WIDTH) {
            return Portable.add_norm(row, residual, norm);
        }
        // SAFETY: the CPU has the instructions (self).
        unsafe { rows::add_norm(row, residual, norm) }
    }
}
