use super::*;
use crate::metrics::{EMPTY_SLOTS, RESENT};
use crate::subscribers::deliveries::Stage;
use crate::subscribers::seen::PaperKey;
use crate::testing::House;

const ADA: &str = "ada@example.org";

async fn deliver(house: &House, reader: &Subscriber, minutes: i64) -> Delivered {
    house.deliver(&reader.id, minutes).await
}

#[tokio::test]
async fn of_many_deliverers_one_sends() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    let reader = house.reader(ADA, &["cats"]).await;
    let all: Vec<_> = (0..8).map(|_| deliver(&house, &reader, 0)).collect();
    let all = futures::future::join_all(all).await;
    assert_eq!(house.mails().len(), 1);
    assert_eq!(
        all.iter()
            .filter(|one| one.record.stage == Stage::Sent && !one.before)
            .count(),
        1
    );
    let later = deliver(&house, &reader, 5).await;
    assert!(later.before, "already delivered");
    assert_eq!(house.mails().len(), 1);
    let [mail] = &house.mails()[..] else { panic!("one mail") };
    assert_eq!(
        mail.message_id,
        format!("<{ADA}.{}@example.org>", later.slot.as_millisecond())
    );
    assert!(
        mail.text.contains("because you follow “cats” (match 0.80)"),
        "{}",
        mail.text
    );
}

#[tokio::test]
async fn no_paper_comes_twice_and_an_empty_slot_says_why() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    let reader = house.reader(ADA, &[]).await;
    assert_eq!(deliver(&house, &reader, 0).await.record.stage, Stage::Sent);
    let next_day = deliver(&house, &reader, 24 * 60).await;
    assert_eq!(next_day.record.stage, Stage::Empty);
    assert!(next_day.record.detail.contains("no paper in the window"));
    house.add_paper("x:b", "on dogs", "test@1");
    let filled = deliver(&house, &reader, 24 * 60 + 5).await;
    assert_eq!(filled.record.stage, Stage::Sent, "an empty slot may still be filled");
    assert_eq!(
        filled
            .record
            .picks
            .iter()
            .map(|pick| pick.id.as_str())
            .collect::<Vec<_>>(),
        ["x:b"]
    );
}

#[tokio::test]
async fn a_crash_after_the_mail_was_taken_leads_to_the_same_mail_once_more() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    let reader = house.reader(ADA, &["cats"]).await;
    house.post.hand.forget_permits(64);
    {
        let process = std::pin::pin!(house.turn(ADA, 0));
        tokio::select! {
            _ = process => panic!("the mail server has not answered"),
            () = house.post.taken.notified() => {}
        }
    }
    house.post.hand.add_permits(64);
    house.add_paper("x:b", "more on cats", "test@1");

    let at_once = deliver(&house, &reader, 0).await;
    assert_eq!(
        (at_once.record.stage, at_once.before),
        (Stage::Sending, false),
        "the lease holds"
    );
    assert_eq!(house.mails().len(), 1);
    let resent = RESENT.get();
    assert_eq!(deliver(&house, &reader, 5).await.record.stage, Stage::Sent);
    assert!(RESENT.get() > resent);
    let [first, second] = &house.mails()[..] else {
        panic!("two mails")
    };
    assert_eq!((&first.message_id, &first.text), (&second.message_id, &second.text));
    deliver(&house, &reader, 10).await;
    assert_eq!(house.mails().len(), 2);
}

#[tokio::test]
async fn an_unsubscription_in_between_stops_the_mail() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    let reader = house.reader(ADA, &["cats"]).await;
    *house.meaning.unsubscribes.lock().expect("unpoisoned") = Some((house.subscribers.clone(), ADA.to_owned()));
    let delivered = deliver(&house, &reader, 0).await;
    assert_eq!(delivered.record.stage, Stage::Empty);
    assert_eq!(delivered.record.detail, "the subscription is not active");
    assert!(house.mails().is_empty());
    assert!(house.past(ADA, delivered.slot).await.seen.is_empty());
}

#[tokio::test]
async fn a_wrong_address_is_suppressed_and_a_refused_mail_is_not() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    let ada = house.reader(ADA, &[]).await;
    let eve = house.reader("eve@example.org", &[]).await;
    house.answer(Err(SendError::NoSuchAddress("550 5.1.1".into())));
    house.answer(Err(SendError::Refused("554".into())));
    assert_eq!(deliver(&house, &ada, 0).await.record.stage, Stage::Failed);
    assert_eq!(deliver(&house, &eve, 0).await.record.stage, Stage::Failed);
    assert_eq!(house.again(ADA).await.state, State::Suppressed);
    assert_eq!(house.subscribers.due(ADA).await.expect("redis answers"), None);
    assert_eq!(house.again("eve@example.org").await.state, State::Active);
    let again = deliver(&house, &ada, 5).await;
    assert_eq!((again.record.stage, again.before), (Stage::Failed, false));
    assert!(house.mails().is_empty());
}

