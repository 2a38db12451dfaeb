//! From fused candidates to the final list: set algebra between operands, recency, diversity.
//!
//! Every step adds parts, and a score stays the sum of its parts. Nothing here knows a store, a clock or an encoder.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::PaperId;
use crate::fusion::{FusedPaper, ScorePart};
use crate::vectors::dot;

/// How strongly AND favours the operand that fits worst, and OR the one that fits best: operands whose scores differ by this
/// many spreads differ in weight by a factor of e. Scores of one operand lie between 0 and about 8; see [`crate::fusion`].
const SHARPNESS: f64 = 0.5;

/// What to search for, as a set expression over operands that are searched one by one.
#[derive(Debug, Clone, PartialEq)]
pub enum SetExpression {
    /// The operand of this number.
    Operand(usize),
    /// Papers that fit all; the scores of those under [`SetExpression::Not`] are subtracted.
    All(Vec<SetExpression>),
    /// Papers that fit one.
    Any(Vec<SetExpression>),
    /// Papers that do not fit; means something only inside [`SetExpression::All`].
    Not(Box<SetExpression>),
}

/// A bonus for recent papers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recency {
    /// Bonus of a paper published now.
    pub weight: f64,
    /// Days after which the bonus is half.
    pub half_life_days: f64,
    /// The moment ages are counted from.
    pub now: Timestamp,
}

/// Combines the rankings of the operands into one, best first, ties by id.
///
/// AND is a weighted mean in which the worst fitting operand counts most (weights fall with exp(-2 · score)), OR one in
/// which the best fitting one does: smooth forms of the minimum and the maximum of fuzzy sets (Zadeh, Information and
/// Control 1965) whose score is still a sum of parts. NOT subtracts its operand's score, as parts named `unlike`.
pub fn combine(set: &SetExpression, operands: Vec<Vec<FusedPaper>>) -> Vec<FusedPaper> {
    if let (SetExpression::Operand(0), [_]) = (set, operands.as_slice()) {
        return operands.into_iter().next().unwrap_or_default();
    }
    let mut ids: Vec<PaperId> = operands.iter().flatten().map(|fused| fused.id.clone()).collect();
    ids.sort();
    ids.dedup();
    let by_id: Vec<HashMap<PaperId, FusedPaper>> = operands.into_iter().map(by_id).collect();
    let one = |id: PaperId| {
        let (score, parts) = evaluate(set, &id, &by_id);
        FusedPaper { id, score, parts }
    };
    let mut ranking: Vec<FusedPaper> = ids.into_iter().map(one).collect();
    sort(&mut ranking);
    ranking
}

/// Sorts best first, ties by id.
pub fn sort(ranking: &mut [FusedPaper]) {
    ranking.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
}

/// Adds the bonus `weight * 2^(-age / half-life)` as a part named `recency`, and sorts again. A date in the future counts as
/// now; a paper of unknown date gets nothing.
pub fn add_recency(ranking: &mut [FusedPaper], recency: Recency, published: &HashMap<PaperId, Timestamp>) {
    for fused in ranking.iter_mut() {
        let Some(published) = published.get(&fused.id) else {
            continue;
        };
        let days = recency.now.duration_since(*published).as_secs_f64().max(0.0) / 86_400.0;
        let value = recency.weight * (-days / recency.half_life_days).exp2();
        add(fused, "recency", value, days);
    }
    sort(ranking);
}

