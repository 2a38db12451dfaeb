//! Buffers that a thread keeps between calls, so that encoding allocates nothing once they have grown.

use std::ops::Range;

use crate::crew::{Crew, share};

/// The buffers of one thread. It starts empty, grows to what the largest batch needs, and fits any model.
#[derive(Debug, Default)]
pub struct Workspace {
    pub(super) hidden: Vec<f32>,
    pub(super) projected: Vec<f32>,
    pub(super) attended: Vec<f32>,
    pub(super) block: Vec<f32>,
    pub(super) inner: Vec<f32>,
    pub(super) quantised: Quantised,
    pub(super) attention: Attention,
    pub(super) parts: Vec<Part>,
}

/// Rows brought to 16 bits, with a scale each.
#[derive(Debug, Default)]
pub(super) struct Quantised {
    pub(super) values: Vec<i16>,
    pub(super) scales: Vec<f32>,
}

/// What one thread computes of a matrix when several share it.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) values: Vec<f32>,
    pub(super) attention: Attention,
}

/// What attention needs for one head of one sequence.
#[derive(Debug, Default)]
pub(super) struct Attention {
    pub(super) queries: Quantised,
    pub(super) key_rows: Vec<i16>,
    pub(super) keys: Quantised,
    pub(super) values: Quantised,
    pub(super) probabilities: Quantised,
    pub(super) scores: Vec<f32>,
    pub(super) keys_f32: Vec<f32>,
    pub(super) values_f32: Vec<f32>,
}

/// The first `length` places of a buffer, which grows when it must. Their content is whatever was there.
pub(super) fn grow<T: Copy + Default>(buffer: &mut Vec<T>, length: usize) -> &mut [T] {
    if buffer.len() < length {
        buffer.resize(length, T::default());
    }
    &mut buffer[..length]
}

/// Lets each thread of a crew compute some columns of `out`, which has `rows` rows and `units * unit` columns. The work is
/// given the columns and a part whose values it fills, densely.
pub(super) fn share_columns(
    crew: &Crew,
    parts: &mut Vec<Part>,
    units: usize,
    unit: usize,
    rows: usize,
    out: &mut [f32],
    work: impl Fn(Range<usize>, &mut Part) + Sync,
) {
    let count = crew.threads().min(units).max(1);
    let columns_of = |number: usize| number * units / count * unit..(number + 1) * units / count * unit;
    if parts.len() < count {
        parts.resize_with(count, Part::default);
    }
    let parts = &mut parts[..count];
    share(parts, &|number, part: &mut Part| {
        let columns = columns_of(number);
        part.values.resize(rows * columns.len(), 0.0);
        work(columns, part);
    });
    for (number, part) in parts.iter().enumerate() {
        let columns = columns_of(number);
        let rows = out
            .chunks_exact_mut(units * unit)
            .zip(part.values.chunks_exact(columns.len()));
        for (out, row) in rows {
            out[columns.clone()].copy_from_slice(row);
        }
    }
}
