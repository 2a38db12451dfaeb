//! What crashes, older releases and damage leave behind.

use prost::Message as _;
use proto::papers::v1 as wire;
use rusqlite::{Connection, params};
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

/// A file as version 0 wrote it.
fn old_file(folder: &Path, papers: &[IndexedPaper], withdrawn: &[(PaperId, u64)]) {
    let connection = Connection::open(folder.join(FILE)).expect("a file");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE papers (id TEXT PRIMARY KEY, revision INTEGER NOT NULL, withdrawn INTEGER NOT NULL,
                 paper BLOB, dense BLOB, sparse BLOB) WITHOUT ROWID;
             CREATE TABLE vectors (encoder TEXT NOT NULL, dimension INTEGER NOT NULL);
             INSERT INTO vectors VALUES ('test@1', 3);",
        )
        .expect("tables");
    for one in papers {
        let dense: Vec<u8> = one
            .vectors
            .dense
            .as_slice()
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        connection
            .execute(
                "INSERT INTO papers VALUES (?1, ?2, 0, ?3, ?4, ?5)",
                params![
                    one.paper.id.as_str(),
                    one.paper.revision.cast_signed(),
                    wire::Paper::from(&one.paper).encode_to_vec(),
                    dense,
                    wire::SparseVector::from(&one.vectors.sparse).encode_to_vec(),
                ],
            )
            .expect("a row");
    }
    for (id, revision) in withdrawn {
        let insert = "INSERT INTO papers (id, revision, withdrawn) VALUES (?1, ?2, 1)";
        connection
            .execute(insert, params![id.as_str(), revision.cast_signed()])
            .expect("a row");
    }
}

#[tokio::test]
async fn a_file_of_an_older_release_is_taken_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut plain = Plain::default();
    let mut papers: Vec<IndexedPaper> = (0..50)
        .map(|number| paper(number, 1 + number % 3, number * 13))
        .collect();
    for one in &mut papers {
        // The older release did not keep it.
        one.vectors.truncated = false;
        plain.upsert(one);
    }
    plain.withdraw(&id(60), 4);
    old_file(folder.path(), &papers, &[(id(60), 4)]);
    for _ in 0..2 {
        let store = open(folder.path());
        same_contents(&store, &plain).await;
        same_answers(&store, &plain, &Filter::default(), 3, 20).await;
    }
}

#[test]
fn a_file_of_a_newer_release_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(folder.path()));
    let connection = Connection::open(folder.path().join(FILE)).expect("the file");
    connection.pragma_update(None, "user_version", 99).expect("a version");
    drop(connection);
    let refused = refusal(folder.path(), &encoder(), DIMENSION);
    assert!(refused.contains("newer release"), "{refused}");
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
