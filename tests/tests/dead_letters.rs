//! What cannot be handled is kept with its reason, also while nobody is there to see it fail, and can be read, replayed and
//! dropped by an operator.
#![expect(clippy::unwrap_used, reason = "tests")]

use async_nats::jetstream::{self, AckKind, consumer::PullConsumer};
use futures::StreamExt as _;
use prost::Message as _;
use proto::papers::v1::{Paper, PaperAccepted};
use serde_json::Value;
use tests::servers::Servers;
use tests::{Platform, until};

/// Deliveries that the flow table gives a paper on its way to embedding.
const DELIVERIES: usize = 6;

/// Waits until this many dead letters are listed.
fn letters(platform: &Platform, count: usize) -> Vec<Value> {
    until("dead letters", || {
        let listed = platform.must(&["dead-letters", "list", "--json"]).json();
        let letters = listed["dead_letters"].as_array().unwrap().clone();
        (letters.len() == count).then_some(letters)
    })
}

fn text<'a>(letter: &'a Value, field: &str) -> &'a str {
    letter[field].as_str().unwrap()
}

/// A paper that no stage takes: it has neither id nor time of acceptance.
fn nameless() -> Vec<u8> {
    let paper = Paper {
        title: "A paper without an id".to_owned(),
        ..Paper::default()
    };
    PaperAccepted {
        paper: Some(paper),
        ..PaperAccepted::default()
    }
    .encode_to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_handled_is_kept_read_replayed_and_dropped() {
    let servers = Servers::start().await;
    let folder = tempfile::tempdir().unwrap();
    let running = servers.platform(folder.path()).await;
    let stream = jetstream::new(servers.nats_client().await);
    for payload in [b"no message at all".to_vec(), nameless()] {
        let stored = stream.publish("papers.accepted", payload.into()).await.unwrap();
        stored.await.unwrap();
    }

    let both = letters(&running, 2);
    assert!(text(&both[0], "reason").contains("does not parse"), "{both:?}");
    assert!(
        text(&both[1], "reason").contains("accepted_time is missing"),
        "{both:?}"
    );
    let second = text(&both[1], "id");
    let shown = running.must(&["dead-letters", "show", second, "--json"]).json();
    assert_eq!(shown["message"]["paper"]["title"], "A paper without an id");

    running.must(&["dead-letters", "replay", second]);
    let again = letters(&running, 2);
    assert_ne!(text(&again[1], "id"), second, "the message came by once more");
    assert_eq!(text(&again[1], "reason"), text(&both[1], "reason"));

    assert_eq!(running.run(&["dead-letters", "show", "4711"]).status, 1);
    assert_eq!(running.run(&["dead-letters", "drop"]).status, 2, "which one?");
    running.must(&["dead-letters", "drop", "--all"]);
    letters(&running, 0);
    assert_eq!(running.stop(), 0);
    servers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_given_up_without_workers_becomes_a_dead_letter() {
    let servers = Servers::start().await;
    let folder = tempfile::tempdir().unwrap();
    // The first start makes the consumers.
    assert_eq!(servers.platform(folder.path()).await.stop(), 0);

    let context = jetstream::new(servers.nats_client().await);
    let stored = context.publish("papers.accepted", nameless().into()).await.unwrap();
    stored.await.unwrap();
    let stream = context.get_stream("PAPERS").await.unwrap();
    let consumer: PullConsumer = stream.get_consumer("embedding-accepted").await.unwrap();
    for _ in 0..DELIVERIES {
        let mut taken = consumer.batch().max_messages(1).messages().await.unwrap();
        let message = taken.next().await.unwrap().unwrap();
        message.ack_with(AckKind::Nak(None)).await.unwrap();
    }
    // The server notices at the next delivery that there have been enough.
    let mut none_left = consumer.fetch().max_messages(1).messages().await.unwrap();
    assert!(none_left.next().await.is_none());

    let running = servers.platform(folder.path()).await;
    let kept = letters(&running, 1);
    assert!(
        text(&kept[0], "reason").contains("did not answer on 6 deliveries"),
        "{kept:?}"
    );
    assert_eq!(running.stop(), 0);
    servers.stop().await;
}

/// Every replica replays these at every start, and none of them acknowledges anything.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_replay_cannot_use_is_a_dead_letter_once() {
    let servers = Servers::start().await;
    let folder = tempfile::tempdir().unwrap();
    let running = servers.platform(folder.path()).await;
    let stream = jetstream::new(servers.nats_client().await);
    for subject in ["papers.indexed", "attention.recorded"] {
        let stored = stream.publish(subject, "no message at all".into()).await.unwrap();
        stored.await.unwrap();
    }
    let consumers = |kept: &[Value]| {
        let mut consumers: Vec<String> = kept.iter().map(|one| text(one, "consumer").to_owned()).collect();
        consumers.sort();
        consumers
    };
    let expected = ["indexing-attention", "notification-indexed"];
    assert_eq!(consumers(&letters(&running, 2)), expected);
    assert_eq!(running.stop(), 0);

    // It is ready once everything has been replayed.
    let again = servers.platform(folder.path()).await;
    assert_eq!(consumers(&letters(&again, 2)), expected, "on record already");
    assert_eq!(again.stop(), 0);
    servers.stop().await;
}