/// Reorders so that each paper differs from those before it: maximal marginal relevance (Carbonell and Goldstein, SIGIR
/// 1998). Each pick is the paper with the highest `(1 - diversity) * score - diversity * scale * similarity`, where similarity is
/// the highest cosine with an earlier pick and scale the best score, so that both have the same magnitude. The difference is
/// a part named `diversity`. A paper without a vector is similar to none. A diversity of 0 changes nothing.
pub fn diversify(ranking: Vec<FusedPaper>, diversity: f64, vectors: &HashMap<PaperId, Vec<f32>>) -> Vec<FusedPaper> {
    let scale = ranking.first().map_or(0.0, |best| best.score).max(0.0);
    if diversity <= 0.0 || ranking.len() < 2 {
        return ranking;
    }
    let mut rest: Vec<(FusedPaper, f64)> = ranking.into_iter().map(|fused| (fused, 0.0)).collect();
    let mut picked: Vec<FusedPaper> = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let value =
            |(fused, similarity): &(FusedPaper, f64)| (1.0 - diversity) * fused.score - diversity * scale * similarity;
        let mut best = 0;
        for (place, candidate) in rest.iter().enumerate().skip(1) {
            // The rest is in order, so of equal values the one that was better before comes first.
            if value(candidate) > value(&rest[best]) {
                best = place;
            }
        }
        let gained = value(&rest[best]);
        let (mut fused, similarity) = rest.remove(best);
        let lost = gained - fused.score;
        add(&mut fused, "diversity", lost, similarity);
        if let Some(vector) = vectors.get(&fused.id) {
            for (other, similarity) in &mut rest {
                if let Some(other) = vectors.get(&other.id) {
                    *similarity = similarity.max(f64::from(dot(vector, other)));
                }
            }
        }
        picked.push(fused);
    }
    picked
}

fn evaluate(set: &SetExpression, id: &PaperId, operands: &[HashMap<PaperId, FusedPaper>]) -> (f64, Vec<ScorePart>) {
    match set {
        SetExpression::Operand(number) => match operands.get(*number).and_then(|fused| fused.get(id)) {
            Some(fused) => {
                let of = |part: &ScorePart| ScorePart {
                    operand: *number,
                    ..part.clone()
                };
                (fused.score, fused.parts.iter().map(of).collect())
            }
            None => (0.0, Vec::new()),
        },
        SetExpression::All(members) => {
            let (excluded, included): (Vec<&SetExpression>, Vec<&SetExpression>) = members
                .iter()
                .partition(|member| matches!(member, SetExpression::Not(_)));
            let (mut score, mut parts) = blended(&included, -1.0 / SHARPNESS, id, operands);
            for member in excluded {
                let SetExpression::Not(member) = member else { continue };
                let (likeness, of) = evaluate(member, id, operands);
                score -= likeness;
                parts.push(ScorePart {
                    leg: "unlike",
                    value: -likeness,
                    rank: 0,
                    raw: likeness,
                    operand: of.first().map_or(0, |part| part.operand),
                });
            }
            (score, parts)
        }
        SetExpression::Any(members) => blended(&members.iter().collect::<Vec<_>>(), 1.0 / SHARPNESS, id, operands),
        SetExpression::Not(member) => {
            let (score, mut parts) = evaluate(member, id, operands);
            for part in &mut parts {
                part.value = -part.value;
            }
            (-score, parts)
        }
    }
}

/// The mean of the members' scores, weighted by exp(score * sharpness).
fn blended(
    members: &[&SetExpression],
    sharpness: f64,
    id: &PaperId,
    operands: &[HashMap<PaperId, FusedPaper>],
) -> (f64, Vec<ScorePart>) {
    let scored: Vec<(f64, Vec<ScorePart>)> = members.iter().map(|member| evaluate(member, id, operands)).collect();
    let leading = scored
        .iter()
        .map(|(score, _)| score * sharpness)
        .fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scored
        .iter()
        .map(|(score, _)| (score * sharpness - leading).exp())
        .collect();
    let total: f64 = weights.iter().sum();
    let (mut sum, mut all) = (0.0, Vec::new());
    for ((score, parts), weight) in scored.into_iter().zip(weights) {
        let share = weight / total;
        sum += score * share;
        all.extend(parts.into_iter().map(|part| ScorePart {
            value: part.value * share,
            ..part
        }));
    }
    (sum, all)
}

fn by_id(fused: Vec<FusedPaper>) -> HashMap<PaperId, FusedPaper> {
    fused.into_iter().map(|fused| (fused.id.clone(), fused)).collect()
}

