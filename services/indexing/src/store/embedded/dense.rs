//! By meaning: the cosine with every paper that passes, exact, in two looks.
//!
//! The first look takes the codes, which are a quarter of the memory, and keeps every paper whose score may be among the
//! best as far as the bound on the error says; the second computes those scores in double precision. All questions that
//! wait at the same moment share the first look, and it is divided among the cores.

use std::sync::{Arc, Mutex, PoisonError};

use domain::fusion::Hit;
use rayon::prelude::*;

use super::best::Best;
use super::bits::{Bits, WORD, ones};
use super::kernel::Kernel;
use super::snapshot::{Place, Snapshot};
use super::vectors::Question;

/// Words of slots that one task looks at: 2,048 papers.
const TASK_WORDS: usize = 32;
/// With so few papers of a word that pass, each is looked at alone.
const FEW: u32 = 6;
/// Papers that are remembered before the list is cleared of those that cannot be among the best any more.
const REMEMBERED: usize = 4_096;

/// Answers questions, those that wait at the same time together.
pub struct Searcher {
    kernel: Kernel,
    waiting: Mutex<Vec<Arc<Job>>>,
    looking: Mutex<()>,
}

/// A question under a filter.
pub struct Job {
    snapshot: Arc<Snapshot>,
    passing: Arc<Vec<Bits>>,
    question: Question,
    limit: usize,
    answer: Mutex<Option<Vec<Hit>>>,
}

/// A part of the papers, for one task.
#[derive(Clone, Copy)]
struct Range {
    part: usize,
    begin: usize,
    end: usize,
}

/// Papers that may be among the best.
#[derive(Debug, Default)]
struct Candidates {
    limit: usize,
    /// As many papers as asked for score at least this.
    floor: f32,
    at_least: Vec<f32>,
    found: Vec<(f32, Place)>,
    clear_at: usize,
}

impl Searcher {
    /// With the fastest kernel.
    pub fn new() -> Self {
        let kernel = Kernel::choose();
        tracing::debug!(kernel = kernel.name, "first look at dense vectors");
        Self {
            kernel,
            waiting: Mutex::default(),
            looking: Mutex::default(),
        }
    }

    /// The best papers among those that pass.
    pub fn search(
        &self,
        snapshot: &Arc<Snapshot>,
        passing: &Arc<Vec<Bits>>,
        question: Question,
        limit: usize,
    ) -> Vec<Hit> {
        if limit == 0 {
            return Vec::new();
        }
        let job = Arc::new(Job {
            snapshot: Arc::clone(snapshot),
            passing: Arc::clone(passing),
            question,
            limit,
            answer: Mutex::default(),
        });
        lock(&self.waiting).push(Arc::clone(&job));
        // Whoever comes first answers all that came until then; the others find their answer when it is their turn.
        let _turn = lock(&self.looking);
        if let Some(answer) = lock(&job.answer).take() {
            return answer;
        }
        let mut jobs = std::mem::take(&mut *lock(&self.waiting));
        if !jobs.iter().any(|other| Arc::ptr_eq(other, &job)) {
            jobs.push(Arc::clone(&job));
        }
        while let Some(first) = jobs.first() {
            let snapshot = Arc::clone(&first.snapshot);
            let (together, rest): (Vec<_>, Vec<_>) =
                jobs.into_iter().partition(|job| Arc::ptr_eq(&job.snapshot, &snapshot));
            self.answer(&snapshot, &together);
            jobs = rest;
        }
        lock(&job.answer).take().unwrap_or_default()
    }

