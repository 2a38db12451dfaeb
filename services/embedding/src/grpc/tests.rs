//! The service over a real connection, spoken to as any client would.

use std::sync::Arc;
use std::time::Duration;

use bytes::BufMut as _;
use futures::{StreamExt as _, stream};
use http::uri::PathAndQuery;
use proto::embedding::v1::embed_result::Outcome;
use proto::embedding::v1::embedding_service_client::EmbeddingServiceClient;
use proto::embedding::v1::{EmbedError, EmbedResult, TextEmbedding, TextInput, TextKind as WireKind, TruncatePolicy};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::Code;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};

use super::*;
use crate::engine::fake::{Fake, Keeper, Seen};
use crate::engine::tests::config;
use crate::engine::{Capacity, EngineConfig};
use crate::metrics::{Families, Metrics};
use encoder::TextKind;

struct Served {
    channel: Channel,
    client: EmbeddingServiceClient<Channel>,
    stop: CancellationToken,
    metrics: Arc<Metrics>,
}

async fn serve(model: Arc<Fake>, config: EngineConfig) -> Served {
    let families = Families::unregistered();
    let engine = Engine::start(model, config, &families).expect("an engine");
    let metrics = families.of(engine.encoder().as_str());
    serve_encoders(Encoders::new(engine, None).expect("one encoder"), metrics).await
}

/// A service that offers `fake` and `next`, which waits at each batch until the keeper lets it go.
async fn two() -> (Served, Keeper) {
    let families = Families::unregistered();
    let (model, keeper) = Fake::gated_as("next");
    let capacity = Capacity {
        queries: 7,
        documents: 4,
    };
    let second = EngineConfig { capacity, ..config(1) };
    let papers = Engine::start(Arc::new(Fake::default()), config(1), &families).expect("an engine");
    let next = Engine::start(model, second, &families).expect("an engine");
    let metrics = families.of(next.encoder().as_str());
    let encoders = Encoders::new(papers, Some(next)).expect("two encoders");
    (serve_encoders(encoders, metrics).await, keeper)
}

async fn serve_encoders(encoders: Encoders, metrics: Arc<Metrics>) -> Served {
    let stop = CancellationToken::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let service = Embedding::new(encoders, stop.clone()).into_server();
    let server = Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let channel = Channel::from_shared(url).expect("a url").connect_lazy();
    Served {
        client: EmbeddingServiceClient::new(channel.clone()),
        channel,
        stop,
        metrics,
    }
}

async fn plain() -> Served {
    serve(Arc::new(Fake::default()), config(1)).await
}

fn input(content: &str) -> TextInput {
    TextInput {
        content: content.to_owned(),
        kind: WireKind::Document.into(),
        truncate: TruncatePolicy::Unspecified.into(),
    }
}

fn request(kind: WireKind, texts: &[&str]) -> EmbedRequest {
    EmbedRequest {
        texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        kind: kind.into(),
        ..EmbedRequest::default()
    }
}

fn batch(texts: Vec<TextInput>) -> EmbedBatchRequest {
    EmbedBatchRequest {
        texts,
        ..EmbedBatchRequest::default()
    }
}

fn error(result: &EmbedResult) -> &EmbedError {
    match &result.outcome {
        Some(Outcome::Error(error)) => error,
        other => panic!("not an error: {other:?}"),
    }
}

fn embedding(result: &EmbedResult) -> &TextEmbedding {
    match &result.outcome {
        Some(Outcome::Embedding(embedding)) => embedding,
        other => panic!("not an embedding: {other:?}"),
    }
}

