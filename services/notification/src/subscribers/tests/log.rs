//! Redis and the log, when one of them is lost, late, or both are changed by many.

use std::time::Duration;

use common::bus::{Bus, BusConfig};
use common::flow;
use common::journal::Journal;
use domain::preferences::Channels;
use futures::StreamExt as _;
use proto::subscriptions::v1::{DeliveryLogged, SubscriberLogged};
use standalone::{Children, DataFolder, Programs, Toolbox};

use super::*;
use crate::subscribers::deliveries::Stage;
use crate::subscribers::failures::Patience;
use crate::subscribers::rebuild::Reach;
use crate::subscribers::webhooks::Answered;
use crate::testing::{Redis, terms};

const AGE: Duration = Duration::from_hours(24 * 42);

/// A log over a real server.
struct Bench {
    bus: Bus,
    log: Journal,
    _children: Children,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let nats = tokio::task::spawn_blocking(|| Toolbox::from_env().nats_server());
        let programs = Programs {
            nats: Some(nats.await.expect("no panic").expect("a nats-server")),
            ..Programs::default()
        };
        let data = DataFolder::open(folder.path()).expect("a data folder");
        let children = Children::start(&data, programs, None).await.expect("nats starts");
        let config = BusConfig {
            url: children.nats_url().expect("an address"),
            replicas: 1,
            max_age: Duration::from_hours(24),
        };
        let bus = Bus::connect(config, "test").await.expect("nats answers");
        let log = Journal::open(&bus, AGE).await.expect("a log");
        Self {
            bus,
            log,
            _children: children,
            _folder: folder,
        }
    }

    async fn over(&self, redis: &Redis) -> Subscribers {
        let store = Subscribers::connect(&redis.url, terms()).await.expect("redis answers");
        let store = store.logging_to(self.log.clone());
        store.rebuild(Reach::SinceMark, |_| {}).await.expect("rebuilt");
        store
    }

    /// Somebody with this id, subscribed for long.
    async fn reader(&self, store: &Subscribers, id: &str) -> Subscriber {
        let email = EmailAddress::parse(&format!("{id}@example.org")).expect("an address");
        let long_ago = now().saturating_sub(SignedDuration::from_hours(240)).expect("a moment");
        let schedule = domain::schedule::Schedule::parse("07:00", "Europe/Berlin").expect("a schedule");
        let mut wishes = Preferences::plain(schedule, 10);
        wishes.interests = vec![domain::Interest::in_words("cats")];
        let next = store.subscribe(&email, id, &wishes, Opting::OnRecord, long_ago).await;
        assert_eq!(next.expect("taken"), Next::Active);
        there(store, id).await
    }
}

fn now() -> Timestamp {
    Timestamp::now()
}

async fn there(store: &Subscribers, id: &str) -> Subscriber {
    store.get(id).await.expect("redis answers").expect("a subscriber")
}

