//! Measures of ranking quality on queries with human judgments, with confidence intervals.
//!
//! Measures follow trec_eval, so that figures compare with published ones. Everything is deterministic: the bootstrap uses its
//! own generator with a fixed seed. It knows no search; callers pass rankings.

use std::collections::{BTreeMap, HashSet};

/// Relevance grades of documents for one query: 0 is not relevant, higher is more relevant. Missing documents were not
/// judged and count as 0.
pub type Grades = BTreeMap<String, u32>;

/// Grades by query.
pub type Judgments = BTreeMap<String, Grades>;

/// Resamples of a bootstrap.
const RESAMPLES: usize = 2_000;
/// Seed of the bootstrap's generator.
const SEED: u64 = 0x6272_6f61_6473_6865;

/// A line of judgments that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line} is {text:?}; a judgment is `query 0 document grade` (TREC) or `query, document, grade` with tabs between \
     (BEIR), and the grade a whole number"
)]
pub struct JudgmentError {
    /// Which, from 1.
    pub line: usize,
    /// What it holds, shortened.
    pub text: String,
}

/// Parses judgments in either format: TREC's four columns, or the three of BEIR with tabs between and a heading. Negative
/// grades, which some collections give to spam, count as 0. Of two grades for the same document the higher one stands.
pub fn read_judgments(text: &str) -> Result<Judgments, JudgmentError> {
    let mut judgments = Judgments::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() || number == 1 && is_heading(line) {
            continue;
        }
        let (query, document, grade) = judgment(line).ok_or_else(|| JudgmentError {
            line: number,
            text: crate::text::shorten(line),
        })?;
        let grades: &mut Grades = judgments.entry(query.to_owned()).or_default();
        let stands = grades.entry(document.to_owned()).or_default();
        *stands = grade.max(*stands);
    }
    Ok(judgments)
}

fn is_heading(line: &str) -> bool {
    line.split('\t').map(str::trim).eq(["query-id", "corpus-id", "score"])
}

fn judgment(line: &str) -> Option<(&str, &str, u32)> {
    // With tabs between, as BEIR has it, an id may hold spaces.
    let by_tabs: Vec<&str> = line.split('\t').map(str::trim).collect();
    if let [query, document, last] = by_tabs[..]
        && let Some(grade) = grade(last)
    {
        return Some((query, document, grade));
    }
    match line.split_whitespace().collect::<Vec<_>>()[..] {
        [query, _, document, last] => Some((query, document, grade(last)?)),
        _ => None,
    }
}

fn grade(text: &str) -> Option<u32> {
    let grade: i64 = text.parse().ok()?;
    u32::try_from(grade.max(0)).ok()
}

/// Normalised discounted cumulative gain of the first `k`, from 0 to 1, as trec_eval's `ndcg_cut` has it: the gain is the
/// grade itself (not `2^grade - 1`), the discount of rank `r` is `log2(r + 1)`, and the ideal ranking is that of all judged
/// documents. 0 where nothing is relevant.
pub fn ndcg_at(k: usize, ranking: &[&str], grades: &Grades) -> f64 {
    let gains = distinct(ranking).map(|document| grades.get(document).copied().unwrap_or(0));
    let mut ideal: Vec<u32> = grades.values().copied().collect();
    ideal.sort_unstable_by(|a, b| b.cmp(a));
    let best = discounted(k, ideal);
    if best > 0.0 { discounted(k, gains) / best } else { 0.0 }
}

fn discounted(k: usize, gains: impl IntoIterator<Item = u32>) -> f64 {
    let ranked = (1_u32..).zip(gains).take(k);
    ranked
        .map(|(rank, gain)| f64::from(gain) / f64::from(rank + 1).log2())
        .sum()
}

/// Share of the relevant documents (grade 1 or more) that are among the first `k`. 0 where nothing is relevant.
pub fn recall_at(k: usize, ranking: &[&str], grades: &Grades) -> f64 {
    let relevant = grades.values().filter(|grade| **grade > 0).count();
    if relevant == 0 {
        return 0.0;
    }
    let found = distinct(ranking)
        .take(k)
        .filter(|document| is_relevant(document, grades));
    found.count() as f64 / relevant as f64
}