#[tokio::test]
async fn each_text_gets_both_vectors_and_what_they_took() {
    let mut served = plain().await;
    let response = served
        .client
        .embed(request(WireKind::Query, &["graph", "trees and graphs"]))
        .await;
    let response = response.expect("vectors").into_inner();
    assert_eq!(response.encoder_id, "fake@0123456789ab");
    let [first, second] = &response.embeddings[..] else {
        panic!("{response:?}");
    };
    assert_eq!((first.dense.as_slice(), first.tokens), (&[0.6, 0.8][..], 1));
    let terms = |one: &TextEmbedding| one.sparse.as_ref().map_or(0, |sparse| sparse.indices.len());
    assert_eq!((terms(first), terms(second), second.tokens), (1, 2, 3));
    assert!(first.queue_time.is_some() && first.compute_time.is_some() && !first.cached);
}

#[tokio::test]
async fn requests_beyond_the_contract_are_refused_by_field() {
    let mut served = plain().await;
    let (long, huge) = ("x".repeat(MAX_TEXT_BYTES + 1), "x".repeat(1 << 20));
    let many = vec!["a"; MAX_TEXTS + 1];
    let refuse = TruncatePolicy::Refuse.into();
    let cases = [
        (request(WireKind::Unspecified, &["a"]), "kind"),
        (
            EmbedRequest {
                kind: 7,
                ..request(WireKind::Query, &["a"])
            },
            "kind",
        ),
        (
            EmbedRequest {
                truncate: 7,
                ..request(WireKind::Query, &["a"])
            },
            "truncate",
        ),
        (request(WireKind::Query, &[]), "texts"),
        (request(WireKind::Query, &many), "texts"),
        (request(WireKind::Query, &["a", ""]), "texts[1]"),
        (request(WireKind::Query, &["a", " \n"]), "texts[1]"),
        (request(WireKind::Query, &["a", &long]), "texts[1]"),
        (request(WireKind::Document, &[&huge]), "texts[0]"),
        (
            EmbedRequest {
                truncate: refuse,
                ..request(WireKind::Query, &["a", "a b c d e f g h i"])
            },
            "texts[1]",
        ),
    ];
    for (request, field) in cases {
        let status = served.client.embed(request).await.expect_err("a refusal");
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(status::blamed_field(&status).as_deref(), Some(field), "{status:?}");
        assert!(status.message().starts_with(field), "{}", status.message());
    }
}

#[tokio::test]
async fn a_failing_model_is_an_internal_error_without_its_cause() {
    let mut served = plain().await;
    let status = served
        .client
        .embed(request(WireKind::Query, &["a", "refused"]))
        .await
        .expect_err("a failure");
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("asked to"), "{}", status.message());
}

#[tokio::test]
async fn a_batch_answers_each_text_by_itself() {
    let mut served = plain().await;
    let long = input("a b c d e f g h i");
    let query = TextInput {
        kind: WireKind::Query.into(),
        ..input("trees")
    };
    let whole = TextInput {
        truncate: TruncatePolicy::Refuse.into(),
        ..long.clone()
    };
    let texts = vec![
        input("graph"),
        query,
        long,
        input(""),
        input("panic"),
        whole,
        TextInput::default(),
    ];
    let response = served.client.embed_batch(batch(texts)).await;
    let response = response.expect("results").into_inner();
    assert_eq!(response.encoder_id, "fake@0123456789ab");
    let (good, bad) = response.results.split_at(3);
    let truncated: Vec<bool> = good.iter().map(|one| embedding(one).truncated).collect();
    assert_eq!(truncated, [false, false, true]);
    let errors: Vec<(Code, &str)> = bad
        .iter()
        .map(|one| (error(one).code.into(), error(one).field.as_str()))
        .collect();
    let expected = [
        (Code::InvalidArgument, "content"),
        (Code::Internal, ""),
        (Code::InvalidArgument, "content"),
        (Code::InvalidArgument, "kind"),
    ];
    assert_eq!(errors, expected);
}

#[tokio::test]
async fn a_batch_of_too_many_texts_is_refused_whole() {
    let mut served = plain().await;
    for count in [0, MAX_TEXTS + 1] {
        let texts = vec![input("a"); count];
        let refused = served.client.embed_batch(batch(texts)).await;
        let status = refused.expect_err("a refusal");
        assert_eq!(status::blamed_field(&status).as_deref(), Some("texts"));
    }
}

