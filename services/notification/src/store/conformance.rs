//! One suite over every adapter of the ports: what holds for Redis holds in memory, so that a rule tested over memory holds
//! in production.

use std::time::Duration;

use domain::preferences::Channels;
use domain::{DenseVector, EmailAddress, EncoderId, Int8Vector};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};

use crate::ports::{NextDue, Placement, SlidingWindow, TokenBucket};
use crate::subscribers::deliveries::{
    AttemptEffect, BeginOutcome, DeliveryAttempt, DeliveryRecord, DeliveryStage, FencingToken, LeaseOutcome,
    LeaseRequest, Pick,
};
use crate::subscribers::pending::{ConfirmedRequest, PendingState, PendingSubscription};
use crate::subscribers::suppressions::{SuppressionCause, SuppressionEntry};
use crate::subscribers::{Channel, ReaderVote, Subscriber, SubscriberState};
use crate::testing::{Redis, TestStore, start_of_tests, subscriber, tasks};

const ADA: &str = "ada@example.org";

/// The same checks over memory and over Redis.
macro_rules! conformance {
    ($($check:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $check() {
                super::$check(crate::testing::TestStore::memory()).await;
            })+
        }

        mod redis {
            $(#[tokio::test]
            async fn $check() {
                let (redis, store) = super::on_redis().await;
                super::$check(store).await;
                drop(redis);
            })+
        }
    };
}

conformance! {
    a_subscriber_is_replaced_over_the_version_before_only,
    an_address_keeps_its_first_id,
    due_subscribers_are_claimed_once_and_again_after_the_lease,
    an_overtaken_owner_can_do_nothing_but_report_a_success,
    an_unanswered_attempt_makes_the_next_one_a_resend,
    attempts_that_were_not_tried_do_not_count,
    who_ended_the_subscription_is_not_sent_to,
    both_channels_send_the_same_papers_and_count_them_once,
    many_are_answered_in_their_order,
    slots_are_listed_newest_first,
    soft_bounces_are_told_from_digests_that_stayed,
    buckets_fill_by_themselves_and_are_taken_from_together,
    windows_hold_so_many_events_in_any_period,
    an_event_that_did_not_happen_makes_room,
    suppressions_are_replaced_by_version_and_listed,
    requests_end_after_a_week_or_when_confirmed,
    the_oldest_requests_make_room_for_new_ones,
    vectors_are_kept_for_the_version_they_are_of,
    pauses_that_end_are_found,
    whoever_is_forgotten_is_gone,
}

async fn on_redis() -> (Redis, TestStore) {
    let redis = Redis::start();
    let clock = common::clock::Clock::manual(start_of_tests()).0;
    let store = TestStore::redis(&redis.url, &clock, &tasks()).await;
    (redis, store)
}

fn later(minutes: i64) -> Timestamp {
    start_of_tests() + SignedDuration::from_mins(minutes)
}

const NEVER: Placement = Placement {
    due: [NextDue::Never; 2],
    vectors_hold: false,
};

/// An active subscriber who is due by mail so many minutes after the beginning.
async fn add(store: &TestStore, id: &str, due: i64) -> Subscriber {
    let one = subscriber(id);
    let placement = Placement {
        due: [NextDue::At(later(due)), NextDue::Never],
        vectors_hold: false,
    };
    assert!(store.store.replace(&one, placement).await.expect("an answer"));
    one
}

async fn token(store: &TestStore) -> FencingToken {
    store.due_queue.token().await.expect("a token")
}

fn attempt<'a>(token: &'a FencingToken, channel: Channel, id: &'a str) -> DeliveryAttempt<'a> {
    DeliveryAttempt {
        token,
        channel,
        id,
        slot: start_of_tests(),
    }
}

fn papers(ids: &[&str]) -> Vec<Pick> {
    let pick = |id: &&str| Pick {
        score: 1.0,
        trending: 0.25,
        interest: Some(2),
        ..Pick::known_only(id)
    };
    ids.iter().map(pick).collect()
}

