//! Full streams: what strangers write never crowds out what subscribers need.

use std::cell::Cell;
use std::path::Path;

use common::grpc::{ServiceChannel, channel};
use futures::StreamExt as _;
use proto::attention::v1::attention_service_client::AttentionServiceClient;
use proto::attention::v1::{AttentionKind, RecordAttentionRequest};
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use proto::ingest::v1::{PaperSubmission, SubmitPaperRequest};
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use proto::subscriptions::v1::{Consent, GetSubscriberTokenRequest, Interest, SubscribeRequest, UnsubscribeRequest};
use serde_json::Value;
use tests::{Platform, eventually, get, ran, up};
use tonic::{Code, Status};

const PAPERS: &str = r#"{"id":"arxiv:2402.14776","published":"2026-01-02","title":"Sleepy consensus","abstract":"Leader election that sleeps."}
"#;

fn open(platform: &Platform) -> ServiceChannel {
    channel(&platform.endpoint("grpc"), None).unwrap()
}

/// How a stream stands, as `broadsheet status` shows it.
fn stream(platform: &Platform, name: &str) -> Value {
    let status = platform.must(&["status", "--json"]).json();
    let mut streams = status["streams"].as_array().unwrap().iter();
    streams
        .find(|one| one["name"] == name)
        .unwrap_or_else(|| panic!("no {name} in {status}"))
        .clone()
}

async fn subscribe(platform: &Platform, email: &str, interests: Vec<Interest>) -> Result<(), Status> {
    let request = SubscribeRequest {
        email: email.to_owned(),
        interests,
        consent: Consent::OnRecord.into(),
        ..SubscribeRequest::default()
    };
    SubscriptionServiceClient::new(open(platform))
        .subscribe(request)
        .await
        .map(drop)
}

async fn unsubscribe(platform: &Platform, email: &str) {
    let mut client = SubscriptionServiceClient::new(open(platform));
    let request = GetSubscriberTokenRequest {
        email: email.to_owned(),
    };
    let token = client.get_subscriber_token(request).await.unwrap().into_inner().token;
    client.unsubscribe(UnsubscribeRequest { token }).await.unwrap();
    let shown = platform.must(&["subscribers", "show", email, "--json"]).json();
    assert!(shown.to_string().to_lowercase().contains("unsubscribed"), "{shown}");
}

