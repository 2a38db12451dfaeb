//! From token ids to vectors: embeddings, layers, pooling.
//!
//! After attention a layer works on blocks of rows, so that a block's inner values (four times as wide as its rows) are
//! still in the second cache when they are read again.

use crate::crew::Crew;
use crate::error::EncodeError;
use crate::options::Pooling;

use super::attention::Projected;
use super::workspace::{Workspace, grow};
use super::{Bert, Layer};

/// Rows that go through the second half of a layer together.
const BLOCK_ROWS: usize = 48;
/// Tokens that are computed at once; a larger batch is cut between sequences, so that buffers stay small.
const PASS_TOKENS: usize = 512;

impl Bert {
    /// Encodes sequences whose lengths, ids and room were checked.
    pub(super) fn forward(
        &self,
        batch: &[&[u32]],
        crew: Option<&Crew>,
        workspace: &mut Workspace,
        out: &mut [f32],
    ) -> Result<(), EncodeError> {
        let lengths = batch.iter().map(|ids| ids.len());
        for sequences in crate::batch::micro_batches(lengths, PASS_TOKENS) {
            let out = &mut out[sequences.start * self.hidden()..sequences.end * self.hidden()];
            self.pass(&batch[sequences.clone()], crew, workspace, out);
            let unsound = out
                .chunks_exact(self.hidden())
                .position(|vector| !vector.iter().all(|value| value.is_finite()));
            if let Some(place) = unsound {
                return Err(EncodeError::NotFinite {
                    position: sequences.start + place + 1,
                    count: batch.len(),
                });
            }
        }
        Ok(())
    }

    fn pass(&self, batch: &[&[u32]], crew: Option<&Crew>, workspace: &mut Workspace, out: &mut [f32]) {
        let rows = batch.iter().map(|ids| ids.len()).sum::<usize>();
        let hidden = grow(&mut workspace.hidden, rows * self.hidden());
        self.embed(batch, hidden);
        for layer in &self.layers {
            self.attend(layer, batch, crew, rows, workspace);
            self.transform(layer, crew, rows, workspace);
        }
        self.pool(batch, &workspace.hidden, out);
    }

    fn embed(&self, batch: &[&[u32]], hidden: &mut [f32]) {
        let width = self.hidden();
        let mut rows = hidden.chunks_exact_mut(width);
        for ids in batch {
            let places = self.embeddings.positions.chunks_exact(width);
            for ((id, place), row) in ids.iter().zip(places).zip(&mut rows) {
                row.copy_from_slice(&self.embeddings.words[*id as usize * width..][..width]);
                self.kernel.add_norm(row, place, &self.embeddings.norm);
            }
        }
    }

    /// `attended = attention(project(hidden))`
    fn attend(&self, layer: &Layer, batch: &[&[u32]], crew: Option<&Crew>, rows: usize, workspace: &mut Workspace) {
        let Workspace {
            hidden,
            projected,
            attended,
            quantised,
            attention,
            parts,
            ..
        } = workspace;
        let width = self.hidden();
        let projected = grow(projected, rows * 3 * width);
        let attended = grow(attended, rows * width);
        layer
            .project
            .apply(self.kernel, crew, &hidden[..rows * width], quantised, parts, projected);
        let mut first = 0;
        for ids in batch.iter().filter(|ids| !ids.is_empty()) {
            let sequence = Projected {
                values: &projected[first * 3 * width..],
                stride: 3 * width,
                count: ids.len(),
            };
            let out = &mut attended[first * width..(first + ids.len()) * width];
            self.shape.attend(self.kernel, crew, sequence, attention, parts, out);
            first += ids.len();
        }
    }

    /// `hidden = norm(down(up(y)) + y)`, where `y = norm(output(attended) + hidden)`
    fn transform(&self, layer: &Layer, crew: Option<&Crew>, rows: usize, workspace: &mut Workspace) {
        let Workspace {
            hidden,
            attended,
            block,
            inner,
            quantised,
            parts,
            ..
        } = workspace;
        let width = self.hidden();
        let blocks = hidden[..rows * width].chunks_mut(BLOCK_ROWS * width);
        for (hidden, attended) in blocks.zip(attended[..rows * width].chunks(BLOCK_ROWS * width)) {
            let rows = hidden.len() / width;
            let block = grow(block, rows * width);
            let inner = grow(inner, rows * layer.up.columns());
            layer.output.apply(self.kernel, crew, attended, quantised, parts, block);
            for (row, residual) in block.chunks_exact_mut(width).zip(hidden.chunks_exact(width)) {
                self.kernel.add_norm(row, residual, &layer.attention_norm);
            }
            layer.up.apply(self.kernel, crew, block, quantised, parts, inner);
            layer.down.apply(self.kernel, crew, inner, quantised, parts, hidden);
            for (row, residual) in hidden.chunks_exact_mut(width).zip(block.chunks_exact(width)) {
                self.kernel.add_norm(row, residual, &layer.output_norm);
            }
        }
    }

    fn pool(&self, batch: &[&[u32]], hidden: &[f32], out: &mut [f32]) {
        let width = self.hidden();
        let mut first = 0;
        for (ids, out) in batch.iter().zip(out.chunks_exact_mut(width)) {
            let rows = &hidden[first * width..(first + ids.len()) * width];
            let pooled = match self.pooling {
                Pooling::Mean => rows,
                Pooling::Cls => &rows[..width.min(rows.len())],
            };
            out.fill(0.0);
            for row in pooled.chunks_exact(width) {
                for (sum, value) in out.iter_mut().zip(row) {
                    *sum += value;
                }
            }
            // The mean and the sum differ by a factor that this takes away.
            normalise(out);
            first += ids.len();
        }
    }
}

/// Brings a vector to length one; zeros stay zeros.
pub(crate) fn normalise(values: &mut [f32]) {
    let norm = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    if norm == 0.0 {
        return;
    }
    for value in values {
        *value /= norm;
    }
}