async fn lease(store: &TestStore, attempt: DeliveryAttempt<'_>, papers: &[Pick], minutes: i64) -> LeaseOutcome {
    let request = LeaseRequest {
        attempt,
        papers,
        message_id: "<m>",
    };
    let leases = store.ledger.lease(&[request], later(minutes)).await;
    leases.expect("an answer").remove(0).expect("papers that parse")
}

async fn begin(store: &TestStore, attempt: DeliveryAttempt<'_>, minutes: i64) -> BeginOutcome {
    store.ledger.begin(attempt, later(minutes)).await.expect("an answer")
}

fn record(stage: DeliveryStage, papers: &[Pick], minutes: i64) -> DeliveryRecord {
    DeliveryRecord {
        stage,
        picks: papers.to_vec(),
        message_id: "<m>".to_owned(),
        at: later(minutes),
        ..DeliveryRecord::default()
    }
}

async fn settle(
    store: &TestStore,
    attempt: DeliveryAttempt<'_>,
    record: &DeliveryRecord,
    effect: AttemptEffect,
) -> bool {
    let settled = store.ledger.settle(attempt, record, later(60), effect).await;
    settled.expect("an answer")
}

async fn a_subscriber_is_replaced_over_the_version_before_only(store: TestStore) {
    let first = add(&store, ADA, 5).await;
    let replace = async |version| {
        let next = Subscriber {
            version,
            pause_reason: format!("version {version}"),
            ..first.clone()
        };
        let placement = Placement {
            due: [NextDue::Unchanged, NextDue::At(later(3))],
            vectors_hold: true,
        };
        store.store.replace(&next, placement).await.expect("an answer")
    };
    assert!(!replace(1).await, "it is there");
    assert!(!replace(3).await, "one is missing");
    assert!(replace(2).await);
    let known = store.store.get(ADA).await.expect("an answer").expect("a subscriber");
    assert_eq!((known.version, known.pause_reason.as_str()), (2, "version 2"));
    let due = |channel| store.due_queue.next_due(channel);
    assert_eq!(due(Channel::Mail).await.expect("an answer"), Some(later(5)));
    assert_eq!(due(Channel::Webhook).await.expect("an answer"), Some(later(3)));
    assert_eq!(store.due_queue.due(ADA).await.expect("an answer"), Some(later(3)));
    let never = Subscriber { version: 3, ..known };
    assert!(store.store.replace(&never, NEVER).await.expect("an answer"));
    assert_eq!(store.due_queue.due(ADA).await.expect("an answer"), None);
    let (_, active) = store.store.active(Channel::Mail, 0).await.expect("an answer");
    assert!(active.is_empty());
    assert_eq!(store.store.get("nobody").await.expect("an answer"), None);
}

async fn an_address_keeps_its_first_id(store: TestStore) {
    let email = EmailAddress::parse("Ada@Example.org").expect("an address");
    let reserve = |fresh| store.store.reserve_id(&email, fresh);
    assert_eq!(reserve("first").await.expect("an answer"), "first");
    assert_eq!(reserve("second").await.expect("an answer"), "first");
    assert_eq!(
        store.store.find(&email).await.expect("an answer"),
        None,
        "only reserved"
    );
    let one = Subscriber {
        id: "first".to_owned(),
        link_epoch: 2,
        pseudonym: "0f".to_owned(),
        votes: vec![ReaderVote {
            paper: domain::PaperId::parse("x:a").expect("an id"),
            time: later(1),
        }],
        ..subscriber(ADA)
    };
    assert!(store.store.replace(&one, NEVER).await.expect("an answer"));
    let found = store
        .store
        .find(&email)
        .await
        .expect("an answer")
        .expect("a subscriber");
    assert_eq!(found, one);
}

