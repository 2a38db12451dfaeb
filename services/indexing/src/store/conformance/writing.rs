//! Revisions, withdrawals, and what is not taken.

use super::fixtures::{DENSE, TestPlace, assert_near, assert_same, dense_vector, encoder, id, ids, query};
use crate::store::{Filter, IndexedPaper, LegQuery, PaperRevision, StoreError, UpsertOutcome, collection_name};

pub async fn conforms(place: &TestPlace) {
    revisions_hold(place).await;
    withdrawals_hold(place).await;
    one_batch_may_hold_a_paper_twice(place).await;
    papers_come_back_as_they_were(place).await;
    strangers_are_refused(place).await;
}

async fn revisions_hold(place: &TestPlace) {
    let it = place.subject().await;
    let new = it.paper("a", 2, [1.0, 0.0], &[(1, 1.0)]);
    let old = it.paper("a", 1, [0.0, 1.0], &[(2, 1.0)]);
    assert_eq!(it.write(Vec::new()).await, []);
    assert_eq!(it.write(vec![new.clone()]).await, [UpsertOutcome::Written]);
    let other = it.paper("b", 1, [0.0, 1.0], &[(3, 1.0)]);
    assert_eq!(
        it.write(vec![old, other.clone()]).await,
        [UpsertOutcome::Stale, UpsertOutcome::Written],
        "each by its own revision"
    );
    assert_eq!(
        it.write(vec![new.clone()]).await,
        [UpsertOutcome::Written],
        "again is harmless"
    );
    let got = it.store.get(&ids(&["b", "unknown", "a"])).await.expect("get");
    assert_eq!(got, [other.paper, new.paper.clone()], "complete, in the order asked");
    let (_, by_words) = it.find([0.0, 1.0], &[(2, 1.0)], Filter::default()).await;
    assert!(by_words.is_empty(), "terms of the older revision are not there");

    let newer = it.paper("a", 3, [0.0, 1.0], &[(4, 1.0)]);
    assert_eq!(it.write(vec![newer.clone()]).await, [UpsertOutcome::Written]);
    let (_, by_words) = it.find([0.0, 1.0], &[(1, 1.0)], Filter::default()).await;
    assert!(by_words.is_empty(), "terms of the revision before are gone");
    let cases = [("math.CO", 0), ("cs.CL", 2)];
    for (category, expected) in cases {
        let filter = Filter {
            categories: vec![category.into()],
            ..Filter::default()
        };
        let counted = it.store.count(filter).await.expect("count");
        assert_eq!(counted.papers, expected, "{category} after the category changed");
    }
    let description = it.store.describe().await.expect("describe");
    assert_eq!((description.papers, description.withdrawn), (2, 0));
    assert_eq!(description.collection, collection_name(&it.encoder));
    assert_eq!((&description.encoder, description.dimension), (&it.encoder, 2));
    assert_eq!(description.store, place.collections.adapter());
}

async fn withdrawals_hold(place: &TestPlace) {
    let it = place.subject().await;
    it.write(vec![it.paper("w", 1, [1.0, 0.0], &[(1, 1.0)])]).await;
    it.withdraw("w", 2).await;
    it.withdraw("w", 2).await;
    it.withdraw("early", 2).await;
    let late = vec![
        it.paper("early", 1, [1.0, 0.0], &[(1, 1.0)]),
        it.paper("w", 1, [1.0, 0.0], &[(1, 1.0)]),
    ];
    assert_eq!(it.write(late).await, [UpsertOutcome::Stale, UpsertOutcome::Stale]);
    let both = ids(&["w", "early"]);
    assert!(it.store.get(&both).await.expect("get").is_empty());
    assert!(it.store.get_with_vectors(&both).await.expect("get").is_empty());
    assert!(it.store.dense_vectors(&both).await.expect("vectors").is_empty());
    assert!(it.listed(Filter::default()).await.is_empty());
    assert_eq!(it.store.count(Filter::default()).await.expect("count").papers, 0);
    let (dense, sparse) = it.find([1.0, 0.0], &[(1, 1.0)], Filter::default()).await;
    assert!(dense.is_empty() && sparse.is_empty());
    let held = |name: &str, revision, withdrawn| PaperRevision {
        id: id(name),
        revision,
        withdrawn,
    };
    let revisions = it
        .store
        .revisions_of(&ids(&["early", "unknown", "w"]))
        .await
        .expect("revisions");
    assert_eq!(revisions, [held("early", 2, true), held("w", 2, true)]);

    it.write(vec![it.paper("same", 1, [1.0, 0.0], &[])]).await;
    it.withdraw("same", 1).await;
    assert!(
        it.store.get(&[id("same")]).await.expect("get").is_empty(),
        "of equal revisions the later one stays"
    );
    let back = vec![it.paper("w", 3, [1.0, 0.0], &[])];
    assert_eq!(it.write(back).await, [UpsertOutcome::Written]);
    it.withdraw("w", 2).await;
    let there = it.store.get(&[id("w")]).await.expect("get");
    assert_eq!(there.len(), 1, "an old withdrawal leaves a newer revision");
    let revisions = it.store.revisions_of(&both).await.expect("revisions");
    assert_eq!(revisions, [held("w", 3, false), held("early", 2, true)]);
    let description = it.store.describe().await.expect("describe");
    assert_eq!((description.papers, description.withdrawn), (1, 2));
}

