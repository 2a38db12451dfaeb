//! Copies of a store: complete, resumable, and true about what differs.

use std::sync::Arc;

use super::fixtures::{TestCollection, TestPlace, assert_same, id};
use super::model::ModelCollections;
use super::scanning::scanned;
use crate::store::copy::{CopySummary, copy};
use crate::store::{Alias, StoreEntry};

/// Copies from one place to another and back to a third, and finds everything there.
pub async fn round_trip(first: &TestPlace, second: &TestPlace, third: &TestPlace) {
    let it = first.subject().await;
    let other = first.subject().await;
    let papers: Vec<_> = (0..450_u32)
        .map(|n| it.paper(&format!("n{n:03}"), u64::from(1 + n % 3), [0.6, 0.8], &[(n % 9, 1.5)]))
        .collect();
    it.write(papers).await;
    it.write(vec![it.paper("blank", 1, [0.0, 0.0], &[])]).await;
    it.withdraw("n007", 9).await;
    it.withdraw("early", 3).await;
    other.write(vec![other.paper("only", 2, [1.0, 0.0], &[(1, 1.0)])]).await;
    first
        .collections
        .set_alias(Alias::Current, Some(&it.encoder))
        .await
        .expect("an alias");
    first
        .collections
        .set_alias(Alias::Next, Some(&other.encoder))
        .await
        .expect("an alias");

    let expected = sorted(scanned(&it, 100).await);
    for (from, to) in [(first, second), (second, third)] {
        let mut last = None;
        let copied = copy(&*from.collections, &*to.collections, |progress| {
            last = Some(progress.clone());
        })
        .await
        .expect("a copy");
        assert_eq!(
            (copied.papers, copied.withdrawn, copied.skipped),
            (451, 2, 0),
            "{copied:?}"
        );
        let last = last.expect("progress is told");
        assert_eq!((last.compared, last.written), (last.total, 0), "{last:?}");
        let store = to.collections.open(&it.encoder, 2).await.expect("a store");
        let there = TestCollection {
            store,
            encoder: it.encoder.clone(),
        };
        let found = sorted(scanned(&there, 100).await);
        assert_eq!(revisions(&found), revisions(&expected));
        let contents = |all: &[StoreEntry]| all.iter().filter_map(|one| one.content.clone()).collect::<Vec<_>>();
        assert_same(&contents(&found), &contents(&expected));
        let current = to.collections.alias(Alias::Current).await.expect("an alias");
        assert_eq!(current, Some((it.encoder.clone(), 2)));
        let next = to.collections.alias(Alias::Next).await.expect("an alias");
        assert_eq!(next, Some((other.encoder.clone(), 2)));
    }
    goes_on_where_it_ended(first, third, &it).await;
}

async fn goes_on_where_it_ended(from: &TestPlace, to: &TestPlace, it: &TestCollection) {
    it.write(vec![
        it.paper("n001", 20, [1.0, 0.0], &[]),
        it.paper("late", 1, [1.0, 0.0], &[]),
    ])
    .await;
    let target = to.collections.open(&it.encoder, 2).await.expect("a store");
    target
        .upsert(vec![it.paper("n002", 30, [1.0, 0.0], &[])])
        .await
        .expect("upsert");
    let copied = copy(&*from.collections, &*to.collections, |_| {})
        .await
        .expect("a copy");
    let expected = CopySummary {
        collections: 2,
        papers: 2,
        withdrawn: 0,
        skipped: 452,
    };
    assert_eq!(copied, expected);
    let newer = target.revisions_of(&[id("n002")]).await.expect("revisions");
    assert_eq!(newer[0].revision, 30, "a newer revision stays");
}

fn sorted(mut entries: Vec<StoreEntry>) -> Vec<StoreEntry> {
    entries.sort_by(|a, b| a.id.cmp(&b.id));
    entries
}

fn revisions(entries: &[StoreEntry]) -> Vec<(&str, u64, bool)> {
    entries
        .iter()
        .map(|one| (one.id.as_str(), one.revision, one.content.is_none()))
        .collect()
}

#[tokio::test]
async fn models_copy() {
    let place = || TestPlace::new(Arc::new(ModelCollections::default()));
    round_trip(&place(), &place(), &place()).await;
}
