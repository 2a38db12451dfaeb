//! The Qdrant store: the suite over the wire, and what the server goes through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::EncoderId;
use futures::future::BoxFuture;
use qdrant_client::qdrant::points_update_operation::{Operation, PointStructList};
use qdrant_client::qdrant::{
    CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, Distance, FieldType, Modifier, PointStruct,
    PointsUpdateOperation, SparseVectorParamsBuilder, SparseVectorsConfigBuilder, UpdateBatchPointsBuilder,
    VectorParamsBuilder, VectorsConfigBuilder,
};
use qdrant_client::{Payload, Qdrant};
use serde_json::json;
use tests::qdrant::Server;
use uuid::Uuid;

use super::conforms;
use super::copying::round_trip;
use super::embedded;
use super::fixtures::{Place, assert_same, encoder, id, names, query};
use super::random::agrees;
use crate::store::qdrant::{Hnsw, QdrantCollections, Quantization, Residence, Settings};
use crate::store::{Alias, Collections, Facet, Filter, Store, StoreError, collection_name};

fn settings(timeout: Duration) -> Settings {
    Settings {
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
    QdrantCollections::connect(&server.url, server.api_key.as_deref(), settings(timeout)).await
}

/// With aliases of its own.
async fn place(server: &Server) -> Place {
    let collections = connect(server, Duration::from_secs(30)).await.expect("it answers");
    let namespace = format!("test-{}", Uuid::new_v4().simple());
    let mut place = Place::new(Arc::new(collections.in_namespace(&namespace)));
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
    assert_eq!((names(&found[0]), names(&found[1])), (vec!["x:a", "x:b"], vec!["x:b"]));
    server.stop().await;
}

#[tokio::test]
async fn qdrant_is_not_waited_for_without_end() {
    const TIMEOUT: Duration = Duration::from_secs(2);
    const SLACK: Duration = Duration::from_secs(1);
    let mut server = Server::with_data().await;
    let collections = connect(&server, TIMEOUT).await.expect("it answers");
    let encoder = encoder("paused@1");
    let store = collections.open(&encoder, 2).await.expect("a store");
    server.pause();
    let begin = Instant::now();
    let questions = questions(&*store, &collections, &encoder);
    for error in questions.await {
        assert!(error.is_transient(), "{error}");
    }
    assert!(begin.elapsed() < TIMEOUT + SLACK, "{:?}", begin.elapsed());
    let begin = Instant::now();
    let error = store.withdraw(&id("a"), 1).await.expect_err("no answer");
    assert!(error.is_transient(), "{error}");
    assert!(
        begin.elapsed() < TIMEOUT * Settings::WRITES + SLACK,
        "{:?}",
        begin.elapsed()
    );
    server.resume();
    let description = store.describe().await.expect("it goes on");
    assert_eq!(description.papers, 0);
    store.withdraw(&id("b"), 1).await.expect("it goes on");
    server.stop().await;
}

/// What every question fails with, all asked at once.
async fn questions(store: &dyn Store, collections: &dyn Collections, encoder: &EncoderId) -> Vec<StoreError> {
    let filter = Filter::default;
    let ids = [id("a")];
    let asked = query([1.0, 0.0], &[(1, 1.0)], filter());
    let questions: Vec<BoxFuture<'_, Option<StoreError>>> = vec![
        Box::pin(async { store.search(asked).await.err() }),
        Box::pin(async { store.get(&ids).await.err() }),
        Box::pin(async { store.get_with_vectors(&ids).await.err() }),
        Box::pin(async { store.dense_vectors(&ids).await.err() }),
        Box::pin(async { store.marks_of(&ids).await.err() }),
        Box::pin(async { store.list(filter(), None, 1).await.err() }),
        Box::pin(async { store.count(filter()).await.err() }),
        Box::pin(async { store.facet(filter(), Facet::Year, 1).await.err() }),
        Box::pin(async { store.scan(None, 1).await.err() }),
        Box::pin(async { store.marks(None, 1).await.err() }),
        Box::pin(async { store.describe().await.err() }),
        Box::pin(async { collections.all().await.err() }),
        Box::pin(async { collections.alias(Alias::Next).await.err() }),
        Box::pin(async { collections.open(encoder, 2).await.err() }),
        Box::pin(async { collections.remove(encoder).await.err() }),
    ];
    let errors = futures::future::join_all(questions).await;
    errors.into_iter().map(|error| error.expect("no answer")).collect()
}

fn client(server: &Server) -> Qdrant {
    let mut settings = Qdrant::from_url(&server.url).skip_compatibility_check();
    settings.api_key.clone_from(&server.api_key);
    settings.build().expect("a client")
}

