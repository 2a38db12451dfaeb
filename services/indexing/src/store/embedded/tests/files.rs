//! What crashes, other releases and damage leave behind.

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

const FILE: &str = "papers-test-1.sqlite";

fn refusal(folder: &Path, encoder: &EncoderId, dimension: usize) -> String {
    let refused = EmbeddedStore::open(folder, encoder, dimension)
        .err()
        .expect("it is refused");
    assert!(matches!(refused, StoreError::Unusable { .. }), "{refused}");
    refused.to_string()
}

/// The files as they are while the store is open, which is how a killed process leaves them.
fn copy_of(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("a copy");
    }
    copy
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill_at_any_moment() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, mut plain) = (open(folder.path()), Plain::default());
    for round in 0..12_u64 {
        let papers: Vec<IndexedPaper> = (0..20)
            .map(|at| paper(at * 3 + round, round + 1, at * 17 + round))
            .collect();
        for one in &papers {
            plain.upsert(one);
        }
        store.upsert(papers).await.expect("upsert");
        store.withdraw(&id(round), round + 1).await.expect("withdraw");
        plain.withdraw(&id(round), round + 1);
        let killed = copy_of(folder.path());
        let survived = open(killed.path());
        same_contents(&survived, &plain).await;
        same_answers(&survived, &plain, &Filter::default(), round, 30).await;
    }
}

#[test]
fn a_file_of_another_version_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(folder.path()));
    let connection = Connection::open(folder.path().join(FILE)).expect("the file");
    connection.pragma_update(None, "user_version", 99).expect("a version");
    drop(connection);
    let refused = refusal(folder.path(), &encoder(), DIMENSION);
    assert!(refused.contains("has version 99, this release reads 1"), "{refused}");
}

#[test]
fn others_are_kept_out_and_told_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let refused = refusal(folder.path(), &encoder(), DIMENSION);
    assert!(refused.contains("another process has it open"), "{refused}");
    drop(store);
    let alike = EncoderId::parse("test-1").expect("an id");
    for (encoder, dimension) in [(encoder(), 4), (alike, DIMENSION)] {
        let refused = refusal(folder.path(), &encoder, dimension);
        assert!(
            refused.contains("it holds vectors of test@1 with 3 values"),
            "{refused}"
        );
    }
    let file = folder.path().join("taken");
    std::fs::write(&file, "not a folder").expect("a file");
    let refused = refusal(&file, &encoder(), DIMENSION);
    assert!(refused.contains(&file.display().to_string()), "{refused}");
}

#[tokio::test]
async fn damage_is_named_with_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    store
        .upsert((0..40).map(|number| paper(number, 1, number)).collect())
        .await
        .expect("upsert");
    drop(store);
    let file = folder.path().join(FILE);
    let whole = std::fs::read(&file).expect("the file");
    let mut broken = whole.clone();
    broken[..100].fill(7);
    std::fs::write(&file, broken).expect("the file");
    let refused = refusal(folder.path(), &encoder(), DIMENSION);
    assert!(refused.contains(FILE) && refused.contains("is damaged"), "{refused}");
    std::fs::write(&file, &whole).expect("the file");
    let connection = Connection::open(&file).expect("the file");
    connection
        .execute("UPDATE entries SET entry = x'00' WHERE number = 5", [])
        .expect("an entry");
    drop(connection);
    let refused = EmbeddedStore::open(folder.path(), &encoder(), DIMENSION)
        .err()
        .expect("it is refused");
    assert!(
        matches!(&refused, StoreError::Damaged { entry, .. } if *entry == id(4).to_string()),
        "{refused}"
    );
}
