//! What lies in Redis: how much of it, and what older releases left there.

use futures::StreamExt as _;
use redis::AsyncCommands as _;

use super::*;

async fn redis(house: &House) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(house.redis.url.as_str()).expect("a url");
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

#[tokio::test]
async fn a_subscriber_of_before_versions_is_read_and_written_anew_with_the_first_change() {
    let house = House::build().await;
    let mut redis = redis(&house).await;
    let fields = [
        ("email", ADA),
        ("state", "active"),
        ("interests", r#"["cats","dogs"]"#),
        ("time", "07:30"),
        ("time_zone", "Europe/Berlin"),
        ("paper_count", "7"),
        ("created", "1700000000000"),
        ("confirmed", "1700000001000"),
        ("encoder", "test@1"),
        ("vectors", "12345678"),
    ];
    let _: () = redis
        .hset_multiple(subscriber_key("old"), &fields)
        .await
        .expect("written");
    let _: () = redis.set(email_key(ADA), "old").await.expect("written");
    let _: () = redis
        .zadd(Channel::Mail.due_key(), "old", 1_700_000_100_000_i64)
        .await
        .expect("written");
    let old = house.again("old").await;
    assert_eq!((old.version, old.preferences.paper_count), (0, 7));
    assert_eq!(old.preferences.interests.len(), 2);
    assert_eq!(old.preferences.schedule.zone(), "Europe/Berlin");
    assert_eq!(
        house.subscribers.vectors(&old).await.expect("redis answers"),
        None,
        "of another form"
    );

    let change = |known: &mut Subscriber| known.preferences.paper_count = 8;
    house
        .subscribers
        .change("old", house.now, change)
        .await
        .expect("redis answers");
    let mut expected = old.clone();
    expected.version = 1;
    expected.preferences.paper_count = 8;
    assert_eq!(house.again("old").await, expected);
    let mut names: Vec<String> = redis.hkeys(subscriber_key("old")).await.expect("an answer");
    names.sort();
    let layout = [
        "confirmed",
        "consent",
        "created",
        "email",
        "preferences",
        "state",
        "version",
    ];
    assert_eq!(names, layout);
    let due = house.subscribers.due("old").await.expect("redis answers");
    assert_eq!(
        due.map(Timestamp::as_millisecond),
        Some(1_700_000_100_000),
        "still due then"
    );
}

/// 384 values, as the larger of the two usual encoders makes them.
#[tokio::test]
async fn a_subscriber_with_one_interest_takes_at_most_1200_bytes() {
    const COUNT: usize = 20_000;
    let house = House::build().await;
    let mut redis = redis(&house).await;
    let before = used_memory(&mut redis).await;
    let encoder = EncoderId::parse("all-MiniLM-L6-v2@53aa51172d14").expect("an encoder id");
    let values: Vec<f32> = (0..384_u16).map(|n| (f32::from(n) * 1.7).sin()).collect();
    let norm = values.iter().map(|v| v * v).sum::<f32>().sqrt();
    let vector = DenseVector::new(values.iter().map(|v| v / norm).collect()).expect("a vector");
    let vector = [Int8Vector::quantise(&vector)];
    let add = |n: usize| {
        let (store, encoder, vector) = (house.subscribers.clone(), &encoder, &vector);
        let wishes = house.wishes(&[&format!("graph neural networks for molecules {n}")]);
        let now = house.now;
        async move {
            let email = EmailAddress::parse(&format!("reader.number{n}@mail.example.org")).expect("an address");
            let id = uuid::Uuid::now_v7().simple().to_string();
            let next = store.subscribe(&email, &id, &wishes, Opting::OnRecord, now).await;
            assert_eq!(next.expect("redis answers"), Next::Active);
            let known = store.get(&id).await.expect("redis answers").expect("a subscriber");
            store
                .keep_vectors(&known, encoder, vector)
                .await
                .expect("redis answers");
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
