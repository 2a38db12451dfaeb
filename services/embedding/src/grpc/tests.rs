//! The service over a real connection, called as any client calls it.

use std::sync::Arc;
use std::time::Duration;

use bytes::BufMut as _;
use futures::{StreamExt as _, stream};
use http::uri::PathAndQuery;
use proto::embedding::v1::embed_result::Outcome;
use proto::embedding::v1::embedding_service_client::EmbeddingServiceClient;
use proto::embedding::v1::{EmbedError, EmbedResult, TextEmbedding, TextInput, TextKind as WireKind, TruncatePolicy};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};

use super::*;
use crate::engine::{EngineConfig, QueueCapacity};
use crate::metrics::{EncoderMetrics, MetricFamilies};
use crate::priority::Priority;
use crate::testing::{FakeModel, ModelCall, ModelControl, config, wait_until};
use common::clock::ManualClock;

struct TestService {
    channel: Channel,
    client: EmbeddingServiceClient<Channel>,
    stop: CancellationToken,
    metrics: Arc<EncoderMetrics>,
    _server: JoinSet<Result<(), tonic::transport::Error>>,
}

async fn serve(model: Arc<FakeModel>, config: EngineConfig, clock: Clock) -> TestService {
    let families = MetricFamilies::unregistered();
    let engine = Engine::start(model, config, clock.clone(), &families).expect("an engine");
    let metrics = families.of(engine.encoder().as_str());
    let encoders = EncoderSet::new(engine, None).expect("one encoder");
    serve_encoders(encoders, clock, metrics).await
}

/// A service with the encoders `fake` and `next`, whose model waits at each batch until it is released.
async fn serve_two() -> (TestService, ModelControl) {
    let families = MetricFamilies::unregistered();
    let (model, control) = FakeModel::gated("next");
    let capacity = QueueCapacity {
        interactive: 7,
        bulk: 4,
        best_effort: 5,
    };
    let second = EngineConfig { capacity, ..config(1) };
    let start = |model, config| Engine::start(model, config, Clock::system(), &families).expect("an engine");
    let papers = start(Arc::new(FakeModel::default()), config(1));
    let next = start(model, second);
    let metrics = families.of(next.encoder().as_str());
    let encoders = EncoderSet::new(papers, Some(next)).expect("two encoders");
    (serve_encoders(encoders, Clock::system(), metrics).await, control)
}

async fn serve_encoders(encoders: EncoderSet, clock: Clock, metrics: Arc<EncoderMetrics>) -> TestService {
    let stop = CancellationToken::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let service = EmbeddingGrpc::new(encoders, clock, stop.clone()).into_server();
    let mut server = JoinSet::new();
    server.spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpIncoming::from(listener)),
    );
    let channel = Channel::from_shared(url).expect("a url").connect_lazy();
    TestService {
        client: EmbeddingServiceClient::new(channel.clone()),
        channel,
        stop,
        metrics,
        _server: server,
    }
}

/// A service over the plain fake model.
async fn plain() -> TestService {
    serve(Arc::new(FakeModel::default()), config(1), Clock::system()).await
}

type EmbedCalls = JoinSet<Result<Response<EmbedResponse>, Status>>;

/// Fills the queue of a gated model for documents: one call is computed, another one waits. Both end once the model was
/// released twice.
async fn fill(service: &TestService, control: &mut ModelControl, encoder_id: &'static str) -> EmbedCalls {
    let mut calls = JoinSet::new();
    let mut call = |text: &'static str| {
        let mut client = service.client.clone();
        calls.spawn(async move { client.embed(request_to(encoder_id, &[text])).await });
    };
    call("#1");
    assert_eq!(control.next_call().await, ModelCall::Batch(vec![1]));
    call("#2 a b c");
    until_documents_wait(service, 4).await;
    calls
}

async fn until_documents_wait(service: &TestService, tokens: i64) {
    let gauges = service.metrics.queue_gauges();
    let documents = gauges.of(Priority::Bulk);
    wait_until("documents wait", || documents.get() >= tokens).await;
}

async fn finish(control: &ModelControl, mut calls: EmbedCalls) {
    control.release();
    control.release();
    while let Some(call) = calls.join_next().await {
        call.expect("no panic").expect("vectors");
    }
}

