//! The encoder by itself: one thread per core, each taking the next micro-batch, and nothing around it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use embedding::encoder::{Description, Model, TextKind, Workspace};

use crate::figures::{cpu_of, median};

const BUDGET: usize = 512;

/// The encoder.
pub struct Bare {
    model: Box<dyn Model>,
    threads: usize,
}

/// What a run took.
pub struct Alone {
    /// Texts per second.
    pub rate: f64,
    /// By the clock.
    pub wall: Duration,
    /// Processor time of all threads, where the system says.
    pub cpu: Option<Duration>,
    /// Texts.
    pub texts: usize,
    /// The median time of a full micro-batch.
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

    /// Mean tokens of texts.
    pub fn mean_tokens(&self, texts: &[String]) -> anyhow::Result<usize> {
        let mut tokens = 0;
        for text in texts {
            tokens += self.model.tokenize(TextKind::Document, text)?.ids.len();
        }
        Ok(tokens / texts.len().max(1))
    }

    /// Encodes all texts so many times, from text to vector.
    pub fn run(&self, texts: &[String], repeats: usize) -> anyhow::Result<Alone> {
        let total = texts.len() * repeats;
        let next = AtomicUsize::new(0);
        let batches = Mutex::new(Vec::new());
        let (begun, cpu) = (Instant::now(), cpu_of("self"));
        thread::scope(|scope| {
            let work = || self.work(texts, total, &next, &batches);
            let threads: Vec<_> = (0..self.threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(_) => anyhow::bail!("the encoder panicked"),
            })
        })?;
        let wall = begun.elapsed();
        let mut batches = batches.into_inner().unwrap_or_default();
        Ok(Alone {
            rate: total as f64 / wall.as_secs_f64(),
            wall,
            cpu: cpu_of("self")
                .zip(cpu)
                .map(|(after, before)| after.saturating_sub(before)),
            texts: total,
            batch: median(&mut batches).unwrap_or_default(),
        })
    }

    fn work(
        &self,
        texts: &[String],
        total: usize,
        next: &AtomicUsize,
        batches: &Mutex<Vec<Duration>>,
    ) -> anyhow::Result<()> {
        let dimension = self.model.description().dimension;
        let (mut workspace, mut out) = (Workspace::default(), Vec::new());
        let mut left: Option<Vec<u32>> = None;
        loop {
            let mut batch: Vec<Vec<u32>> = left.take().into_iter().collect();
            let mut tokens = batch.iter().map(Vec::len).sum::<usize>();
            let mut full = false;
            while !full {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= total {
                    break;
                }
                let ids = self
                    .model
                    .tokenize(TextKind::Document, &texts[index % texts.len()])?
                    .ids;
                full = !batch.is_empty() && tokens + ids.len() > BUDGET;
                if full {
                    left = Some(ids);
                } else {
                    tokens += ids.len();
                    batch.push(ids);
                }
            }
            if batch.is_empty() {
                return Ok(());
            }
            let sequences: Vec<&[u32]> = batch.iter().map(Vec::as_slice).collect();
            out.resize(sequences.len() * dimension, 0.0);
            let begun = Instant::now();
            self.model.encode(&sequences, &mut workspace, &mut out)?;
            if full && let Ok(mut batches) = batches.lock() {
                batches.push(begun.elapsed());
            }
        }
    }
}
