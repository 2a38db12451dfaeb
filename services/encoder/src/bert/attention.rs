//! Self-attention within one sequence, head by head. A few queries at a time are multiplied with all keys, so that their
//! scores, the packed keys and the packed values stay in the L1 cache.
//!
//! With int16 precision both products are computed in integers: queries and keys have a scale per row, values a scale per
//! column, and probabilities a scale per row that uses as many bits as the sum allows. Softmax itself is f32.

use std::ops::Range;

use crate::kernel::{EncoderKernel, Epilogue, OutputRows, PANEL, PanelsF32, PanelsI16, RowsF32, RowsI16};
use crate::options::Precision;
use crate::thread_pool::ThreadPool;
use crate::workspace::{AttentionBuffers, PartialOutput, QuantisedBuffer, compute_columns_in_parallel, grow};

/// Queries that are processed together.
const BLOCK: usize = 10;

/// The shape of attention in a model.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttentionShape {
    pub heads: usize,
    /// Values per head.
    pub width: usize,
    pub precision: Precision,
}

/// One sequence: its queries, keys and values side by side in each row, `3 * heads * width` values.
#[derive(Debug, Clone, Copy)]
pub(super) struct QkvRows<'a> {
    pub values: &'a [f32],
    pub stride: usize,
    pub count: usize,
}

impl<'a> QkvRows<'a> {
    fn rows(&self, offset: usize) -> RowsF32<'a> {
        RowsF32 {
            values: &self.values[offset..],
            stride: self.stride,
            count: self.count,
        }
    }
}

impl AttentionShape {
    fn hidden(&self) -> usize {
        self.heads * self.width
    }

    /// Attends with all heads; `out` is dense. With a thread pool, each of its threads computes some of
    /// the heads.
    pub(super) fn attend(
        &self,
        kernel: &dyn EncoderKernel,
        thread_pool: Option<&ThreadPool>,
        sequence: QkvRows<'_>,
        buffers: &mut AttentionBuffers,
        partial_outputs: &mut Vec<PartialOutput>,
        out: &mut [f32],
    ) {
        let Some(thread_pool) = thread_pool else {
            return self.attend_columns(kernel, sequence, 0..self.hidden(), buffers, out);
        };
        compute_columns_in_parallel(
            thread_pool,
            partial_outputs,
            self.heads,
            self.width,
            sequence.count,
            out,
            |columns, partial| {
                self.attend_columns(kernel, sequence, columns, &mut partial.attention, &mut partial.values);
            },
        );
    }

    /// Attends with the heads whose results are these columns; `out` is dense.
    fn attend_columns(
        &self,
        kernel: &dyn EncoderKernel,
        sequence: QkvRows<'_>,
        columns: Range<usize>,
        buffers: &mut AttentionBuffers,
        out: &mut [f32],
    ) {
        let stride = columns.len();
        for (head, offset) in columns.step_by(self.width).enumerate() {
            let qkv = [0, 1, 2].map(|part| sequence.rows(part * self.hidden() + offset));
            let target = &mut OutputRows::new(&mut out[head * self.width..], stride);
            match self.precision {
                Precision::Int16 => self.head_i16(kernel, qkv, buffers, target),
                Precision::F32 => self.head_f32(kernel, qkv, buffers, target),
            }
        }
    }

    fn head_i16(
        &self,
        kernel: &dyn EncoderKernel,
        [queries, keys, values]: [RowsF32<'_>; 3],
        buffers: &mut AttentionBuffers,
        target: &mut OutputRows<'_>,
    ) {
        let (count, width) = (queries.count, self.width);
        let padded = count.next_multiple_of(PANEL);
        let limit = score_limit(width);
        let keys = pack_keys_i16(kernel, keys, width, &mut buffers.key_rows, &mut buffers.keys);
        let values = pack_values_i16(kernel, values, width, &mut buffers.values);
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
            let products = OutputRows::new(scores, padded);
            kernel.multiply_i16(queries, keys, Epilogue::Nothing, products);
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
            kernel.multiply_i16(probabilities, values, Epilogue::Nothing, target.starting_at(first));
        }
    }