#[tokio::test]
async fn one_bad_text_does_not_end_a_stream() {
    let mut served = plain().await;
    let texts = ["one", "", "panic", "refused", "two"].map(|content| EmbedStreamRequest {
        reference: format!("<{content}>"),
        text: Some(input(content)),
        ..EmbedStreamRequest::default()
    });
    let missing = EmbedStreamRequest {
        reference: "<none>".to_owned(),
        ..EmbedStreamRequest::default()
    };
    let sent = stream::iter(texts.into_iter().chain([missing]));
    let results = served.client.embed_stream(sent).await.expect("a stream").into_inner();
    let mut outcomes: Vec<(String, Code)> = results
        .map(|response| {
            let response = response.expect("a result");
            let code = match response.result.and_then(|result| result.outcome) {
                Some(Outcome::Embedding(_)) => Code::Ok,
                Some(Outcome::Error(error)) => error.code.into(),
                None => Code::Unknown,
            };
            (response.reference, code)
        })
        .collect()
        .await;
    outcomes.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("<>", Code::InvalidArgument),
        ("<none>", Code::InvalidArgument),
        ("<one>", Code::Ok),
        ("<panic>", Code::Internal),
        ("<refused>", Code::Internal),
        ("<two>", Code::Ok),
    ];
    assert_eq!(outcomes, expected.map(|(reference, code)| (reference.to_owned(), code)));
}

/// A service whose model is busy and whose queue is full until the keeper lets go of the two calls that are returned.
async fn full() -> (Served, Keeper, [JoinHandle<Result<Response<EmbedResponse>, Status>>; 2]) {
    let (model, keeper) = Fake::gated();
    let capacity = Capacity {
        queries: 10_000,
        documents: 4,
    };
    let config = EngineConfig { capacity, ..config(1) };
    let served = serve(model, config).await;
    let call = |text: &'static str| {
        let mut client = served.client.clone();
        tokio::spawn(async move { client.embed(request(WireKind::Document, &[text])).await })
    };
    let first = call("#1");
    let (seen, keeper) = tokio::task::spawn_blocking(move || (keeper.seen.recv(), keeper))
        .await
        .expect("no panic");
    assert_eq!(seen, Ok(Seen::Batch(vec![1])));
    let second = call("#2 a b c");
    while served.metrics.queue_gauges()[1].get() < 4 {
        tokio::task::yield_now().await;
    }
    (served, keeper, [first, second])
}

#[tokio::test]
async fn overload_is_refused_alike_in_every_kind_of_call() {
    let (mut served, keeper, calls) = full().await;
    let expected = (Code::ResourceExhausted, Some(Duration::from_secs(1)));
    let of_status = |status: &Status| (status.code(), status::retry_delay(status));
    let client = &mut served.client;

    let refused = client.embed(request(WireKind::Document, &["#3"])).await;
    assert_eq!(of_status(&refused.expect_err("a refusal")), expected);

    let texts = vec![input("#3")];
    let refused = client.embed_batch(batch(texts)).await;
    assert_eq!(of_status(&refused.expect_err("a refusal")), expected);

    let sent = stream::iter([EmbedStreamRequest {
        text: Some(input("#3")),
        ..EmbedStreamRequest::default()
    }]);
    let mut results = client.embed_stream(sent).await.expect("a stream").into_inner();
    let response = results.message().await.expect("a result").expect("a result");
    let result = response.result.expect("a result");
    let delay = error(&result).retry_delay.and_then(|delay| delay.try_into().ok());
    assert_eq!((Code::from(error(&result).code), delay), expected);

    for call in calls {
        keeper.let_go();
        call.await.expect("no panic").expect("vectors");
    }
    assert_eq!(served.metrics.not_computed(TextKind::Document), [0, 3, 0, 0]);
}

