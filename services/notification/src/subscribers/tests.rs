use domain::{DenseVector, EncoderId, Int8Vector};

use super::changes::Next;
use super::suppressions::Reason;
use super::*;
use crate::testing::House;

mod layout;
mod log;

const ADA: &str = "ada@example.org";

fn address() -> EmailAddress {
    EmailAddress::parse(ADA).expect("an address")
}

fn state(of: Option<Subscriber>) -> Option<State> {
    of.map(|one| one.state)
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
    let confirmed = store.confirm("ada", house.now).await.expect("redis answers");
    assert_eq!(state(confirmed), Some(State::Active));
    assert_eq!(wish(&house, Opting::Ask, 5).await, Next::Quiet, "active");
    assert_eq!(
        store.active(Channel::Mail, 0).await.expect("redis answers"),
        (0, vec!["ada".to_owned()])
    );
    assert!(store.due("ada").await.expect("redis answers").is_some());
    for _ in 0..2 {
        let ended = store.unsubscribe("ada", house.now).await.expect("redis answers");
        assert_eq!(state(ended), Some(State::Unsubscribed));
    }
    assert_eq!(store.due("ada").await.expect("redis answers"), None);
    house.set_due("ada", 0).await;
    assert_eq!(
        store.due("ada").await.expect("redis answers"),
        None,
        "a late scheduler brings nobody back"
    );
    let confirmed = store.confirm("ada", house.now).await.expect("redis answers");
    assert_eq!(
        state(confirmed),
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
    house
        .subscribers
        .suppress(ADA, Reason::Bounce, house.now)
        .await
        .expect("redis answers");
    assert_eq!(house.again(ADA).await.state, State::Suppressed);
    assert_eq!(wish(&house, Opting::Ask, 10).await, Next::Quiet);
    assert_eq!(wish(&house, Opting::OnRecord, 10).await, Next::Active, "a bounce");
    let address = address();
    let complain = house
        .subscribers
        .suppress_address(&address, Reason::Complaint, house.now);
    complain.await.expect("redis answers");
    assert_eq!(house.again(ADA).await.state, State::Suppressed);
    let outweighed = Next::Suppressed(Reason::Complaint);
    assert_eq!(wish(&house, Opting::OnRecord, 10).await, outweighed);
    house
        .subscribers
        .lift(&address, house.now)
        .await
        .expect("redis answers");
    assert_eq!(
        house.again(ADA).await.state,
        State::Unsubscribed,
        "until there is new consent"
    );
    assert_eq!(wish(&house, Opting::Ask, 20).await, Next::Ask(ADA.into()));
}

#[tokio::test]
async fn an_address_is_suppressed_before_it_subscribes_and_after_it_is_forgotten() {
    let house = House::build().await;
    let store = &house.subscribers;
    store
        .suppress_address(&address(), Reason::Manual, house.now)
        .await
        .expect("redis answers");
    assert_eq!(wish(&house, Opting::Ask, 0).await, Next::Quiet);
    store.lift(&address(), house.now).await.expect("redis answers");
    let reader = house.reader(ADA, &["cats"]).await;
    store
        .suppress_address(&address(), Reason::Complaint, house.now)
        .await
        .expect("redis answers");
    store.forget(&reader).await.expect("redis answers");
    assert_eq!(store.by_email(&address()).await.expect("redis answers"), None);
    assert_eq!(wish(&house, Opting::Ask, 10).await, Next::Quiet, "the hash is kept");
    let (_, kept) = store.suppressions(0, 10).await.expect("redis answers");
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].hash.len(), kept[0].reason), (64, Reason::Complaint));
}

#[tokio::test]
async fn a_pause_takes_nobody_into_account_until_it_ends() {
    let house = House::build().await;
    let store = &house.subscribers;
    house.reader(ADA, &["cats"]).await;
    let until = house.later(5);
    let paused = store.pause(ADA, Some(until), house.now).await.expect("redis answers");
    assert_eq!(state(paused.clone()), Some(State::Paused));
    assert_eq!(
        paused.and_then(|one| one.paused_until).map(Timestamp::as_millisecond),
        Some(until.as_millisecond())
    );
    assert_eq!(store.due(ADA).await.expect("redis answers"), None);
    store.end_pauses(house.later(4)).await.expect("redis answers");
    assert_eq!(house.again(ADA).await.state, State::Paused);
    store.end_pauses(house.later(6)).await.expect("redis answers");
    let resumed = house.again(ADA).await;
    assert_eq!((resumed.state, resumed.paused_until), (State::Active, None));
    let due = store.due(ADA).await.expect("redis answers").expect("due");
    assert!(due > house.later(6), "the slots of the pause are over");
    store.unsubscribe(ADA, house.now).await.expect("redis answers");
    let paused = store.pause(ADA, None, house.now).await.expect("redis answers");
    assert_eq!(state(paused), Some(State::Unsubscribed));
}

#[tokio::test]
async fn changes_at_the_same_time_all_hold() {
    let house = House::build().await;
    let reader = house.reader(ADA, &[]).await;
    let add = |n: usize| {
        let store = house.subscribers.clone();
        async move {
            let change = |known: &mut Subscriber| {
                known.preferences.exclusions.words.push(n.to_string());
            };
            store
                .change(ADA, Timestamp::now(), change)
                .await
                .expect("redis answers");
        }
    };
    futures::future::join_all((0..20).map(add)).await;
    let after = house.again(ADA).await;
    assert_eq!(after.preferences.exclusions.words.len(), 20);
    assert_eq!(after.version, reader.version + 20);
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
    house
        .subscribers
        .suppress(ADA, Reason::Bounce, house.now)
        .await
        .expect("redis answers");
    assert_eq!(house.again(ADA).await.state, State::Unsubscribed);
}

async fn kept_vectors(house: &House) -> Option<(EncoderId, Vec<Int8Vector>)> {
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
    let vectors = [[1.0, 0.0], [0.6, 0.8]]
        .map(|values| Int8Vector::quantise(&DenseVector::new(values.to_vec()).expect("a vector")));
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
