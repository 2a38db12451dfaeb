//! The arithmetic of the encoder: a port with one adapter per CPU instruction set.
//!
//! A kernel multiplies packed matrices and transforms rows of numbers. It knows no model, allocates nothing and never reads
//! past a slice: every adapter first checks the shapes with the `check` functions here. To support another instruction set
//! (NEON), implement [`EncoderKernel`] and add it to [`choose`]; the property tests then cover it too.
//!
//! Weights are stored in *panels* of [`PANEL`] columns. In f32, a panel is `[depth][PANEL]`. In i16, two values that are
//! adjacent in depth are stored side by side, `[depth / 2][PANEL][2]`, as one multiply-add instruction reads them.
//!
//! All kernels compute the same integers. In f32 they differ in the order of additions and in whether a product is rounded
//! before it is added, by about 1e-6 of the largest value in a row.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;
#[cfg(test)]
mod tests;

pub(crate) use portable::round_i16;

use crate::options::Instructions;

/// Columns in a panel of weights.
pub(crate) const PANEL: usize = 16;

/// Largest absolute value of a quantised activation: 13 bits with the sign. The absolute values of a column of weights may
/// then add up to [`MAX_COLUMN_SUM`], which leaves 12 to 14 bits for a weight of MiniLM.
pub(crate) const ACTIVATION_LIMIT: i16 = 4095;
/// Largest sum of the absolute values of a column of quantised weights. A product with activations of at most
/// [`ACTIVATION_LIMIT`] then fits 32 bits at any depth: `524_416 * 4095 <= i32::MAX`.
pub(crate) const MAX_COLUMN_SUM: i64 = (i32::MAX as i64) / (ACTIVATION_LIMIT as i64);

/// Largest absolute value of a quantised value in attention.
pub(crate) const VALUE_LIMIT: i16 = 16_383;
/// Largest sum of a row of quantised probabilities, before rounding: `(120_000 + keys / 2) * 16_383 <= i32::MAX` for up
/// to [`MAX_KEYS`] keys.
pub(crate) const PROBABILITY_SUM: f32 = 120_000.0;
/// Most keys in one attention.
pub(crate) const MAX_KEYS: usize = 16_384;

/// Quantised rows: row `r` is `values[r * stride..][..depth]` and represents these integers times `scales[r]`. There are as
/// many rows as scales.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowsI16<'a> {
    pub values: &'a [i16],
    pub stride: usize,
    pub scales: &'a [f32],
}

/// Rows of f32: row `r` is `values[r * stride..][..depth]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowsF32<'a> {
    pub values: &'a [f32],
    pub stride: usize,
    pub count: usize,
}

/// A packed matrix of i16; column `c` represents its integers times `scales[c]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PanelsI16<'a> {
    pub values: &'a [i16],
    pub scales: &'a [f32],
    pub depth: usize,
}

/// A packed matrix of f32.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PanelsF32<'a> {
    pub values: &'a [f32],
    pub columns: usize,
    pub depth: usize,
}

/// What is applied to a product before it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Epilogue<'a> {
    /// Nothing.
    Nothing,
    /// Adds a bias, one value per column.
    Bias(&'a [f32]),
    /// Adds a bias, one value per column, then applies GELU (with the error function).
    BiasGelu(&'a [f32]),
}

/// Where a product is written: row `r` is `values[r * stride..][..columns]`.
#[derive(Debug)]
pub(crate) struct OutputRows<'a> {
    pub values: &'a mut [f32],
    pub stride: usize,
}

impl<'a> OutputRows<'a> {
    pub(crate) fn new(values: &'a mut [f32], stride: usize) -> Self {
        Self { values, stride }
    }

    /// The same rows without those before `first`.
    pub(crate) fn starting_at(&mut self, first: usize) -> OutputRows<'_> {
        OutputRows::new(&mut self.values[first * self.stride..], self.stride)
    }
}

/// The arithmetic that depends on the CPU.
pub(crate) trait EncoderKernel: Send + Sync {
    /// The name of its instruction set, as in [`ModelDescription::instructions`](crate::ModelDescription::instructions).
    fn name(&self) -> &'static str;

    /// `target = epilogue(rows * panels)`, exact in 32-bit integers before scaling.
    fn multiply_i16(&self, rows: RowsI16<'_>, panels: PanelsI16<'_>, epilogue: Epilogue<'_>, target: OutputRows<'_>);

    /// `target = epilogue(rows * panels)` in f32.
    fn multiply_f32(&self, rows: RowsF32<'_>, panels: PanelsF32<'_>, epilogue: Epilogue<'_>, target: OutputRows<'_>);

