use super::*;
use crate::subscribers::SubscriberState;
use crate::subscribers::deliveries::DeliveryStage;
use crate::subscribers::seen::PaperKey;
use crate::testing::TestService;

const ADA: &str = "ada@example.org";

async fn deliver(service: &TestService, reader: &Subscriber, minutes: i64) -> SettledDigest {
    service.deliver(&reader.id, minutes).await
}

#[tokio::test]
async fn of_many_deliverers_one_sends() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    let reader = service.reader(ADA, &["cats"]).await;
    let all: Vec<_> = (0..8).map(|_| deliver(&service, &reader, 0)).collect();
    let all = futures::future::join_all(all).await;
    assert_eq!(service.mails().len(), 1);
    assert_eq!(
        all.iter()
            .filter(|one| one.record.stage == DeliveryStage::Sent && !one.before)
            .count(),
        1
    );
    let later = deliver(&service, &reader, 5).await;
    assert!(later.before, "already delivered");
    assert_eq!(service.mails().len(), 1);
    let [mail] = &service.mails()[..] else {
        panic!("one mail")
    };
    assert_eq!(
        mail.message_id,
        crate::testing::mail_ids().message_id(ADA, &later.slot.as_millisecond().to_string())
    );
    assert!(
        mail.text.contains("because you follow “cats” (match 0.80)"),
        "{}",
        mail.text
    );
}

#[tokio::test]
async fn no_paper_comes_twice_and_an_empty_slot_says_why() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    let reader = service.reader(ADA, &[]).await;
    assert_eq!(deliver(&service, &reader, 0).await.record.stage, DeliveryStage::Sent);
    let next_day = deliver(&service, &reader, 24 * 60).await;
    assert_eq!(next_day.record.stage, DeliveryStage::Empty);
    assert!(next_day.record.detail.contains("no paper in the window"));
    service.add_paper("x:b", "on dogs", "test@1");
    let filled = deliver(&service, &reader, 24 * 60 + 5).await;
    assert_eq!(
        filled.record.stage,
        DeliveryStage::Sent,
        "an empty slot may still be filled"
    );
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
async fn a_crash_after_acceptance_sends_the_same_mail_once_more() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    let reader = service.reader(ADA, &["cats"]).await;
    service.transport.hand.forget_permits(64);
    {
        let process = std::pin::pin!(service.deliver_due(ADA, 0));
        tokio::select! {
            _ = process => panic!("the mail server has not answered"),
            () = service.transport.taken.notified() => {}
        }
    }
    service.transport.hand.add_permits(64);
    service.add_paper("x:b", "more on cats", "test@1");

    let at_once = deliver(&service, &reader, 0).await;
    assert_eq!(
        (at_once.record.stage, at_once.before),
        (DeliveryStage::Sending, false),
        "the lease holds"
    );
    assert_eq!(service.mails().len(), 1);
    let again = deliver(&service, &reader, 5).await.record;
    assert_eq!((again.stage, again.resent), (DeliveryStage::Sent, 1));
    let [first, second] = &service.mails()[..] else {
        panic!("two mails")
    };
    assert_eq!((&first.message_id, &first.text), (&second.message_id, &second.text));
    deliver(&service, &reader, 10).await;
    assert_eq!(service.mails().len(), 2);
}

#[tokio::test]
async fn an_unsubscription_in_between_stops_the_mail() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    let reader = service.reader(ADA, &["cats"]).await;
    *service.encoder.unsubscribes.lock().expect("unpoisoned") = Some((service.subscriptions.clone(), ADA.to_owned()));
    let delivered = deliver(&service, &reader, 0).await;
    assert_eq!(delivered.record.stage, DeliveryStage::Empty);
    assert_eq!(delivered.record.detail, "the subscription is not active");
    assert!(service.mails().is_empty());
    assert!(service.history(ADA, delivered.slot).await.seen.is_empty());
}

#[tokio::test]
async fn a_wrong_address_is_suppressed_and_a_refused_mail_is_not() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    let ada = service.reader(ADA, &[]).await;
    let eve = service.reader("eve@example.org", &[]).await;
    service.answer(Err(SendError::NoSuchAddress("550 5.1.1".into())));
    service.answer(Err(SendError::Refused("554".into())));
    assert_eq!(deliver(&service, &ada, 0).await.record.stage, DeliveryStage::Failed);
    assert_eq!(deliver(&service, &eve, 0).await.record.stage, DeliveryStage::Failed);
    assert_eq!(service.again(ADA).await.state, SubscriberState::Suppressed);
    assert_eq!(service.due_queue.due(ADA).await.expect("redis answers"), None);
    assert_eq!(service.again("eve@example.org").await.state, SubscriberState::Active);
    let again = deliver(&service, &ada, 5).await;
    assert_eq!((again.record.stage, again.before), (DeliveryStage::Failed, false));
    assert!(service.mails().is_empty());
}