fn platform(folder: &Path, environment: &[(&str, &str)]) -> Platform {
    Platform::start_with(folder, environment)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_attention_fills_no_stream_but_its_own() {
    const EVENTS: usize = 5_000;
    let folder = tempfile::tempdir().unwrap();
    let small = [
        ("BROADSHEET_NATS__ATTENTION_MB", "1"),
        ("BROADSHEET_NATS__PAPERS_MB", "8"),
        ("BROADSHEET_NATS__SUBSCRIBERS_MB", "2"),
        ("BROADSHEET_INGEST__ATTENTION_PER_MINUTE", "0"),
        ("BROADSHEET_INGEST__ATTENTION_PER_MINUTE_PER_READER", "0"),
        ("BROADSHEET_INDEXING__ATTENTION_MB", "8"),
    ];
    let platform = platform(folder.path(), &small);
    let before = stream(&platform, "PAPERS")["bytes"].as_u64().unwrap();
    let client = AttentionServiceClient::new(open(&platform));
    let flood = futures::stream::iter(0..EVENTS).map(|number| {
        let mut client = client.clone();
        async move {
            let request = RecordAttentionRequest {
                event_id: format!("{number:0>128}"),
                paper_id: "arxiv:2402.14776".to_owned(),
                kind: AttentionKind::Vote.into(),
                reader_id: format!("{number:x>128}"),
            };
            client.record_attention(request).await.unwrap();
        }
    });
    flood.buffer_unordered(64).collect::<Vec<()>>().await;
    let attention = eventually("the stream of attention is seen to be full", async || {
        let attention = stream(&platform, "ATTENTION");
        (attention["bytes"].as_u64()? > 900_000).then_some(attention)
    })
    .await;
    assert!(attention["bytes"].as_u64().unwrap() <= 1 << 20, "{attention}");
    assert_eq!(attention["limit_bytes"], 1 << 20);
    assert_eq!(attention["refuses_new"], false, "it forgets the oldest");
    assert_eq!(stream(&platform, "PAPERS")["bytes"].as_u64().unwrap(), before);
    // What others need goes on.
    platform.must_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
    subscribe(&platform, "ada@example.org", Vec::new()).await.unwrap();
    unsubscribe(&platform, "ada@example.org").await;
    assert_eq!(
        get(&format!("{}/readyz", platform.endpoint("admin"))),
        (200, "ready\n".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_of_papers_refuses_papers_alone_and_empties() {
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), &[("BROADSHEET_NATS__PAPERS_MB", "1")]);
    subscribe(&platform, "ada@example.org", Vec::new()).await.unwrap();
    let papers = IngestServiceClient::new(open(&platform));
    let submit = async |number: u32| {
        let words = ["sleepy", "leaders", "elect", "seedlings", "between", "heartbeats"];
        let text: Vec<String> = (0..2_500_u32)
            .zip(words.iter().cycle())
            .map(|(at, word)| format!("{word}{}", at.wrapping_mul(number)))
            .collect();
        let mut text = text.join(" ");
        text.truncate(19_000);
        let request = SubmitPaperRequest {
            paper: Some(PaperSubmission {
                id: format!("own:{number}"),
                title: format!("Paper number {number}"),
                r#abstract: text,
                source: "test".to_owned(),
                ..PaperSubmission::default()
            }),
        };
        papers.clone().submit_paper(request).await.map(drop)
    };
    let mut number = 0;
    let refusal = loop {
        number += 1;
        assert!(number < 1_000, "a megabyte takes no thousand papers");
        if let Err(refusal) = submit(number).await {
            break refusal;
        }
    };
    assert_eq!(refusal.code(), Code::ResourceExhausted, "{refusal}");
    assert!(
        refusal.message().contains("PAPERS") && refusal.message().contains("nats.papers_mb"),
        "{refusal}"
    );
    let (status, ready) = get(&format!("{}/readyz", platform.endpoint("admin")));
    assert!(
        status == 200 && ready.contains("stream PAPERS is full"),
        "{status} {ready}"
    );
    assert_eq!(get(&format!("{}/", platform.endpoint("web"))).0, 200, "pages go on");
    subscribe(&platform, "bob@example.org", Vec::new()).await.unwrap();
    unsubscribe(&platform, "ada@example.org").await;
    // What every service has handled makes room by itself, however fast papers came.
    let (number, taken) = (Cell::new(number), Cell::new(0));
    eventually("room is made", async || {
        number.set(number.get() + 1);
        match submit(number.get()).await {
            Ok(()) => taken.set(taken.get() + 1),
            Err(refusal) => assert_eq!(refusal.code(), Code::ResourceExhausted, "{refusal}"),
        }
        (taken.get() == 4).then_some(())
    })
    .await;
    let papers = stream(&platform, "PAPERS");
    assert!(papers["bytes"].as_u64().unwrap() <= 1 << 20, "{papers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_subscribed_can_leave_when_there_is_no_room_for_more() {
    let folder = tempfile::tempdir().unwrap();
    let platform = platform(folder.path(), &[("BROADSHEET_NATS__SUBSCRIBERS_MB", "1")]);
    // Some 25 kB each: one subscriber more than 90 % still leaves room for ends.
    let interests: Vec<Interest> = (0..25)
        .map(|number| Interest {
            text: format!("{number} {}", "drones over fields ".repeat(50)),
            ..Interest::default()
        })
        .collect();
    let mut taken = 0;
    let refusal = loop {
        assert!(taken < 100, "a megabyte takes no hundred of them");
        match subscribe(&platform, &format!("reader{taken}@example.org"), interests.clone()).await {
            Ok(()) => taken += 1,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal.code(), Code::ResourceExhausted, "{refusal}");
    assert!(taken > 2, "{taken}");
    let (status, ready) = get(&format!("{}/readyz", platform.endpoint("admin")));
    assert!(
        status == 200 && ready.contains("stream SUBSCRIBERS is full"),
        "{status} {ready}"
    );
    for reader in 0..taken {
        unsubscribe(&platform, &format!("reader{reader}@example.org")).await;
    }
    platform.must_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
}

#[test]
fn a_limit_that_the_server_has_no_room_for_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = up(folder.path());
    // Two terabytes, of one that the server offers.
    let ran = ran(command.env("BROADSHEET_NATS__PAPERS_MB", "2097152").output().unwrap());
    assert_ne!(ran.status, 0, "{ran:?}");
    for expected in [
        "stream PAPERS cannot reserve 2097152 MB (nats.papers_mb)",
        "max_file_store",
    ] {
        assert!(ran.err.contains(expected), "{expected}: {}", ran.err);
    }
}
