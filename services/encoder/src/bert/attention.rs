//! Self-attention of one sequence, head by head: a few queries at a time against all keys, so that their scores, the
//! packed keys and the packed values stay in the nearest cache.
//!
//! In the int16 precision both products run on integers: queries and keys with a scale per row, values with a scale per
//! column, probabilities with a scale per row that uses as many bits as the sum leaves. Softmax itself is f32.

use std::ops::Range;

use crate::crew::Crew;
use crate::kernel::{After, Kernel, PANEL, PanelsF32, PanelsI16, RowsF32, RowsI16, Target};
use crate::options::Precision;

use super::workspace::{Attention, Part, grow, share_columns};

/// Queries that are taken at once.
const BLOCK: usize = 10;

/// The shape of attention in a model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub heads: usize,
    /// Values per head.
    pub width: usize,
    pub precision: Precision,
}

/// One sequence: its queries, keys and values side by side in each row, `3 * heads * width` values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Projected<'a> {
    pub values: &'a [f32],
    pub stride: usize,
    pub count: usize,
}

impl<'a> Projected<'a> {
    fn rows(&self, offset: usize) -> RowsF32<'a> {
        RowsF32 {
            values: &self.values[offset..],
            stride: self.stride,
            count: self.count,
        }
    }
}

impl Shape {
    fn hidden(&self) -> usize {
        self.heads * self.width
    }

    /// Attends with all heads; `out` is dense. With a crew, each of its threads takes some of the heads.
    pub(super) fn attend(
        &self,
        kernel: &dyn Kernel,
        crew: Option<&Crew>,
        sequence: Projected<'_>,
        buffers: &mut Attention,
        parts: &mut Vec<Part>,
        out: &mut [f32],
    ) {
        let Some(crew) = crew else {
            return self.attend_columns(kernel, sequence, 0..self.hidden(), buffers, out);
        };
        share_columns(
            crew,
            parts,
            self.heads,
            self.width,
            sequence.count,
            out,
            |columns, part| {
                self.attend_columns(kernel, sequence, columns, &mut part.attention, &mut part.values);
            },
        );
    }

    /// Attends with the heads that make up some columns; `out` is dense.
    fn attend_columns(
        &self,
        kernel: &dyn Kernel,
        sequence: Projected<'_>,
        columns: Range<usize>,
        buffers: &mut Attention,
        out: &mut [f32],
    ) {
        let stride = columns.len();
        for (place, offset) in columns.step_by(self.width).enumerate() {
            let parts = [0, 1, 2].map(|part| sequence.rows(part * self.hidden() + offset));
            let target = &mut Target {
                values: &mut out[place * self.width..],
                stride,
            };
            match self.precision {
                Precision::Int16 => self.head_i16(kernel, parts, buffers, target),
                Precision::F32 => self.head_f32(kernel, parts, buffers, target),
            }
        }
    }