/// A collection as it was made before aliases existed, with a paper in it.
async fn earlier(server: &Server, encoder: &EncoderId) {
    let mut dense = VectorsConfigBuilder::default();
    dense.add_named_vector_params("dense", VectorParamsBuilder::new(2, Distance::Cosine));
    let mut terms = SparseVectorsConfigBuilder::default();
    terms.add_named_vector_params("terms", SparseVectorParamsBuilder::default().modifier(Modifier::Idf));
    let metadata = [("encoder".to_owned(), json!(encoder.as_str()))];
    let request = CreateCollectionBuilder::new(collection_name(encoder))
        .vectors_config(dense)
        .sparse_vectors_config(terms)
        .metadata(std::collections::HashMap::from(metadata));
    client(server).create_collection(request).await.expect("a collection");
    // Its indexes, as far as it matters here.
    let withdrawn = CreateFieldIndexCollectionBuilder::new(collection_name(encoder), "withdrawn", FieldType::Bool);
    client(server).create_field_index(withdrawn).await.expect("an index");
    let payload = json!({
        "id": "x:old", "title": "Old", "abstract": "", "authors": ["Ada Lovelace"],
        "authors_folded": ["ada lovelace"], "categories": ["cs.CL"], "published": "2025-01-01T00:00:00Z",
        "published_ms": 1_735_689_600_000_i64, "updated": null, "links": [], "source": "arXiv", "revision": 1,
        "content_hash": "hash", "language": "", "accepted": "2025-01-01T00:00:00Z", "withdrawn": false,
    });
    let point = PointStruct::new(
        Uuid::new_v5(&Uuid::from_u128(0x8d0c_6f0e_52a4_4c1b_9f6b_3a27_e1d5_70b4), b"x:old").to_string(),
        std::collections::HashMap::from([("dense".to_owned(), vec![0.6_f32, 0.8])]),
        Payload::try_from(payload).expect("a payload"),
    );
    let operation = PointsUpdateOperation {
        operation: Some(Operation::Upsert(PointStructList {
            points: vec![point],
            ..PointStructList::default()
        })),
    };
    let request = UpdateBatchPointsBuilder::new(collection_name(encoder), vec![operation]).wait(true);
    client(server).update_points_batch(request).await.expect("a point");
}

#[tokio::test]
async fn qdrant_takes_over_the_collection_of_an_earlier_release() {
    let mut server = Server::with_data().await;
    let old = encoder("old@1");
    earlier(&server, &old).await;
    let collections = connect(&server, Duration::from_secs(30)).await.expect("it answers");
    let current = collections.alias(Alias::Current).await.expect("an alias");
    assert_eq!(current, Some((old.clone(), 2)));
    let aliases = client(&server).list_aliases().await.expect("aliases").aliases;
    assert_eq!(aliases[0].alias_name, "papers-current", "and it stays");
    let store = collections.open(&old, 2).await.expect("a store");
    let papers = store.get_with_vectors(&[id("old")]).await.expect("get");
    assert_eq!(papers[0].paper.authors, ["Ada Lovelace"]);
    for filter in [
        Filter {
            categories: vec!["cs.CL".into()],
            ..Filter::default()
        },
        Filter {
            has_code: Some(false),
            without_terms: vec![1],
            ..Filter::default()
        },
    ] {
        let listed = store.list(filter.clone(), None, 10).await.expect("list");
        assert_eq!(listed.len(), 1, "{filter:?}");
    }
    let languages = store.facet(Filter::default(), Facet::Language, 10).await;
    assert_eq!(languages.expect("facet"), [], "papers of unknown language do not count");
    let authors = store.facet(Filter::default(), Facet::Author, 10).await.expect("facet");
    assert_eq!(authors[0].value, "Ada Lovelace");
    server.stop().await;
}

#[tokio::test]
async fn qdrant_leaves_alone_what_is_not_ours() {
    let mut server = Server::with_data().await;
    let (first, second) = (encoder("one@1"), encoder("two@1"));
    earlier(&server, &first).await;
    earlier(&server, &second).await;
    for name in ["strange".to_owned(), collection_name(&encoder("taken@1"))] {
        let mut dense = VectorsConfigBuilder::default();
        dense.add_named_vector_params("dense", VectorParamsBuilder::new(2, Distance::Cosine));
        let request = CreateCollectionBuilder::new(name).vectors_config(dense);
        client(&server).create_collection(request).await.expect("a collection");
    }
    let collections = connect(&server, Duration::from_secs(30)).await.expect("it answers");
    let current = collections.alias(Alias::Current).await.expect("an alias");
    assert_eq!(current, None, "which of two it was cannot be known");
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