#[tokio::test]
async fn a_refusal_for_now_is_tried_again_later_and_later() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    let reader = service.reader(ADA, &[]).await;
    for attempt in 0..3_u32 {
        service.answer(Err(SendError::Transient("451".into())));
        let delivered = deliver(&service, &reader, 0).await;
        assert_eq!(delivered.record.stage, DeliveryStage::Deferred);
        let due = service.due_queue.due(ADA).await.expect("redis answers").expect("due");
        let expected = delivered
            .record
            .at
            .saturating_add(SignedDuration::from_mins(1 << attempt));
        assert_eq!(due.as_millisecond(), expected.expect("a timestamp").as_millisecond());
    }
    let slot = service.preview(ADA).await.slot;
    assert_eq!(service.history(ADA, slot).await.record.attempts, 3);
    assert_eq!(deliver(&service, &reader, 0).await.record.stage, DeliveryStage::Sent);
}

#[tokio::test]
async fn a_mail_that_is_not_tried_waits_for_the_end_of_the_pause() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    let reader = service.reader(ADA, &[]).await;
    for seconds in [300, 1, 300] {
        service.answer(Err(SendError::Paused {
            problem: "sending is paused".to_owned(),
            remaining: std::time::Duration::from_secs(seconds),
        }));
        let delivered = deliver(&service, &reader, 0).await;
        assert_eq!(delivered.record.stage, DeliveryStage::Deferred);
        // Not sooner than any other mail that is put off.
        let wait = SignedDuration::from_secs(i64::try_from(seconds.max(60)).expect("small"));
        let expected = delivered.record.at.saturating_add(wait).expect("a timestamp");
        assert_eq!(service.due(ADA).await.as_millisecond(), expected.as_millisecond());
    }
    let slot = service.preview(ADA).await.slot;
    assert_eq!(service.history(ADA, slot).await.record.attempts, 0);
    let sent = deliver(&service, &reader, 0).await.record;
    assert_eq!((sent.stage, sent.resent), (DeliveryStage::Sent, 0));
}

#[tokio::test]
async fn a_lost_answer_makes_the_next_attempt_a_resend() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    let reader = service.reader(ADA, &[]).await;
    service.answer(Err(SendError::Lost("connection reset".into())));
    assert_eq!(
        deliver(&service, &reader, 0).await.record.stage,
        DeliveryStage::Deferred
    );
    let again = deliver(&service, &reader, 1).await.record;
    assert_eq!((again.stage, again.resent), (DeliveryStage::Sent, 1));
}

#[tokio::test]
async fn interests_that_cannot_be_embedded_defer_the_digest() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    let reader = service.reader(ADA, &["cats"]).await;
    *service.encoder.broken.lock().expect("unpoisoned") = Some("no model".into());
    let delivered = deliver(&service, &reader, 0).await;
    assert_eq!(delivered.record.stage, DeliveryStage::Deferred);
    assert_eq!(delivered.record.detail, "interests cannot be embedded: no model");
    *service.encoder.broken.lock().expect("unpoisoned") = None;
    assert_eq!(deliver(&service, &reader, 1).await.record.stage, DeliveryStage::Sent);
}

#[tokio::test]
async fn interests_are_embedded_once_per_encoder() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    service.reader(ADA, &["cats"]).await;
    let calls = || service.encoder.calls.load(std::sync::atomic::Ordering::Relaxed);
    for _ in 0..2 {
        service.preview(ADA).await;
        assert_eq!(calls(), 1);
    }
    service.add_paper_at("x:b", "on cats", "test@2", 1);
    "test@2".clone_into(&mut service.encoder.name.lock().expect("unpoisoned"));
    let digest = service.preview(ADA).await;
    assert_eq!(calls(), 2);
    let ids: Vec<_> = digest.papers.iter().map(|one| one.paper.id.as_str()).collect();
    assert_eq!(ids, ["x:b"], "papers of another encoder cannot be compared");
}

#[tokio::test]
async fn one_interest_that_breaks_takes_nobody_along() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    let names = ["ada@example.org", "bob@example.org", "cyd@example.org"].map(str::to_owned);
    for name in &names {
        service.reader(name, &["cats", "dogs"]).await;
    }
    let calls = || service.encoder.calls.load(std::sync::atomic::Ordering::Relaxed);
    *service.encoder.chokes_on.lock().expect("unpoisoned") = Some("birds".into());
    service.reader("bob@example.org", &["birds"]).await;
    let outcomes = service
        .digests
        .deliver_now(Channel::Mail, names.to_vec())
        .await
        .expect("delivered");
    assert_eq!(calls(), 1 + 3, "together, then each alone");
    let stage = |id: &String| {
        let outcome = outcomes.iter().find(|one| one.email == *id).expect("an outcome");
        outcome.result.as_ref().expect("delivered").record.stage
    };
    assert_eq!(
        names.each_ref().map(stage),
        [DeliveryStage::Sent, DeliveryStage::Deferred, DeliveryStage::Sent]
    );
    service.add_paper("x:b", "more on cats", "test@1");
    service
        .at(24 * 60)
        .digests
        .deliver_now(Channel::Mail, names.to_vec())
        .await
        .expect("delivered");
    assert_eq!(calls(), 5, "what is kept is not made again");
}

