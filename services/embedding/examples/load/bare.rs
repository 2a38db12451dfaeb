//! The encoder by itself: one thread per core, each taking the next micro-batch, and nothing around it.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use encoder::{Description, Model, TextKind, Workspace};

use crate::figures::{cpu_of, median};

const BUDGET: usize = 512;

/// The encoder.
pub struct Bare {
    model: Box<dyn Model>,
    threads: usize,
}

/// What a run took.
pub struct Alone {
    /// Tokens.
    pub tokens: usize,
    /// By the clock.
    pub wall: Duration,
    /// Processor time of all threads, where the system says.
    pub cpu: Option<Duration>,
    /// The median time of a full micro-batch; zero when there was none.
    pub batch: Duration,
}

impl Bare {
    /// Over a loaded model.
    pub fn new(model: Box<dyn Model>) -> Self {
        let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { model, threads }
    }

    /// The model.
    pub fn description(&self) -> &Description {
        self.model.description()
    }

    /// Threads it computes with.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Encodes all texts, from text to vector.
    pub fn run(&self, texts: &[&str]) -> anyhow::Result<Alone> {
        let list = Mutex::new(texts.iter());
        let (begun, cpu) = (Instant::now(), cpu_of("self"));
        let worked = thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads).map(|_| scope.spawn(|| self.work(&list))).collect();
            let results = threads.into_iter().map(|thread| match thread.join() {
                Ok(result) => result,
                Err(_) => anyhow::bail!("the encoder panicked"),
            });
            results.collect::<anyhow::Result<Vec<Worked>>>()
        })?;
        let wall = begun.elapsed();
        let mut batches: Vec<Duration> = worked.iter().flat_map(|one| one.full_batches.iter().copied()).collect();
        Ok(Alone {
            tokens: worked.iter().map(|one| one.tokens).sum(),
            wall,
            cpu: cpu_of("self")
                .zip(cpu)
                .map(|(after, before)| after.saturating_sub(before)),
            batch: median(&mut batches).unwrap_or_default(),
        })
    }

    /// What one thread does.
    fn work(&self, list: &Mutex<std::slice::Iter<'_, &str>>) -> anyhow::Result<Worked> {
        let dimension = self.model.description().dimension;
        let (mut workspace, mut out) = (Workspace::default(), Vec::new());
        let mut worked = Worked::default();
        let mut left = None;
        loop {
            let batch = self.next_batch(list, &mut left)?;
            if batch.is_empty() {
                return Ok(worked);
            }
            let sequences: Vec<&[u32]> = batch.iter().map(Vec::as_slice).collect();
            out.resize(sequences.len() * dimension, 0.0);
            let begun = Instant::now();
            self.model.encode(&sequences, &mut workspace, &mut out)?;
            worked.tokens += batch.iter().map(Vec::len).sum::<usize>();
            if left.is_some() {
                worked.full_batches.push(begun.elapsed());
            }
        }
    }

    /// As many texts as fit the budget; the first one that does not is left for the next batch.
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
            if !batch.is_empty() && tokens + ids.len() > BUDGET {
                *left = Some(ids);
                return Ok(batch);
            }
            tokens += ids.len();
            batch.push(ids);
        }
    }
}

/// What one thread did.
#[derive(Default)]
struct Worked {
    tokens: usize,
    full_batches: Vec<Duration>,
}
