//! What the threads of an engine have in common, and how they are started.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use domain::SparseVector;

use super::errand::Item;
use super::error::EngineError;
use super::lanes::Budget;
use super::work_queue::WorkQueue;
use super::{EngineConfig, Truncate, computing, tokenizing};
use crate::metrics::Metrics;
use encoder::{Crew, Model};

/// The most tokens computed at once. Abstracts fill the encoder's kernels with half of that, so more only makes others
/// wait; short queries are worth packing together.
const BUDGET: Budget = Budget {
    full: 512,
    beside_queries: 256,
};

/// A text as it came.
#[derive(Debug)]
pub struct Raw {
    /// The text.
    pub content: String,
    pub title: String,
    /// What to do when it is too long.
    pub truncate: Truncate,
}

/// A text as the model reads it.
#[derive(Debug)]
pub struct Sequence {
    /// Its tokens.
    pub ids: Vec<u32>,
    /// True when its end was left out.
    pub truncated: bool,
    /// Its term weights.
    pub sparse: SparseVector,
}

/// What the threads share.
pub struct Shared {
    /// The model.
    pub model: Arc<dyn Model>,
    /// Helpers for a lone query.
    pub crew: Crew,
    /// Texts that wait to be split into tokens.
    pub raw: WorkQueue<Item<Raw>>,
    /// Sequences that wait for the model.
    pub ready: WorkQueue<Item<Sequence>>,
    /// The figures.
    pub metrics: Arc<Metrics>,
    /// How fast one thread computes.
    pub pace: Pace,
}

impl Shared {
    /// Queues for the threads of this configuration.
    pub fn new(model: Arc<dyn Model>, config: &EngineConfig, metrics: Arc<Metrics>) -> Result<Self, EngineError> {
        Ok(Self {
            model,
            crew: Crew::new(config.threads)?,
            raw: WorkQueue::new(BUDGET, config.tokenizer_threads),
            ready: WorkQueue::new(BUDGET, config.threads),
            metrics,
            pace: Pace::default(),
        })
    }
}

/// The threads of an engine. Dropping them finishes what waits and ends them.
pub struct Threads {
    shared: Arc<Shared>,
    tokenizing: Vec<JoinHandle<()>>,
    computing: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts them.
    pub fn start(shared: &Arc<Shared>, config: &EngineConfig) -> Result<Self, EngineError> {
        let mut threads = Self {
            shared: Arc::clone(shared),
            tokenizing: Vec::with_capacity(config.tokenizer_threads),
            computing: Vec::with_capacity(config.threads),
        };
        for number in 0..config.tokenizer_threads {
            let shared = Arc::clone(shared);
            let thread = spawn(format!("tokenize-{number}"), move || tokenizing::run(&shared))?;
            threads.tokenizing.push(thread);
        }
        for number in 0..config.threads {
            let shared = Arc::clone(shared);
            let thread = spawn(format!("encode-{number}"), move || computing::run(&shared))?;
            threads.computing.push(thread);
        }
        Ok(threads)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.raw.close();
        join(&mut self.tokenizing);
        self.shared.ready.close();
        join(&mut self.computing);
    }
}

fn join(threads: &mut Vec<JoinHandle<()>>) {
    for thread in threads.drain(..) {
        if let Err(panic) = thread.join() {
            tracing::error!(
                panic = panic_text(panic.as_ref()),
                "a thread of the encoder ended early"
            );
        }
    }
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, EngineError> {
    thread::Builder::new()
        .name(name)
        .spawn(work)
        .map_err(EngineError::Thread)
}

/// How many tokens one thread computes in a second, as the last batches had it.
#[derive(Debug, Default)]
pub struct Pace(AtomicU64);

/// Weight of the newest batch.
const NEWEST: f64 = 0.2;

impl Pace {
    /// Notes a batch. Two threads at once may lose one of two notes, which does no harm to an average.
    pub fn note(&self, tokens: usize, took: Duration) {
        if tokens == 0 || took.is_zero() {
            return;
        }
        let newest = tokens as f64 / took.as_secs_f64();
        let next = self
            .tokens_per_second()
            .map_or(newest, |so_far| so_far + NEWEST * (newest - so_far));
        self.0.store(next.to_bits(), Ordering::Relaxed);
    }

    /// The pace; `None` before the first batch.
    pub fn tokens_per_second(&self) -> Option<f64> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            bits => Some(f64::from_bits(bits)),
        }
    }
}

/// What a panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_the_batches() {
        let pace = Pace::default();
        assert_eq!(pace.tokens_per_second(), None);
        pace.note(0, Duration::from_secs(1));
        pace.note(500, Duration::ZERO);
        assert_eq!(pace.tokens_per_second(), None);
        pace.note(500, Duration::from_millis(500));
        assert_eq!(pace.tokens_per_second(), Some(1000.0));
        pace.note(500, Duration::from_millis(250));
        assert_eq!(pace.tokens_per_second(), Some(1200.0));
    }

    #[test]
    fn a_panic_says_what_it_said() {
        let panic = std::panic::catch_unwind(|| panic!("row {}", 7)).expect_err("a panic");
        assert_eq!(panic_text(panic.as_ref()), "row 7");
    }
}
