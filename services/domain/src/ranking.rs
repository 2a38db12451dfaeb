//! From fused candidates to the list a reader sees: set algebra between operands, recency, diversity.
//!
//! Every step adds parts, and a score stays the sum of its parts. Nothing here knows a store, a clock or a vector's origin.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::PaperId;
use crate::fusion::{Fused, Part};
use crate::vectors::dot;

/// How sharply AND looks at the operand that fits worst, and OR at the one that fits best: scores this many spreads apart
/// differ by a factor of e in weight. Scores of a single operand lie between 0 and about 8; see [`crate::fusion`].
const SHARPNESS: f64 = 0.5;

/// What is looked for, as a set over operands that were searched for each by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Set {
    /// The operand of this number.
    Operand(usize),
    /// Papers that fit all; those under [`Set::Not`] are taken off.
    All(Vec<Set>),
    /// Papers that fit one.
    Any(Vec<Set>),
    /// Papers that do not fit; means something only inside [`Set::All`].
    Not(Box<Set>),
}

/// A bonus for new papers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recency {
    /// What a paper of this moment gets.
    pub weight: f64,
    /// After this many days it is half.
    pub half_life_days: f64,
    /// The moment ages are counted from.
    pub now: Timestamp,
}

/// Joins the rankings of the operands into one, best first, equal scores by id.
///
/// AND is a weighted mean in which the worst fitting operand counts most (weights fall with exp(-2 · score)), OR one in
/// which the best fitting one does: smooth forms of the minimum and the maximum of fuzzy sets (Zadeh, Information and
/// Control 1965) whose score is still a sum of parts. NOT takes off what its operand scores, as parts named `unlike`.
pub fn combine(set: &Set, operands: Vec<Vec<Fused>>) -> Vec<Fused> {
    if let (Set::Operand(0), [_]) = (set, operands.as_slice()) {
        return operands.into_iter().next().unwrap_or_default();
    }
    let mut ids: Vec<PaperId> = operands.iter().flatten().map(|fused| fused.id.clone()).collect();
    ids.sort();
    ids.dedup();
    let by_id: Vec<HashMap<PaperId, Fused>> = operands.into_iter().map(by_id).collect();
    let one = |id: PaperId| {
        let (score, parts) = evaluate(set, &id, &by_id);
        Fused { id, score, parts }
    };
    let mut ranking: Vec<Fused> = ids.into_iter().map(one).collect();
    sort(&mut ranking);
    ranking
}

/// Best first, equal scores by id.
pub fn sort(ranking: &mut [Fused]) {
    ranking.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
}

