//! Leg queries: their scores, their ties, and the keys of their answers.

use std::collections::BTreeMap;

use super::fixtures::{TestPlace, dense_vector, key, names, query, sparse};
use crate::store::{Filter, LegName, LegQuery, StoreQuery};

pub async fn conforms(place: &TestPlace) {
    legs_score_exactly(place).await;
    rarity_knows_no_filter(place).await;
    ties_are_cut_by_id(place).await;
    every_leg_is_answered_under_its_key(place).await;
}

async fn legs_score_exactly(place: &TestPlace) {
    let it = place.subject().await;
    it.write(vec![
        it.paper("b", 1, [1.0, 0.0], &[(1, 2.0), (7, 1.0)]),
        it.paper("a", 1, [1.0, 0.0], &[(1, 2.0)]),
        it.paper("c", 1, [0.6, 0.8], &[(2, 1.0)]),
        it.paper("d", 1, [-1.0, 0.0], &[]),
        it.paper("empty", 1, [0.0, 0.0], &[]),
    ])
    .await;
    let (dense, by_words) = it.find([1.0, 0.0], &[(1, 1.0), (9, 1.0)], Filter::default()).await;
    assert_eq!(names(&dense), ["x:a", "x:b", "x:c", "x:d"], "equal scores by id");
    let scores: Vec<f64> = dense.iter().map(|hit| hit.score).collect();
    for (found, expected) in scores.iter().zip([1.0, 1.0, 0.6, -1.0]) {
        assert!((found - expected).abs() < 1e-6, "{scores:?}");
    }
    assert_eq!(names(&by_words), ["x:a", "x:b"]);
    let rarity = ((3.0_f64 - 2.0 + 0.5) / (2.0 + 0.5) + 1.0).ln();
    assert!((by_words[0].score - 2.0 * rarity).abs() < 1e-5, "{by_words:?}");

    let (_, twice) = it.find([1.0, 0.0], &[(1, 0.5), (7, 3.0)], Filter::default()).await;
    let rare = ((3.0_f64 - 1.0 + 0.5) / (1.0 + 0.5) + 1.0).ln();
    assert_eq!(names(&twice), ["x:b", "x:a"]);
    assert!(
        (twice[0].score - (0.5 * 2.0 * rarity + 3.0 * rare)).abs() < 1e-5,
        "{twice:?}"
    );

    let nothing = it.find([0.0, 0.0], &[], Filter::default()).await;
    assert!(nothing.0.is_empty() && nothing.1.is_empty());
    if place.rarity_follows {
        it.withdraw("a", 2).await;
        let (_, by_words) = it.find([1.0, 0.0], &[(1, 1.0)], Filter::default()).await;
        let rarity_of_one_in_two = std::f64::consts::LN_2;
        assert!(
            (by_words[0].score - 2.0 * rarity_of_one_in_two).abs() < 1e-5,
            "{by_words:?}"
        );
    }
}

async fn rarity_knows_no_filter(place: &TestPlace) {
    let it = place.subject().await;
    let papers = (0..6_u64).map(|n| it.paper(&format!("n{n}"), 1 + n % 2, [1.0, 0.0], &[(1, 1.0)]));
    it.write(papers.collect()).await;
    it.write(vec![it.paper("rare", 2, [1.0, 0.0], &[(2, 1.0)])]).await;
    let (_, all) = it.find([1.0, 0.0], &[(1, 1.0)], Filter::default()).await;
    let narrow = Filter {
        categories: vec!["cs.CL".into()],
        ..Filter::default()
    };
    let (_, some) = it.find([1.0, 0.0], &[(1, 1.0)], narrow).await;
    assert_eq!((all.len(), some.len()), (6, 3));
    assert!((all[0].score - some[0].score).abs() < 1e-6, "{all:?} {some:?}");
}

async fn ties_are_cut_by_id(place: &TestPlace) {
    let it = place.subject().await;
    // Mixed up, so that no order of arrival is the one asked for.
    let tied = (0..40_u32).map(|n| {
        let name = format!("t{:02}", n * 17 % 40);
        it.paper(&name, 1, [0.6, 0.8], &[(1, 1.0)])
    });
    it.write(tied.collect()).await;
    it.write(vec![
        it.paper("best", 1, [1.0, 0.0], &[(1, 2.0)]),
        it.paper("last", 1, [0.0, 1.0], &[(1, 0.5)]),
    ])
    .await;
    for limit in [0, 1, 2, 7, 40, 41, 42, 100] {
        let mut expected: Vec<String> = vec!["x:best".into()];
        expected.extend((0..40).map(|n| format!("x:t{n:02}")));
        expected.push("x:last".into());
        expected.truncate(limit);
        let mut asked = query([1.0, 0.0], &[(1, 1.0)], Filter::default());
        asked.limit = limit;
        for list in it.store.search(asked).await.expect("search").into_values() {
            assert_eq!(names(&list), expected, "{limit} of them");
        }
    }
}

async fn every_leg_is_answered_under_its_key(place: &TestPlace) {
    let it = place.subject().await;
    it.write(vec![
        it.paper("a", 1, [1.0, 0.0], &[(1, 1.0)]),
        it.paper("b", 1, [0.0, 1.0], &[(2, 1.0)]),
    ])
    .await;
    let dense = |values: [f32; 2]| LegQuery::Dense(dense_vector(&values));
    let words = |terms: &[(u32, f32)]| LegQuery::Sparse(sparse(terms));
    let legs: [(_, _, &[&str]); 7] = [
        (key(3, LegName::Sparse), words(&[(2, 1.0)]), &["x:b"]),
        (key(0, LegName::Dense), dense([0.0, 0.0]), &[]),
        (key(2, LegName::Feedback), dense([0.0, 1.0]), &["x:b"]),
        (key(1, LegName::Sparse), words(&[]), &[]),
        (key(2, LegName::Dense), dense([1.0, 0.0]), &["x:a"]),
        (key(0, LegName::Term(9)), words(&[(1, 1.0)]), &["x:a"]),
        (key(0, LegName::Term(4)), words(&[(3, 1.0)]), &[]),
    ];
    let asked = StoreQuery {
        legs: legs.iter().map(|(key, leg, _)| (*key, leg.clone())).collect(),
        filter: Filter::default(),
        limit: 1,
    };
    let found = it.store.search(asked.clone()).await.expect("search");
    assert_eq!(found.len(), legs.len());
    for (key, _, expected) in legs {
        assert_eq!(names(&found[&key]), expected, "{key}");
    }
    let none = StoreQuery {
        legs: BTreeMap::new(),
        ..asked.clone()
    };
    assert!(it.store.search(none).await.expect("search").is_empty());
    let nowhere = StoreQuery {
        filter: Filter {
            within: Some(Vec::new()),
            ..Filter::default()
        },
        ..asked
    };
    let keys: Vec<_> = nowhere.legs.keys().copied().collect();
    let found = it.store.search(nowhere).await.expect("search");
    assert!(found.keys().eq(&keys), "an answer for each leg");
    assert!(found.values().all(Vec::is_empty));
}
