//! Several collections in one folder.

use std::sync::Arc;

use super::super::EmbeddedCollections;
use super::*;
use crate::store::{Alias, Collections};

fn other() -> EncoderId {
    EncoderId::parse("other@2").expect("an encoder id")
}

fn collections(folder: &Path) -> EmbeddedCollections {
    EmbeddedCollections::open(folder).expect("collections")
}

#[tokio::test]
async fn a_collection_opened_twice_is_one_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let all = collections(folder.path());
    let (one, two) = (
        all.open(&encoder(), 3).await.expect("a store"),
        all.open(&encoder(), 3).await.expect("a store"),
    );
    one.upsert(vec![paper(1, 1, 1)]).await.expect("upsert");
    assert_eq!(two.count(Filter::default()).await.expect("count").papers, 1);
    assert!(matches!(
        all.open(&encoder(), 4).await,
        Err(StoreError::Unusable { .. })
    ));
    let held = Arc::clone(&one);
    drop((one, two, all));
    assert!(
        EmbeddedCollections::open(folder.path()).is_err(),
        "held as long as a store is"
    );
    drop(held);
    let all = collections(folder.path());
    let descriptions = all.all().await.expect("descriptions");
    assert_eq!(descriptions.len(), 1);
    assert_eq!((descriptions[0].papers, descriptions[0].dimension), (1, 3));
    assert_eq!(
        descriptions[0],
        all.open(&encoder(), 3)
            .await
            .expect("a store")
            .describe()
            .await
            .expect("one")
    );
}

#[tokio::test]
async fn aliases_move_and_outlive_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let all = collections(folder.path());
    assert_eq!(all.alias(Alias::Current).await.expect("none"), None);
    let refused = all.set_alias(Alias::Current, Some(&encoder())).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))));
    all.open(&encoder(), 3).await.expect("a store");
    all.open(&other(), 5).await.expect("a store");
    all.set_alias(Alias::Current, Some(&encoder())).await.expect("an alias");
    all.set_alias(Alias::Next, Some(&other())).await.expect("an alias");
    drop(all);
    let all = collections(folder.path());
    assert_eq!(all.alias(Alias::Current).await.expect("one"), Some((encoder(), 3)));
    assert_eq!(all.alias(Alias::Next).await.expect("one"), Some((other(), 5)));
    all.set_alias(Alias::Current, Some(&other())).await.expect("an alias");
    all.set_alias(Alias::Next, None).await.expect("none");
    drop(all);
    let all = collections(folder.path());
    assert_eq!(all.alias(Alias::Current).await.expect("one"), Some((other(), 5)));
    assert_eq!(all.alias(Alias::Next).await.expect("none"), None);
}

#[tokio::test]
async fn a_collection_is_dropped_only_when_no_alias_stands_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let all = collections(folder.path());
    let store = all.open(&encoder(), 3).await.expect("a store");
    store.upsert(vec![paper(1, 1, 1)]).await.expect("upsert");
    assert!(matches!(all.remove(&other()).await, Err(StoreError::Refused(_))));
    for alias in [Alias::Current, Alias::Next] {
        all.set_alias(alias, Some(&encoder())).await.expect("an alias");
        assert!(matches!(all.remove(&encoder()).await, Err(StoreError::Refused(_))));
        all.set_alias(alias, None).await.expect("none");
    }
    all.remove(&encoder()).await.expect("dropped");
    assert!(matches!(
        store.count(Filter::default()).await,
        Err(StoreError::Refused(_))
    ));
    assert!(matches!(
        store.upsert(vec![paper(1, 2, 1)]).await,
        Err(StoreError::Refused(_))
    ));
    assert!(all.all().await.expect("none").is_empty());
    let left = std::fs::read_dir(folder.path()).expect("the folder").flatten();
    assert!(
        left.into_iter()
            .all(|file| !file.file_name().to_string_lossy().contains("sqlite"))
    );
    let anew = all.open(&encoder(), 3).await.expect("a store");
    assert_eq!(anew.count(Filter::default()).await.expect("count").papers, 0);
    anew.upsert(vec![paper(2, 1, 1)]).await.expect("upsert");
    drop(store);
    drop((anew, all));
    let again = open(folder.path());
    assert_eq!(
        again.get(&[id(2)]).await.expect("get").len(),
        1,
        "the old one took nothing along"
    );
}

#[tokio::test]
async fn an_alias_file_that_cannot_be_read_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let unreadable = [
        r#"{"current": {"encoder": "", "dimension": 3}, "next": null}"#,
        r#"{"current": null, "next": null, "previous": null}"#,
        "{",
    ];
    for text in unreadable {
        std::fs::write(folder.path().join("ALIASES"), text).expect("a file");
        let refused = EmbeddedCollections::open(folder.path()).err().expect("it is refused");
        assert!(matches!(refused, StoreError::Unusable { .. }), "{refused}");
        assert!(refused.to_string().contains("ALIASES"), "{refused}");
    }
}