#[tokio::test]
async fn who_was_in_a_lost_redis_is_there_again_as_they_were() {
    let bench = Bench::start().await;
    let lost = Redis::start();
    let store = bench.over(&lost).await;
    for id in ["unsent", "sent", "gone", "paused", "bounced", "deleted"] {
        bench.reader(&store, id).await;
    }
    store.unsubscribe("gone", now()).await.expect("ended");
    let until = now().saturating_add(SignedDuration::from_hours(1)).expect("a moment");
    store.pause("paused", Some(until), now()).await.expect("paused");
    store
        .suppress("bounced", Reason::Bounce, now())
        .await
        .expect("suppressed");
    let deleted = there(&store, "deleted").await;
    let schedule = deleted.preferences.schedule.clone();
    let slot = schedule.current_slot(now());
    for id in ["sent", "deleted"] {
        let papers = ["x:a".to_owned(), "x:b".to_owned()];
        let logged = store.journal_delivery(Channel::Mail, (id, slot), Stage::Sent, &papers, "<id@example.org>");
        logged.await.expect("logged");
    }
    store.forget(&deleted).await.expect("forgotten");
    let mut before = Vec::new();
    for id in ["unsent", "sent", "gone", "paused", "bounced"] {
        before.push(there(&store, id).await);
    }
    drop(lost);

    let fresh = Redis::start();
    let store = bench.over(&fresh).await;
    for one in before {
        assert_eq!(there(&store, &one.id).await, one);
        let email = EmailAddress::parse(&one.email).expect("an address");
        let found = store.by_email(&email).await.expect("redis answers");
        assert_eq!(found.map(|found| found.id), Some(one.id));
    }
    assert_eq!(store.get("deleted").await.expect("redis answers"), None);
    let due = async |id: &str| store.due(id).await.expect("redis answers").map(Timestamp::as_second);
    assert_eq!(
        due("unsent").await,
        Some(slot.as_second()),
        "its edition is still to come"
    );
    assert_eq!(
        due("sent").await,
        Some(schedule.next_slot(now()).as_second()),
        "never twice"
    );
    for id in ["gone", "paused", "bounced", "deleted"] {
        assert_eq!(due(id).await, None, "{id}");
    }
    let record = store.record(Channel::Mail, "sent", slot).await.expect("redis answers");
    assert_eq!((record.stage, record.picks.len()), (Stage::Sent, 2));
    let pasts = store.pasts(Channel::Mail, &[("sent", slot, Channels::Mail)]).await;
    let past = pasts.expect("redis answers").pop().expect("one").expect("it parses");
    assert_eq!(past.seen.papers().count(), 2);
    let bounced = EmailAddress::parse("bounced@example.org").expect("an address");
    let reason = store.suppression(&bounced).await.expect("redis answers");
    assert_eq!(reason, Some(Reason::Bounce));
    let paused_until = there(&store, "paused").await.paused_until;
    assert_eq!(paused_until.map(Timestamp::as_second), Some(until.as_second()));
    let again = store.rebuild(Reach::Everything, |_| {}).await.expect("rebuilt");
    assert_eq!(again.restored, 0, "done again it changes nothing");
}

#[tokio::test]
async fn thousands_come_back_in_chunks() {
    const COUNT: usize = 3_000;
    let bench = Bench::start().await;
    let lost = Redis::start();
    let store = bench.over(&lost).await;
    let began = std::time::Instant::now();
    let ids = (0..COUNT).map(|n| format!("reader{n}"));
    let subscribing = ids.map(|id| {
        let (bench, store) = (&bench, &store);
        async move { drop(bench.reader(store, &id).await) }
    });
    futures::stream::iter(subscribing)
        .buffer_unordered(32)
        .for_each(async |()| ())
        .await;
    println!(
        "subscribed per second: {:.0}",
        COUNT as f64 / began.elapsed().as_secs_f64()
    );
    drop(lost);
    let fresh = Redis::start();
    let store = Subscribers::connect(&fresh.url, terms()).await.expect("redis answers");
    let store = store.logging_to(bench.log.clone());
    let mut steps = Vec::new();
    let began = std::time::Instant::now();
    let rebuilt = store
        .rebuild(Reach::SinceMark, |step| steps.push(step))
        .await
        .expect("rebuilt");
    println!(
        "rebuilt per second: {:.0}",
        COUNT as f64 / began.elapsed().as_secs_f64()
    );
    let count = COUNT as u64;
    assert_eq!((rebuilt.read, rebuilt.total, rebuilt.restored), (count, count, count));
    assert!(steps.len() > 1 && steps.is_sorted_by_key(|step| step.read), "{steps:?}");
    let mut due = redis::cmd("ZCARD");
    let due: usize = store
        .ask(due.arg(Channel::Mail.due_key()))
        .await
        .expect("redis answers");
    assert_eq!(due, COUNT);
}

#[tokio::test]
async fn a_lost_log_is_made_anew_from_redis_and_keeps_an_unsubscription() {
    let bench = Bench::start().await;
    let redis = Redis::start();
    let store = bench.over(&redis).await;
    bench.reader(&store, "ada").await;
    bench.reader(&store, "eve").await;
    store.unsubscribe("eve", now()).await.expect("ended");
    for stream in [flow::SUBSCRIBERS, flow::DELIVERIES] {
        bench.bus.jetstream().delete_stream(stream).await.expect("deleted");
    }
    let log = Journal::open(&bench.bus, AGE).await.expect("a log");
    let store = bench.over(&redis).await;
    for id in ["ada", "eve"] {
        let logged = log
            .newest::<SubscriberLogged>(id)
            .await
            .expect("nats answers")
            .expect("logged");
        let known = there(&store, id).await;
        assert_eq!(
            (logged.version, logged.state.as_str()),
            (known.version, known.state.name())
        );
    }
    drop(redis);
    let fresh = Redis::start();
    let store = bench.over(&fresh).await;
    assert_eq!(there(&store, "ada").await.state, State::Active);
    assert_eq!(there(&store, "eve").await.state, State::Unsubscribed);
}