/// Adds the bonus `weight * 2^(-age / half-life)` as a part named `recency`, and orders anew. A paper from the future is as new
/// as can be; one of unknown date gets nothing.
pub fn add_recency(ranking: &mut [Fused], recency: Recency, published: &HashMap<PaperId, Timestamp>) {
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

/// Orders anew so that each paper differs from those before it: maximal marginal relevance (Carbonell and Goldstein, SIGIR
/// 1998). Each pick is the paper with the highest `(1 - diversity) * score - diversity * scale * similarity`, where similarity is
/// the highest cosine with a pick before it and scale the best score, so that both are of one size. What it loses that way is
/// a part named `diversity`. Papers without a vector are like none. A diversity of 0 changes nothing.
pub fn diversify(ranking: Vec<Fused>, diversity: f64, vectors: &HashMap<PaperId, Vec<f32>>) -> Vec<Fused> {
    let scale = ranking.first().map_or(0.0, |best| best.score).max(0.0);
    if diversity <= 0.0 || ranking.len() < 2 {
        return ranking;
    }
    let mut rest: Vec<(Fused, f64)> = ranking.into_iter().map(|fused| (fused, 0.0)).collect();
    let mut picked: Vec<Fused> = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let value =
            |(fused, similarity): &(Fused, f64)| (1.0 - diversity) * fused.score - diversity * scale * similarity;
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

fn evaluate(set: &Set, id: &PaperId, operands: &[HashMap<PaperId, Fused>]) -> (f64, Vec<Part>) {
    match set {
        Set::Operand(number) => match operands.get(*number).and_then(|fused| fused.get(id)) {
            Some(fused) => {
                let of = |part: &Part| Part {
                    operand: *number,
                    ..part.clone()
                };
                (fused.score, fused.parts.iter().map(of).collect())
            }
            None => (0.0, Vec::new()),
        },
        Set::All(members) => {
            let (unwanted, wanted): (Vec<&Set>, Vec<&Set>) =
                members.iter().partition(|member| matches!(member, Set::Not(_)));
            let (mut score, mut parts) = blended(&wanted, -1.0 / SHARPNESS, id, operands);
            for member in unwanted {
                let Set::Not(member) = member else { continue };
                let (likeness, of) = evaluate(member, id, operands);
                score -= likeness;
                parts.push(Part {
                    leg: "unlike",
                    value: -likeness,
                    rank: 0,
                    raw: likeness,
                    operand: of.first().map_or(0, |part| part.operand),
                });
            }
            (score, parts)
        }
        Set::Any(members) => blended(&members.iter().collect::<Vec<_>>(), 1.0 / SHARPNESS, id, operands),
        Set::Not(member) => {
            let (score, mut parts) = evaluate(member, id, operands);
            for part in &mut parts {
                part.value = -part.value;
            }
            (-score, parts)
        }
    }
}

/// The mean of the members' scores, weighted by exp(score * sharpness).
fn blended(members: &[&Set], sharpness: f64, id: &PaperId, operands: &[HashMap<PaperId, Fused>]) -> (f64, Vec<Part>) {
    let scored: Vec<(f64, Vec<Part>)> = members.iter().map(|member| evaluate(member, id, operands)).collect();
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
        all.extend(parts.into_iter().map(|part| Part {
            value: part.value * share,
            ..part
        }));
    }
    (sum, all)
}

fn by_id(fused: Vec<Fused>) -> HashMap<PaperId, Fused> {
    fused.into_iter().map(|fused| (fused.id.clone(), fused)).collect()
}

fn add(fused: &mut Fused, name: &'static str, value: f64, raw: f64) {
    fused.score += value;
    fused.parts.push(Part {
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

    fn fused(list: &[(&str, f64)]) -> Vec<Fused> {
        let one = |(name, score): &(&str, f64)| Fused {
            id: id(name),
            score: *score,
            parts: vec![Part {
                leg: "dense",
                value: *score,
                rank: 1,
                raw: *score,
                operand: 0,
            }],
        };
        list.iter().map(one).collect()
    }

    fn names(ranking: &[Fused]) -> Vec<&str> {
        ranking.iter().map(|fused| fused.id.as_str()).collect()
    }

    fn parts_add_up(ranking: &[Fused]) {
        for fused in ranking {
            let sum: f64 = fused.parts.iter().map(|part| part.value).sum();
            assert!((sum - fused.score).abs() < 1e-12, "{fused:?}");
        }
    }

    #[test]
    fn one_operand_stays_as_it_is() {
        let only = fused(&[("a", 0.9), ("b", 0.1)]);
        assert_eq!(combine(&Set::Operand(0), vec![only.clone()]), only);
    }

    #[test]
    fn and_wants_all_or_wants_one_not_takes_off() {
        let operands = || {
            vec![
                fused(&[("both", 3.0), ("first", 4.5), ("second", 0.5)]),
                fused(&[("both", 3.0), ("first", 0.5), ("second", 4.0)]),
            ]
        };
        let both = combine(&Set::All(vec![Set::Operand(0), Set::Operand(1)]), operands());
        assert_eq!(names(&both), ["x:both", "x:second", "x:first"]);
        let either = combine(&Set::Any(vec![Set::Operand(0), Set::Operand(1)]), operands());
        assert_eq!(names(&either), ["x:first", "x:second", "x:both"]);
        let without = Set::All(vec![Set::Operand(0), Set::Not(Box::new(Set::Operand(1)))]);
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
