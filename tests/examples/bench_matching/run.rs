//! Readers through matching and selection, on as many threads as measured for.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Instant;

use domain::matching::kernel::TileKernel;
use domain::matching::{InterestQuery, Match, Panel, PaperSet, Workspace, top};
use domain::selection::{
    CandidatePool, InterestMatches, ReaderProfile, TooFewMatches, initial_k, select, select_alone,
};
use domain::{Int8Vector, Preferences};

use crate::meter::thread_s;
use crate::readers::{INTERESTS, PAPERS, seen};

/// Threads that match at once.
pub const THREADS: usize = 2;
/// Readers that are matched together.
const CHUNK: usize = 1_024;

/// What a run took, in seconds of the processor where it does not say otherwise.
#[derive(Debug, Default)]
pub struct Figures {
    pub readers: usize,
    pub matching_s: f64,
    pub selection_s: f64,
    pub wall_s: f64,
    pub chosen: usize,
    /// Readers who got nothing.
    pub empty: usize,
    /// Readers who needed more matches.
    pub again: usize,
}

impl Figures {
    /// Multiplications of the matrix product.
    pub fn products(&self, panel: &Panel) -> f64 {
        Self::products_of(panel, self.readers * INTERESTS)
    }

    /// Multiplications of the product of so many interests.
    pub fn products_of(panel: &Panel, interests: usize) -> f64 {
        interests as f64 * panel.papers() as f64 * panel.dimension() as f64
    }

    /// Microseconds that a reader's selection took.
    pub fn selection_us(&self) -> f64 {
        self.selection_s * 1e6 / self.readers as f64
    }

    fn add(&mut self, other: &Self) {
        self.readers += other.readers;
        self.matching_s += other.matching_s;
        self.selection_s += other.selection_s;
        self.chosen += other.chosen;
        self.empty += other.empty;
        self.again += other.again;
    }
}

/// Matches readers, a chunk at a time, and selects for each; `preferences` are given out in turn.
pub fn run(
    pool: &CandidatePool<'_>,
    panel: &Panel,
    vectors: &[Int8Vector],
    preferences: &[Preferences],
) -> anyhow::Result<Figures> {
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let work = || -> anyhow::Result<Figures> {
        let (mut workspace, mut alone) = (Workspace::default(), Workspace::default());
        let mut figures = Figures::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(vectors) = vectors.chunks(CHUNK * INTERESTS).nth(number) else {
                return Ok(figures);
            };
            let readers = (number * CHUNK..).zip(vectors.chunks_exact(INTERESTS));
            let seen: Vec<PaperSet> = readers
                .clone()
                .map(|(reader, _)| seen(reader, panel.papers()))
                .collect();
            let started = thread_s()?;
            let queries = vectors.iter().enumerate().map(|(at, vector)| InterestQuery {
                vector,
                skip: Some(&seen[at / INTERESTS]),
            });
            let queries: Vec<InterestQuery<'_>> = queries.collect();
            let k = initial_k(PAPERS);
            let matches = top(panel, &queries, k, &mut workspace)?;
            let between = thread_s()?;
            for (at, (number, vectors)) in readers.enumerate() {
                let found: [&[Match]; INTERESTS] = std::array::from_fn(|one| matches.of(at * INTERESTS + one));
                let reader = ReaderProfile {
                    preferences: &preferences[number % preferences.len()],
                    seen: Some(&seen[at]),
                };
                let found = InterestMatches {
                    matches: &found,
                    by_words: &[],
                    k,
                };
                let choices = match select(pool, reader, found) {
                    Ok(choices) => choices,
                    Err(TooFewMatches { k }) => {
                        figures.again += 1;
                        select_alone(pool, panel, reader, vectors, &[], k, &mut alone)?
                    }
                };
                figures.readers += 1;
                figures.chosen += choices.len();
                figures.empty += usize::from(choices.is_empty());
            }
            figures.matching_s += between - started;
            figures.selection_s += thread_s()? - between;
        }
    };
    let mut all = Figures::default();
    for part in together(work) {
        all.add(&part?);
    }
    all.wall_s = began.elapsed().as_secs_f64();
    Ok(all)
}

/// Seconds of the processor to match alone, nothing being skipped.
pub fn matching_alone(panel: &Panel, vectors: &[Int8Vector], k: usize) -> anyhow::Result<f64> {
    let next = AtomicUsize::new(0);
    let work = || -> anyhow::Result<f64> {
        let mut workspace = Workspace::default();
        let started = thread_s()?;
        let mut chunks = vectors.chunks(CHUNK * INTERESTS);
        let mut at = 0;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(vectors) = chunks.nth(number - at) else {
                return Ok(thread_s()? - started);
            };
            at = number + 1;
            let queries: Vec<InterestQuery<'_>> = vectors
                .iter()
                .map(|vector| InterestQuery { vector, skip: None })
                .collect();
            top(panel, &queries, k, &mut workspace)?;
        }
    };
    together(work).into_iter().sum()
}

/// Products in a second of the processor, in registers alone, while all threads are busy; the best of some tries.
pub fn peak(kernel: TileKernel) -> f64 {
    const ROUNDS: u64 = 10_000_000;
    let once = || -> anyhow::Result<f64> {
        let started = thread_s()?;
        let products = kernel.peak(ROUNDS);
        Ok(products as f64 / (thread_s()? - started))
    };
    let tries = (0..5).flat_map(|_| together(once));
    tries.flatten().fold(0.0, f64::max)
}

/// The same on every thread at once.
fn together<T: Send>(work: impl Fn() -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(&work)).collect();
        let joined = threads.into_iter().map(ScopedJoinHandle::join);
        joined
            .map(|result| result.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}