#[tokio::test]
async fn an_unsubscription_is_taken_while_redis_is_down_and_holds_before_anything_is_claimed() {
    let bench = Bench::start().await;
    let mut redis = Redis::start();
    let store = bench.over(&redis).await;
    bench.reader(&store, "ada").await;
    bench.reader(&store, "eve").await;
    let past = Timestamp::UNIX_EPOCH;
    for id in ["ada", "eve"] {
        store
            .set_all_due(Channel::Mail, &[(id, past)])
            .await
            .expect("redis answers");
    }
    redis.kill();
    let ended = store.unsubscribe("eve", now()).await.expect("taken by the log");
    assert_eq!(state(ended), Some(State::Unsubscribed));
    redis.start_again();
    let claimed = store.claim_due(Channel::Mail, now(), 10).await.expect("redis answers");
    assert_eq!(claimed.ids, ["ada"]);
    assert_eq!(there(&store, "eve").await.state, State::Unsubscribed);

    // The same by another process, which knows only the log.
    redis.kill();
    store.unsubscribe("ada", now()).await.expect("taken by the log");
    drop(store);
    redis.start_again();
    let other = bench.over(&redis).await;
    assert_eq!(there(&other, "ada").await.state, State::Unsubscribed);
    assert!(
        other
            .claim_due(Channel::Mail, now(), 10)
            .await
            .expect("redis answers")
            .ids
            .is_empty()
    );
}

#[tokio::test]
async fn a_redis_emptied_a_moment_ago_takes_nobody_for_new_and_forgets_no_unsubscription() {
    let bench = Bench::start().await;
    let redis = Redis::start();
    let store = bench.over(&redis).await;
    let ada = bench.reader(&store, "ada").await;
    bench.reader(&store, "eve").await;
    let client = redis::Client::open(redis.url.as_str()).expect("a url");
    let mut connection = client.get_multiplexed_async_connection().await.expect("redis answers");
    let flush = redis::cmd("FLUSHALL");
    let _: () = flush.query_async(&mut connection).await.expect("emptied");
    let ended = store.unsubscribe("eve", now()).await.expect("taken");
    assert_eq!(state(ended), Some(State::Unsubscribed));
    let email = EmailAddress::parse(&ada.email).expect("an address");
    let next = store
        .subscribe(&email, "another", &ada.preferences, Opting::Ask, now())
        .await;
    assert_eq!(next.expect("taken"), Next::Quiet, "is subscribed");
    assert_eq!(there(&store, "ada").await, ada);
    assert_eq!(there(&store, "eve").await.state, State::Unsubscribed);
    assert_eq!(store.unsubscribe("nobody", now()).await.expect("asked"), None);
}

#[tokio::test]
async fn whoever_changes_what_at_the_same_time_the_newest_state_is_the_last_one_in_the_log() {
    let bench = Bench::start().await;
    let redis = Redis::start();
    let store = bench.over(&redis).await;
    bench.reader(&store, "ada").await;
    let change = |n: usize| {
        let store = store.clone();
        async move {
            if n == 7 {
                return store.unsubscribe("ada", now()).await.map(drop).expect("ended");
            }
            let change = |known: &mut Subscriber| known.preferences.paper_count = n + 1;
            store.change("ada", now(), change).await.map(drop).expect("changed");
        }
    };
    futures::future::join_all((0..16).map(change)).await;
    let known = there(&store, "ada").await;
    let logged = bench
        .log
        .newest::<SubscriberLogged>("ada")
        .await
        .expect("nats answers")
        .expect("logged");
    assert_eq!(known.state, State::Unsubscribed);
    assert_eq!(record::from_log(&logged), Ok(known));
}