async fn due_subscribers_are_claimed_once_and_again_after_the_lease(store: TestStore) {
    add(&store, ADA, 0).await;
    add(&store, "bob@example.org", 30).await;
    let claim = async |minutes| {
        let batch = store.due_queue.claim(Channel::Mail, later(minutes), 10).await;
        batch.expect("an answer")
    };
    let (left, right) = tokio::join!(claim(0), claim(0));
    assert_eq!(left.ids.len() + right.ids.len(), 1);
    assert!(claim(0).await.ids.is_empty());
    let again = claim(2).await;
    assert_eq!(again.ids, [ADA]);
    assert!(again.token.epoch > left.token.epoch.max(right.token.epoch));
    let due = [("bob@example.org", later(90)), ("nobody", later(1))];
    store
        .due_queue
        .reschedule(Channel::Mail, &due)
        .await
        .expect("an answer");
    assert_eq!(claim(60).await.ids, [ADA], "the others are not due");
    assert_eq!(claim(120).await.ids, [ADA, "bob@example.org"], "the longest due first");
}

async fn an_overtaken_owner_can_do_nothing_but_report_a_success(store: TestStore) {
    add(&store, ADA, 0).await;
    let (early, late) = (token(&store).await, token(&store).await);
    let of = |token| attempt(token, Channel::Mail, ADA);
    let chosen = papers(&["x:a"]);
    assert_eq!(lease(&store, of(&early), &chosen, 0).await, LeaseOutcome::Granted(None));
    assert_eq!(
        lease(&store, of(&late), &chosen, 0).await,
        LeaseOutcome::Busy,
        "the lease holds"
    );
    let fixed = LeaseOutcome::Granted(Some(chosen.clone()));
    assert_eq!(lease(&store, of(&late), &papers(&["x:b"]), 2).await, fixed);
    // The early owner slept; neither it nor the record's coming free lets it act.
    assert_eq!(begin(&store, of(&early), 2).await, BeginOutcome::LeaseLost);
    let deferred = record(DeliveryStage::Deferred, &[], 2);
    assert!(!settle(&store, of(&early), &deferred, AttemptEffect::NotAccepted).await);
    assert!(settle(&store, of(&late), &deferred, AttemptEffect::NotAccepted).await);
    assert!(
        settle(&store, of(&late), &deferred, AttemptEffect::NotAccepted).await,
        "a second try of the same answer is one"
    );
    let kept = store
        .ledger
        .record(Channel::Mail, ADA, start_of_tests())
        .await
        .expect("an answer");
    assert_eq!((kept.stage, kept.attempts), (DeliveryStage::Deferred, 1));
    assert_eq!(kept.begun, Some(later(0)));
    assert_eq!(
        lease(&store, of(&early), &chosen, 30).await,
        LeaseOutcome::Busy,
        "not for the past"
    );
    assert!(!settle(&store, of(&early), &deferred, AttemptEffect::NotAccepted).await);
    // But what is out is out, whoever says so.
    let sent = record(DeliveryStage::Sent, &chosen, 3);
    assert!(settle(&store, of(&early), &sent, AttemptEffect::NotAccepted).await);
    let newest = token(&store).await;
    assert_eq!(lease(&store, of(&newest), &chosen, 30).await, LeaseOutcome::Done);
    assert!(!settle(&store, of(&newest), &deferred, AttemptEffect::NotAccepted).await);
    assert_eq!(store.due_queue.due(ADA).await.expect("an answer"), Some(later(60)));
}

async fn an_unanswered_attempt_makes_the_next_one_a_resend(store: TestStore) {
    add(&store, ADA, 0).await;
    let (early, late) = (token(&store).await, token(&store).await);
    let of = |token| attempt(token, Channel::Mail, ADA);
    let chosen = papers(&["x:a"]);
    lease(&store, of(&early), &chosen, 0).await;
    assert_eq!(begin(&store, of(&early), 0).await, BeginOutcome::Begun);
    // It crashed while the mail server had the mail; the lease runs out.
    let fixed = LeaseOutcome::Granted(Some(chosen));
    assert_eq!(lease(&store, of(&late), &papers(&["x:b"]), 5).await, fixed);
    assert_eq!(begin(&store, of(&late), 5).await, BeginOutcome::BegunAgain);
    assert_eq!(
        begin(&store, of(&late), 5).await,
        BeginOutcome::BegunAgain,
        "the answer was lost"
    );
    let kept = store
        .ledger
        .record(Channel::Mail, ADA, start_of_tests())
        .await
        .expect("an answer");
    assert_eq!((kept.stage, kept.resent), (DeliveryStage::Sending, 1));
}

