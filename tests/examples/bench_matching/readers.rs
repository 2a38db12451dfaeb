//! Readers that do not exist, with interests like those of some that might.

use domain::matching::PaperSet;
use domain::schedule::Schedule;
use domain::{DenseVector, Int8Vector, Interest, Preferences};

use crate::run::THREADS;

/// Interests of a reader.
pub const INTERESTS: usize = 3;
/// Papers of a digest.
pub const PAPERS: usize = 10;
/// Length of the noise beside that of a paper.
const NOISE: f32 = 0.3;
/// Papers of the window that a reader has seen.
const SEEN: usize = 20;

/// Numbers that are the same in every run (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    #[expect(clippy::cast_possible_truncation, reason = "below the limit")]
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Between -1 and 1.
    fn about_zero(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }
}

/// The vectors of the interests of so many readers, one reader's behind the other's.
pub fn vectors(sources: &[DenseVector], readers: usize) -> Vec<Int8Vector> {
    let part = |part: usize| {
        let from = readers * INTERESTS * part / THREADS;
        let to = readers * INTERESTS * (part + 1) / THREADS;
        (from..to).map(|number| interest(sources, number)).collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..THREADS).map(|number| scope.spawn(move || part(number))).collect();
        let mut all = Vec::with_capacity(readers * INTERESTS);
        for part in parts {
            all.extend(part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    })
}

fn interest(sources: &[DenseVector], number: usize) -> Int8Vector {
    let mut random = Random(number as u64);
    let mut values = vec![0.0_f32; sources[0].dimension()];
    // Uniform numbers from -1 to 1 have a variance of a third.
    let size = NOISE * (3.0 / values.len() as f32).sqrt();
    for value in &mut values {
        *value = size * random.about_zero();
    }
    for _ in 0..=random.below(3) {
        let source = &sources[random.below(sources.len())];
        for (value, of_paper) in values.iter_mut().zip(source.as_slice()) {
            *value += of_paper;
        }
    }
    let norm = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    for value in &mut values {
        *value /= norm;
    }
    Int8Vector::quantise(&DenseVector::new(values).unwrap_or_else(|_| sources[0].clone()))
}

/// Some papers of the window that a reader has seen.
pub fn seen(reader: usize, papers: usize) -> PaperSet {
    let mut random = Random(!(reader as u64));
    (0..SEEN).map(|_| random.below(papers)).collect()
}

/// What readers want, in turn: more or less of what is trending, interests of equal and of different weight.
pub fn preferences(excluded: &[&str]) -> Vec<Preferences> {
    let kinds = [
        (0.2, [1.0, 1.0, 1.0]),
        (0.0, [1.0, 1.0, 1.0]),
        (0.2, [2.0, 1.0, 0.5]),
        (0.5, [1.0, 3.0, 1.0]),
    ];
    let one = |(share, weights): (f32, [f32; INTERESTS])| {
        let schedule = Schedule::parse("07:00", "UTC").ok()?;
        let mut preferences = Preferences::plain(schedule, PAPERS);
        preferences.trending_share = share;
        preferences.exclusions.words = excluded.iter().map(|word| (*word).to_owned()).collect();
        preferences.interests = weights
            .iter()
            .map(|weight| Interest {
                weight: *weight,
                ..Interest::in_words("words")
            })
            .collect();
        Some(preferences)
    };
    kinds.into_iter().filter_map(one).collect()
}