#[tokio::test]
async fn a_deadline_ends_a_call_and_the_work_for_it() {
    let (model, keeper) = Fake::gated();
    let mut served = serve(model, config(1)).await;
    let mut late = Request::new(request(WireKind::Document, &["#1"]));
    late.set_timeout(Duration::from_millis(100));
    // The model does not answer before it is let go. The client's own clock may be the first to say so.
    let status = served.client.embed(late).await.expect_err("too late");
    assert!(
        matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{status:?}"
    );
    let sent = stream::iter([EmbedStreamRequest {
        reference: "late".to_owned(),
        text: Some(input("#2")),
        ..EmbedStreamRequest::default()
    }])
    .chain(stream::pending());
    let mut late = Request::new(sent);
    late.metadata_mut()
        .insert("grpc-timeout", "200m".parse().expect("a value"));
    let mut results = served.client.embed_stream(late).await.expect("a stream").into_inner();
    let result = results.message().await.expect("a result").expect("a result");
    assert_eq!(result.reference, "late");
    let code: Code = error(&result.result.expect("a result")).code.into();
    assert_eq!(code, Code::DeadlineExceeded);
    let status = results.message().await.expect_err("the end");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    drop(keeper);
}

#[tokio::test]
async fn the_stop_ends_a_stream_that_its_caller_keeps_open() {
    let mut served = plain().await;
    let one = EmbedStreamRequest {
        reference: "one".to_owned(),
        text: Some(input("one")),
        ..EmbedStreamRequest::default()
    };
    let sent = stream::iter([one]).chain(stream::pending());
    let mut results = served.client.embed_stream(sent).await.expect("a stream").into_inner();
    let result = results.message().await.expect("a result").expect("a result");
    assert_eq!(result.reference, "one");
    served.stop.cancel();
    let status = results.message().await.expect_err("the end");
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn bytes_that_are_no_text_get_a_clear_error_and_disturb_nothing() {
    let mut served = plain().await;
    let mut raw = tonic::client::Grpc::new(served.channel.clone());
    raw.ready().await.expect("connected");
    let path = PathAndQuery::from_static("/broadsheet.embedding.v1.EmbeddingService/Embed");
    // Field 1, two bytes, no UTF-8; field 2, QUERY.
    let message = vec![0x0a, 0x02, 0xff, 0xfe, 0x10, 0x01];
    let status = raw
        .unary(Request::new(message), path, Raw)
        .await
        .expect_err("a refusal");
    // gRPC's own rule for requests that do not parse.
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().contains("EmbedRequest.texts"), "{}", status.message());
    assert!(status.message().contains("UTF-8"), "{}", status.message());
    served
        .client
        .embed(request(WireKind::Query, &["a"]))
        .await
        .expect("vectors");
}

#[tokio::test]
async fn the_model_says_what_it_is_and_what_may_be_asked() {
    let mut served = plain().await;
    let model = served
        .client
        .get_model(GetModelRequest::default())
        .await
        .expect("a model")
        .into_inner();
    assert_eq!(
        (model.encoder_id.as_str(), model.dimension, model.max_tokens),
        ("fake@0123456789ab", 2, 8)
    );
    assert_eq!((model.architecture.as_str(), model.dtype.as_str()), ("fake", "f32"));
    assert_eq!(
        (model.max_texts, model.max_text_bytes, model.max_stream_texts),
        (256, 32_768, 64)
    );
    assert_eq!(
        (model.max_waiting_query_tokens, model.max_waiting_document_tokens),
        (10_000, 10_000)
    );
}

const FIRST: &str = "fake@0123456789ab";
const NEXT: &str = "next@0123456789ab";

/// A call for an encoder by its id.
fn asking(encoder_id: &str, texts: &[&str]) -> EmbedRequest {
    EmbedRequest {
        encoder_id: encoder_id.to_owned(),
        ..request(WireKind::Document, texts)
    }
}

