//! The embedded store: the suite, and what its folder goes through.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::conforms;
use super::copying::round_trip;
use super::fixtures::{DENSE, SPARSE, TestCollection, TestPlace, encoder, query};
use super::random::agrees;
use crate::store::embedded::EmbeddedCollections;
use crate::store::{Alias, Collections as _, Filter, StoreError};

/// A place in a folder, which is removed with the guard.
pub fn place() -> (TestPlace, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let collections = EmbeddedCollections::open(folder.path()).expect("a place");
    (TestPlace::new(Arc::new(collections)), folder)
}

#[tokio::test]
async fn embedded_conforms() {
    let (place, _folder) = place();
    conforms(&place).await;
}

#[test]
fn embedded_answers_as_the_model_does() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (place, _folder) = place();
    agrees(&place, &runtime, 64);
}

#[tokio::test]
async fn embedded_places_copy() {
    let (first, second, third) = (place(), place(), place());
    round_trip(&first.0, &second.0, &third.0).await;
}

#[tokio::test]
async fn embedded_has_everything_after_a_kill_and_a_reopening() {
    let (place, folder) = place();
    let it = place.subject().await;
    it.write(vec![
        it.paper("a", 1, [1.0, 0.0], &[(1, 1.0)]),
        it.paper("b", 1, [0.0, 1.0], &[]),
    ])
    .await;
    it.withdraw("b", 2).await;
    place
        .collections
        .set_alias(Alias::Current, Some(&it.encoder))
        .await
        .expect("an alias");
    let before = it.find([1.0, 0.0], &[(1, 1.0)], Filter::default()).await;
    let encoder = it.encoder.clone();

    let killed = copy_of(folder.path());
    same_again(killed.path(), &encoder, &before).await;
    let refused = EmbeddedCollections::open(folder.path());
    let refused = match refused {
        Ok(open) => open.open(&encoder, 2).await.err(),
        Err(refused) => Some(refused),
    };
    let refused = refused.expect("another has it open");
    assert!(!refused.is_transient(), "{refused}");
    drop((it, place));
    same_again(folder.path(), &encoder, &before).await;
}

type FoundHits = (Vec<domain::fusion::Hit>, Vec<domain::fusion::Hit>);

async fn same_again(folder: &Path, encoder: &domain::EncoderId, before: &FoundHits) {
    let open = EmbeddedCollections::open(folder).expect("a place");
    assert_eq!(
        open.alias(Alias::Current).await.expect("an alias"),
        Some((encoder.clone(), 2))
    );
    let store = open.open(encoder, 2).await.expect("a store");
    let asked = query([1.0, 0.0], &[(1, 1.0)], Filter::default());
    let found = store.search(asked).await.expect("search");
    assert_eq!((&found[&DENSE], &found[&SPARSE]), (&before.0, &before.1));
    assert_eq!(store.describe().await.expect("describe").withdrawn, 1);
    let it = TestCollection {
        store,
        encoder: encoder.clone(),
    };
    assert_eq!(it.listed(Filter::default()).await, ["x:a"]);
}

/// The files as they are while the store is open, which is how a killed process leaves them.
fn copy_of(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    copy_into(folder, copy.path());
    copy
}

fn copy_into(folder: &Path, target: &Path) {
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let entry = entry.expect("an entry");
        let beside = target.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&beside).expect("a folder");
            copy_into(&entry.path(), &beside);
        } else {
            std::fs::copy(entry.path(), beside).expect("a copy");
        }
    }
}

#[tokio::test]
async fn embedded_names_a_folder_it_cannot_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("taken");
    std::fs::write(&file, "not a folder").expect("a file");
    let refused = match EmbeddedCollections::open(&file) {
        Ok(open) => open.open(&encoder("test@1"), 2).await.err(),
        Err(refused) => Some(refused),
    };
    let refused = refused.expect("it is refused");
    assert!(matches!(refused, StoreError::Unusable { .. }), "{refused}");
    assert!(refused.to_string().contains(&file.display().to_string()), "{refused}");
}
