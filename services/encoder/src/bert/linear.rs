//! A linear layer whose weights are packed for the kernels, in i16 or f32.

use std::ops::Range;

use crate::kernel::{
    ACTIVATION_LIMIT, EncoderKernel, Epilogue, MAX_COLUMN_SUM, OutputRows, PANEL, PanelsF32, PanelsI16, RowsF32,
    RowsI16, round_i16,
};
use crate::options::Precision;
use crate::thread_pool::ThreadPool;
use crate::workspace::{PartialOutput, QuantisedBuffer, compute_columns_in_parallel, grow};

/// The activation function of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    Identity,
    Gelu,
}

/// `activation(weights * x + bias)`.
#[derive(Debug)]
pub(super) struct Linear {
    depth: usize,
    weights: PackedWeights,
    bias: Vec<f32>,
    activation: Activation,
}

#[derive(Debug)]
enum PackedWeights {
    I16 { values: Vec<i16>, scales: Vec<f32> },
    F32(Vec<f32>),
}

/// Input rows in the number format of the weights.
#[derive(Clone, Copy)]
enum LinearInput<'a> {
    I16(RowsI16<'a>),
    F32(RowsF32<'a>),
}

impl Linear {
    /// Packs weights of shape `[columns][depth]`; `bias` has one value per column. Depth is even, columns are a multiple
    /// of [`PANEL`].
    pub(super) fn pack(weights: &[f32], bias: Vec<f32>, activation: Activation, precision: Precision) -> Self {
        let columns = bias.len();
        assert!(columns > 0 && columns.is_multiple_of(PANEL) && weights.len().is_multiple_of(columns));
        let depth = weights.len() / columns;
        let weights = match precision {
            Precision::Int16 => pack_i16(weights, depth),
            Precision::F32 => pack_f32(weights, depth),
        };
        Self {
            depth,
            weights,
            bias,
            activation,
        }
    }

    /// Outputs per row.
    pub(super) fn columns(&self) -> usize {
        self.bias.len()
    }

    /// Applies the layer to dense rows; `out` is dense too. With a thread pool, each of
    /// its threads computes some of the columns.
    pub(super) fn apply(
        &self,
        kernel: &dyn EncoderKernel,
        thread_pool: Option<&ThreadPool>,
        input: &[f32],
        quantised: &mut QuantisedBuffer,
        partial_outputs: &mut Vec<PartialOutput>,
        out: &mut [f32],
    ) {
        let rows = RowsF32 {
            values: input,
            stride: self.depth,
            count: input.len() / self.depth,
        };
        let input = match &self.weights {
            PackedWeights::I16 { .. } => LinearInput::I16(quantised.fill(kernel, rows, self.depth)),
            PackedWeights::F32(_) => LinearInput::F32(rows),
        };
        let Some(thread_pool) = thread_pool else {
            return self.compute_columns(kernel, input, 0..self.columns(), out);
        };
        compute_columns_in_parallel(
            thread_pool,
            partial_outputs,
            self.columns() / PANEL,
            PANEL,
            rows.count,
            out,
            |columns, partial| {
                self.compute_columns(kernel, input, columns, &mut partial.values);
            },
        );
    }

    /// Computes a range of columns that consists of whole panels; `out` is dense.
    fn compute_columns(
        &self,
        kernel: &dyn EncoderKernel,
        input: LinearInput<'_>,
        columns: Range<usize>,
        out: &mut [f32],
    ) {
        let depth = self.depth;
        let target = OutputRows {
            values: out,
            stride: columns.len(),
        };
        let weights = columns.start * depth..columns.end * depth;
        let epilogue = self.epilogue(columns.clone());
        match (&self.weights, input) {
            (PackedWeights::I16 { values, scales }, LinearInput::I16(rows)) => {
                let panels = PanelsI16 {
                    values: &values[weights],
                    scales: &scales[columns],
                    depth,
                };
                kernel.multiply_i16(rows, panels, epilogue, target);
            }
            (PackedWeights::F32(values), LinearInput::F32(rows)) => {
                let panels = PanelsF32 {
                    values: &values[weights],
                    columns: columns.len(),
                    depth,
                };
                kernel.multiply_f32(rows, panels, epilogue, target);
            }
            _ => unreachable!("the input has the number format of the weights"),
        }
    }

    fn epilogue(&self, columns: Range<usize>) -> Epilogue<'_> {
        match self.activation {
            Activation::Identity => Epilogue::Bias(&self.bias[columns]),
            Activation::Gelu => Epilogue::BiasGelu(&self.bias[columns]),
        }
    }
}

impl QuantisedBuffer {
    /// Quantises rows of `width` values.
    pub(super) fn fill(&mut self, kernel: &dyn EncoderKernel, rows: RowsF32<'_>, width: usize) -> RowsI16<'_> {
        let values = grow(&mut self.values, rows.count * width);
        let scales = grow(&mut self.scales, rows.count);
        kernel.quantise(rows, width, ACTIVATION_LIMIT, values, scales);
        RowsI16 {
            values,
            stride: width,
            scales,
        }
    }
}

fn pack_f32(weights: &[f32], depth: usize) -> PackedWeights {
    let mut packed = vec![0.0; weights.len()];
    for (column, weights) in weights.chunks_exact(depth).enumerate() {
        let panel = &mut packed[column / PANEL * depth * PANEL..][..depth * PANEL];
        for (row, weight) in panel.as_chunks_mut::<PANEL>().0.iter_mut().zip(weights) {
            row[column % PANEL] = *weight;
        }
    }
    PackedWeights::F32(packed)
}

fn pack_i16(weights: &[f32], depth: usize) -> PackedWeights {
    let mut packed = vec![0; weights.len()];
    let mut scales = Vec::with_capacity(weights.len() / depth);
    for (column, weights) in weights.chunks_exact(depth).enumerate() {
        let panel = &mut packed[column / PANEL * depth * PANEL..][..depth * PANEL];
        let scale = column_scale(weights);
        let mut sum = 0_i64;
        let pairs = panel.as_chunks_mut::<{ 2 * PANEL }>().0;
        for (row, pair) in pairs.iter_mut().zip(weights.as_chunks::<2>().0) {
            for (half, weight) in pair.iter().enumerate() {
                let value = round_i16(weight / scale);
                row[(column % PANEL) * 2 + half] = value;
                sum += i64::from(value).abs();
            }
        }
        assert!(sum <= MAX_COLUMN_SUM, "a column of weights sums up to {sum}");
        scales.push(scale);
    }
    PackedWeights::I16 { values: packed, scales }
}

/// The smallest scale for a column with which its integers fit 16 bits and no product with it can overflow 32 bits.
fn column_scale(weights: &[f32]) -> f32 {
    let largest = weights
        .iter()
        .fold(0.0_f32, |largest, weight| largest.max(weight.abs()));
    let sum: f64 = weights.iter().map(|weight| f64::from(weight.abs())).sum();
    // Rounding adds at most one half per weight; one part in a million covers the rounding errors of this line itself.
    let room = (MAX_COLUMN_SUM as f64 - weights.len() as f64 / 2.0) * (1.0 - 1e-6);
    #[expect(clippy::cast_possible_truncation, reason = "a scale needs no more than f32")]
    let by_sum = (sum / room) as f32;
    (largest / f32::from(i16::MAX)).max(by_sum).max(f32::MIN_POSITIVE)
}
