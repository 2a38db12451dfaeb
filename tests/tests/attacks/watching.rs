//! Watchers without a key: as many as they like, from whatever place of the stream they like.

use std::time::Duration;

use async_nats::jetstream;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt as _;
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{WatchPapersRequest, WatchPapersResponse};
use serde_json::json;
use tests::servers::Servers;
use tests::{PATIENCE, Platform, eventually};
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

/// The default of `indexing.watchers_per_client`.
const PER_CLIENT: usize = 8;

async fn client(platform: &Platform) -> SearchServiceClient<Channel> {
    SearchServiceClient::connect(platform.endpoint("grpc")).await.unwrap()
}

/// A watch of a client behind a proxy on this machine.
async fn watch(
    client: &SearchServiceClient<Channel>,
    from: &str,
    resume_token: &str,
) -> Result<Streaming<WatchPapersResponse>, Status> {
    let mut request = Request::new(WatchPapersRequest {
        resume_token: resume_token.to_owned(),
        filter: None,
    });
    request.metadata_mut().insert("x-forwarded-for", from.parse().unwrap());
    let answer = client.clone().watch_papers(request).await;
    answer.map(tonic::Response::into_inner)
}

async fn next(watch: &mut Streaming<WatchPapersResponse>) -> WatchPapersResponse {
    let response = tokio::time::timeout(PATIENCE, watch.message()).await;
    response.expect("a paper in time").unwrap().expect("the stream goes on")
}

fn add(platform: &Platform, id: &str) {
    let paper = json!({ "id": id, "title": format!("Paper {id}"), "published": "2026-01-01" }).to_string();
    tokio::task::block_in_place(|| platform.must_with_input(&["ingest", "-", "--wait"], &paper));
}

async fn consumers(servers: &Servers) -> usize {
    let context = jetstream::new(servers.nats_client().await);
    let stream = context.get_stream("PAPERS").await.unwrap();
    stream.consumer_names().count().await
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_make_no_consumers_and_are_counted() {
    let servers = Servers::start().await;
    let folder = tempfile::tempdir().unwrap();
    let platform = servers.platform(folder.path()).await;
    let client = client(&platform).await;
    // The reader of the stream is there with the first watch at the latest.
    let mut first = watch(&client, "192.0.2.1", "").await.unwrap();
    let before = consumers(&servers).await;
    let mut open = Vec::new();
    for number in 0..20 {
        open.push(watch(&client, &format!("198.51.100.{number}"), "").await.unwrap());
    }
    for _ in 1..PER_CLIENT {
        open.push(watch(&client, "192.0.2.1", "").await.unwrap());
    }
    assert_eq!(consumers(&servers).await, before, "one reader for all of them");
    let refused = watch(&client, "192.0.2.1", "").await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert!(
        common::status::retry_delay(&refused).unwrap() > Duration::ZERO,
        "{refused:?}"
    );

    add(&platform, "one");
    for watching in open.iter_mut().chain([&mut first]) {
        assert_eq!(next(watching).await.paper.unwrap().title, "Paper one");
    }
    drop(first);
    eventually("a place is free again", async || {
        watch(&client, "192.0.2.1", "").await.ok()
    })
    .await;
    assert_eq!(platform.stop(), 0);
    servers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_resume_tokens_replay_nothing() {
    let servers = Servers::start().await;
    let folder = tempfile::tempdir().unwrap();
    let platform = servers.platform(folder.path()).await;
    let client = client(&platform).await;
    let mut watching = watch(&client, "192.0.2.1", "").await.unwrap();
    add(&platform, "one");
    let token = next(&mut watching).await.resume_token;
    add(&platform, "two");
    next(&mut watching).await;
    let mut resumed = watch(&client, "192.0.2.1", &token).await.unwrap();
    assert_eq!(
        next(&mut resumed).await.paper.unwrap().title,
        "Paper two",
        "its own token"
    );

    let before = consumers(&servers).await;
    let mut altered = URL_SAFE_NO_PAD.decode(&token).unwrap();
    altered[8] = 0;
    for forged in [
        URL_SAFE_NO_PAD.encode("papers 0"),
        URL_SAFE_NO_PAD.encode("papers 1"),
        URL_SAFE_NO_PAD.encode(&altered),
        URL_SAFE_NO_PAD.encode(&altered[..17]),
    ] {
        let refused = watch(&client, "192.0.2.1", &forged).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{forged}: {refused:?}");
    }
    assert!(consumers(&servers).await <= before, "nothing was read for them");
    assert_eq!(platform.stop(), 0);
    servers.stop().await;
}
