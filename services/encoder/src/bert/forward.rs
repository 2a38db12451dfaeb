//! From token ids to vectors: embeddings, layers, pooling.
//!
//! After attention, a layer processes blocks of rows, so that a block's intermediate values (four times as wide as its
//! rows) are still in the L2 cache when they are read again.

use crate::batch::micro_batches;
use crate::error::EncodeError;
use crate::options::Pooling;
use crate::thread_pool::ThreadPool;
use crate::vectors::normalise;
use crate::workspace::{Workspace, grow};

use super::attention::QkvRows;
use super::{Bert, BertLayer};

/// Rows that pass through the second half of a layer together.
const BLOCK_ROWS: usize = 48;
/// Tokens per pass; a larger batch is split between sequences, so that buffers stay small.
const PASS_TOKENS: usize = 512;

impl Bert {
    /// Encodes sequences whose lengths and ids, and whose output's length, were checked.
    pub(super) fn forward(
        &self,
        batch: &[&[u32]],
        thread_pool: Option<&ThreadPool>,
        workspace: &mut Workspace,
        out: &mut [f32],
    ) -> Result<(), EncodeError> {
        let lengths = batch.iter().map(|ids| ids.len());
        for sequences in micro_batches(lengths, PASS_TOKENS) {
            let out = &mut out[sequences.start * self.hidden()..sequences.end * self.hidden()];
            self.pass(&batch[sequences.clone()], thread_pool, workspace, out);
            let not_finite = out
                .chunks_exact(self.hidden())
                .position(|vector| !vector.iter().all(|value| value.is_finite()));
            if let Some(index) = not_finite {
                return Err(EncodeError::NotFinite {
                    position: sequences.start + index + 1,
                    count: batch.len(),
                });
            }
        }
        Ok(())
    }

    fn pass(&self, batch: &[&[u32]], thread_pool: Option<&ThreadPool>, workspace: &mut Workspace, out: &mut [f32]) {
        let rows = batch.iter().map(|ids| ids.len()).sum::<usize>();
        let hidden = grow(&mut workspace.hidden, rows * self.hidden());
        self.embed(batch, hidden);
        for layer in &self.layers {
            self.attend(layer, batch, thread_pool, rows, workspace);
            self.transform(layer, thread_pool, rows, workspace);
        }
        self.pool_tokens(batch, &workspace.hidden, out);
    }

    fn embed(&self, batch: &[&[u32]], hidden: &mut [f32]) {
        let width = self.hidden();
        let mut rows = hidden.chunks_exact_mut(width);
        for ids in batch {
            let positions = self.embeddings.positions.chunks_exact(width);
            for ((id, position), row) in ids.iter().zip(positions).zip(&mut rows) {
                row.copy_from_slice(&self.embeddings.words[*id as usize * width..][..width]);
                self.kernel.add_norm(row, position, &self.embeddings.norm);
            }
        }
    }

    /// `attended = attention(qkv(hidden))`
    fn attend(
        &self,
        layer: &BertLayer,
        batch: &[&[u32]],
        thread_pool: Option<&ThreadPool>,
        rows: usize,
        workspace: &mut Workspace,
    ) {
        let Workspace {
            hidden,
            projected,
            attended,
            quantised,
            attention,
            partial_outputs,
            ..
        } = workspace;
        let width = self.hidden();
        let projected = grow(projected, rows * 3 * width);
        let attended = grow(attended, rows * width);
        layer.qkv.apply(
            self.kernel,
            thread_pool,
            &hidden[..rows * width],
            quantised,
            partial_outputs,
            projected,
        );
        let mut first = 0;
        for ids in batch.iter().filter(|ids| !ids.is_empty()) {
            let sequence = QkvRows {
                values: &projected[first * 3 * width..],
                stride: 3 * width,
                count: ids.len(),
            };
            let out = &mut attended[first * width..(first + ids.len()) * width];
            self.shape
                .attend(self.kernel, thread_pool, sequence, attention, partial_outputs, out);
            first += ids.len();
        }
    }

    /// `hidden = norm(down(up(y)) + y)`, where `y = norm(output(attended) + hidden)`
    fn transform(&self, layer: &BertLayer, thread_pool: Option<&ThreadPool>, rows: usize, workspace: &mut Workspace) {
        let Workspace {
            hidden,
            attended,
            block,
            inner,
            quantised,
            partial_outputs,
            ..
        } = workspace;
        let width = self.hidden();
        let blocks = hidden[..rows * width].chunks_mut(BLOCK_ROWS * width);
        for (hidden, attended) in blocks.zip(attended[..rows * width].chunks(BLOCK_ROWS * width)) {
            let rows = hidden.len() / width;
            let block = grow(block, rows * width);
            let inner = grow(inner, rows * layer.up.columns());
            layer
                .output
                .apply(self.kernel, thread_pool, attended, quantised, partial_outputs, block);
            for (row, residual) in block.chunks_exact_mut(width).zip(hidden.chunks_exact(width)) {
                self.kernel.add_norm(row, residual, &layer.attention_norm);
            }
            layer
                .up
                .apply(self.kernel, thread_pool, block, quantised, partial_outputs, inner);
            layer
                .down
                .apply(self.kernel, thread_pool, inner, quantised, partial_outputs, hidden);
            for (row, residual) in hidden.chunks_exact_mut(width).zip(block.chunks_exact(width)) {
                self.kernel.add_norm(row, residual, &layer.output_norm);
            }
        }
    }

    fn pool_tokens(&self, batch: &[&[u32]], hidden: &[f32], out: &mut [f32]) {
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
            // Normalising the sum gives the same vector as normalising the mean.
            normalise(out);
            first += ids.len();
        }
    }
}