async fn attempts_that_were_not_tried_do_not_count(store: TestStore) {
    add(&store, ADA, 0).await;
    for (minute, effect, attempts) in [
        (1, AttemptEffect::NotTried, 0),
        (5, AttemptEffect::NotAccepted, 1),
        (9, AttemptEffect::Unknown, 2),
    ] {
        let token = token(&store).await;
        let of = attempt(&token, Channel::Mail, ADA);
        lease(&store, of, &papers(&["x:a"]), minute).await;
        let begun = begin(&store, of, minute).await;
        assert_eq!(begun, BeginOutcome::Begun, "no attempt went without an answer before");
        let deferred = record(DeliveryStage::Deferred, &[], minute + 1);
        assert!(settle(&store, of, &deferred, effect).await);
        let kept = store
            .ledger
            .record(Channel::Mail, ADA, start_of_tests())
            .await
            .expect("an answer");
        assert_eq!(kept.attempts, attempts, "{effect:?}");
    }
    let token = token(&store).await;
    let of = attempt(&token, Channel::Mail, ADA);
    lease(&store, of, &papers(&["x:a"]), 20).await;
    assert_eq!(begin(&store, of, 20).await, BeginOutcome::BegunAgain);
}

async fn who_ended_the_subscription_is_not_sent_to(store: TestStore) {
    let one = add(&store, ADA, 0).await;
    let token = token(&store).await;
    let (mail, webhook) = (
        attempt(&token, Channel::Mail, ADA),
        attempt(&token, Channel::Webhook, ADA),
    );
    lease(&store, mail, &papers(&["x:a"]), 0).await;
    lease(&store, webhook, &papers(&["x:a"]), 0).await;
    assert_eq!(
        begin(&store, webhook, 0).await,
        BeginOutcome::NotWanted,
        "it takes mail alone"
    );
    let ended = Subscriber {
        state: SubscriberState::Unsubscribed,
        version: 2,
        ..one
    };
    assert!(store.store.replace(&ended, NEVER).await.expect("an answer"));
    assert_eq!(begin(&store, mail, 0).await, BeginOutcome::NotWanted);
    let empty = record(DeliveryStage::Empty, &[], 1);
    assert!(settle(&store, mail, &empty, AttemptEffect::NotAccepted).await);
    let kept = store
        .ledger
        .record(Channel::Mail, ADA, start_of_tests())
        .await
        .expect("an answer");
    assert_eq!((kept.stage, kept.picks.len()), (DeliveryStage::Empty, 0));
    assert_eq!(
        store.due_queue.due(ADA).await.expect("an answer"),
        None,
        "a late owner brings nobody back"
    );
}

async fn both_channels_send_the_same_papers_and_count_them_once(store: TestStore) {
    add(&store, ADA, 0).await;
    let token = token(&store).await;
    let (mail, webhook) = (
        attempt(&token, Channel::Mail, ADA),
        attempt(&token, Channel::Webhook, ADA),
    );
    let chosen = papers(&["x:a", "x:b"]);
    assert_eq!(lease(&store, mail, &chosen, 0).await, LeaseOutcome::Granted(None));
    let both = [(ADA, start_of_tests(), Channels::Both)];
    let history = async |channel| {
        let mut histories = store.ledger.histories(channel, &both).await.expect("an answer");
        histories.remove(0).expect("it parses")
    };
    assert_eq!(history(Channel::Webhook).await.record.picks, chosen);
    let fixed = LeaseOutcome::Granted(Some(chosen.clone()));
    assert_eq!(lease(&store, webhook, &papers(&["x:c"]), 0).await, fixed);
    for of in [mail, webhook] {
        let sent = record(DeliveryStage::Sent, &chosen, 1);
        assert!(settle(&store, of, &sent, AttemptEffect::NotAccepted).await);
    }
    let seen = history(Channel::Mail).await.seen;
    assert_eq!(seen.papers().count(), 2);
    assert_eq!(seen.last_slot, Some(start_of_tests()));
}

