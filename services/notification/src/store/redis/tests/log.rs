//! Redis and the log, when one of them is lost, late, or both are changed by many.

use std::time::Duration;

use common::bus::Bus;
use common::clock::Clock;
use common::config::BusConfig;
use common::flow;
use common::journal::{Journal, LogRetention};
use common::storage::StreamLimits;
use common::tls::ClientTls;
use domain::preferences::Channels;
use futures::StreamExt as _;
use proto::subscriptions::v1::{DeliveryLogged, PendingLogged, SubscriberLogged};
use standalone::{Children, DataFolder, Programs, Toolbox};

use std::ops::Deref;

use domain::{EmailAddress, Preferences};
use jiff::{SignedDuration, Timestamp};

use super::super::{RedisConnection, RedisStore, keys, ledger, records};
use crate::ports::{
    DeliveryLedger as _, DueQueue as _, PendingStore as _, RecoveryExtent, RecoveryProgress, StoreRecovery as _,
    SubscriberStore as _,
};
use crate::subscribers::deliveries::{DeliveryAttempt, DeliveryRecord, DeliveryStage, FencingToken};
use crate::subscribers::pending::{ConfirmedRequest, PendingState, PendingSubscription};
use crate::subscribers::subscriptions::SubscribeOutcome;
use crate::subscribers::suppressions::SuppressionCause;
use crate::subscribers::webhook::{FailureTolerance, WebhookAnswer};
use crate::subscribers::{Channel, Subscriber, SubscriberState, Subscriptions};
use crate::testing::{Redis, start_of_tests, tasks, times};

const RETENTION: LogRetention = LogRetention {
    deliveries: Duration::from_hours(24 * 42),
    pending: Duration::from_hours(24 * 7),
};

/// A log over a real server.
struct Bench {
    bus: Bus,
    log: Journal,
    _children: Children,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let nats = common::tasks::blocking(|| Toolbox::from_env().nats_server()).await;
        let programs = Programs {
            nats: Some(nats.expect("a nats-server")),
            ..Programs::default()
        };
        let data = DataFolder::open(folder.path()).expect("a data folder");
        let children = Children::start(&data, programs, None).await.expect("nats starts");
        let url = children.nats_url().expect("an address");
        let config = BusConfig::new(&url, 1, Duration::from_hours(24), StreamLimits::uniform(64)).expect("a URL");
        let bus = Bus::connect(config, "test", Clock::system())
            .await
            .expect("nats answers");
        common::streams::ensure(&bus).await.expect("streams");
        let log = Journal::open(&bus, RETENTION).await.expect("a log");
        Self {
            bus,
            log,
            _children: children,
            folder,
        }
    }

    /// A store over a Redis, brought up to the log.
    async fn over(&self, redis: &Redis) -> LoggedStore {
        let store = self.not_recovered(redis).await;
        store.recover(RecoveryExtent::SinceMark).await;
        store
    }

    async fn not_recovered(&self, redis: &Redis) -> LoggedStore {
        let connection = RedisConnection::connect(&redis.url, &ClientTls::default())
            .await
            .expect("redis answers");
        let clock = Clock::manual(now()).0;
        let redis = RedisStore::new(&connection, Some(self.log.clone()), times(), clock.clone(), &tasks());
        LoggedStore {
            subscriptions: Subscriptions::new(redis.subscribers.clone(), clock),
            redis,
            connection,
            log: self.log.clone(),
        }
    }

    /// Somebody with this id, subscribed for long.
    async fn reader(&self, store: &LoggedStore, id: &str) -> Subscriber {
        let email = EmailAddress::parse(&format!("{id}@example.org")).expect("an address");
        let long_ago = now().saturating_sub(SignedDuration::from_hours(240)).expect("a moment");
        let schedule = domain::schedule::Schedule::parse("07:00", "Europe/Berlin").expect("a schedule");
        let mut preferences = Preferences::plain(schedule, 10);
        preferences.interests = vec![domain::Interest::in_words("cats")];
        let long_ago = Subscriptions::new(store.redis.subscribers.clone(), Clock::manual(long_ago).0);
        let outcome = long_ago.subscribe(&email, id, &preferences).await;
        assert_eq!(outcome.expect("taken"), SubscribeOutcome::Active);
        there(store, id).await
    }
}

/// A store beside a log, and what changes subscribers in it.
#[derive(Clone)]
struct LoggedStore {
    subscriptions: Subscriptions,
    redis: RedisStore,
    connection: RedisConnection,
    log: Journal,
}