#[tokio::test]
async fn a_refusal_for_now_is_tried_again_later_and_later() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    let reader = house.reader(ADA, &[]).await;
    for attempt in 0..3_u32 {
        house.answer(Err(SendError::Transient("451".into())));
        let delivered = deliver(&house, &reader, 0).await;
        assert_eq!(delivered.record.stage, Stage::Deferred);
        let due = house.subscribers.due(ADA).await.expect("redis answers").expect("due");
        let expected = delivered
            .record
            .at
            .saturating_add(SignedDuration::from_mins(1 << attempt));
        assert_eq!(due.as_millisecond(), expected.expect("a timestamp").as_millisecond());
    }
    let slot = house.preview(ADA).await.slot;
    assert_eq!(house.past(ADA, slot).await.record.attempts, 3);
    assert_eq!(deliver(&house, &reader, 0).await.record.stage, Stage::Sent);
}

#[tokio::test]
async fn a_mail_that_is_not_tried_waits_for_the_end_of_the_pause_and_no_longer_each_time() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    let reader = house.reader(ADA, &[]).await;
    for seconds in [300, 1, 300] {
        house.answer(Err(SendError::Paused {
            problem: "sending is paused".to_owned(),
            remaining: std::time::Duration::from_secs(seconds),
        }));
        let delivered = deliver(&house, &reader, 0).await;
        assert_eq!(delivered.record.stage, Stage::Deferred);
        // Not sooner than any other mail that is put off.
        let wait = SignedDuration::from_secs(i64::try_from(seconds.max(60)).expect("small"));
        let expected = delivered.record.at.saturating_add(wait).expect("a timestamp");
        assert_eq!(house.due(ADA).await.as_millisecond(), expected.as_millisecond());
    }
    let slot = house.preview(ADA).await.slot;
    assert_eq!(house.past(ADA, slot).await.record.attempts, 0);
    let sent = deliver(&house, &reader, 0).await.record;
    assert_eq!((sent.stage, sent.resent), (Stage::Sent, 0));
}

#[tokio::test]
async fn a_lost_answer_makes_the_next_attempt_a_resend() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    let reader = house.reader(ADA, &[]).await;
    house.answer(Err(SendError::Lost("connection reset".into())));
    assert_eq!(deliver(&house, &reader, 0).await.record.stage, Stage::Deferred);
    let resent = RESENT.get();
    assert_eq!(deliver(&house, &reader, 1).await.record.stage, Stage::Sent);
    assert!(RESENT.get() > resent);
}

#[tokio::test]
async fn interests_that_cannot_be_embedded_put_the_edition_off_and_say_so() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    let reader = house.reader(ADA, &["cats"]).await;
    *house.meaning.broken.lock().expect("unpoisoned") = Some("no model".into());
    let delivered = deliver(&house, &reader, 0).await;
    assert_eq!(delivered.record.stage, Stage::Deferred);
    assert_eq!(delivered.record.detail, "interests cannot be embedded: no model");
    *house.meaning.broken.lock().expect("unpoisoned") = None;
    assert_eq!(deliver(&house, &reader, 1).await.record.stage, Stage::Sent);
}

#[tokio::test]
async fn interests_are_embedded_once_per_encoder() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    house.reader(ADA, &["cats"]).await;
    let calls = || house.meaning.calls.load(std::sync::atomic::Ordering::Relaxed);
    for _ in 0..2 {
        house.preview(ADA).await;
        assert_eq!(calls(), 1);
    }
    house.add_paper("x:b", "on cats", "test@2");
    "test@2".clone_into(&mut house.meaning.name.lock().expect("unpoisoned"));
    let edition = house.preview(ADA).await;
    assert_eq!(calls(), 2);
    let ids: Vec<_> = edition.papers.iter().map(|one| one.paper.id.as_str()).collect();
    assert_eq!(ids, ["x:b"], "papers of another encoder cannot be compared");
}

#[tokio::test]
async fn a_chunk_embeds_its_interests_together_and_one_that_breaks_takes_nobody_along() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    let names = ["ada@example.org", "bob@example.org", "cyd@example.org"].map(str::to_owned);
    for name in &names {
        house.reader(name, &["cats", "dogs"]).await;
    }
    let calls = || house.meaning.calls.load(std::sync::atomic::Ordering::Relaxed);
    *house.meaning.chokes_on.lock().expect("unpoisoned") = Some("birds".into());
    house.reader("bob@example.org", &["birds"]).await;
    let outcomes = house
        .editions
        .deliver(Channel::Mail, names.to_vec(), house.now)
        .await
        .expect("delivered");
    assert_eq!(calls(), 1 + 3, "together, then each alone");
    let stage = |id: &String| {
        let outcome = outcomes.iter().find(|one| one.email == *id).expect("an outcome");
        outcome.result.as_ref().expect("delivered").record.stage
    };
    assert_eq!(names.each_ref().map(stage), [Stage::Sent, Stage::Deferred, Stage::Sent]);
    house.add_paper("x:b", "more on cats", "test@1");
    house
        .editions
        .deliver(Channel::Mail, names.to_vec(), house.later(24 * 60))
        .await
        .expect("delivered");
    assert_eq!(calls(), 5, "what is kept is not made again");
}