fn add(fused: &mut FusedPaper, name: &'static str, value: f64, raw: f64) {
    fused.score += value;
    fused.parts.push(ScorePart {
        leg: name,
        value,
        rank: 0,
        raw,
        operand: 0,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> PaperId {
        PaperId::parse(&format!("x:{name}")).expect("an id")
    }

    fn fused(list: &[(&str, f64)]) -> Vec<FusedPaper> {
        let one = |(name, score): &(&str, f64)| FusedPaper {
            id: id(name),
            score: *score,
            parts: vec![ScorePart {
                leg: "dense",
                value: *score,
                rank: 1,
                raw: *score,
                operand: 0,
            }],
        };
        list.iter().map(one).collect()
    }

    fn names(ranking: &[FusedPaper]) -> Vec<&str> {
        ranking.iter().map(|fused| fused.id.as_str()).collect()
    }

    fn parts_add_up(ranking: &[FusedPaper]) {
        for fused in ranking {
            let sum: f64 = fused.parts.iter().map(|part| part.value).sum();
            assert!((sum - fused.score).abs() < 1e-12, "{fused:?}");
        }
    }

    #[test]
    fn one_operand_stays_as_it_is() {
        let only = fused(&[("a", 0.9), ("b", 0.1)]);
        assert_eq!(combine(&SetExpression::Operand(0), vec![only.clone()]), only);
    }

    #[test]
    fn and_wants_all_or_wants_one_not_takes_off() {
        let operands = || {
            vec![
                fused(&[("both", 3.0), ("first", 4.5), ("second", 0.5)]),
                fused(&[("both", 3.0), ("first", 0.5), ("second", 4.0)]),
            ]
        };
        let both = combine(
            &SetExpression::All(vec![SetExpression::Operand(0), SetExpression::Operand(1)]),
            operands(),
        );
        assert_eq!(names(&both), ["x:both", "x:second", "x:first"]);
        let either = combine(
            &SetExpression::Any(vec![SetExpression::Operand(0), SetExpression::Operand(1)]),
            operands(),
        );
        assert_eq!(names(&either), ["x:first", "x:second", "x:both"]);
        let without = SetExpression::All(vec![
            SetExpression::Operand(0),
            SetExpression::Not(Box::new(SetExpression::Operand(1))),
        ]);
        let without = combine(&without, operands());
        assert_eq!(names(&without), ["x:first", "x:both", "x:second"]);
        assert_eq!(without[0].parts.last().map(|part| part.leg), Some("unlike"));
        for ranking in [both, either, without] {
            parts_add_up(&ranking);
        }
    }

    #[test]
    fn newer_papers_gain_and_half_life_is_half_a_life() {
        let now: Timestamp = "2026-01-31T00:00:00Z".parse().expect("a time");
        let published = HashMap::from([
            (id("old"), "2026-01-01T00:00:00Z".parse().expect("a time")),
            (id("new"), now),
        ]);
        let mut ranking = fused(&[("old", 0.5), ("new", 0.4), ("dateless", 0.45)]);
        let recency = Recency {
            weight: 0.4,
            half_life_days: 30.0,
            now,
        };
        add_recency(&mut ranking, recency, &published);
        assert_eq!(names(&ranking), ["x:new", "x:old", "x:dateless"]);
        assert!((ranking[1].score - 0.7).abs() < 1e-9);
        parts_add_up(&ranking);
    }

    #[test]
    fn diversity_parts_twins_and_scores_still_fall() {
        let vectors = HashMap::from([
            (id("a"), vec![1.0, 0.0]),
            (id("twin"), vec![1.0, 0.0]),
            (id("other"), vec![0.0, 1.0]),
        ]);
        let ranking = fused(&[("a", 0.9), ("twin", 0.89), ("other", 0.5)]);
        assert_eq!(diversify(ranking.clone(), 0.0, &vectors), ranking);
        let diverse = diversify(ranking, 0.5, &vectors);
        assert_eq!(names(&diverse), ["x:a", "x:other", "x:twin"]);
        assert!(diverse.is_sorted_by(|a, b| a.score >= b.score));
        parts_add_up(&diverse);
    }
}
