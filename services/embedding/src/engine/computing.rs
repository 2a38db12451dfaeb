//! A compute thread: takes batches from the queue, runs the model, answers each text.
//!
//! Whatever the model does with a batch, the thread goes on: when a batch fails, each of its texts is computed alone, so
//! that only the text at fault fails. The thread waits for nothing but work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use common::tasks::panic_message;
use domain::DenseVector;

use super::EmbeddedText;
use super::context::{EngineContext, TokenSequence};
use super::error::TextError;
use super::pending_request::QueuedText;
use super::work_queue::OtherThreads;
use crate::metrics::TextTraits;
use crate::priority::Priority;
use encoder::Workspace;

/// Works until the queue is closed and empty.
pub fn run(context: &EngineContext) {
    let mut worker = BatchWorker {
        context,
        workspace: Workspace::default(),
        out: Vec::new(),
    };
    while let Some(work) = context
        .tokenized
        .take(|text| text.if_wanted(context.clock.instant(), &context.metrics))
    {
        let single_query = work.batch.priority == Priority::Interactive && work.batch.entries.len() == 1;
        let mode = if single_query && work.others == OtherThreads::Idle {
            ComputeMode::Split
        } else {
            ComputeMode::Packed
        };
        worker.compute(work.batch.entries, mode);
        context.tokenized.done(work.batch.priority);
    }
}

/// How a batch is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ComputeMode {
    /// On this thread.
    Packed,
    /// One sequence, with the help of idle threads.
    Split,
}

/// A compute thread and its buffers.
struct BatchWorker<'a> {
    context: &'a EngineContext,
    workspace: Workspace,
    out: Vec<f32>,
}

impl BatchWorker<'_> {
    fn compute(&mut self, mut texts: Vec<QueuedText<TokenSequence>>, mode: ComputeMode) {
        for text in &mut texts {
            text.request.leave_queue();
        }
        let started = self.context.clock.instant();
        match self.encode(&texts, mode) {
            Ok(()) => self.deliver(texts, started, self.context.clock.elapsed(started)),
            Err(error) if texts.len() > 1 => {
                tracing::warn!(%error, texts = texts.len(), "a batch failed; each of its texts is computed alone");
                for text in texts {
                    self.compute(vec![text], ComputeMode::Packed);
                }
            }
            Err(error) => {
                for text in texts {
                    text.request.fail(error.clone(), &self.context.metrics);
                }
            }
        }
    }

    fn encode(&mut self, texts: &[QueuedText<TokenSequence>], mode: ComputeMode) -> Result<(), TextError> {
        let context = self.context;
        let sequences: Vec<&[u32]> = texts.iter().map(|text| text.payload.ids.as_slice()).collect();
        self.out.clear();
        self.out.resize(sequences.len() * self.dimension(), 0.0);
        let (workspace, out) = (&mut self.workspace, &mut self.out[..]);
        let attempt = || match (mode, &sequences[..]) {
            (ComputeMode::Split, [ids]) => context.model.encode_split(ids, &context.thread_pool, workspace, out),
            _ => context.model.encode(&sequences, workspace, out),
        };
        // After a panic the workspace is replaced below, since it may be left half written.
        match catch_unwind(AssertUnwindSafe(attempt)) {
            Ok(result) => Ok(result?),
            Err(panic) => {
                self.workspace = Workspace::default();
                Err(TextError::Panicked(panic_message(panic.as_ref()).to_owned()))
            }
        }
    }

    fn deliver(&self, texts: Vec<QueuedText<TokenSequence>>, started: Instant, took: Duration) {
        let metrics = &self.context.metrics;
        let tokens = texts.iter().map(|text| text.payload.ids.len()).sum();
        self.context.throughput.record(tokens, took);
        metrics.batch(texts.len(), tokens, took);
        for (text, row) in texts.into_iter().zip(self.out.chunks_exact(self.dimension())) {
            let QueuedText { request, payload } = text;
            let dense = match DenseVector::new(row.to_vec()) {
                Ok(dense) => dense,
                Err(error) => {
                    request.fail(TextError::Vector(error.to_string()), metrics);
                    continue;
                }
            };
            let embedded = EmbeddedText {
                tokens: u32::try_from(payload.ids.len()).unwrap_or(u32::MAX),
                truncated: payload.truncated,
                sparse: payload.sparse,
                queue_time: request.waited(started),
                compute_time: took,
                cached: false,
                dense,
            };
            let traits = TextTraits {
                truncated: embedded.truncated,
                unknown: embedded.dense.is_zero(),
            };
            metrics.encoded(request.priority, embedded.tokens, embedded.queue_time, traits);
            request.answer(Ok(embedded));
        }
    }

    fn dimension(&self) -> usize {
        self.context.model.description().dimension
    }
}
