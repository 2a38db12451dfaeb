//! Collections side by side, and their aliases.

use std::collections::BTreeMap;

use super::fixtures::{DENSE, TestPlace, dense_vector, encoder, id, names, paper};
use crate::store::{Alias, Filter, IndexedPaper, LegQuery, StoreError, StoreQuery, collection_name};
use domain::{EncoderId, PaperVectors, SparseVector};

pub async fn conforms(place: &TestPlace) {
    collections_live_side_by_side(place).await;
    a_collection_opened_twice_is_one(place).await;
    what_does_not_fit_is_refused(place).await;
    aliases_move(place).await;
    what_an_alias_stands_for_stays(place).await;
}

fn three(encoder: &EncoderId) -> IndexedPaper {
    IndexedPaper {
        paper: paper("three", 1),
        vectors: PaperVectors {
            encoder: encoder.clone(),
            dense: dense_vector(&[0.0, 0.6, 0.8]),
            sparse: SparseVector::default(),
            truncated: false,
        },
    }
}

async fn collections_live_side_by_side(place: &TestPlace) {
    let it = place.subject().await;
    it.write(vec![it.paper("two", 1, [1.0, 0.0], &[])]).await;
    let other = place.encoder();
    let store = place.collections.open(&other, 3).await.expect("a store");
    store.upsert(vec![three(&other)]).await.expect("upsert");
    let asked = StoreQuery {
        legs: BTreeMap::from([(DENSE, LegQuery::Dense(dense_vector(&[0.0, 0.0, 1.0])))]),
        filter: Filter::default(),
        limit: 10,
    };
    let found = store.search(asked).await.expect("search");
    assert_eq!(names(&found[&DENSE]), ["x:three"]);
    assert_eq!(it.listed(Filter::default()).await, ["x:two"]);
    let all = place.collections.all().await.expect("all");
    let described = |encoder: &EncoderId| {
        let one = all.iter().find(|one| one.encoder == *encoder).expect("it is there");
        assert_eq!(one.collection, collection_name(encoder));
        assert_eq!(one.store, place.collections.adapter());
        (one.dimension, one.papers, one.withdrawn)
    };
    assert_eq!(described(&it.encoder), (2, 1, 0));
    assert_eq!(described(&other), (3, 1, 0));
    assert!(
        all.is_sorted_by(|a, b| a.collection < b.collection),
        "by name, each once"
    );
}

async fn a_collection_opened_twice_is_one(place: &TestPlace) {
    let it = place.subject().await;
    let again = place.collections.open(&it.encoder, 2).await.expect("a store");
    it.write(vec![it.paper("a", 1, [1.0, 0.0], &[])]).await;
    assert_eq!(again.get(&[id("a")]).await.expect("get").len(), 1);
    again.withdraw(&id("a"), 2).await.expect("withdraw");
    assert!(it.listed(Filter::default()).await.is_empty());
}

async fn what_does_not_fit_is_refused(place: &TestPlace) {
    let it = place.subject().await;
    let refused = place
        .collections
        .open(&it.encoder, 3)
        .await
        .err()
        .expect("another length");
    assert!(matches!(refused, StoreError::Unusable { .. }), "{refused}");
    let alike = encoder(&it.encoder.as_str().replace('@', "-"));
    assert_eq!(collection_name(&alike), collection_name(&it.encoder));
    let refused = place.collections.open(&alike, 2).await.err().expect("another encoder");
    assert!(matches!(refused, StoreError::Unusable { .. }), "{refused}");
    assert!(refused.to_string().contains(it.encoder.as_str()), "{refused}");
    place.collections.open(&it.encoder, 2).await.expect("again is harmless");
}

async fn aliases_move(place: &TestPlace) {
    let (old, new) = (place.subject().await, place.encoder());
    place.collections.open(&new, 3).await.expect("a store");
    let set = async |alias, encoder: Option<&EncoderId>| {
        place.collections.set_alias(alias, encoder).await.expect("an alias");
    };
    let get = async |alias| place.collections.alias(alias).await.expect("an alias");
    assert_eq!(get(Alias::Current).await, None);
    assert_eq!(get(Alias::Next).await, None);
    set(Alias::Next, None).await;
    set(Alias::Current, Some(&old.encoder)).await;
    set(Alias::Current, Some(&old.encoder)).await;
    set(Alias::Next, Some(&new)).await;
    assert_eq!(get(Alias::Current).await, Some((old.encoder.clone(), 2)));
    assert_eq!(get(Alias::Next).await, Some((new.clone(), 3)));
    set(Alias::Current, Some(&new)).await;
    set(Alias::Next, None).await;
    assert_eq!(get(Alias::Current).await, Some((new, 3)));
    assert_eq!(get(Alias::Next).await, None);

    let unknown = encoder("nobody-has-this@1");
    let refused = place.collections.set_alias(Alias::Next, Some(&unknown)).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(get(Alias::Next).await, None);
    set(Alias::Current, None).await;
    assert_eq!(get(Alias::Current).await, None);
}

async fn what_an_alias_stands_for_stays(place: &TestPlace) {
    let it = place.subject().await;
    it.write(vec![it.paper("a", 1, [1.0, 0.0], &[])]).await;
    for alias in [Alias::Current, Alias::Next] {
        place
            .collections
            .set_alias(alias, Some(&it.encoder))
            .await
            .expect("an alias");
        let refused = place.collections.remove(&it.encoder).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
        assert_eq!(it.listed(Filter::default()).await, ["x:a"]);
        place.collections.set_alias(alias, None).await.expect("no alias");
    }
    place.collections.remove(&it.encoder).await.expect("it goes");
    let all = place.collections.all().await.expect("all");
    assert!(all.iter().all(|one| one.encoder != it.encoder));
    let refused = place.collections.remove(&it.encoder).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    let refused = place.collections.set_alias(Alias::Next, Some(&it.encoder)).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    let again = place
        .collections
        .open(&it.encoder, 3)
        .await
        .expect("a new one, of any length");
    assert_eq!(again.describe().await.expect("describe").papers, 0);
}