#[tokio::test]
async fn an_edition_whose_turn_comes_too_late_expires_and_the_next_one_follows() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    let reader = house.reader(ADA, &[]).await;
    let expired = house.turn(ADA, 12 * 60).await.result.expect("settled");
    assert_eq!(expired.record.stage, Stage::Expired, "13 hours after its slot");
    assert!(
        expired.record.detail.contains("13 hours after"),
        "{}",
        expired.record.detail
    );
    assert!(house.mails().is_empty());
    let next = reader.preferences.schedule.next_slot(house.later(12 * 60));
    assert_eq!(house.due(ADA).await.as_millisecond(), next.as_millisecond());
    let sent = house.turn(ADA, 24 * 60).await.result.expect("sent");
    assert_eq!(
        (sent.record.stage, sent.record.picks.len()),
        (Stage::Sent, 1),
        "nothing was lost"
    );
    let asked = house.deliver(ADA, 12 * 60).await;
    assert_eq!(asked.record.stage, Stage::Empty, "an operator may still ask for it");
}

#[tokio::test]
async fn an_edition_that_is_put_off_expires_by_its_first_attempt() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    house.reader(ADA, &[]).await;
    let transient = || house.answer(Err(SendError::Transient("451".into())));
    transient();
    assert_eq!(
        house.deliver(ADA, 20 * 60).await.record.stage,
        Stage::Deferred,
        "asked for at the 21st hour"
    );
    transient();
    let again = house.turn(ADA, 22 * 60).await.result.expect("settled");
    assert_eq!(again.record.stage, Stage::Deferred, "it goes on");
    transient();
    house.deliver(ADA, 24 * 60).await;
    let expired = house.turn(ADA, 36 * 60 + 1).await.result.expect("settled");
    assert_eq!(expired.record.stage, Stage::Expired);
    assert!(
        expired.record.detail.ends_with("last said: 451"),
        "{}",
        expired.record.detail
    );
}

#[tokio::test]
async fn an_empty_slot_says_which_kind_of_empty_it_is() {
    let house = House::build().await;
    house.reader(ADA, &["cats"]).await;
    let why = async |minutes: i64, reason: &str| {
        let before = EMPTY_SLOTS.with_label_values(&[reason]).get();
        let delivered = house.deliver(ADA, minutes).await;
        assert_eq!(delivered.record.stage, Stage::Empty);
        assert!(EMPTY_SLOTS.with_label_values(&[reason]).get() > before, "{reason}");
        delivered.record.detail
    };
    assert!(why(0, "no_new_paper").await.contains("no paper"));
    house
        .subscribers
        .unsubscribe(ADA, house.now)
        .await
        .expect("redis answers");
    assert_eq!(why(0, "not_active").await, "the subscription is not active");
}

#[tokio::test]
async fn what_was_sent_is_known_for_as_long_as_it_can_come_back_and_not_longer() {
    let house = House::build().await;
    let reader = house.reader(ADA, &[]).await;
    let key = |id: &str| PaperKey::of(&domain::PaperId::parse(id).expect("an id"));
    for (day, id) in [(0, "x:a"), (41, "x:b"), (43, "x:c")] {
        house.add_paper_at(id, "on cats", "test@1", day * 24 * 60);
        assert_eq!(deliver(&house, &reader, day * 24 * 60).await.record.stage, Stage::Sent);
    }
    let last = house.deliver(ADA, 43 * 24 * 60).await;
    assert!(last.before);
    let seen = house.past(ADA, last.slot).await.seen;
    assert!(!seen.contains(key("x:a")), "older than 7 and 35 days");
    assert!(seen.contains(key("x:b")) && seen.contains(key("x:c")));
    assert_eq!(
        house
            .subscribers
            .slots(ADA, None, 9)
            .await
            .expect("redis answers")
            .len(),
        2
    );
}

#[tokio::test]
async fn no_more_mails_are_with_the_mail_server_than_it_has_connections() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    let mut ids = Vec::new();
    for number in 0..40 {
        ids.push(house.reader(&format!("r{number}@example.org"), &[]).await.id);
    }
    house.post.hand.forget_permits(64);
    let (editions, now) = (Arc::clone(&house.editions), house.now);
    let delivering = tokio::spawn(async move { editions.deliver(Channel::Mail, ids, now).await });
    while house.mails().len() < 16 {
        house.post.taken.notified().await;
    }
    house.post.hand.add_permits(64);
    let outcomes = delivering.await.expect("ended").expect("delivered");
    let sent = outcomes
        .iter()
        .filter(|one| one.result.as_ref().is_ok_and(|one| one.record.stage == Stage::Sent));
    assert_eq!((sent.count(), house.mails().len()), (40, 40));
    assert_eq!(house.post.most_at_once.load(std::sync::atomic::Ordering::Relaxed), 16);
}
