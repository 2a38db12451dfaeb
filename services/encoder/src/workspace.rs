//! Buffers that a thread reuses between calls, so that encoding allocates nothing once they have grown.

use std::ops::Range;

use crate::thread_pool::{ThreadPool, for_each_parallel};

/// The buffers of one thread. It starts empty, grows to what the largest batch needs, and fits any model.
#[derive(Debug, Default)]
pub struct Workspace {
    pub(crate) hidden: Vec<f32>,
    pub(crate) projected: Vec<f32>,
    pub(crate) attended: Vec<f32>,
    pub(crate) block: Vec<f32>,
    pub(crate) inner: Vec<f32>,
    pub(crate) quantised: QuantisedBuffer,
    pub(crate) attention: AttentionBuffers,
    pub(crate) partial_outputs: Vec<PartialOutput>,
}

/// Values quantised to 16 bits, and the scale of each row or column.
#[derive(Debug, Default)]
pub(crate) struct QuantisedBuffer {
    pub(crate) values: Vec<i16>,
    pub(crate) scales: Vec<f32>,
}

/// The columns of a matrix that one thread of a pool computes, and its buffers for attention.
#[derive(Debug, Default)]
pub(crate) struct PartialOutput {
    pub(crate) values: Vec<f32>,
    pub(crate) attention: AttentionBuffers,
}

/// The buffers for attention in one head of one sequence.
#[derive(Debug, Default)]
pub(crate) struct AttentionBuffers {
    pub(crate) queries: QuantisedBuffer,
    pub(crate) key_rows: Vec<i16>,
    pub(crate) keys: QuantisedBuffer,
    pub(crate) values: QuantisedBuffer,
    pub(crate) probabilities: QuantisedBuffer,
    pub(crate) scores: Vec<f32>,
    pub(crate) keys_f32: Vec<f32>,
    pub(crate) values_f32: Vec<f32>,
}

/// The first `length` elements of a buffer, which grows when needed. Their content is unspecified.
pub(crate) fn grow<T: Copy + Default>(buffer: &mut Vec<T>, length: usize) -> &mut [T] {
    if buffer.len() < length {
        buffer.resize(length, T::default());
    }
    &mut buffer[..length]
}

/// Lets each thread of a pool compute some columns of `out`, which has `rows` rows and `units * unit` columns. `work` is
/// given a range of columns and a partial output, whose values it fills densely.
pub(crate) fn compute_columns_in_parallel(
    thread_pool: &ThreadPool,
    partial_outputs: &mut Vec<PartialOutput>,
    units: usize,
    unit: usize,
    rows: usize,
    out: &mut [f32],
    work: impl Fn(Range<usize>, &mut PartialOutput) + Sync,
) {
    let count = thread_pool.size().min(units).max(1);
    let columns_of = |number: usize| number * units / count * unit..(number + 1) * units / count * unit;
    if partial_outputs.len() < count {
        partial_outputs.resize_with(count, PartialOutput::default);
    }
    let partial_outputs = &mut partial_outputs[..count];
    for_each_parallel(partial_outputs, &|number, partial: &mut PartialOutput| {
        let columns = columns_of(number);
        partial.values.resize(rows * columns.len(), 0.0);
        work(columns, partial);
    });
    for (number, partial) in partial_outputs.iter().enumerate() {
        let columns = columns_of(number);
        let rows = out
            .chunks_exact_mut(units * unit)
            .zip(partial.values.chunks_exact(columns.len()));
        for (out, row) in rows {
            out[columns.clone()].copy_from_slice(row);
        }
    }
}