async fn many_are_answered_in_their_order(store: TestStore) {
    let ids: Vec<String> = (0..150).map(|number| format!("r{number}@example.org")).collect();
    for id in &ids {
        add(&store, id, 0).await;
    }
    let token = token(&store).await;
    let chosen: Vec<Vec<Pick>> = ids.iter().map(|id| papers(&[&format!("x:{id}")])).collect();
    let requests: Vec<LeaseRequest<'_>> = ids
        .iter()
        .zip(&chosen)
        .map(|(id, papers)| LeaseRequest {
            attempt: attempt(&token, Channel::Mail, id),
            papers,
            message_id: id,
        })
        .collect();
    let leases = store.ledger.lease(&requests, later(0)).await.expect("an answer");
    assert_eq!(leases.len(), ids.len());
    let begun = join_all(
        ids.iter()
            .map(|id| begin(&store, attempt(&token, Channel::Mail, id), 0)),
    )
    .await;
    assert!(begun.iter().all(|one| *one == BeginOutcome::Begun));
    for (id, papers) in ids.iter().zip(&chosen) {
        let kept = store
            .ledger
            .record(Channel::Mail, id, start_of_tests())
            .await
            .expect("an answer");
        assert_eq!((&kept.picks, &kept.message_id), (papers, id));
    }
    let mut asked = ids.clone();
    asked.insert(3, "nobody".to_owned());
    let profiles = store.store.profiles(&asked).await.expect("an answer");
    let found: Vec<Option<String>> = profiles
        .into_iter()
        .map(|one| one.expect("it parses").map(|profile| profile.subscriber.id))
        .collect();
    let expected: Vec<Option<String>> = asked
        .into_iter()
        .map(|id| Some(id).filter(|id| id != "nobody"))
        .collect();
    assert_eq!(found, expected);
}

async fn slots_are_listed_newest_first(store: TestStore) {
    add(&store, ADA, 0).await;
    let token = token(&store).await;
    for (channel, hours) in [
        (Channel::Mail, 0),
        (Channel::Mail, 24),
        (Channel::Webhook, 24),
        (Channel::Webhook, 48),
    ] {
        let of = DeliveryAttempt {
            slot: later(60 * hours),
            ..attempt(&token, channel, ADA)
        };
        lease(&store, of, &papers(&["x:a"]), 0).await;
    }
    let slots = async |before, most| store.ledger.slots(ADA, before, most).await.expect("an answer");
    assert_eq!(slots(None, 10).await, [later(60 * 48), later(60 * 24), later(0)]);
    assert_eq!(slots(None, 2).await, [later(60 * 48), later(60 * 24)]);
    assert_eq!(slots(Some(later(60 * 24)), 10).await, [later(0)]);
}

async fn soft_bounces_are_told_from_digests_that_stayed(store: TestStore) {
    add(&store, ADA, 0).await;
    let token = token(&store).await;
    let day = |day: i64| later(60 * 24 * day);
    for number in 0..4 {
        let of = DeliveryAttempt {
            slot: day(number),
            ..attempt(&token, Channel::Mail, ADA)
        };
        let chosen = papers(&["x:a"]);
        lease(&store, of, &chosen, 0).await;
        let sent = record(DeliveryStage::Sent, &chosen, 1);
        assert!(settle(&store, of, &sent, AttemptEffect::NotAccepted).await);
    }
    let within = SignedDuration::from_hours(24 * 7);
    let bounce = async |number| {
        let recorded = store.ledger.record_soft_bounce(ADA, day(number), within).await;
        recorded.expect("an answer")
    };
    let expected = [(day(0), false), (day(1), true), (day(2), false), (day(3), false)];
    assert_eq!(bounce(1).await, expected);
    assert_eq!(bounce(1).await, expected, "the same report again");
    assert_eq!(bounce(3).await[3], (day(3), true));
}