/// One over the rank of the first relevant document among the first `k`; 0 where there is none. Its mean over queries is
/// the mean reciprocal rank.
pub fn reciprocal_rank_at(k: usize, ranking: &[&str], grades: &Grades) -> f64 {
    let first = distinct(ranking)
        .take(k)
        .position(|document| is_relevant(document, grades));
    first.map_or(0.0, |position| 1.0 / (position + 1) as f64)
}

fn is_relevant(document: &str, grades: &Grades) -> bool {
    grades.get(document).is_some_and(|grade| *grade > 0)
}

/// A repeated document counts only at its first position.
fn distinct<'a>(ranking: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let mut seen = HashSet::new();
    ranking.iter().copied().filter(move |document| seen.insert(*document))
}

/// A mean over queries with its 95% confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// The mean of a figure over queries, with the percentile bootstrap's interval: means of resamples with replacement, of
/// which the middle 95% are kept. `None` without queries.
pub fn estimate(values: &[f64]) -> Option<Estimate> {
    if values.is_empty() {
        return None;
    }
    let mut generator = Generator(SEED);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn = (0..values.len()).map(|_| values[generator.below(values.len())]);
            drawn.sum::<f64>() / values.len() as f64
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    Some(Estimate {
        mean: values.iter().sum::<f64>() / values.len() as f64,
        low: quantile(&means, 0.025),
        high: quantile(&means, 0.975),
    })
}

/// By how much the first of two systems is better on the same queries: the mean of the differences with the interval of the
/// paired bootstrap. An interval without 0 in it speaks of a difference. `None` without queries, or where the numbers of
/// queries differ.
pub fn difference(first: &[f64], second: &[f64]) -> Option<Estimate> {
    if first.len() != second.len() {
        return None;
    }
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    estimate(&differences)
}