    fn head_f32(
        &self,
        kernel: &dyn EncoderKernel,
        [queries, keys, values]: [RowsF32<'_>; 3],
        buffers: &mut AttentionBuffers,
        target: &mut OutputRows<'_>,
    ) {
        let (count, width) = (queries.count, self.width);
        let padded = count.next_multiple_of(PANEL);
        let keys = pack_keys_f32(keys, width, &mut buffers.keys_f32);
        let values = pack_values_f32(values, width, &mut buffers.values_f32);
        let scores = grow(&mut buffers.scores, BLOCK * padded);
        for first in (0..count).step_by(BLOCK) {
            let height = BLOCK.min(count - first);
            let queries = RowsF32 {
                values: &queries.values[first * queries.stride..],
                stride: queries.stride,
                count: height,
            };
            let products = OutputRows::new(scores, padded);
            kernel.multiply_f32(queries, keys, Epilogue::Nothing, products);
            for row in scores.chunks_exact_mut(padded).take(height) {
                kernel.softmax_f32(row, count);
            }
            let probabilities = RowsF32 {
                values: scores,
                stride: padded,
                count: height,
            };
            kernel.multiply_f32(probabilities, values, Epilogue::Nothing, target.starting_at(first));
        }
    }
}

/// The largest integer for queries and keys with which a score of `width` products fits 32 bits.
fn score_limit(width: usize) -> i16 {
    let limit = (i32::MAX as usize / width).isqrt();
    i16::try_from(limit).unwrap_or(i16::MAX)
}

/// Quantises keys by row and packs them, one column per key; columns past the last key are zeros.
fn pack_keys_i16<'a>(
    kernel: &dyn EncoderKernel,
    keys: RowsF32<'_>,
    width: usize,
    rows: &mut Vec<i16>,
    packed: &'a mut QuantisedBuffer,
) -> PanelsI16<'a> {
    let padded = keys.count.next_multiple_of(PANEL);
    let rows = grow(rows, keys.count * width);
    let scales = grow(&mut packed.scales, padded);
    kernel.quantise(keys, width, score_limit(width), rows, scales);
    scales[keys.count..].fill(0.0);
    let values = grow(&mut packed.values, padded * width);
    kernel.pack_keys(rows, width, values);
    PanelsI16 {
        values,
        scales,
        depth: width,
    }
}

/// Quantises values by column and packs them; the depth is the number of values, rounded up to an even number.
fn pack_values_i16<'a>(
    kernel: &dyn EncoderKernel,
    values: RowsF32<'_>,
    width: usize,
    packed: &'a mut QuantisedBuffer,
) -> PanelsI16<'a> {
    let depth = values.count.next_multiple_of(2);
    let panels = grow(&mut packed.values, depth * width);
    let scales = grow(&mut packed.scales, width);
    kernel.pack_values(values, width, panels, scales);
    PanelsI16 {
        values: panels,
        scales,
        depth,
    }
}

fn pack_keys_f32<'a>(rows: RowsF32<'_>, width: usize, buffer: &'a mut Vec<f32>) -> PanelsF32<'a> {
    let columns = rows.count.next_multiple_of(PANEL);
    let out = grow(buffer, columns * width);
    for (index, panel) in out.chunks_exact_mut(width * PANEL).enumerate() {
        panel.fill(0.0);
        for row in index * PANEL..rows.count.min((index + 1) * PANEL) {
            let values = &rows.values[row * rows.stride..][..width];
            for (column, value) in panel.as_chunks_mut::<PANEL>().0.iter_mut().zip(values) {
                column[row % PANEL] = *value;
            }
        }
    }
    PanelsF32 {
        values: out,
        columns,
        depth: width,
    }
}

fn pack_values_f32<'a>(rows: RowsF32<'_>, width: usize, buffer: &'a mut Vec<f32>) -> PanelsF32<'a> {
    let out = grow(buffer, rows.count * width);
    for (index, panel) in out.chunks_exact_mut(rows.count * PANEL).enumerate() {
        for (row, packed) in panel.as_chunks_mut::<PANEL>().0.iter_mut().enumerate() {
            packed.copy_from_slice(&rows.values[row * rows.stride + index * PANEL..][..PANEL]);
        }
    }
    PanelsF32 {
        values: out,
        columns: width,
        depth: rows.count,
    }
}
