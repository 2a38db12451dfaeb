//! The Qdrant store: the suite over the wire, and what the server goes through.

use std::sync::Arc;
use std::time::Duration;

use common::clock::{Clock, ManualClock};
use common::tls::ClientTls;
use domain::EncoderId;
use futures::future::BoxFuture;
use jiff::Timestamp;
use qdrant_client::Qdrant;
use qdrant_client::qdrant::{CreateCollectionBuilder, Distance, VectorParamsBuilder, VectorsConfigBuilder};
use serde_json::json;
use tests::qdrant::Server;
use uuid::Uuid;

use super::conforms;
use super::copying::round_trip;
use super::embedded;
use super::fixtures::{DENSE, SPARSE, TestPlace, assert_same, encoder, id, names, query};
use super::random::agrees;
use crate::store::qdrant::{Hnsw, QdrantAccess, QdrantCollections, QdrantSettings, Quantization, Residence};
use crate::store::{Alias, Collections, Facet, Filter, Store, StoreError, collection_name};

fn settings(timeout: Duration) -> QdrantSettings {
    QdrantSettings {
        timeout,
        quantization: Some(Quantization {
            quantile: 0.99,
            residence: Residence::Memory,
        }),
        oversampling: 2.0,
        hnsw: Hnsw {
            m: 16,
            ef_construct: 100,
        },
        hnsw_ef: 128,
        vectors: Residence::Memory,
        payload: Residence::Disk,
    }
}

async fn connect(server: &Server, timeout: Duration) -> Result<QdrantCollections, StoreError> {
    let tls = ClientTls::default();
    QdrantCollections::connect(&access(server, &tls), settings(timeout), Clock::system()).await
}

fn access<'a>(server: &'a Server, tls: &'a ClientTls) -> QdrantAccess<'a> {
    QdrantAccess {
        url: &server.url,
        api_key: server.api_key.as_deref(),
        tls,
    }
}

/// With aliases of its own.
async fn place(server: &Server) -> TestPlace {
    let collections = connect(server, Duration::from_secs(30)).await.expect("it answers");
    let namespace = format!("test-{}", Uuid::new_v4().simple());
    let mut place = TestPlace::new(Arc::new(collections.in_namespace(&namespace)));
    place.rarity_follows = !server.shared;
    place
}

#[tokio::test]
async fn qdrant_conforms() {
    let mut server = Server::start().await;
    let place = place(&server).await;
    conforms(&place).await;
    place.clean().await;
    server.stop().await;
}

#[test]
fn qdrant_answers_as_the_model_does() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut server = runtime.block_on(Server::start());
    let place = runtime.block_on(place(&server));
    agrees(&place, &runtime, 12);
    runtime.block_on(place.clean());
    runtime.block_on(server.stop());
}

#[tokio::test]
async fn qdrant_copies_from_the_embedded_store_and_back() {
    let mut server = Server::with_data().await;
    let qdrant = place(&server).await;
    let (first, third) = (embedded::place(), embedded::place());
    round_trip(&first.0, &qdrant, &third.0).await;
    server.stop().await;
}

#[tokio::test]
async fn qdrant_has_everything_after_a_restart() {
    let mut server = Server::with_data().await;
    let place = place(&server).await;
    let it = place.subject().await;
    let papers = vec![
        it.paper("a", 1, [1.0, 0.0], &[(1, 1.0)]),
        it.paper("b", 2, [0.0, 1.0], &[(2, 1.0)]),
    ];
    it.write(papers.clone()).await;
    it.withdraw("c", 3).await;
    place
        .collections
        .set_alias(Alias::Current, Some(&it.encoder))
        .await
        .expect("an alias");
    for round in 0..2 {
        server.kill().await;
        let error = it.store.describe().await.expect_err("the server is gone");
        assert!(error.is_transient(), "{error}");
        let error = it.store.upsert(papers.clone()).await.expect_err("the server is gone");
        assert!(error.is_transient(), "{error}");
        let error = connect(&server, Duration::from_secs(2))
            .await
            .err()
            .expect("the server is gone");
        assert!(error.is_transient(), "{error}");
        server.again().await;
        let found = it.store.get_with_vectors(&[id("a"), id("b")]).await;
        assert_same(
            &found.expect("the first question after the restart is answered"),
            &papers,
        );
        let late = it.paper("c", 2, [1.0, 0.0], &[]);
        it.store.upsert(vec![late]).await.expect("and the first write taken");
        let description = it.store.describe().await.expect("describe");
        assert_eq!((description.papers, description.withdrawn), (2, 1), "round {round}");
        let current = place.collections.alias(Alias::Current).await.expect("an alias");
        assert_eq!(current, Some((it.encoder.clone(), 2)));
    }
    let again = connect(&server, Duration::from_secs(30)).await.expect("it answers");
    let store = again.open(&it.encoder, 2).await.expect("a store");
    let found = store
        .search(query([1.0, 0.0], &[(2, 1.0)], Filter::default()))
        .await
        .expect("search");
    assert_eq!(names(&found[&DENSE]), ["x:a", "x:b"]);
    assert_eq!(names(&found[&SPARSE]), ["x:b"]);
    server.stop().await;
}