fn input(content: &str) -> TextInput {
    TextInput {
        content: content.to_owned(),
        kind: WireKind::Document.into(),
        ..TextInput::default()
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
async fn each_text_gets_both_vectors_and_their_times() {
    let mut service = plain().await;
    let response = service
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
async fn invalid_requests_are_refused_with_their_field() {
    let mut service = plain().await;
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
                priority: 7,
                ..request(WireKind::Query, &["a"])
            },
            "priority",
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
        let status = service.client.embed(request).await.expect_err("a refusal");
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(status::blamed_field(&status).as_deref(), Some(field), "{status:?}");
        assert!(status.message().starts_with(field), "{}", status.message());
    }
}

#[tokio::test]
async fn a_failing_model_is_an_internal_error_without_details() {
    let mut service = plain().await;
    let status = service
        .client
        .embed(request(WireKind::Query, &["a", "refused"]))
        .await
        .expect_err("a failure");
    assert_eq!(status.code(), Code::Internal);
    assert!(
        !status.message().contains("refused") && !status.message().contains("token id"),
        "{}",
        status.message()
    );
}

#[tokio::test]
async fn a_batch_answers_each_text_by_itself() {
    let mut service = plain().await;
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
    let response = service.client.embed_batch(batch(texts)).await;
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
    let mut service = plain().await;
    for count in [0, MAX_TEXTS + 1] {
        let texts = vec![input("a"); count];
        let refused = service.client.embed_batch(batch(texts)).await;
        let status = refused.expect_err("a refusal");
        assert_eq!(status::blamed_field(&status).as_deref(), Some("texts"));
    }
}

#[tokio::test]
async fn one_bad_text_does_not_end_a_stream() {
    let mut service = plain().await;
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
    let results = service.client.embed_stream(sent).await.expect("a stream").into_inner();
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

#[tokio::test]
async fn overload_is_refused_alike_in_every_kind_of_call() {
    let (model, mut control) = FakeModel::gated("fake");
    let capacity = QueueCapacity {
        interactive: 10_000,
        bulk: 4,
        best_effort: 10_000,
    };
    let config = EngineConfig { capacity, ..config(1) };
    let mut service = serve(model, config, Clock::system()).await;
    let calls = fill(&service, &mut control, "").await;
    let expected = (Code::ResourceExhausted, Some(Duration::from_secs(1)));
    let of_status = |status: &Status| (status.code(), status::retry_delay(status));
    let client = &mut service.client;

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

    finish(&control, calls).await;
    assert_eq!(service.metrics.not_computed(Priority::Bulk), [0, 3, 0, 0]);
}

const HOUR: Duration = Duration::from_hours(1);

/// A service on a clock that the test moves, over a model that is never released.
async fn serve_timed() -> (TestService, ModelControl, ManualClock) {
    let (model, control) = FakeModel::gated("fake");
    let (clock, hand) = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
    (serve(model, config(1), clock).await, control, hand)
}

/// A request that is to be answered within an hour.
fn within_an_hour<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("grpc-timeout", "1H".parse().expect("a value"));
    request
}

#[tokio::test]
async fn a_call_ends_at_its_deadline() {
    let (service, mut control, hand) = serve_timed().await;
    let mut client = service.client.clone();
    let call = client.embed(within_an_hour(request(WireKind::Document, &["#1"])));
    let (answer, ()) = tokio::join!(call, async {
        assert_eq!(control.next_call().await, ModelCall::Batch(vec![1]));
        hand.advance(HOUR);
    });
    assert_eq!(answer.expect_err("too late").code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_stream_ends_at_its_deadline_with_all_its_results() {
    let (mut service, mut control, hand) = serve_timed().await;
    let mut client = service.client.clone();
    let mut busy = JoinSet::new();
    busy.spawn(async move { client.embed(request(WireKind::Document, &["#1"])).await });
    assert_eq!(control.next_call().await, ModelCall::Batch(vec![1]));
    let texts = ["#2 a b c", "#3 a b c"].map(|content| EmbedStreamRequest {
        reference: content.to_owned(),
        text: Some(input(content)),
        ..EmbedStreamRequest::default()
    });
    let sent = stream::iter(texts).chain(stream::pending());
    let call = service.client.embed_stream(within_an_hour(sent)).await;
    let mut results = call.expect("a stream").into_inner();
    until_documents_wait(&service, 8).await;
    hand.advance(HOUR);
    let mut references = Vec::new();
    for _ in 0..2 {
        let response = results.message().await.expect("a result").expect("a result");
        let code: Code = error(&response.result.expect("a result")).code.into();
        assert_eq!(code, Code::DeadlineExceeded);
        references.push(response.reference);
    }
    references.sort();
    assert_eq!(references, ["#2 a b c", "#3 a b c"]);
    let status = results.message().await.expect_err("the end");
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn the_stop_ends_a_stream_that_its_caller_keeps_open() {
    let mut service = plain().await;
    let one = EmbedStreamRequest {
        reference: "one".to_owned(),
        text: Some(input("one")),
        ..EmbedStreamRequest::default()
    };
    let sent = stream::iter([one]).chain(stream::pending());
    let mut results = service.client.embed_stream(sent).await.expect("a stream").into_inner();
    let result = results.message().await.expect("a result").expect("a result");
    assert_eq!(result.reference, "one");
    service.stop.cancel();
    let status = results.message().await.expect_err("the end");
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn bytes_that_are_not_utf8_get_a_clear_error() {
    let mut service = plain().await;
    let mut raw = tonic::client::Grpc::new(service.channel.clone());
    raw.ready().await.expect("connected");
    let path = PathAndQuery::from_static("/broadsheet.embedding.v1.EmbeddingService/Embed");
    // Field 1: two bytes that are not UTF-8. Field 2: QUERY.
    let message = vec![0x0a, 0x02, 0xff, 0xfe, 0x10, 0x01];
    let status = raw
        .unary(Request::new(message), path, RawCodec)
        .await
        .expect_err("a refusal");
    // gRPC's own code for a request that cannot be decoded.
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().contains("EmbedRequest.texts"), "{}", status.message());
    assert!(status.message().contains("UTF-8"), "{}", status.message());
    service
        .client
        .embed(request(WireKind::Query, &["a"]))
        .await
        .expect("vectors");
}

#[tokio::test]
async fn get_model_returns_the_model_and_its_limits() {
    let mut service = plain().await;
    let model = service
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

/// A request to an encoder by its id.
fn request_to(encoder_id: &str, texts: &[&str]) -> EmbedRequest {
    EmbedRequest {
        encoder_id: encoder_id.to_owned(),
        ..request(WireKind::Document, texts)
    }
}

#[tokio::test]
async fn each_call_is_answered_by_the_encoder_it_asks_for() {
    let (mut service, control) = serve_two().await;
    for _ in 0..3 {
        control.release();
    }
    let client = &mut service.client;
    for (requested, answering) in [("", FIRST), (FIRST, FIRST), (NEXT, NEXT)] {
        let response = client
            .embed(request_to(requested, &["graph"]))
            .await
            .expect("vectors")
            .into_inner();
        assert_eq!(response.encoder_id, answering);
        let many = EmbedBatchRequest {
            encoder_id: requested.to_owned(),
            ..batch(vec![input("graph")])
        };
        let response = client.embed_batch(many).await.expect("vectors").into_inner();
        assert_eq!(response.encoder_id, answering);
        embedding(&response.results[0]);
        let model = GetModelRequest {
            encoder_id: requested.to_owned(),
        };
        let model = client.get_model(model).await.expect("a model").into_inner();
        assert_eq!(
            (model.encoder_id.as_str(), model.encoder_ids),
            (answering, vec![FIRST.to_owned(), NEXT.to_owned()])
        );
    }
}

#[tokio::test]
async fn one_stream_may_use_several_encoders() {
    let (mut service, control) = serve_two().await;
    control.release();
    let texts = ["", NEXT, "gone@1"].map(|encoder_id| EmbedStreamRequest {
        text: Some(input("graph")),
        encoder_id: encoder_id.to_owned(),
        ..EmbedStreamRequest::default()
    });
    let results = service
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
async fn an_unknown_encoder_is_refused_with_the_known_ones() {
    let (mut service, _control) = serve_two().await;
    let client = &mut service.client;
    let many = EmbedBatchRequest {
        encoder_id: "gone@1".to_owned(),
        ..batch(vec![input("graph")])
    };
    let model = GetModelRequest {
        encoder_id: "gone@1".to_owned(),
    };
    let refusals = [
        client.embed(request_to("gone@1", &["graph"])).await.err(),
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
async fn a_full_queue_of_one_encoder_does_not_affect_the_other() {
    let (mut service, mut control) = serve_two().await;
    let calls = fill(&service, &mut control, NEXT).await;
    let refused = service.client.embed(request_to(NEXT, &["#3"])).await;
    assert_eq!(refused.expect_err("a refusal").code(), Code::ResourceExhausted);
    service.client.embed(request_to("", &["#3"])).await.expect("vectors");
    finish(&control, calls).await;
}

/// Sends bytes unchanged.
struct RawCodec;

impl Codec for RawCodec {
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

impl Encoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, _buffer: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        Ok(Some(()))
    }
}
