//! What is in Redis: how much of it, and what must not be read as something else.

use domain::{DenseVector, EmailAddress, EncoderId, Int8Vector};
use futures::StreamExt as _;
use redis::AsyncCommands as _;

use super::super::keys;
use crate::ports::StoreError;
use crate::subscribers::Channel;
use crate::subscribers::subscriptions::SubscribeOutcome;
use crate::testing::{Redis, TestService};

const ADA: &str = "ada@example.org";

async fn connection(redis: &Redis) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(redis.url.as_str()).expect("a url");
    client.get_multiplexed_async_connection().await.expect("redis answers")
}

async fn used_memory(redis: &mut redis::aio::MultiplexedConnection) -> usize {
    let info: String = redis::cmd("INFO")
        .arg("memory")
        .query_async(redis)
        .await
        .expect("an answer");
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    used.expect("a line").trim().parse().expect("a number")
}

/// What a later version may write must not be taken for something that this one knows.
#[tokio::test]
async fn unknown_states_are_refused() {
    let redis = Redis::start();
    let service = TestService::on_redis(&redis).await;
    let mut connection = connection(&redis).await;
    service.add_paper("x:a", "on cats", "test@1");
    service.reader(ADA, &[]).await;
    let slot = service.again(ADA).await.preferences.schedule.current_slot(service.now);
    let delivery = keys::delivery(Channel::Mail, ADA, slot);
    let _: () = connection
        .hset(&delivery, "state", "handed_to_a_relay")
        .await
        .expect("written");
    let outcome = service.deliver_due(ADA, 0).await;
    let error = outcome.result.expect_err("refused").to_string();
    assert!(error.contains("state is \"handed_to_a_relay\""), "{error}");
    assert!(service.mails().is_empty(), "it may have been sent");

    let _: () = connection
        .hset(keys::subscriber(ADA), "state", "on_leave")
        .await
        .expect("written");
    let refused = service.subscriptions.get(ADA).await;
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
}

#[tokio::test]
async fn one_broken_record_takes_no_other_along() {
    let redis = Redis::start();
    let service = TestService::on_redis(&redis).await;
    let mut connection = connection(&redis).await;
    service.add_paper("x:a", "on cats", "test@1");
    let ids: Vec<String> = (0..70).map(|number| format!("r{number}@example.org")).collect();
    for id in &ids {
        service.reader(id, &[]).await;
    }
    let slot = service
        .again(&ids[0])
        .await
        .preferences
        .schedule
        .current_slot(service.now);
    let broken = keys::delivery(Channel::Mail, &ids[40], slot);
    let _: () = connection.set(&broken, "no hash").await.expect("written");
    let outcomes = service
        .digests
        .deliver_now(Channel::Mail, ids.clone())
        .await
        .expect("delivered");
    let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.result.is_err()).collect();
    assert_eq!((outcomes.len(), failed.len()), (ids.len(), 1), "{failed:?}");
    assert_eq!(service.mails().len(), ids.len() - 1);
}

#[tokio::test]
async fn a_connection_that_broke_is_not_seen_by_callers() {
    let redis = Redis::start();
    let service = TestService::on_redis(&redis).await;
    service.reader(ADA, &[]).await;
    let mut connection = connection(&redis).await;
    let mut kill = redis::cmd("CLIENT");
    let _: i64 = kill
        .arg("KILL")
        .arg("TYPE")
        .arg("normal")
        .query_async(&mut connection)
        .await
        .expect("killed");
    assert!(service.subscriptions.get(ADA).await.expect("redis answers").is_some());
}

/// 384 values, as the larger of the two usual encoders makes them.
#[tokio::test]
async fn one_interest_takes_at_most_1200_bytes() {
    const COUNT: usize = 20_000;
    let server = Redis::start();
    let service = TestService::on_redis(&server).await;
    let mut redis = connection(&server).await;
    let before = used_memory(&mut redis).await;
    let encoder = EncoderId::parse("all-MiniLM-L6-v2@53aa51172d14").expect("an encoder id");
    let values: Vec<f32> = (0..384_u16).map(|n| (f32::from(n) * 1.7).sin()).collect();
    let norm = values.iter().map(|v| v * v).sum::<f32>().sqrt();
    let vector = DenseVector::new(values.iter().map(|v| v / norm).collect()).expect("a vector");
    let vectors = (encoder, vec![Int8Vector::quantise(&vector)]);
    let add = |n: usize| {
        let (subscriptions, store, vectors) = (service.subscriptions.clone(), &service.store, &vectors);
        let preferences = service.preferences(&[&format!("graph neural networks for molecules {n}")]);
        async move {
            let email = EmailAddress::parse(&format!("reader.number{n}@mail.example.org")).expect("an address");
            let id = uuid::Uuid::now_v7().simple().to_string();
            let outcome = subscriptions.subscribe(&email, &id, &preferences).await;
            assert_eq!(outcome.expect("redis answers"), SubscribeOutcome::Active);
            let known = subscriptions
                .get(&id)
                .await
                .expect("redis answers")
                .expect("a subscriber");
            store.keep_vectors(&known, vectors).await.expect("redis answers");
        }
    };
    futures::stream::iter((0..COUNT).map(add))
        .buffer_unordered(64)
        .for_each(async |()| ())
        .await;
    let each = (used_memory(&mut redis).await - before) / COUNT;
    println!("bytes of redis per subscriber: {each}");
    assert!(each <= 1_200, "{each} bytes");
}
