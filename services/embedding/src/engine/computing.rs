//! Computes batches on one thread: takes one from the queue, runs the model, answers each text.
//!
//! Whatever the model does with a batch, the thread goes on, and a text that fails is found and fails alone. It never
//! waits for anything but work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use domain::DenseVector;

use super::Embedded;
use super::errand::Item;
use super::error::TextError;
use super::shared::{Sequence, Shared, panic_text};
use super::work_queue::Others;
use crate::metrics::TextTraits;
use encoder::{TextKind, Workspace};

/// Works until the queue is closed and empty.
pub fn run(shared: &Shared) {
    let mut desk = Desk {
        shared,
        workspace: Workspace::default(),
        out: Vec::new(),
    };
    while let Some(taken) = shared
        .ready
        .take(|item| item.if_wanted(Instant::now(), &shared.metrics))
    {
        let lone_query = taken.batch.kind == TextKind::Query && taken.batch.entries.len() == 1;
        let mode = if lone_query && taken.others == Others::Idle {
            Mode::Split
        } else {
            Mode::Packed
        };
        desk.compute(taken.batch.entries, mode);
    }
}

/// How a batch is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// On this thread.
    Packed,
    /// One sequence, with the help of idle threads.
    Split,
}

/// What a thread works with.
struct Desk<'a> {
    shared: &'a Shared,
    workspace: Workspace,
    out: Vec<f32>,
}

impl Desk<'_> {
    fn compute(&mut self, mut items: Vec<Item<Sequence>>, mode: Mode) {
        for item in &mut items {
            item.errand.leave_queue();
        }
        let begun = Instant::now();
        match self.encode(&items, mode) {
            Ok(()) => self.deliver(items, begun, begun.elapsed()),
            Err(error) if items.len() > 1 => {
                tracing::warn!(%error, texts = items.len(), "a batch failed, each of its texts is tried alone");
                for item in items {
                    self.compute(vec![item], Mode::Packed);
                }
            }
            Err(error) => {
                for item in items {
                    item.errand.fail(error.clone(), &self.shared.metrics);
                }
            }
        }
    }

    fn encode(&mut self, items: &[Item<Sequence>], mode: Mode) -> Result<(), TextError> {
        let model = self.shared.model.as_ref();
        let sequences: Vec<&[u32]> = items.iter().map(|item| item.payload.ids.as_slice()).collect();
        self.out.clear();
        self.out.resize(sequences.len() * self.dimension(), 0.0);
        let (workspace, out) = (&mut self.workspace, &mut self.out[..]);
        let attempt = || match (mode, &sequences[..]) {
            (Mode::Split, [ids]) => model.encode_split(ids, &self.shared.crew, workspace, out),
            _ => model.encode(&sequences, workspace, out),
        };
        // What a panic may leave half done is thrown away below.
        match catch_unwind(AssertUnwindSafe(attempt)) {
            Ok(result) => Ok(result?),
            Err(panic) => {
                self.workspace = Workspace::default();
                Err(TextError::Panicked(panic_text(panic.as_ref())))
            }
        }
    }

    fn deliver(&self, items: Vec<Item<Sequence>>, begun: Instant, took: Duration) {
        let metrics = &self.shared.metrics;
        let tokens = items.iter().map(|item| item.payload.ids.len()).sum();
        self.shared.pace.note(tokens, took);
        metrics.batch(items.len(), tokens, took);
        for (item, row) in items.into_iter().zip(self.out.chunks_exact(self.dimension())) {
            let Item { errand, payload } = item;
            let dense = match DenseVector::new(row.to_vec()) {
                Ok(dense) => dense,
                Err(error) => {
                    errand.fail(TextError::Vector(error.to_string()), metrics);
                    continue;
                }
            };
            let embedded = Embedded {
                tokens: u32::try_from(payload.ids.len()).unwrap_or(u32::MAX),
                truncated: payload.truncated,
                sparse: payload.sparse,
                queue_time: errand.waited(begun),
                compute_time: took,
                cached: false,
                dense,
            };
            let traits = TextTraits {
                truncated: embedded.truncated,
                unknown: embedded.dense.is_zero(),
            };
            metrics.encoded(errand.kind, embedded.tokens, embedded.queue_time, traits);
            errand.answer(Ok(embedded));
        }
    }

    fn dimension(&self) -> usize {
        self.shared.model.description().dimension
    }
}