#[tokio::test]
async fn each_call_is_answered_by_the_encoder_it_asks_for() {
    let (mut served, keeper) = two().await;
    for _ in 0..3 {
        keeper.let_go();
    }
    let client = &mut served.client;
    for (asked, answering) in [("", FIRST), (FIRST, FIRST), (NEXT, NEXT)] {
        let response = client
            .embed(asking(asked, &["graph"]))
            .await
            .expect("vectors")
            .into_inner();
        assert_eq!(response.encoder_id, answering);
        let many = EmbedBatchRequest {
            encoder_id: asked.to_owned(),
            ..batch(vec![input("graph")])
        };
        let response = client.embed_batch(many).await.expect("vectors").into_inner();
        assert_eq!(response.encoder_id, answering);
        embedding(&response.results[0]);
        let model = GetModelRequest {
            encoder_id: asked.to_owned(),
        };
        let model = client.get_model(model).await.expect("a model").into_inner();
        assert_eq!(
            (model.encoder_id.as_str(), model.encoder_ids),
            (answering, vec![FIRST.to_owned(), NEXT.to_owned()])
        );
    }
}

#[tokio::test]
async fn one_stream_may_ask_several_encoders() {
    let (mut served, keeper) = two().await;
    keeper.let_go();
    let texts = ["", NEXT, "gone@1"].map(|encoder_id| EmbedStreamRequest {
        text: Some(input("graph")),
        encoder_id: encoder_id.to_owned(),
        ..EmbedStreamRequest::default()
    });
    let results = served
        .client
        .embed_stream(stream::iter(texts))
        .await
        .expect("a stream")
        .into_inner();
    let mut outcomes: Vec<(String, Code)> = results
        .map(|response| {
            let response = response.expect("a result");
            let code = match response.result.and_then(|result| result.outcome) {
                Some(Outcome::Error(error)) => error.code.into(),
                _ => Code::Ok,
            };
            (response.encoder_id, code)
        })
        .collect()
        .await;
    outcomes.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [(FIRST, Code::Ok), ("gone@1", Code::NotFound), (NEXT, Code::Ok)];
    assert_eq!(outcomes, expected.map(|(id, code)| (id.to_owned(), code)));
}

#[tokio::test]
async fn an_encoder_that_is_not_offered_is_refused_with_those_that_are() {
    let (mut served, _keeper) = two().await;
    let client = &mut served.client;
    let many = EmbedBatchRequest {
        encoder_id: "gone@1".to_owned(),
        ..batch(vec![input("graph")])
    };
    let model = GetModelRequest {
        encoder_id: "gone@1".to_owned(),
    };
    let refusals = [
        client.embed(asking("gone@1", &["graph"])).await.err(),
        client.embed_batch(many).await.err(),
        client.get_model(model).await.err(),
    ];
    for status in refusals {
        let status = status.expect("a refusal");
        assert_eq!(status.code(), Code::NotFound);
        let message = "encoder \"gone@1\" is not offered; offered: fake@0123456789ab, next@0123456789ab";
        assert_eq!(status.message(), message);
    }
}

#[tokio::test]
async fn a_full_queue_of_one_encoder_does_not_close_the_other() {
    let (mut served, keeper) = two().await;
    let call = |text: &'static str| {
        let mut client = served.client.clone();
        tokio::spawn(async move { client.embed(asking(NEXT, &[text])).await })
    };
    let first = call("#1");
    let (seen, keeper) = tokio::task::spawn_blocking(move || (keeper.seen.recv(), keeper))
        .await
        .expect("no panic");
    assert_eq!(seen, Ok(Seen::Batch(vec![1])));
    let second = call("#2 a b c");
    while served.metrics.queue_gauges()[1].get() < 4 {
        tokio::task::yield_now().await;
    }
    let refused = served.client.embed(asking(NEXT, &["#3"])).await;
    assert_eq!(refused.expect_err("a refusal").code(), Code::ResourceExhausted);
    served.client.embed(asking("", &["#3"])).await.expect("vectors");
    for call in [first, second] {
        keeper.let_go();
        call.await.expect("no panic").expect("vectors");
    }
}

/// Sends bytes as they are.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, _buffer: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        Ok(Some(()))
    }
}