#[tokio::test]
async fn qdrant_is_not_waited_for_without_end() {
    // Far longer than the test takes: only the clock ends the waiting.
    const TIMEOUT: Duration = Duration::from_mins(10);
    let mut server = Server::with_data().await;
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let settings = settings(TIMEOUT);
    let connected = QdrantCollections::connect(&access(&server, &ClientTls::default()), settings, clock).await;
    let collections = connected.expect("it answers");
    let encoder = encoder("paused@1");
    let store = collections.open(&encoder, 2).await.expect("a store");
    server.pause();
    let reads = reads(&*store, &collections, &encoder);
    let (errors, ()) = tokio::join!(reads, passes(&hand, 15, TIMEOUT));
    for error in errors {
        assert!(error.is_transient(), "{error}");
    }
    let (first, second) = (id("a"), id("b"));
    let write = store.withdraw(&first, 1);
    let (written, ()) = tokio::join!(write, passes(&hand, 1, TIMEOUT * QdrantSettings::WRITES));
    let error = written.expect_err("no answer");
    assert!(error.is_transient(), "{error}");
    server.resume();
    let description = store.describe().await.expect("it goes on");
    assert_eq!(description.papers, 0);
    store.withdraw(&second, 1).await.expect("it goes on");
    server.stop().await;
}

/// Moves the clock once so many calls wait.
async fn passes(hand: &ManualClock, waiting: usize, time: Duration) {
    while hand.sleepers() < waiting {
        tokio::task::yield_now().await;
    }
    hand.advance(time);
}

/// What every read fails with, all made at once.
async fn reads(store: &dyn Store, collections: &dyn Collections, encoder: &EncoderId) -> Vec<StoreError> {
    let filter = Filter::default;
    let ids = [id("a")];
    let asked = query([1.0, 0.0], &[(1, 1.0)], filter());
    let reads: Vec<BoxFuture<'_, Option<StoreError>>> = vec![
        Box::pin(async { store.search(asked).await.err() }),
        Box::pin(async { store.get(&ids).await.err() }),
        Box::pin(async { store.get_with_vectors(&ids).await.err() }),
        Box::pin(async { store.dense_vectors(&ids).await.err() }),
        Box::pin(async { store.revisions_of(&ids).await.err() }),
        Box::pin(async { store.list(filter(), None, 1).await.err() }),
        Box::pin(async { store.count(filter()).await.err() }),
        Box::pin(async { store.facet(filter(), Facet::Year, 1).await.err() }),
        Box::pin(async { store.scan(None, 1).await.err() }),
        Box::pin(async { store.revisions(None, 1).await.err() }),
        Box::pin(async { store.describe().await.err() }),
        Box::pin(async { collections.all().await.err() }),
        Box::pin(async { collections.alias(Alias::Next).await.err() }),
        Box::pin(async { collections.open(encoder, 2).await.err() }),
        Box::pin(async { collections.remove(encoder).await.err() }),
    ];
    let errors = futures::future::join_all(reads).await;
    errors.into_iter().map(|error| error.expect("no answer")).collect()
}

fn client(server: &Server) -> Qdrant {
    let mut settings = Qdrant::from_url(&server.url).skip_compatibility_check();
    settings.api_key.clone_from(&server.api_key);
    settings.build().expect("a client")
}

/// A collection of vectors alone, with metadata.
async fn foreign(server: &Server, name: String, metadata: &[(&str, serde_json::Value)]) {
    let mut dense = VectorsConfigBuilder::default();
    dense.add_named_vector_params("dense", VectorParamsBuilder::new(2, Distance::Cosine));
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
    let request = CreateCollectionBuilder::new(name)
        .vectors_config(dense)
        .metadata(metadata.collect::<std::collections::HashMap<_, _>>());
    client(server).create_collection(request).await.expect("a collection");
}

#[tokio::test]
async fn qdrant_refuses_a_collection_of_another_layout() {
    let mut server = Server::with_data().await;
    let collections = connect(&server, Duration::from_secs(30)).await.expect("it answers");
    for (number, layout) in [json!(99), json!("two"), json!(null)].into_iter().enumerate() {
        let encoder = encoder(&format!("layout-{number}@1"));
        let metadata = [("encoder", json!(encoder.as_str())), ("layout", layout)];
        foreign(&server, collection_name(&encoder), &metadata).await;
        let refused = collections.open(&encoder, 2).await.err().expect("another layout");
        assert!(matches!(refused, StoreError::Unusable { .. }), "{refused}");
    }
    server.stop().await;
}

#[tokio::test]
async fn qdrant_leaves_alone_what_is_not_ours() {
    let mut server = Server::with_data().await;
    let (first, second) = (encoder("one@1"), encoder("two@1"));
    foreign(&server, "strange".to_owned(), &[]).await;
    foreign(&server, collection_name(&encoder("taken@1")), &[]).await;
    let collections = connect(&server, Duration::from_secs(30)).await.expect("it answers");
    for ours in [&first, &second] {
        collections.open(ours, 2).await.expect("a store");
    }
    let current = collections.alias(Alias::Current).await.expect("an alias");
    assert_eq!(current, None);
    let all = collections.all().await.expect("all");
    let all: Vec<&EncoderId> = all.iter().map(|one| &one.encoder).collect();
    assert_eq!(all, [&first, &second]);
    let taken = encoder("taken@1");
    let refused = collections.open(&taken, 2).await.err().expect("it is not ours");
    assert!(matches!(refused, StoreError::Unusable { .. }), "{refused}");
    let refused = collections.remove(&taken).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    let refused = collections.set_alias(Alias::Current, Some(&taken)).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    let refused = collections
        .open(&encoder("current"), 2)
        .await
        .err()
        .expect("a name of an alias");
    assert!(matches!(refused, StoreError::Refused(_)), "{refused}");

    let store = collections.open(&first, 2).await.expect("a store");
    client(&server)
        .delete_collection(collection_name(&first))
        .await
        .expect("it goes");
    let error = store.describe().await.expect_err("the collection is gone");
    assert!(error.is_transient(), "{error}");
    let again = collections.open(&first, 2).await.expect("a new one");
    assert_eq!(again.describe().await.expect("describe").papers, 0);
    server.stop().await;
}