async fn buckets_fill_by_themselves_and_are_taken_from_together(store: TestStore) {
    let bucket = |name: &str, capacity| TokenBucket {
        name: name.to_owned(),
        capacity,
        filled_in: Duration::from_mins(1),
    };
    let take = async |network: &str, seconds| {
        let now = start_of_tests() + SignedDuration::from_secs(seconds);
        let buckets = [bucket("all", 5), bucket(network, 2)];
        store.rate_limiter.take(&buckets, now).await.expect("an answer")
    };
    assert_eq!(take("a", 0).await, None);
    assert_eq!(take("a", 0).await, None);
    assert_eq!(take("a", 0).await, Some(Duration::from_secs(30)));
    assert_eq!(take("b", 0).await, None, "another network");
    assert_eq!(take("a", 30).await, None, "a token is back");
    // 5 + 2.5 - 4 = 3.5 of all are left.
    for network in ["c", "d", "e"] {
        assert_eq!(take(network, 30).await, None);
    }
    assert_eq!(take("f", 30).await, Some(Duration::from_secs(6)), "all together");
}

fn window(name: &str, most: u32, hours: u64) -> SlidingWindow {
    SlidingWindow {
        name: name.to_owned(),
        most,
        length: Duration::from_hours(hours),
    }
}

async fn windows_hold_so_many_events_in_any_period(store: TestStore) {
    let windows = [window("hour", 1, 1), window("day", 3, 24)];
    let count = async |event: &str, minutes| {
        let counted = store.rate_limiter.count(&windows, event, later(minutes)).await;
        counted
            .expect("an answer")
            .map(|full| (full.index, full.wait.as_secs() / 60))
    };
    assert_eq!(count("a", 0).await, None);
    assert_eq!(count("a", 0).await, None, "the same event");
    assert_eq!(count("b", 1).await, Some((0, 59)));
    assert_eq!(count("c", 60).await, None);
    assert_eq!(count("d", 120).await, None);
    assert_eq!(count("e", 180).await, Some((1, 21 * 60)), "three a day");
    assert_eq!(count("f", 24 * 60).await, None, "the first one is a day ago");
    assert_eq!(count("g", 25 * 60 - 1).await, Some((0, 1)));
    let full = store
        .rate_limiter
        .full_window(&windows, later(24 * 60))
        .await
        .expect("an answer");
    assert_eq!(full.map(|full| full.index), Some(0));
    let other = [window("other", 1, 1)];
    for _ in 0..2 {
        let full = store
            .rate_limiter
            .full_window(&other, later(0))
            .await
            .expect("an answer");
        assert_eq!(full, None, "looking counts nothing");
    }
}

async fn an_event_that_did_not_happen_makes_room(store: TestStore) {
    let windows = [window("hour", 1, 1), window("all", 2, 1)];
    let limiter = &store.rate_limiter;
    assert_eq!(limiter.count(&windows, "a", later(0)).await.expect("an answer"), None);
    limiter.uncount(&windows, "a", later(0)).await.expect("an answer");
    for (event, hour) in [("b", "hour"), ("c", "another")] {
        let windows = [window(hour, 1, 1), windows[1].clone()];
        assert_eq!(
            limiter.count(&windows, event, later(1)).await.expect("an answer"),
            None,
            "{event}"
        );
    }
    let full = limiter.full_window(&windows[1..], later(1)).await.expect("an answer");
    assert_eq!(full.map(|full| full.index), Some(0));
}

/// A request of an address, so many minutes after the beginning.
fn request(id: &str, email: &str, minutes: i64) -> PendingSubscription {
    PendingSubscription {
        id: id.to_owned(),
        email: EmailAddress::parse(email).expect("an address"),
        preferences: subscriber(email).preferences,
        requested: later(minutes),
    }
}