impl Deref for LoggedStore {
    type Target = Subscriptions;

    fn deref(&self) -> &Subscriptions {
        &self.subscriptions
    }
}

impl LoggedStore {
    async fn recover(&self, extent: RecoveryExtent) -> RecoveryProgress {
        let recovered = self.redis.recovery.recover(extent, &mut |_| {}).await;
        recovered.expect("recovered")
    }

    /// Puts into the log how a digest ended.
    async fn log_delivery(&self, channel: Channel, (id, slot): (&str, Timestamp), papers: &[&str], message_id: &str) {
        let token = FencingToken {
            epoch: 1,
            owner: "test".to_owned(),
        };
        let attempt = DeliveryAttempt {
            token: &token,
            channel,
            id,
            slot,
        };
        let record = DeliveryRecord {
            stage: DeliveryStage::Sent,
            message_id: message_id.to_owned(),
            ..DeliveryRecord::default()
        };
        let papers = papers.iter().map(|id| (*id).to_owned()).collect();
        let entry = ledger::log_entry(&attempt, &record, papers, now());
        for added in self.log.add_all(vec![entry]).await {
            added.expect("logged");
        }
    }

    async fn claimed(&self) -> Vec<String> {
        let batch = self.redis.due_queue.claim(Channel::Mail, now(), 10).await;
        batch.expect("redis answers").ids
    }
}

fn state(of: Option<Subscriber>) -> Option<SubscriberState> {
    of.map(|one| one.state)
}

fn now() -> Timestamp {
    start_of_tests()
}

async fn there(store: &LoggedStore, id: &str) -> Subscriber {
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
    store.unsubscribe("gone").await.expect("ended");
    let until = now().saturating_add(SignedDuration::from_hours(1)).expect("a moment");
    store.pause("paused", Some(until)).await.expect("paused");
    store
        .suppress("bounced", SuppressionCause::Bounce)
        .await
        .expect("suppressed");
    store.revoke_links("sent").await.expect("revoked");
    let paper = domain::PaperId::parse("x:a").expect("an id");
    store.vote("unsent", &paper).await.expect("voted").expect("a pseudonym");
    let deleted = there(&store, "deleted").await;
    let schedule = deleted.preferences.schedule.clone();
    let slot = schedule.current_slot(now());
    for id in ["sent", "deleted"] {
        store
            .log_delivery(Channel::Mail, (id, slot), &["x:a", "x:b"], "<id@example.org>")
            .await;
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
    let due = async |id: &str| {
        store
            .redis
            .due_queue
            .due(id)
            .await
            .expect("redis answers")
            .map(Timestamp::as_second)
    };
    assert_eq!(
        due("unsent").await,
        Some(slot.as_second()),
        "its digest is still to come"
    );
    assert_eq!(
        due("sent").await,
        Some(schedule.next_slot(now()).as_second()),
        "never twice"
    );
    for id in ["gone", "paused", "bounced", "deleted"] {
        assert_eq!(due(id).await, None, "{id}");
    }
    let record = store
        .redis
        .ledger
        .record(Channel::Mail, "sent", slot)
        .await
        .expect("redis answers");
    assert_eq!((record.stage, record.picks.len()), (DeliveryStage::Sent, 2));
    let digest = [("sent", slot, Channels::Mail)];
    let pasts = store.redis.ledger.histories(Channel::Mail, &digest).await;
    let past = pasts.expect("redis answers").pop().expect("one").expect("it parses");
    assert_eq!(past.seen.papers().count(), 2);
    let bounced = EmailAddress::parse("bounced@example.org").expect("an address");
    let reason = store.suppression(&bounced).await.expect("redis answers");
    assert_eq!(reason, Some(SuppressionCause::Bounce));
    let paused_until = there(&store, "paused").await.paused_until;
    assert_eq!(paused_until.map(Timestamp::as_second), Some(until.as_second()));
    let again = store.recover(RecoveryExtent::Everything).await;
    assert_eq!(again.restored, 0, "done again it changes nothing");
}

#[tokio::test]
async fn a_replaced_state_is_erased_from_the_log() {
    let bench = Bench::start().await;
    let redis = Redis::start();
    let store = bench.over(&redis).await;
    bench.reader(&store, "ada").await;
    let paper = domain::PaperId::parse("x:a").expect("an id");
    for _ in 0..3 {
        store.pause("ada", None).await.expect("paused");
        store.resume("ada").await.expect("resumed");
    }
    store.vote("ada", &paper).await.expect("voted");
    let state = bench.log.stream_state(flow::SUBSCRIBERS).await.expect("a stream");
    assert_eq!((state.entries, state.last), (1, 8));
    assert!(times_in_files(bench.folder.path(), "ada@example.org") <= 1);
    store.forget(&there(&store, "ada").await).await.expect("forgotten");
    store.redis.erasure.erase_from_log().await.expect("erased");
    let state = bench.log.stream_state(flow::SUBSCRIBERS).await.expect("a stream");
    assert_eq!(state.entries, 1, "that somebody was forgotten");
    assert_eq!(times_in_files(bench.folder.path(), "ada@example.org"), 0);
}

fn times_in_files(folder: &std::path::Path, text: &str) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let counts = entries.map(|entry| match std::fs::read(entry.path()) {
        Ok(bytes) => bytes
            .windows(text.len())
            .filter(|part| *part == text.as_bytes())
            .count(),
        Err(_) => times_in_files(&entry.path(), text),
    });
    counts.sum()
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
    let store = bench.not_recovered(&fresh).await;
    let mut steps = Vec::new();
    let began = std::time::Instant::now();
    let recovered = store
        .redis
        .recovery
        .recover(RecoveryExtent::SinceMark, &mut |step| steps.push(step))
        .await;
    let rebuilt = recovered.expect("recovered");
    println!(
        "rebuilt per second: {:.0}",
        COUNT as f64 / began.elapsed().as_secs_f64()
    );
    let count = COUNT as u64;
    assert_eq!((rebuilt.read, rebuilt.total, rebuilt.restored), (count, count, count));
    assert!(steps.len() > 1 && steps.is_sorted_by_key(|step| step.read), "{steps:?}");
    let mut due = redis::cmd("ZCARD");
    let due: usize = store
        .connection
        .ask(due.arg(keys::due(Channel::Mail)))
        .await
        .expect("redis answers");
    assert_eq!(due, COUNT);
}

