//! Readers beside a writer.
#![expect(
    clippy::disallowed_methods,
    reason = "the tasks of these tests are awaited where they start"
)]

use super::*;

/// Each round writes all papers anew with the next revision, in one batch, and every paper has the round in its terms.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_whole_batches_alone() {
    const PAPERS: u64 = 40;
    const ROUNDS: u64 = 60;
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let round = |round: u64| {
        let of = |number| {
            let mut one = paper(number, round, 1);
            let term = u32::try_from(100 + round).expect("small");
            one.vectors.sparse = SparseVector::new(vec![1, term], vec![1.0, 1.0]).expect("a vector");
            one
        };
        (0..PAPERS).map(of).collect::<Vec<_>>()
    };
    store.upsert(round(1)).await.expect("upsert");
    let reader = |asked: u64| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut latest = 0;
            while latest < ROUNDS {
                let query = StoreQuery {
                    legs: BTreeMap::from([
                        (DENSE, LegQuery::Dense(dense(asked))),
                        (SPARSE, LegQuery::Sparse(sparse(0b10))),
                    ]),
                    filter: Filter::default(),
                    limit: 100,
                };
                let found = store.search(query).await.expect("search");
                let (dense, sparse) = (&found[&DENSE], &found[&SPARSE]);
                assert_eq!((dense.len() as u64, sparse.len() as u64), (PAPERS, PAPERS));
                let scores: Vec<f64> = sparse.iter().map(|hit| hit.score).collect();
                assert!(
                    scores.iter().all(|score| (score - scores[0]).abs() < 1e-12),
                    "N and n are of one moment"
                );
                let with = |term| Filter {
                    terms: vec![term],
                    ..Filter::default()
                };
                let seen = latest;
                for round in seen..=ROUNDS {
                    let term = u32::try_from(100 + round).expect("small");
                    let count = store.count(with(term)).await.expect("count").papers;
                    assert!(count == 0 || count == PAPERS, "{count} papers of round {round}");
                    if count == PAPERS {
                        latest = round;
                    }
                }
                let papers = store.get(&[id(0), id(PAPERS - 1)]).await.expect("get");
                assert!(papers.iter().all(|paper| paper.revision >= latest));
            }
        })
    };
    let readers: Vec<_> = (1..4).map(reader).collect();
    for revision in 2..=ROUNDS {
        store.upsert(round(revision)).await.expect("upsert");
    }
    for reader in readers {
        reader.await.expect("it sees whole batches");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_that_share_a_scan_get_their_own_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, mut plain) = (open(folder.path()), Plain::default());
    let papers: Vec<IndexedPaper> = (0..300).map(|number| paper(number, 1, number * 7)).collect();
    for one in &papers {
        plain.upsert(one);
    }
    store.upsert(papers).await.expect("upsert");
    let ask = |seed: u64| {
        let store = store.clone();
        tokio::spawn(async move {
            let filter = Filter {
                categories: if seed.is_multiple_of(2) {
                    vec!["cs.CL".into()]
                } else {
                    Vec::new()
                },
                ..Filter::default()
            };
            let leg = LegQuery::Dense(dense(seed));
            let limit = 10 + usize::try_from(seed % 7).expect("small");
            let query = StoreQuery {
                legs: BTreeMap::from([(DENSE, leg.clone())]),
                filter: filter.clone(),
                limit,
            };
            let found = store
                .search(query)
                .await
                .expect("search")
                .remove(&DENSE)
                .expect("an answer");
            (leg, filter, limit, found)
        })
    };
    let asked: Vec<_> = (0..200).map(ask).collect();
    for one in asked {
        let (leg, filter, limit, found) = one.await.expect("an answer");
        plain.check(&leg, &filter, limit, &found);
    }
}