async fn requests_end_after_a_week_or_when_confirmed(store: TestStore) {
    const DAY: i64 = 24 * 60;
    let pending = &store.pending;
    let requests = [
        request("a", "ada@example.org", 0),
        request("b", "Ada+tag@example.org", DAY),
        request("c", "eve@example.org", DAY),
    ];
    for one in &requests {
        pending.keep(one, 1 << 20, one.requested).await.expect("kept");
    }
    let waiting = |index: usize| PendingState::Waiting(Box::new(requests[index].clone()));
    let find = async |id: &str, minutes| pending.pending(id, later(minutes)).await.expect("an answer");
    let of_ada = async |minutes| {
        let found = pending.pending_of(&requests[0].mailbox_hash(), later(minutes)).await;
        found.expect("an answer").len()
    };
    assert_eq!(find("a", 7 * DAY - 1).await, Some(waiting(0)));
    assert_eq!(
        (find("a", 7 * DAY).await, find("b", 7 * DAY).await),
        (None, Some(waiting(1)))
    );
    assert_eq!(
        (of_ada(2 * DAY).await, of_ada(7 * DAY).await, of_ada(8 * DAY).await),
        (2, 1, 0)
    );
    let confirmed = ConfirmedRequest {
        subscriber_id: "ada".to_owned(),
        link_epoch: 2,
    };
    pending
        .mark_confirmed(&requests[1], &confirmed, later(2 * DAY))
        .await
        .expect("marked");
    assert_eq!(
        find("b", 2 * DAY).await,
        Some(PendingState::Confirmed(confirmed.clone()))
    );
    assert_eq!(find("b", 8 * DAY).await, None, "and that ends, too");
    assert_eq!(of_ada(2 * DAY).await, 2);
    pending.drop_pending(&requests[2]).await.expect("dropped");
    assert_eq!(find("c", DAY).await, None);
    // Only what waits takes room.
    let late = request("d", "joe@example.org", 2 * DAY);
    let used = pending.keep(&late, 1 << 20, late.requested).await.expect("kept");
    assert_eq!(used, requests[0].size() + late.size());
    let later_still = request("e", "joe@example.org", 30 * DAY);
    let used = pending
        .keep(&later_still, 1 << 20, later_still.requested)
        .await
        .expect("kept");
    assert_eq!(used, later_still.size(), "what ended takes none");
}

async fn the_oldest_requests_make_room_for_new_ones(store: TestStore) {
    let budget = 3 * request("0", ADA, 0).size();
    for number in 0..5 {
        let one = request(&number.to_string(), ADA, number);
        let used = store.pending.keep(&one, budget, later(number)).await.expect("kept");
        assert!(used <= budget, "{used}");
    }
    let mut waiting = Vec::new();
    for id in ["0", "1", "2", "3", "4"] {
        waiting.push(store.pending.pending(id, later(5)).await.expect("an answer").is_some());
    }
    assert_eq!(waiting, [false, false, true, true, true]);
    let of_ada = store
        .pending
        .pending_of(&request("0", ADA, 0).mailbox_hash(), later(5))
        .await;
    assert_eq!(of_ada.expect("an answer").len(), 3);
}

async fn suppressions_are_replaced_by_version_and_listed(store: TestStore) {
    let entry = |version, cause| SuppressionEntry {
        version,
        cause,
        since: later(0),
    };
    let replace = async |hash: &str, entry| {
        let replaced = store.store.replace_suppression(hash, entry).await;
        replaced.expect("an answer")
    };
    let bounce = entry(1, Some(SuppressionCause::Bounce));
    assert_eq!(store.store.suppression("a").await.expect("an answer"), None);
    assert!(replace("a", bounce).await);
    assert!(!replace("a", bounce).await);
    assert_eq!(store.store.suppression("a").await.expect("an answer"), Some(bounce));
    assert!(replace("a", entry(2, None)).await, "lifted");
    assert!(replace("b", entry(1, Some(SuppressionCause::Complaint))).await);
    let (next, listed) = store.store.suppressions(0, 10).await.expect("an answer");
    let listed: Vec<_> = listed.iter().map(|one| (one.hash.as_str(), one.cause)).collect();
    assert_eq!((next, listed), (0, vec![("b", SuppressionCause::Complaint)]));
}

