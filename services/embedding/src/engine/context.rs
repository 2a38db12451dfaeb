//! What the threads of an engine share: the model, the queues between the threads, the clock and the metrics.

use std::sync::Arc;

use common::clock::Clock;
use domain::SparseVector;
use encoder::{Model, ThreadPool};

use super::error::EngineError;
use super::pending_request::QueuedText;
use super::priority_queue::BatchBudget;
use super::throughput::Throughput;
use super::work_queue::WorkQueue;
use super::{EngineConfig, Truncate};
use crate::metrics::EncoderMetrics;

/// The most tokens in a batch. Abstracts keep the encoder's kernels busy with half of that, so more would only make others
/// wait; short queries gain from being packed together. What is done with what is left makes nobody wait for long.
const BUDGET: BatchBudget = BatchBudget {
    full: 512,
    beside_queries: 256,
    best_effort: 128,
};

/// A text as it was submitted.
#[derive(Debug)]
pub struct RawText {
    /// The text itself.
    pub content: String,
    /// The part of it that is the title; empty when there is none.
    pub title: String,
    /// What to do when it is too long.
    pub truncate: Truncate,
}

/// A text as the model reads it.
#[derive(Debug)]
pub struct TokenSequence {
    /// Its token ids.
    pub ids: Vec<u32>,
    /// True when its end was cut off.
    pub truncated: bool,
    /// Its term weights.
    pub sparse: SparseVector,
}

/// What the threads of an engine share.
pub struct EngineContext {
    /// The model.
    pub model: Arc<dyn Model>,
    /// The threads that share the work of a single query.
    pub thread_pool: ThreadPool,
    /// Texts that wait for a tokenizer thread.
    pub raw: WorkQueue<QueuedText<RawText>>,
    /// Token sequences that wait for a compute thread.
    pub tokenized: WorkQueue<QueuedText<TokenSequence>>,
    /// Tells when deadlines pass and how long texts wait.
    pub clock: Clock,
    /// The metrics of this encoder.
    pub metrics: Arc<EncoderMetrics>,
    /// How fast one thread computes.
    pub throughput: Throughput,
}

impl EngineContext {
    /// Empty queues for the threads of this configuration.
    pub fn new(
        model: Arc<dyn Model>,
        config: &EngineConfig,
        clock: Clock,
        metrics: Arc<EncoderMetrics>,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            model,
            thread_pool: ThreadPool::new(config.threads)?,
            raw: WorkQueue::new(BUDGET, config.tokenizer_threads),
            tokenized: WorkQueue::new(BUDGET, config.threads),
            clock,
            metrics,
            throughput: Throughput::default(),
        })
    }
}