    fn head_i16(
        &self,
        kernel: &dyn Kernel,
        [queries, keys, values]: [RowsF32<'_>; 3],
        buffers: &mut Attention,
        target: &mut Target<'_>,
    ) {
        let (count, width) = (queries.count, self.width);
        let padded = count.next_multiple_of(PANEL);
        let even = count.next_multiple_of(2);
        let limit = score_limit(width);

        let key_rows = grow(&mut buffers.key_rows, count * width);
        let key_scales = grow(&mut buffers.keys.scales, padded);
        kernel.quantise(keys, width, limit, key_rows, key_scales);
        key_scales[count..].fill(0.0);
        let key_panels = grow(&mut buffers.keys.values, padded * width);
        kernel.pack_keys(key_rows, width, key_panels);
        let keys = PanelsI16 {
            values: key_panels,
            scales: key_scales,
            depth: width,
        };

        let value_panels = grow(&mut buffers.values.values, even * width);
        let value_scales = grow(&mut buffers.values.scales, width);
        kernel.pack_values(values, width, value_panels, value_scales);
        let values = PanelsI16 {
            values: value_panels,
            scales: value_scales,
            depth: even,
        };

        let query_rows = grow(&mut buffers.queries.values, count * width);
        let query_scales = grow(&mut buffers.queries.scales, count);
        kernel.quantise(queries, width, limit, query_rows, query_scales);

        let scores = grow(&mut buffers.scores, BLOCK * padded);
        let probabilities = grow(&mut buffers.probabilities.values, BLOCK * padded);
        let probability_scales = grow(&mut buffers.probabilities.scales, BLOCK);
        for first in (0..count).step_by(BLOCK) {
            let height = BLOCK.min(count - first);
            let queries = RowsI16 {
                values: &query_rows[first * width..],
                stride: width,
                scales: &query_scales[first..first + height],
            };
            let products = Target {
                values: scores,
                stride: padded,
            };
            kernel.multiply_i16(queries, keys, After::Nothing, products);
            let rows = scores
                .chunks_exact_mut(padded)
                .zip(probabilities.chunks_exact_mut(padded));
            for ((scores, probabilities), scale) in rows.zip(&mut probability_scales[..height]) {
                *scale = kernel.softmax_i16(scores, count, probabilities);
            }
            let probabilities = RowsI16 {
                values: probabilities,
                stride: padded,
                scales: &probability_scales[..height],
            };
            let out = Target {
                values: &mut target.values[first * target.stride..],
                stride: target.stride,
            };
            kernel.multiply_i16(probabilities, values, After::Nothing, out);
        }
    }

    fn head_f32(
        &self,
        kernel: &dyn Kernel,
        [queries, keys, values]: [RowsF32<'_>; 3],
        buffers: &mut Attention,
        target: &mut Target<'_>,
    ) {
        let (count, width) = (queries.count, self.width);
        let padded = count.next_multiple_of(PANEL);
        let key_panels = grow(&mut buffers.keys_f32, padded * width);
        pack_keys_f32(keys, width, key_panels);
        let keys = PanelsF32 {
            values: key_panels,
            columns: padded,
            depth: width,
        };
        let value_panels = grow(&mut buffers.values_f32, count * width);
        pack_values_f32(values, width, value_panels);
        let values = PanelsF32 {
            values: value_panels,
            columns: width,
            depth: count,
        };
        let scores = grow(&mut buffers.scores, BLOCK * padded);
        for first in (0..count).step_by(BLOCK) {
            let height = BLOCK.min(count - first);
            let queries = RowsF32 {
                values: &queries.values[first * queries.stride..],
                stride: queries.stride,
                count: height,
            };
            let products = Target {
                values: scores,
                stride: padded,
            };
            kernel.multiply_f32(queries, keys, After::Nothing, products);
            for row in scores.chunks_exact_mut(padded).take(height) {
                kernel.softmax_f32(row, count);
            }
            let probabilities = RowsF32 {
                values: scores,
                stride: padded,
                count: height,
            };
            let out = Target {
                values: &mut target.values[first * target.stride..],
                stride: target.stride,
            };
            kernel.multiply_f32(probabilities, values, After::Nothing, out);
        }
    }
}

/// The largest integer for queries and keys by which a score of `width` products stays within 32 bits.
fn score_limit(width: usize) -> i16 {
    let limit = (i32::MAX as usize / width).isqrt();
    i16::try_from(limit).unwrap_or(i16::MAX)
}

fn pack_keys_f32(rows: RowsF32<'_>, width: usize, out: &mut [f32]) {
    for (index, panel) in out.chunks_exact_mut(width * PANEL).enumerate() {
        panel.fill(0.0);
        for row in index * PANEL..rows.count.min((index + 1) * PANEL) {
            let values = &rows.values[row * rows.stride..][..width];
            for (place, value) in panel.as_chunks_mut::<PANEL>().0.iter_mut().zip(values) {
                place[row % PANEL] = *value;
            }
        }
    }
}

fn pack_values_f32(rows: RowsF32<'_>, width: usize, out: &mut [f32]) {
    for (index, panel) in out.chunks_exact_mut(rows.count * PANEL).enumerate() {
        for (row, place) in panel.as_chunks_mut::<PANEL>().0.iter_mut().enumerate() {
            place.copy_from_slice(&rows.values[row * rows.stride + index * PANEL..][..PANEL]);
        }
    }
    debug_assert_eq!(out.len(), rows.count * width);
}
