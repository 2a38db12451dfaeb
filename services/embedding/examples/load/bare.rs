//! The encoder without the service: one thread per core, each taking the next micro-batch.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use encoder::{Model, ModelDescription, TextKind, Workspace};

use crate::figures::{cpu_of, median};

const BATCH_TOKENS: usize = 512;

/// A loaded model and the number of its threads.
pub struct BareEncoder {
    model: Box<dyn Model>,
    threads: usize,
}

/// The figures of a run.
pub struct BareRun {
    /// Tokens encoded.
    pub tokens: usize,
    /// Elapsed time.
    pub wall: Duration,
    /// CPU time of all threads, if the system reports it.
    pub cpu: Option<Duration>,
    /// The median time of a full micro-batch; zero if there was none.
    pub batch: Duration,
}

impl BareEncoder {
    /// One thread per core over a loaded model.
    pub fn new(model: Box<dyn Model>) -> Self {
        let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { model, threads }
    }

    /// The model.
    pub fn description(&self) -> &ModelDescription {
        self.model.description()
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Encodes all texts, from text to vector.
    pub fn run(&self, texts: &[&str]) -> anyhow::Result<BareRun> {
        let list = Mutex::new(texts.iter());
        let (started, cpu) = (Instant::now(), cpu_of("self"));
        let totals = thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads).map(|_| scope.spawn(|| self.work(&list))).collect();
            let results = threads.into_iter().map(|thread| match thread.join() {
                Ok(result) => result,
                Err(_) => anyhow::bail!("the encoder panicked"),
            });
            results.collect::<anyhow::Result<Vec<ThreadTotals>>>()
        })?;
        let wall = started.elapsed();
        let mut batches: Vec<Duration> = totals.iter().flat_map(|one| one.full_batches.iter().copied()).collect();
        Ok(BareRun {
            tokens: totals.iter().map(|one| one.tokens).sum(),
            wall,
            cpu: cpu_of("self")
                .zip(cpu)
                .map(|(after, before)| after.saturating_sub(before)),
            batch: median(&mut batches).unwrap_or_default(),
        })
    }

    /// The work of one thread.
    fn work(&self, list: &Mutex<std::slice::Iter<'_, &str>>) -> anyhow::Result<ThreadTotals> {
        let dimension = self.model.description().dimension;
        let (mut workspace, mut out) = (Workspace::default(), Vec::new());
        let mut totals = ThreadTotals::default();
        let mut left = None;
        loop {
            let batch = self.next_batch(list, &mut left)?;
            if batch.is_empty() {
                return Ok(totals);
            }
            let sequences: Vec<&[u32]> = batch.iter().map(Vec::as_slice).collect();
            out.resize(sequences.len() * dimension, 0.0);
            let started = Instant::now();
            self.model.encode(&sequences, &mut workspace, &mut out)?;
            totals.tokens += batch.iter().map(Vec::len).sum::<usize>();
            if left.is_some() {
                totals.full_batches.push(started.elapsed());
            }
        }
    }

    /// As many texts as fit into a batch; the first one that does not fit is left for the next batch.
    fn next_batch(
        &self,
        list: &Mutex<std::slice::Iter<'_, &str>>,
        left: &mut Option<Vec<u32>>,
    ) -> anyhow::Result<Vec<Vec<u32>>> {
        let mut batch: Vec<Vec<u32>> = left.take().into_iter().collect();
        let mut tokens: usize = batch.iter().map(Vec::len).sum();
        loop {
            let next = list.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(text) = next else { return Ok(batch) };
            let ids = self.model.tokenize(TextKind::Document, text)?.ids;
            if !batch.is_empty() && tokens + ids.len() > BATCH_TOKENS {
                *left = Some(ids);
                return Ok(batch);
            }
            tokens += ids.len();
            batch.push(ids);
        }
    }
}

/// The figures of one thread.
#[derive(Default)]
struct ThreadTotals {
    tokens: usize,
    full_batches: Vec<Duration>,
}
