//! Reading everything, page by page.

use std::collections::BTreeMap;

use super::fixtures::{TestCollection, TestPlace, assert_same, id};
use crate::store::{PaperRevision, StoreEntry};

pub async fn conforms(place: &TestPlace) {
    everything_is_read_once(place).await;
    writes_in_between_lose_nothing(place).await;
}

/// The entries of all pages, in the order of the pages.
pub async fn scanned(it: &TestCollection, size: usize) -> Vec<StoreEntry> {
    let mut entries = Vec::new();
    let mut after = None;
    loop {
        let page = it.store.scan(after, size).await.expect("scan");
        assert!(page.entries.len() <= size.max(1));
        entries.extend(page.entries);
        after = page.next;
        if after.is_none() {
            return entries;
        }
    }
}

async fn revisions(it: &TestCollection, size: usize) -> Vec<PaperRevision> {
    let mut entries = Vec::new();
    let mut after = None;
    loop {
        let page = it.store.revisions(after, size).await.expect("revisions");
        assert!(page.entries.len() <= size.max(1));
        entries.extend(page.entries);
        after = page.next;
        if after.is_none() {
            return entries;
        }
    }
}

async fn everything_is_read_once(place: &TestPlace) {
    let it = place.subject().await;
    assert!(scanned(&it, 3).await.is_empty());
    assert!(revisions(&it, 3).await.is_empty());
    let papers: Vec<_> = (0..11_u32)
        .map(|n| it.paper(&format!("n{n:02}"), u64::from(n) + 1, [0.6, 0.8], &[(n, 1.0)]))
        .collect();
    it.write(papers.clone()).await;
    it.withdraw("n03", 40).await;
    it.withdraw("never", 5).await;
    for size in [1, 2, 5, 12, 100] {
        let mut entries = scanned(&it, size).await;
        entries.sort_by(|a, b| a.id.cmp(&b.id));
        assert_eq!(entries.len(), 12, "pages of {size}");
        let mut read = revisions(&it, size).await;
        read.sort_by(|a, b| a.id.cmp(&b.id));
        for (entry, held) in entries.iter().zip(&read) {
            assert_eq!((&entry.id, entry.revision), (&held.id, held.revision));
            assert_eq!(entry.content.is_none(), held.withdrawn);
        }
        let gone: Vec<&PaperRevision> = read.iter().filter(|held| held.withdrawn).collect();
        let gone: Vec<(&str, u64)> = gone.iter().map(|held| (held.id.as_str(), held.revision)).collect();
        assert_eq!(gone, [("x:n03", 40), ("x:never", 5)]);
        let found: Vec<_> = entries.into_iter().filter_map(|entry| entry.content).collect();
        let mut expected = papers.clone();
        expected.remove(3);
        assert_same(&found, &expected);
    }
}

/// What is there from the beginning and is not touched is read once, whatever else is written meanwhile.
async fn writes_in_between_lose_nothing(place: &TestPlace) {
    let it = place.subject().await;
    let write = async |name: String, revision| {
        it.write(vec![it.paper(&name, revision, [1.0, 0.0], &[])]).await;
    };
    for n in 0..20 {
        write(format!("stays{n:02}"), 1).await;
        write(format!("changes{n:02}"), 1).await;
    }
    let mut read: BTreeMap<String, usize> = BTreeMap::new();
    let (mut after, mut round) = (None, 0);
    loop {
        let page = it.store.revisions(after, 4).await.expect("revisions");
        for held in page.entries {
            *read.entry(held.id.to_string()).or_default() += 1;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
        write(format!("arrives{round:02}"), 1).await;
        write(format!("changes{round:02}"), 2).await;
        it.store
            .withdraw(&id(&format!("changes{:02}", 19 - round)), 3)
            .await
            .expect("withdraw");
        round = (round + 1) % 10;
    }
    for n in 0..20 {
        assert_eq!(read.get(&format!("x:stays{n:02}")), Some(&1), "{read:?}");
    }
}