#[tokio::test]
async fn a_lost_log_is_rebuilt_from_redis() {
    let bench = Bench::start().await;
    let redis = Redis::start();
    let store = bench.over(&redis).await;
    bench.reader(&store, "ada").await;
    bench.reader(&store, "eve").await;
    store.unsubscribe("eve").await.expect("ended");
    for stream in [flow::SUBSCRIBERS, flow::DELIVERIES] {
        bench.bus.jetstream().delete_stream(stream).await.expect("deleted");
    }
    let log = Journal::open(&bench.bus, RETENTION).await.expect("a log");
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
    assert_eq!(there(&store, "ada").await.state, SubscriberState::Active);
    assert_eq!(there(&store, "eve").await.state, SubscriberState::Unsubscribed);
}

#[tokio::test]
async fn an_unsubscription_while_redis_is_down_holds() {
    let bench = Bench::start().await;
    let mut redis = Redis::start();
    let store = bench.over(&redis).await;
    bench.reader(&store, "ada").await;
    bench.reader(&store, "eve").await;
    let past = Timestamp::UNIX_EPOCH;
    for id in ["ada", "eve"] {
        store
            .redis
            .due_queue
            .reschedule(Channel::Mail, &[(id, past)])
            .await
            .expect("redis answers");
    }
    redis.kill();
    let ended = store.unsubscribe("eve").await.expect("taken by the log");
    assert_eq!(state(ended), Some(SubscriberState::Unsubscribed));
    redis.start_again();
    assert_eq!(store.claimed().await, ["ada"]);
    assert_eq!(there(&store, "eve").await.state, SubscriberState::Unsubscribed);

    // The same by another process, which knows only the log.
    redis.kill();
    store.unsubscribe("ada").await.expect("taken by the log");
    drop(store);
    redis.start_again();
    let other = bench.over(&redis).await;
    assert_eq!(there(&other, "ada").await.state, SubscriberState::Unsubscribed);
    assert!(other.claimed().await.is_empty());
}