#[tokio::test]
async fn subscribers_are_listed_page_by_page_and_nothing_of_a_forgotten_one_is_left() {
    let bench = Bench::start().await;
    let redis = Redis::start();
    let store = bench.over(&redis).await;
    for id in ["a", "b", "c", "d"] {
        bench.reader(&store, id).await;
    }
    let slot = now();
    store
        .journal_delivery(
            Channel::Mail,
            ("b", slot),
            Stage::Sent,
            &["x:a".to_owned()],
            "<b@example.org>",
        )
        .await
        .expect("logged");
    let b = there(&store, "b").await;
    store.forget(&b).await.expect("forgotten");
    let (first, next) = store.page(0, 2).await.expect("a page");
    let (second, end) = store.page(next.expect("more"), 10).await.expect("a page");
    let ids: Vec<&str> = first.iter().chain(&second).map(|one| one.id.as_str()).collect();
    assert_eq!((ids, end), (vec!["a", "c", "d"], None));
    let left = bench
        .log
        .newest::<SubscriberLogged>("b")
        .await
        .expect("nats answers")
        .expect("a mark");
    let expected = SubscriberLogged {
        subscriber_id: "b".to_owned(),
        version: left.version,
        forgotten: true,
        ..SubscriberLogged::default()
    };
    assert_eq!(left, expected);
    assert_eq!(
        bench.log.newest::<DeliveryLogged>("b").await.expect("nats answers"),
        None
    );
}

#[tokio::test]
async fn a_webhook_in_a_lost_redis_is_there_again_and_due_from_when_it_agreed() {
    let bench = Bench::start().await;
    let lost = Redis::start();
    let store = bench.over(&lost).await;
    let mut before = Vec::new();
    for (id, channels, answered) in [
        ("both", Channels::Both, Answered::Agreed),
        ("gone", Channels::Webhook, Answered::Gone("410 Gone".to_owned())),
        (
            "asked",
            Channels::Webhook,
            Answered::Refused("403 Forbidden".to_owned()),
        ),
    ] {
        bench.reader(&store, id).await;
        let set = store.set_webhook(id, "https://example.org/", "name", channels, now());
        let webhook = set.await.expect("redis answers").and_then(|known| known.webhook);
        let webhook = webhook.expect("a webhook");
        let noted = store.webhook_answered(id, &webhook, &answered, now()).await;
        noted.expect("redis answers");
        let slot = now();
        let failed = store
            .edition_failed(id, &webhook, slot, "500", Patience::Endless, slot)
            .await;
        failed.expect("redis answers");
        before.push(there(&store, id).await);
    }
    let states: Vec<State> = before.iter().map(|one| one.state).collect();
    assert_eq!(states, [State::Active, State::Paused, State::Active]);
    assert!(before[1].pause_reason.contains("410 Gone"));
    let failing = |one: &Subscriber| one.webhook.as_ref().and_then(|webhook| webhook.failing);
    assert_eq!(
        failing(&before[0]).map(|failing| failing.editions),
        Some(1),
        "and only of one in use"
    );
    assert_eq!((failing(&before[1]), failing(&before[2])), (None, None));
    let schedule = before[0].preferences.schedule.clone();
    let slot = schedule.current_slot(now());
    for channel in Channel::ALL {
        let logged = store.journal_delivery(channel, ("gone", slot), Stage::Sent, &[], channel.name());
        logged.await.expect("logged");
    }
    drop(lost);

    let fresh = Redis::start();
    let store = bench.over(&fresh).await;
    for one in before {
        assert_eq!(there(&store, &one.id).await, one);
    }
    let next = async |channel| store.next_due(channel).await.expect("redis answers");
    assert_eq!(next(Channel::Mail).await, Some(slot), "it takes mail for long");
    assert_eq!(
        next(Channel::Webhook).await,
        Some(schedule.next_slot(now())),
        "the slot before it agreed is not its"
    );
    assert_eq!(
        store.active(Channel::Webhook, 0).await.expect("redis answers").1,
        ["both"]
    );
    for channel in Channel::ALL {
        let record = store.record(channel, "gone", slot).await.expect("redis answers");
        assert_eq!(
            (record.stage, record.message_id.as_str()),
            (Stage::Sent, channel.name())
        );
    }
    let gone = there(&store, "gone").await;
    store.forget(&gone).await.expect("forgotten");
    for channel in Channel::ALL {
        let record = store.record(channel, "gone", slot).await.expect("redis answers");
        assert_eq!(record.stage, Stage::None);
    }
}