    fn answer(&self, snapshot: &Snapshot, jobs: &[Arc<Job>]) {
        let mut ranges = Vec::new();
        for (part, one) in snapshot.parts.iter().enumerate() {
            let words = one.live.words().len();
            ranges.extend((0..words).step_by(TASK_WORDS).map(|begin| Range {
                part,
                begin,
                end: words.min(begin + TASK_WORDS),
            }));
        }
        let fresh = || jobs.iter().map(|job| Candidates::new(job.limit)).collect::<Vec<_>>();
        let look = |mut candidates: Vec<Candidates>, range: &Range| {
            self.look(snapshot, *range, jobs, &mut candidates);
            candidates
        };
        let candidates = if ranges.len() < 4 {
            ranges.iter().fold(fresh(), look)
        } else {
            let halves = ranges.par_iter().with_min_len(4).fold(fresh, look);
            halves.reduce(fresh, |mut left, right| {
                for (left, right) in left.iter_mut().zip(right) {
                    left.join(right);
                }
                left
            })
        };
        jobs.par_iter().zip(candidates).for_each(|(job, candidates)| {
            let mut best = Best::new(snapshot, job.limit);
            for place in candidates.places() {
                let vectors = &snapshot.parts[place.part].segment.vectors;
                best.offer(vectors.cosine(place.slot, &job.question), place);
            }
            *lock(&job.answer) = Some(best.hits());
        });
    }

    /// Looks at a range for all questions, 64 papers at a time, so that their codes are read from memory once.
    fn look(&self, snapshot: &Snapshot, range: Range, jobs: &[Arc<Job>], candidates: &mut [Candidates]) {
        let vectors = &snapshot.parts[range.part].segment.vectors;
        let mut dots = [0_i32; WORD];
        for word in range.begin..range.end {
            let meaning = vectors.has_meaning.words()[word];
            let begin = word * WORD;
            let end = vectors.sums.len().min(begin + WORD);
            for (job, candidates) in jobs.iter().zip(candidates.iter_mut()) {
                let wanted = job.passing[range.part].words()[word] & meaning;
                let question = &job.question;
                let mut dots_of = |slots: std::ops::Range<usize>| {
                    let codes = &vectors.codes[slots.start * vectors.stride..slots.end * vectors.stride];
                    let out = &mut dots[slots.start - begin..slots.end - begin];
                    self.kernel.dots(&question.asked, codes, &vectors.sums[slots], out);
                };
                if wanted.count_ones() > FEW {
                    dots_of(begin..end);
                } else {
                    ones(wanted).for_each(|bit| dots_of(begin + bit..begin + bit + 1));
                }
                let (scales, errors) = (&vectors.scales[begin..end], &vectors.errors[begin..end]);
                for bit in ones(wanted) {
                    let near = dots[bit] as f32 * (scales[bit] * question.scale);
                    let bound = question.bound(errors[bit]);
                    if near + bound >= candidates.floor {
                        let slot = begin + bit;
                        candidates.take(near, bound, Place { part: range.part, slot });
                    }
                }
            }
        }
    }
}

impl Candidates {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            floor: f32::NEG_INFINITY,
            at_least: Vec::new(),
            found: Vec::new(),
            clear_at: REMEMBERED,
        }
    }

    /// Takes a paper that scores within a bound of what is near.
    fn take(&mut self, near: f32, bound: f32, place: Place) {
        self.found.push((near + bound, place));
        if near - bound > self.floor {
            self.at_least.push(near - bound);
            if self.at_least.len() >= self.limit.saturating_mul(2) {
                self.raise();
            }
        }
        if self.found.len() >= self.clear_at {
            self.clear();
        }
    }

    /// Finds the highest floor that is known.
    fn raise(&mut self) {
        if self.at_least.len() >= self.limit {
            let (_, last, _) = self
                .at_least
                .select_nth_unstable_by(self.limit - 1, |a, b| b.total_cmp(a));
            self.floor = last.max(self.floor);
            self.at_least.truncate(self.limit);
        }
    }

    fn clear(&mut self) {
        let floor = self.floor;
        self.found.retain(|(at_most, _)| *at_most >= floor);
        self.clear_at = (self.found.len() * 2).max(REMEMBERED);
    }

    fn join(&mut self, other: Self) {
        self.floor = self.floor.max(other.floor);
        self.at_least.extend(other.at_least);
        self.found.extend(other.found);
        self.raise();
        self.clear();
    }

    fn places(mut self) -> impl Iterator<Item = Place> {
        self.raise();
        self.clear();
        self.found.into_iter().map(|(_, place)| place)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
