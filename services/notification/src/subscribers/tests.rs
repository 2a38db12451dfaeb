use super::*;
use crate::testing::House;

const ADA: &str = "ada@example.org";

fn address() -> EmailAddress {
    EmailAddress::parse(ADA).expect("an address")
}

async fn wish(house: &House, opting: Opting, minutes: i64) -> Next {
    let now = house.later(minutes);
    let (address, wishes) = (address(), house.wishes(&["cats"]));
    let next = house.subscribers.subscribe(&address, "ada", &wishes, opting, now);
    next.await.expect("redis answers")
}

#[tokio::test]
async fn many_wishes_at_once_are_one_confirmation_and_another_after_a_minute() {
    let house = House::build().await;
    let wishes: Vec<_> = (0..10).map(|_| wish(&house, Opting::Ask, 0)).collect();
    let asked = futures::future::join_all(wishes).await;
    assert_eq!(asked.iter().filter(|next| **next == Next::Ask("ada".into())).count(), 1);
    assert_eq!(asked.iter().filter(|next| **next == Next::Quiet).count(), 9);
    assert_eq!(wish(&house, Opting::Ask, 2).await, Next::Ask("ada".into()));
    house.subscribers.not_asked("ada").await.expect("redis answers");
    assert_eq!(
        wish(&house, Opting::Ask, 2).await,
        Next::Ask("ada".into()),
        "the mail was not taken"
    );
}

#[tokio::test]
async fn a_subscription_holds_from_its_confirmation_to_its_end() {
    let house = House::build().await;
    let store = &house.subscribers;
    wish(&house, Opting::Ask, 0).await;
    assert_eq!(
        store.due("ada").await.expect("redis answers"),
        None,
        "pending is never due"
    );
    let confirmed = store.confirm("ada", house.later(60), house.now).await;
    assert_eq!(confirmed.expect("redis answers"), Some(State::Active));
    assert_eq!(wish(&house, Opting::Ask, 5).await, Next::Quiet, "active");
    assert_eq!(
        store.active(0).await.expect("redis answers"),
        (0, vec!["ada".to_owned()])
    );
    assert!(store.due("ada").await.expect("redis answers").is_some());
    for _ in 0..2 {
        let ended = store.unsubscribe("ada", house.now).await;
        assert_eq!(ended.expect("redis answers"), Some(State::Unsubscribed));
    }
    assert_eq!(store.due("ada").await.expect("redis answers"), None);
    house.set_due("ada", 0).await;
    assert_eq!(
        store.due("ada").await.expect("redis answers"),
        None,
        "a late scheduler brings nobody back"
    );
    let confirmed = store.confirm("ada", house.later(60), house.now).await;
    assert_eq!(
        confirmed.expect("redis answers"),
        Some(State::Unsubscribed),
        "an old link brings nobody back"
    );
    assert_eq!(
        wish(&house, Opting::Ask, 10).await,
        Next::Ask("ada".into()),
        "a new wish asks again"
    );
    assert_eq!(house.again("ada").await.state, State::Pending);
    assert_eq!(
        store.unsubscribe("nobody", house.now).await.expect("redis answers"),
        None
    );
}

#[tokio::test]
async fn a_suppressed_address_is_left_alone_until_the_operator_says_otherwise() {
    let house = House::build().await;
    house.reader("ada@example.org", &[]).await;
    house.subscribers.suppress(ADA, house.now).await.expect("redis answers");
    assert_eq!(house.again(ADA).await.state, State::Suppressed);
    assert_eq!(wish(&house, Opting::Ask, 10).await, Next::Quiet);
    assert_eq!(wish(&house, Opting::OnRecord, 10).await, Next::Active);
}

#[tokio::test]
async fn a_refusal_that_comes_late_does_not_undo_an_unsubscription() {
    let house = House::build().await;
    house.reader("ada@example.org", &[]).await;
    house
        .subscribers
        .unsubscribe(ADA, house.now)
        .await
        .expect("redis answers");
    house.subscribers.suppress(ADA, house.now).await.expect("redis answers");
    assert_eq!(house.again(ADA).await.state, State::Unsubscribed);
}

async fn kept_vectors(house: &House) -> Option<(EncoderId, Vec<DenseVector>)> {
    let mut standing = house
        .subscribers
        .standing(&[ADA.to_owned()])
        .await
        .expect("redis answers");
    let one = standing.pop().expect("one").expect("it parses");
    one.expect("a subscriber").vectors
}

#[tokio::test]
async fn vectors_are_not_kept_for_interests_that_changed_meanwhile() {
    let house = House::build().await;
    let before = house.reader("ada@example.org", &["cats", "dogs"]).await;
    let encoder = EncoderId::parse("test@1").expect("an encoder id");
    let vectors = [[1.0, 0.0], [0.6, 0.8]].map(|values| DenseVector::new(values.to_vec()).expect("a vector"));
    let keep = || house.subscribers.keep_vectors(&before, &encoder, &vectors);
    keep().await.expect("redis answers");
    assert_eq!(kept_vectors(&house).await, Some((encoder.clone(), vectors.to_vec())));
    house.reader("ada@example.org", &["birds"]).await;
    keep().await.expect("redis answers");
    assert_eq!(kept_vectors(&house).await, None);
}

#[tokio::test]
async fn a_connection_that_broke_is_not_seen_by_callers() {
    let house = House::build().await;
    house.reader("ada@example.org", &[]).await;
    let client = redis::Client::open(house.redis.url.as_str()).expect("a url");
    let mut redis = client.get_multiplexed_async_connection().await.expect("redis answers");
    let mut kill = redis::cmd("CLIENT");
    let _: i64 = kill
        .arg("KILL")
        .arg("TYPE")
        .arg("normal")
        .query_async(&mut redis)
        .await
        .expect("killed");
    assert!(house.subscribers.get(ADA).await.expect("redis answers").is_some());
}