#[tokio::test]
async fn a_digest_that_is_too_late_expires_and_the_next_one_follows() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    let reader = service.reader(ADA, &[]).await;
    let expired = service.deliver_due(ADA, 12 * 60).await.result.expect("settled");
    assert_eq!(expired.record.stage, DeliveryStage::Expired, "13 hours after its slot");
    assert!(
        expired.record.detail.contains("13 hours after"),
        "{}",
        expired.record.detail
    );
    assert!(service.mails().is_empty());
    let next = reader.preferences.schedule.next_slot(service.later(12 * 60));
    assert_eq!(service.due(ADA).await.as_millisecond(), next.as_millisecond());
    let sent = service.deliver_due(ADA, 24 * 60).await.result.expect("sent");
    assert_eq!(
        (sent.record.stage, sent.record.picks.len()),
        (DeliveryStage::Sent, 1),
        "nothing was lost"
    );
    let asked = service.deliver(ADA, 12 * 60).await;
    assert_eq!(
        asked.record.stage,
        DeliveryStage::Empty,
        "an operator may still ask for it"
    );
}

#[tokio::test]
async fn a_deferred_digest_expires_by_its_first_attempt() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    service.reader(ADA, &[]).await;
    let transient = || service.answer(Err(SendError::Transient("451".into())));
    transient();
    assert_eq!(
        service.deliver(ADA, 20 * 60).await.record.stage,
        DeliveryStage::Deferred,
        "asked for at the 21st hour"
    );
    transient();
    let again = service.deliver_due(ADA, 22 * 60).await.result.expect("settled");
    assert_eq!(again.record.stage, DeliveryStage::Deferred, "it goes on");
    transient();
    service.deliver(ADA, 24 * 60).await;
    let expired = service.deliver_due(ADA, 36 * 60 + 1).await.result.expect("settled");
    assert_eq!(expired.record.stage, DeliveryStage::Expired);
    assert!(
        expired.record.detail.ends_with("the last answer was: 451"),
        "{}",
        expired.record.detail
    );
}

#[tokio::test]
async fn an_empty_slot_says_why() {
    let service = TestService::build();
    service.reader(ADA, &["cats"]).await;
    let why = async |minutes: i64| {
        let delivered = service.deliver(ADA, minutes).await;
        assert_eq!(delivered.record.stage, DeliveryStage::Empty);
        delivered.record.detail
    };
    assert!(why(0).await.contains("no paper"));
    service.subscriptions.unsubscribe(ADA).await.expect("redis answers");
    assert_eq!(why(0).await, "the subscription is not active");
}

#[tokio::test]
async fn papers_sent_are_known_as_long_as_they_can_come_back() {
    let service = TestService::build();
    let reader = service.reader(ADA, &[]).await;
    let key = |id: &str| PaperKey::of(&domain::PaperId::parse(id).expect("an id"));
    for (day, id) in [(0, "x:a"), (41, "x:b"), (43, "x:c")] {
        service.add_paper_at(id, "on cats", "test@1", day * 24 * 60);
        assert_eq!(
            deliver(&service, &reader, day * 24 * 60).await.record.stage,
            DeliveryStage::Sent
        );
    }
    let last = service.deliver(ADA, 43 * 24 * 60).await;
    assert!(last.before);
    let seen = service.history(ADA, last.slot).await.seen;
    assert!(!seen.contains(key("x:a")), "older than 7 and 35 days");
    assert!(seen.contains(key("x:b")) && seen.contains(key("x:c")));
    assert_eq!(
        service.ledger.slots(ADA, None, 9).await.expect("redis answers").len(),
        2
    );
}

#[tokio::test]
async fn no_more_mails_are_sent_at_once_than_there_are_connections() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    let mut ids = Vec::new();
    for number in 0..40 {
        ids.push(service.reader(&format!("r{number}@example.org"), &[]).await.id);
    }
    service.transport.hand.forget_permits(64);
    let digests = Arc::clone(&service.digests);
    let delivering = service
        .tasks
        .job("delivery", async move { digests.deliver_now(Channel::Mail, ids).await });
    while service.mails().len() < 16 {
        service.transport.taken.notified().await;
    }
    service.transport.hand.add_permits(64);
    let outcomes = delivering.result().await.expect("ended").expect("delivered");
    let sent = outcomes.iter().filter(|one| {
        one.result
            .as_ref()
            .is_ok_and(|one| one.record.stage == DeliveryStage::Sent)
    });
    assert_eq!((sent.count(), service.mails().len()), (40, 40));
    assert_eq!(
        service
            .transport
            .most_at_once
            .load(std::sync::atomic::Ordering::Relaxed),
        16
    );
}