#[tokio::test]
async fn an_emptied_redis_takes_nobody_for_new() {
    let bench = Bench::start().await;
    let redis = Redis::start();
    let store = bench.over(&redis).await;
    let ada = bench.reader(&store, "ada").await;
    bench.reader(&store, "eve").await;
    let client = redis::Client::open(redis.url.as_str()).expect("a url");
    let mut connection = client.get_multiplexed_async_connection().await.expect("redis answers");
    let flush = redis::cmd("FLUSHALL");
    let _: () = flush.query_async(&mut connection).await.expect("emptied");
    let ended = store.unsubscribe("eve").await.expect("taken");
    assert_eq!(state(ended), Some(SubscriberState::Unsubscribed));
    let email = EmailAddress::parse(&ada.email).expect("an address");
    let asked = store.may_be_asked(&email).await;
    assert!(!asked.expect("asked"), "is subscribed");
    assert_eq!(there(&store, "ada").await, ada);
    assert_eq!(there(&store, "eve").await.state, SubscriberState::Unsubscribed);
    assert_eq!(store.unsubscribe("nobody").await.expect("asked"), None);
}

#[tokio::test]
async fn the_newest_state_is_the_last_one_in_the_log() {
    let bench = Bench::start().await;
    let redis = Redis::start();
    let store = bench.over(&redis).await;
    bench.reader(&store, "ada").await;
    let change = |n: usize| {
        let store = store.clone();
        async move {
            if n == 7 {
                return store.unsubscribe("ada").await.map(drop).expect("ended");
            }
            let change = |known: &mut Subscriber, _| known.preferences.paper_count = n + 1;
            store.change("ada", change).await.map(drop).expect("changed");
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
    assert_eq!(known.state, SubscriberState::Unsubscribed);
    assert_eq!(records::from_log(&logged), Ok(known));
}

#[tokio::test]
async fn pages_list_subscribers_and_nothing_of_forgotten_ones() {
    let bench = Bench::start().await;
    let redis = Redis::start();
    let store = bench.over(&redis).await;
    for id in ["a", "b", "c", "d"] {
        bench.reader(&store, id).await;
    }
    let slot = now();
    store
        .log_delivery(Channel::Mail, ("b", slot), &["x:a"], "<b@example.org>")
        .await;
    let b = there(&store, "b").await;
    store.forget(&b).await.expect("forgotten");
    let (first, next) = store.redis.subscribers.page(0, 2).await.expect("a page");
    let (second, end) = store
        .redis
        .subscribers
        .page(next.expect("more"), 10)
        .await
        .expect("a page");
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
async fn a_webhook_in_a_lost_redis_is_there_again() {
    let bench = Bench::start().await;
    let lost = Redis::start();
    let store = bench.over(&lost).await;
    let mut before = Vec::new();
    for (id, channels, answered) in [
        ("both", Channels::Both, WebhookAnswer::Accepted),
        ("gone", Channels::Webhook, WebhookAnswer::Gone("410 Gone".to_owned())),
        (
            "asked",
            Channels::Webhook,
            WebhookAnswer::Refused("403 Forbidden".to_owned()),
        ),
    ] {
        bench.reader(&store, id).await;
        let set = store.set_webhook(id, "https://example.org/", "name", channels);
        let webhook = set.await.expect("redis answers").and_then(|known| known.webhook);
        let webhook = webhook.expect("a webhook");
        let noted = store.webhook_answered(id, &webhook, &answered).await;
        noted.expect("redis answers");
        let slot = now();
        let failed = store
            .digest_failed(id, &webhook, slot, "500", FailureTolerance::Unlimited)
            .await;
        failed.expect("redis answers");
        before.push(there(&store, id).await);
    }
    let states: Vec<SubscriberState> = before.iter().map(|one| one.state).collect();
    assert_eq!(
        states,
        [
            SubscriberState::Active,
            SubscriberState::Paused,
            SubscriberState::Active
        ]
    );
    assert!(before[1].pause_reason.contains("410 Gone"));
    let failing = |one: &Subscriber| one.webhook.as_ref().and_then(|webhook| webhook.failure_streak);
    assert_eq!(
        failing(&before[0]).map(|failing| failing.digests),
        Some(1),
        "and only of one in use"
    );
    assert_eq!((failing(&before[1]), failing(&before[2])), (None, None));
    let schedule = before[0].preferences.schedule.clone();
    let slot = schedule.current_slot(now());
    for channel in Channel::ALL {
        store.log_delivery(channel, ("gone", slot), &[], channel.name()).await;
    }
    drop(lost);

    let fresh = Redis::start();
    let store = bench.over(&fresh).await;
    for one in before {
        assert_eq!(there(&store, &one.id).await, one);
    }
    let next = async |channel| store.redis.due_queue.next_due(channel).await.expect("redis answers");
    assert_eq!(next(Channel::Mail).await, Some(slot), "it takes mail for long");
    assert_eq!(
        next(Channel::Webhook).await,
        Some(schedule.next_slot(now())),
        "the slot before it agreed is not its"
    );
    assert_eq!(
        store
            .redis
            .subscribers
            .active(Channel::Webhook, 0)
            .await
            .expect("redis answers")
            .1,
        ["both"]
    );
    for channel in Channel::ALL {
        let record = store
            .redis
            .ledger
            .record(channel, "gone", slot)
            .await
            .expect("redis answers");
        assert_eq!(
            (record.stage, record.message_id.as_str()),
            (DeliveryStage::Sent, channel.name())
        );
    }
    let gone = there(&store, "gone").await;
    store.forget(&gone).await.expect("forgotten");
    for channel in Channel::ALL {
        let record = store
            .redis
            .ledger
            .record(channel, "gone", slot)
            .await
            .expect("redis answers");
        assert_eq!(record.stage, DeliveryStage::None);
    }
}

#[tokio::test]
async fn requests_in_a_lost_redis_wait_there_again_for_their_time() {
    let bench = Bench::start().await;
    let lost = Redis::start();
    let store = bench.over(&lost).await;
    let pending = &store.redis.pending;
    let days = |days: i64| now() - SignedDuration::from_hours(24 * days);
    let confirmed = ConfirmedRequest {
        subscriber_id: "ada".to_owned(),
        link_epoch: 0,
    };
    for (id, requested) in [
        ("old", days(8)),
        ("waiting", days(6)),
        ("confirmed", days(1)),
        ("dropped", days(1)),
    ] {
        let request = request(id, requested);
        pending.keep(&request, 1 << 20, requested).await.expect("kept");
        match id {
            "confirmed" => pending
                .mark_confirmed(&request, &confirmed, now())
                .await
                .expect("marked"),
            "dropped" => pending.drop_pending(&request).await.expect("dropped"),
            _ => {}
        }
    }
    let logged = bench
        .log
        .newest::<PendingLogged>("confirmed")
        .await
        .expect("nats answers");
    assert_eq!(logged, None, "no more is in the log than waits");
    drop(lost);

    let fresh = Redis::start();
    let store = bench.over(&fresh).await;
    let waiting = PendingState::Waiting(Box::new(request("waiting", days(6))));
    for (id, expected) in [
        ("old", None),
        ("waiting", Some(waiting)),
        ("confirmed", None),
        ("dropped", None),
    ] {
        let found = store.redis.pending.pending(id, now()).await.expect("redis answers");
        assert_eq!(found, expected, "{id}");
    }
    let mut ttl = redis::cmd("PTTL");
    let left: i64 = store
        .connection
        .ask(ttl.arg(keys::pending("waiting")))
        .await
        .expect("an answer");
    let day = 24 * 3_600_000;
    assert!(
        (1..=day).contains(&left),
        "redis ends it by itself in a day at most: {left} ms"
    );
    let again = store.recover(RecoveryExtent::SinceMark).await;
    assert_eq!(again.restored, 0);
}

#[tokio::test]
async fn the_log_holds_no_more_requests_than_the_store() {
    let bench = Bench::start().await;
    let server = Redis::start();
    let store = bench.over(&server).await;
    let one = request("0", now()).size();
    for number in 0..9 {
        let request = request(&number.to_string(), now() + SignedDuration::from_secs(number));
        store.redis.pending.keep(&request, 3 * one, now()).await.expect("kept");
    }
    let logged = bench.log.stream_state(flow::PENDING).await.expect("nats answers");
    assert_eq!(logged.entries, 3);
    for (id, is_there) in [("5", false), ("6", true), ("8", true)] {
        let logged = bench.log.newest::<PendingLogged>(id).await.expect("nats answers");
        assert_eq!(logged.is_some(), is_there, "{id}");
    }
    let mut stream = bench.bus.jetstream().get_stream(flow::PENDING).await.expect("a stream");
    let config = &stream.info().await.expect("an answer").config;
    assert_eq!((config.max_age, config.max_bytes), (RETENTION.pending, 64 << 20));
}

fn request(id: &str, requested: Timestamp) -> PendingSubscription {
    let schedule = domain::schedule::Schedule::parse("07:00", "Europe/Berlin").expect("a schedule");
    PendingSubscription {
        id: id.to_owned(),
        email: EmailAddress::parse("ada+x@example.org").expect("an address"),
        preferences: Preferences::plain(schedule, 10),
        requested,
    }
}