async fn one_batch_may_hold_a_paper_twice(place: &TestPlace) {
    for revisions in [[1, 2], [2, 1]] {
        let it = place.subject().await;
        it.write(
            revisions
                .map(|revision| it.paper("a", revision, [1.0, 0.0], &[]))
                .into(),
        )
        .await;
        let got = it.store.get(&[id("a")]).await.expect("get");
        assert_eq!(
            got.iter().map(|paper| paper.revision).collect::<Vec<_>>(),
            [2],
            "{revisions:?}"
        );
        assert_eq!(it.store.describe().await.expect("describe").papers, 1);
    }
}

async fn papers_come_back_as_they_were(place: &TestPlace) {
    let it = place.subject().await;
    let mut bare = it.paper("bare", 2, [0.0, 0.0], &[]);
    bare.paper.authors.clear();
    bare.paper.categories.clear();
    bare.paper.links.clear();
    bare.paper.abstract_text.clear();
    let mut rich = it.paper("rich", 1, [0.6, 0.8], &[(0, 0.25), (7, 1.5), (u32::MAX, 2.0)]);
    rich.paper.language = "pt-BR".into();
    rich.paper.title = "Ünïcode \u{1f4f0} \"quotes\" $x$".into();
    let all: Vec<IndexedPaper> = vec![bare, rich];
    it.write(all.clone()).await;
    let asked = ids(&["bare", "unknown", "rich"]);
    assert_same(&it.store.get_with_vectors(&asked).await.expect("get"), &all);
    let backwards = ids(&["rich", "bare"]);
    let vectors = it.store.dense_vectors(&backwards).await.expect("vectors");
    let found: Vec<&str> = vectors.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(found, ["x:rich", "x:bare"]);
    assert_near(&vectors[0].1, &dense_vector(&[0.6, 0.8]));
    assert_near(&vectors[1].1, &dense_vector(&[0.0, 0.0]));
    assert!(it.store.get(&[]).await.expect("get").is_empty());
    assert!(it.store.revisions_of(&[]).await.expect("revisions").is_empty());
}

async fn strangers_are_refused(place: &TestPlace) {
    let it = place.subject().await;
    let good = it.paper("good", 1, [1.0, 0.0], &[]);
    let mut other = it.paper("a", 1, [1.0, 0.0], &[]);
    other.vectors.encoder = encoder("other@2");
    let refused = it.store.upsert(vec![good.clone(), other]).await;
    assert!(matches!(refused, Err(StoreError::OtherEncoder { .. })));
    let mut long = it.paper("a", 1, [1.0, 0.0], &[]);
    long.vectors.dense = dense_vector(&[1.0, 0.0, 0.0]);
    let refused = it.store.upsert(vec![good, long]).await;
    assert!(matches!(refused, Err(StoreError::Dimension { expected: 2, found: 3 })));
    let mut asked = query([1.0, 0.0], &[], Filter::default());
    asked
        .legs
        .insert(DENSE, LegQuery::Dense(dense_vector(&[1.0, 0.0, 0.0])));
    let refused = it.store.search(asked).await;
    assert!(matches!(refused, Err(StoreError::Dimension { expected: 2, found: 3 })));
    let description = it.store.describe().await.expect("describe");
    assert_eq!(description.papers, 0, "a batch is taken as a whole or not at all");
}