/// A quantile of sorted values, with straight lines between them.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index, which is neither negative nor large"
    )]
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * position.fract()
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): small, and the same everywhere and for ever.
struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; its bias is far below what any figure shows.
    fn below(&mut self, bound: usize) -> usize {
        let scaled = (u128::from(self.next()) * bound as u128) >> 64;
        usize::try_from(scaled).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grades(pairs: &[(&str, u32)]) -> Grades {
        pairs.iter().map(|(id, grade)| ((*id).to_owned(), *grade)).collect()
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    #[test]
    fn ndcg_is_that_of_trec_eval() {
        let grades = grades(&[("a", 3), ("b", 2), ("c", 0), ("d", 1)]);
        // (2/log2(2) + 3/log2(3) + 0 + 1/log2(5)) / (3/log2(2) + 2/log2(3) + 1/log2(4)), by hand.
        close(
            ndcg_at(10, &["b", "a", "x", "d"], &grades),
            4.323_465_818_787_765 / 4.761_859_507_142_915,
        );
        close(ndcg_at(10, &["a", "b", "d", "c"], &grades), 1.0);
        // The ideal is cut too: 2/1 of 3/1.
        close(ndcg_at(1, &["b", "a"], &grades), 2.0 / 3.0);
        close(ndcg_at(10, &["c", "x"], &grades), 0.0);
        close(ndcg_at(10, &[], &grades), 0.0);
        close(ndcg_at(10, &["c"], &Grades::new()), 0.0);
    }

    #[test]
    fn recall_and_reciprocal_rank_count_what_is_relevant() {
        let grades = grades(&[("a", 1), ("b", 4), ("c", 0), ("d", 1), ("e", 2)]);
        let ranking = ["x", "c", "b", "a", "y"];
        close(recall_at(100, &ranking, &grades), 0.5);
        close(recall_at(3, &ranking, &grades), 0.25);
        close(reciprocal_rank_at(10, &ranking, &grades), 1.0 / 3.0);
        close(reciprocal_rank_at(2, &ranking, &grades), 0.0);
        close(recall_at(10, &ranking, &Grades::new()), 0.0);
    }

    #[test]
    fn repetition_gains_nothing() {
        let grades = grades(&[("a", 1), ("b", 1)]);
        close(recall_at(10, &["a", "a", "a"], &grades), 0.5);
        close(ndcg_at(10, &["a", "a", "b"], &grades), 1.0);
        close(reciprocal_rank_at(2, &["x", "x", "a"], &grades), 0.5);
    }

    #[test]
    fn both_forms_of_judgments_are_read() {
        let expected = Judgments::from([
            ("1".to_owned(), grades(&[("184", 3), ("29", 0)])),
            ("q two".to_owned(), grades(&[("MED-10", 2)])),
        ]);
        let beir = "query-id\tcorpus-id\tscore\n1\t184\t3\n1\t29\t-1\n\nq two\tMED-10\t1\nq two\tMED-10\t2\r\n";
        assert_eq!(read_judgments(beir), Ok(expected));
        let trec = "1 0 184 3\n1\tQ0\t29  0\n";
        let expected = Judgments::from([("1".to_owned(), grades(&[("184", 3), ("29", 0)]))]);
        assert_eq!(read_judgments(trec), Ok(expected));
    }

    #[test]
    fn a_line_that_is_no_judgment_is_named() {
        let error = read_judgments("1 0 184 3\n1 0 29\n").expect_err("three columns");
        assert_eq!((error.line, error.text.as_str()), (2, "1 0 29"));
        assert!(read_judgments("1 0 184 high\n").is_err());
        // The heading is one on the first line alone.
        assert!(read_judgments("1\t2\t3\nquery-id\tcorpus-id\tscore\n").is_err());
    }

    #[test]
    fn the_interval_is_reproducible_and_narrows_with_more_queries() {
        let few: Vec<f64> = (0..20).map(|n| f64::from(n % 5) / 4.0).collect();
        let many: Vec<f64> = (0..2000).map(|n| f64::from(n % 5) / 4.0).collect();
        let (one, other) = (estimate(&few).expect("values"), estimate(&many).expect("values"));
        assert_eq!(Some(one), estimate(&few));
        assert!(one.low < 0.5 && 0.5 < one.high, "{one:?}");
        // The standard error of the mean is 0.3536 / sqrt(n); the interval reaches 1.96 of them to either side.
        let expected = |n: f64| 2.0 * 1.96 * 0.353_553 / n.sqrt();
        assert!(((one.high - one.low) / expected(20.0) - 1.0).abs() < 0.1, "{one:?}");
        assert!(
            ((other.high - other.low) / expected(2000.0) - 1.0).abs() < 0.1,
            "{other:?}"
        );
        assert_eq!(estimate(&[]), None);
        let certain = estimate(&[0.25; 7]).expect("values");
        assert_eq!((certain.low, certain.mean, certain.high), (0.25, 0.25, 0.25));
    }

    #[test]
    fn a_paired_difference_is_surer_than_two_intervals() {
        let base: Vec<f64> = (0..100).map(|n| f64::from(n) / 100.0).collect();
        let better: Vec<f64> = base.iter().map(|value| value + 0.05).collect();
        let gain = difference(&better, &base).expect("as many");
        close(gain.mean, 0.05);
        assert!(gain.low > 0.049 && gain.high < 0.051, "{gain:?}");
        let (first, second) = (estimate(&better).expect("values"), estimate(&base).expect("values"));
        assert!(first.low < second.high, "the two intervals overlap");
        assert_eq!(difference(&base, &base[1..]), None);
    }

    #[test]
    fn the_generator_is_the_published_one() {
        let mut generator = Generator(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| generator.next()).collect();
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    proptest! {
        #[test]
        fn measures_stay_within_their_bounds(
            judged in prop::collection::btree_map("[a-h]", 0_u32..5, 0..8),
            ranking in prop::collection::vec("[a-j]", 0..12),
            k in 1_usize..12,
        ) {
            let ranking: Vec<&str> = ranking.iter().map(String::as_str).collect();
            for measure in [ndcg_at, recall_at, reciprocal_rank_at] {
                let value = measure(k, &ranking, &judged);
                prop_assert!((0.0..=1.0 + 1e-12).contains(&value), "{value}");
            }
        }

        #[test]
        fn the_ideal_ranking_is_never_beaten(judged in prop::collection::btree_map("[a-h]", 0_u32..5, 1..8)) {
            let mut ideal: Vec<(&String, &u32)> = judged.iter().collect();
            ideal.sort_by(|a, b| b.1.cmp(a.1));
            let ideal: Vec<&str> = ideal.into_iter().map(|(id, _)| id.as_str()).collect();
            let relevant = judged.values().any(|grade| *grade > 0);
            close(ndcg_at(10, &ideal, &judged), if relevant { 1.0 } else { 0.0 });
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}(\n\\PC{0,40}){0,3}") {
            let _ = read_judgments(&text);
        }
    }
}
