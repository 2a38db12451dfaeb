//! The best papers of one interest so far.

use super::kernel::COLUMNS;
use super::{Match, PaperSet};

/// Papers beyond `k` that are kept before the worst are dropped: dropping rarely costs less.
const SLACK: usize = 44;

/// Collects the best papers of one interest. Papers are offered in order.
#[derive(Debug, Default)]
pub(super) struct Best {
    k: usize,
    least: f32,
    kept: Vec<u64>,
}

impl Best {
    /// Starts anew.
    pub(super) fn begin(&mut self, k: usize) {
        self.k = k;
        // Nothing is above infinity.
        self.least = if k == 0 { f32::INFINITY } else { f32::NEG_INFINITY };
        self.kept.clear();
        self.kept.reserve(k.saturating_add(SLACK + COLUMNS).min(4_096));
    }

    /// Only a paper above it can be among the best: an equal one comes after those that are kept.
    pub(super) fn least(&self) -> f32 {
        self.least
    }

    /// Takes the papers of a strip that are above [`Self::least`], a bit for each; `first` is the paper of the lowest bit.
    pub(super) fn offer(&mut self, scores: &[f32; COLUMNS], mut above: u32, first: usize, skip: Option<&PaperSet>) {
        while above != 0 {
            let column = above.trailing_zeros() as usize;
            above &= above - 1;
            if skip.is_none_or(|skip| !skip.contains(first + column)) {
                self.kept.push(key(scores[column], first + column));
            }
        }
        if self.kept.len() >= self.k.saturating_add(SLACK) {
            self.cut();
        }
    }

    /// Returns the best, in order.
    pub(super) fn finish(&mut self, out: &mut Vec<Match>) {
        self.cut();
        self.kept.sort_unstable_by(|a, b| b.cmp(a));
        out.extend(self.kept.iter().map(|key| read(*key)));
    }

    fn cut(&mut self) {
        if self.kept.len() > self.k && self.k > 0 {
            let (_, last, _) = self.kept.select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
            self.least = read(*last).score;
            self.kept.truncate(self.k);
        }
    }
}

const SIGN: u32 = 1 << 31;

/// A number that is higher for a higher score, and among equal scores for an earlier paper.
fn key(score: f32, paper: usize) -> u64 {
    // Minus zero equals zero.
    let bits = (score + 0.0).to_bits();
    let ordered = if bits & SIGN == 0 { bits | SIGN } else { !bits };
    let paper = u32::try_from(paper).unwrap_or(u32::MAX);
    u64::from(ordered) << 32 | u64::from(!paper)
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of a key")]
fn read(key: u64) -> Match {
    let ordered = (key >> 32) as u32;
    let bits = if ordered & SIGN == 0 { !ordered } else { ordered & !SIGN };
    Match {
        paper: !(key as u32),
        score: f32::from_bits(bits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_like_scores_and_decode_to_them() {
        let scores = [
            f32::NEG_INFINITY,
            -1.0,
            -f32::MIN_POSITIVE,
            0.0,
            1e-40,
            0.5,
            1.0,
            f32::INFINITY,
        ];
        for pair in scores.windows(2) {
            assert!(key(pair[0], 0) < key(pair[1], 9), "{pair:?}");
        }
        for score in scores {
            assert_eq!(read(key(score, 7)), Match { paper: 7, score });
            assert!(key(score, 7) > key(score, 8));
        }
        assert_eq!(key(-0.0, 3), key(0.0, 3));
    }
}