    /// Scales each row of `width` values into ±`limit`, rounding to the nearest integer, ties to even. `out` is dense;
    /// `scales` has one entry per row. A row of zeros stays zeros.
    fn quantise(&self, rows: RowsF32<'_>, width: usize, limit: i16, out: &mut [i16], scales: &mut [f32]);

    /// Packs dense rows of `width` values (an even number) into panels in which each input row is a column:
    /// `[row / PANEL][width / 2][PANEL][2]`. Columns past the last row become zeros.
    fn pack_keys(&self, rows: &[i16], width: usize, out: &mut [i16]);

    /// Quantises a matrix by column into ±[`VALUE_LIMIT`] and packs its columns into panels; the depth is the number of
    /// rows, padded with zeros to an even number: `[width / PANEL][rows.div_ceil(2)][PANEL][2]`.
    fn pack_values(&self, rows: RowsF32<'_>, width: usize, out: &mut [i16], scales: &mut [f32]);

    /// Softmax over the first `keys` of a row of scores, quantised so that the row's sum is at most [`PROBABILITY_SUM`];
    /// `out` past `keys` becomes zeros. Returns the scale that turns the integers into probabilities that add up to one.
    /// Overwrites `scores`.
    fn softmax_i16(&self, scores: &mut [f32], keys: usize, out: &mut [i16]) -> f32;

    /// Softmax over the first `keys` of a row of scores, in place; the rest of the row becomes zeros.
    fn softmax_f32(&self, scores: &mut [f32], keys: usize);

    /// `row = normalise(row + residual) * gain + shift`, with mean zero and variance one before gain (LayerNorm).
    fn add_norm(&self, row: &mut [f32], residual: &[f32], norm: &LayerNorm);
}

/// The parameters of a layer normalisation, one gain and one shift per value.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    pub gain: Vec<f32>,
    pub shift: Vec<f32>,
    pub epsilon: f32,
}

/// The fastest kernel that the caller allows and this CPU supports.
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(unused_variables, reason = "there is only one kernel for this CPU")
)]
pub(crate) fn choose(instructions: Instructions) -> &'static dyn EncoderKernel {
    #[cfg(target_arch = "x86_64")]
    {
        if instructions == Instructions::Auto
            && let Some(kernel) = avx2::vnni::Vnni::detect()
        {
            return kernel;
        }
        if instructions != Instructions::Portable
            && let Some(kernel) = avx2::Avx2::detect()
        {
            return kernel;
        }
    }
    &portable::Portable
}

/// Panics unless the shapes of a product in i16 match; adapters that skip bounds checks rely on this.
fn check_i16(rows: &RowsI16<'_>, panels: &PanelsI16<'_>, epilogue: &Epilogue<'_>, target: &OutputRows<'_>) {
    let (count, columns) = (rows.scales.len(), panels.scales.len());
    assert!(panels.depth.is_multiple_of(2) && columns.is_multiple_of(PANEL));
    assert!(panels.values.len() >= columns * panels.depth);
    check_area(rows.values.len(), count, rows.stride, panels.depth);
    check_epilogue(epilogue, columns);
    check_area(target.values.len(), count, target.stride, columns);
}

/// Panics unless the shapes of a product in f32 match; adapters that skip bounds checks rely on this.
fn check_f32(rows: &RowsF32<'_>, panels: &PanelsF32<'_>, epilogue: &Epilogue<'_>, target: &OutputRows<'_>) {
    assert!(panels.columns.is_multiple_of(PANEL));
    assert!(panels.values.len() >= panels.columns * panels.depth);
    check_area(rows.values.len(), rows.count, rows.stride, panels.depth);
    check_epilogue(epilogue, panels.columns);
    check_area(target.values.len(), rows.count, target.stride, panels.columns);
}

fn check_epilogue(epilogue: &Epilogue<'_>, columns: usize) {
    if let Epilogue::Bias(bias) | Epilogue::BiasGelu(bias) = epilogue {
        assert!(bias.len() >= columns);
    }
}

/// Panics unless `count` rows of `width` values, `stride` apart, lie within `length` and do not overlap.
fn check_area(length: usize, count: usize, stride: usize, width: usize) {
    assert!(count <= 1 || stride >= width);
    if let Some(last) = count.checked_sub(1) {
        let end = last.checked_mul(stride).and_then(|start| start.checked_add(width));
        assert!(end.is_some_and(|end| end <= length));
    }
}