async fn vectors_are_kept_for_the_version_they_are_of(store: TestStore) {
    let mut one = subscriber(ADA);
    one.preferences.interests = vec![domain::Interest::in_words("cats")];
    assert!(store.store.replace(&one, NEVER).await.expect("an answer"));
    let encoder = EncoderId::parse("test@1").expect("an encoder id");
    let vector = DenseVector::new(vec![0.6, 0.8]).expect("a vector");
    let vectors = (encoder, vec![Int8Vector::quantise(&vector)]);
    let kept = async || {
        let mut profiles = store.store.profiles(&[ADA.to_owned()]).await.expect("an answer");
        profiles.remove(0).expect("it parses").expect("a subscriber").vectors
    };
    assert_eq!(kept().await, None);
    store.store.keep_vectors(&one, &vectors).await.expect("an answer");
    assert_eq!(kept().await, Some(vectors.clone()));
    for (vectors_hold, expected) in [(true, Some(vectors.clone())), (false, None)] {
        one.version += 1;
        let placement = Placement { vectors_hold, ..NEVER };
        assert!(store.store.replace(&one, placement).await.expect("an answer"));
        assert_eq!(kept().await, expected);
    }
    let stale = Subscriber { version: 1, ..one };
    store.store.keep_vectors(&stale, &vectors).await.expect("an answer");
    assert_eq!(kept().await, None, "the subscriber changed meanwhile");
}

async fn pauses_that_end_are_found(store: TestStore) {
    for (id, until) in [
        ("a@example.org", Some(later(5))),
        ("b@example.org", Some(later(9))),
        ("c@example.org", None),
    ] {
        let paused = Subscriber {
            state: SubscriberState::Paused,
            paused_until: until,
            ..subscriber(id)
        };
        assert!(store.store.replace(&paused, NEVER).await.expect("an answer"));
    }
    let ending = async |minutes| store.store.pauses_ending(later(minutes), 10).await.expect("an answer");
    assert_eq!(ending(4).await, Vec::<String>::new());
    assert_eq!(ending(5).await, ["a@example.org"]);
    assert_eq!(ending(60).await, ["a@example.org", "b@example.org"]);
}

async fn whoever_is_forgotten_is_gone(store: TestStore) {
    let email = EmailAddress::parse(ADA).expect("an address");
    store.store.reserve_id(&email, ADA).await.expect("an answer");
    let one = add(&store, ADA, 0).await;
    let token = token(&store).await;
    let of = attempt(&token, Channel::Mail, ADA);
    let chosen = papers(&["x:a"]);
    lease(&store, of, &chosen, 0).await;
    settle(
        &store,
        of,
        &record(DeliveryStage::Sent, &chosen, 1),
        AttemptEffect::NotAccepted,
    )
    .await;
    store.store.forget(&one).await.expect("an answer");
    assert_eq!(store.store.get(ADA).await.expect("an answer"), None);
    assert_eq!(store.store.find(&email).await.expect("an answer"), None);
    assert_eq!(store.due_queue.due(ADA).await.expect("an answer"), None);
    assert_eq!(store.ledger.slots(ADA, None, 10).await.expect("an answer"), []);
    let digest = [(ADA, start_of_tests(), Channels::Mail)];
    let history = store
        .ledger
        .histories(Channel::Mail, &digest)
        .await
        .expect("an answer")
        .remove(0);
    let history = history.expect("it parses");
    assert_eq!(
        (history.record.stage, history.seen.papers().count()),
        (DeliveryStage::None, 0)
    );
}
