//! A linear layer with its weights packed for the kernels, in i16 or f32.

use std::ops::Range;

use crate::crew::Crew;
use crate::kernel::{
    ACTIVATION_LIMIT, After, Kernel, MAX_COLUMN_SUM, PANEL, PanelsF32, PanelsI16, RowsF32, RowsI16, Target, round_i16,
};
use crate::options::Precision;

use super::workspace::{Part, Quantised, grow, share_columns};

/// What follows the sum of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    Identity,
    Gelu,
}

/// `activation(weights * x + bias)`.
#[derive(Debug)]
pub(super) struct Linear {
    depth: usize,
    weights: Weights,
    bias: Vec<f32>,
    activation: Activation,
}

#[derive(Debug)]
enum Weights {
    I16 { values: Vec<i16>, scales: Vec<f32> },
    F32(Vec<f32>),
}

/// Rows as the weights want them.
#[derive(Clone, Copy)]
enum Input<'a> {
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

    /// Applies the layer to dense rows; `out` is dense too. With a crew, each of its threads computes some of the columns.
    pub(super) fn apply(
        &self,
        kernel: &dyn Kernel,
        crew: Option<&Crew>,
        input: &[f32],
        quantised: &mut Quantised,
        parts: &mut Vec<Part>,
        out: &mut [f32],
    ) {
        let rows = RowsF32 {
            values: input,
            stride: self.depth,
            count: input.len() / self.depth,
        };
        let input = match &self.weights {
            Weights::I16 { .. } => Input::I16(quantised.fill(kernel, rows, self.depth)),
            Weights::F32(_) => Input::F32(rows),
        };
        let Some(crew) = crew else {
            return self.columns_of(kernel, input, 0..self.columns(), out);
        };
        share_columns(
            crew,
            parts,
            self.columns() / PANEL,
            PANEL,
            rows.count,
            out,
            |columns, part| {
                self.columns_of(kernel, input, columns, &mut part.values);
            },
        );
    }

    /// Computes some columns, which begin and end with a panel; `out` is dense.
    fn columns_of(&self, kernel: &dyn Kernel, input: Input<'_>, columns: Range<usize>, out: &mut [f32]) {
        let depth = self.depth;
        let target = Target {
            values: out,
            stride: columns.len(),
        };
        let weights = columns.start * depth..columns.end * depth;
        let after = self.after(columns.clone());
        match (&self.weights, input) {
            (Weights::I16 { values, scales }, Input::I16(rows)) => {
                let panels = PanelsI16 {
                    values: &values[weights],
                    scales: &scales[columns],
                    depth,
                };
                kernel.multiply_i16(rows, panels, after, target);
            }
            (Weights::F32(values), Input::F32(rows)) => {
                let panels = PanelsF32 {
                    values: &values[weights],
                    columns: columns.len(),
                    depth,
                };
                kernel.multiply_f32(rows, panels, after, target);
            }
            _ => unreachable!("the input was prepared for these weights"),
        }
    }

    fn after(&self, columns: Range<usize>) -> After<'_> {
        match self.activation {
            Activation::Identity => After::Bias(&self.bias[columns]),
            Activation::Gelu => After::BiasGelu(&self.bias[columns]),
        }
    }
}

impl Quantised {
    /// Quantises rows of `width` values.
    pub(super) fn fill(&mut self, kernel: &dyn Kernel, rows: RowsF32<'_>, width: usize) -> RowsI16<'_> {
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

fn pack_f32(weights: &[f32], depth: usize) -> Weights {
    let mut packed = vec![0.0; weights.len()];
    for (column, weights) in weights.chunks_exact(depth).enumerate() {
        let panel = &mut packed[column / PANEL * depth * PANEL..][..depth * PANEL];
        for (place, weight) in panel.as_chunks_mut::<PANEL>().0.iter_mut().zip(weights) {
            place[column % PANEL] = *weight;
        }
    }
    Weights::F32(packed)
}

fn pack_i16(weights: &[f32], depth: usize) -> Weights {
    let mut packed = vec![0; weights.len()];
    let mut scales = Vec::with_capacity(weights.len() / depth);
    for (column, weights) in weights.chunks_exact(depth).enumerate() {
        let panel = &mut packed[column / PANEL * depth * PANEL..][..depth * PANEL];
        let scale = column_scale(weights);
        let mut sum = 0_i64;
        let pairs = panel.as_chunks_mut::<{ 2 * PANEL }>().0;
        for (place, pair) in pairs.iter_mut().zip(weights.as_chunks::<2>().0) {
            for (half, weight) in pair.iter().enumerate() {
                let value = round_i16(weight / scale);
                place[(column % PANEL) * 2 + half] = value;
                sum += i64::from(value).abs();
            }
        }
        assert!(sum <= MAX_COLUMN_SUM, "a column of weights sums up to {sum}");
        scales.push(scale);
    }
    Weights::I16 { values: packed, scales }
}

/// The finest step for a column by which it neither leaves 16 bits nor can overflow the sum of a product.
fn column_scale(weights: &[f32]) -> f32 {
    let largest = weights
        .iter()
        .fold(0.0_f32, |largest, weight| largest.max(weight.abs()));
    let sum: f64 = weights.iter().map(|weight| f64::from(weight.abs())).sum();
    // Rounding adds at most a half per weight; one part in a million is for the arithmetic of this line.
    let room = (MAX_COLUMN_SUM as f64 - weights.len() as f64 / 2.0) * (1.0 - 1e-6);
    #[expect(clippy::cast_possible_truncation, reason = "a scale needs no more than f32")]
    let by_sum = (sum / room) as f32;
    (largest / f32::from(i16::MAX)).max(by_sum).max(f32::MIN_POSITIVE)
}
