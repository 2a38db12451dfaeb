use jiff::SignedDuration;

use super::*;
use crate::subscribers::subscriptions::SubscribeOutcome;
use crate::subscribers::{Channel, Consent, OptIn};
use crate::testing::TestService;

const ADA: &str = "ada@example.org";

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).expect("an address")
}

async fn ask_for(service: &TestService, email: &str, id: &str, minutes: i64) -> RequestOutcome {
    let (email, preferences) = (address(email), service.preferences(&["cats"]));
    let asked = service.at(minutes).confirmations.request(&email, id, &preferences);
    asked.await.expect("an answer")
}

async fn ask(service: &TestService, id: &str, minutes: i64) -> RequestOutcome {
    ask_for(service, ADA, id, minutes).await
}

fn is_asked(outcome: &RequestOutcome) -> bool {
    matches!(outcome, RequestOutcome::Ask(_))
}

async fn confirm(service: &TestService, id: &str) -> Option<SubscriberState> {
    let confirmed = service.confirmations.confirm(id).await.expect("an answer");
    confirmed.map(|one| one.state)
}

#[tokio::test]
async fn many_requests_at_once_are_one_confirmation() {
    let service = TestService::build();
    let ids: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    let asked = futures::future::join_all(ids.iter().map(|id| ask(&service, id, 0))).await;
    assert_eq!(asked.iter().filter(|one| is_asked(one)).count(), 1);
    for (minutes, expected) in [(59, false), (60, true), (120, true), (180, false), (24 * 60, true)] {
        let outcome = ask(&service, &format!("at {minutes}"), minutes).await;
        assert_eq!(is_asked(&outcome), expected, "{minutes}");
    }
}

#[tokio::test]
async fn tags_count_for_one_mailbox_and_the_mail_that_failed_does_not() {
    let service = TestService::build();
    let RequestOutcome::Ask(first) = ask_for(&service, "victim+1@example.org", "a", 0).await else {
        panic!("nothing was mailed before")
    };
    for (id, email) in [("b", "Victim+2@Example.org"), ("c", "victim@example.org")] {
        assert_eq!(ask_for(&service, email, id, 1).await, RequestOutcome::Ignored);
    }
    assert!(
        is_asked(&ask_for(&service, "victim@example.net", "d", 1).await),
        "another mailbox"
    );
    service.confirmations.not_sent(&first).await.expect("an answer");
    assert_eq!(service.confirmations.find("a").await.expect("an answer"), None);
    assert!(is_asked(&ask_for(&service, "victim+2@example.org", "e", 1).await));
}

#[tokio::test]
async fn the_caps_answer_the_same_for_every_address() {
    let mut service = TestService::build();
    service.confirmations.limits.domain = 2;
    service.reader("reader@example.org", &[]).await;
    for (id, email) in [("a", "a@example.org"), ("b", "b@example.org")] {
        assert!(is_asked(&ask_for(&service, email, id, 0).await));
    }
    for (id, email) in [
        ("c", "c@example.org"),
        ("d", "reader@example.org"),
        ("e", "a@example.org"),
    ] {
        let busy = RequestOutcome::Busy(Duration::from_mins(50));
        assert_eq!(ask_for(&service, email, id, 10).await, busy, "{email}");
    }
    assert!(
        is_asked(&ask_for(&service, "c@example.net", "f", 10).await),
        "another domain"
    );
    assert!(is_asked(&ask_for(&service, "c@example.org", "g", 60).await));
}

#[tokio::test]
async fn a_request_stands_beside_what_is_known_until_it_is_confirmed() {
    let service = TestService::build();
    let standing = service.reader(ADA, &["dogs"]).await;
    assert_eq!(ask(&service, "a", 0).await, RequestOutcome::Ignored, "subscribed");
    service.at(5).subscriptions.unsubscribe(ADA).await.expect("an answer");
    let ended = service.again(ADA).await;
    assert!(is_asked(&ask(&service, "b", 10).await), "a new wish asks again");
    assert_eq!(service.again(ADA).await, ended, "and changes nothing");

    let consent = Consent {
        opt_in: OptIn::OnRecord,
        source: "fair of 2024".to_owned(),
        time: service.later(-60),
    };
    let (email, preferences) = (address(ADA), service.preferences(&[]));
    let imported = service.subscriptions.import(&email, "x", &preferences, &consent);
    let since = ended.ended.expect("it ended");
    assert_eq!(imported.await.expect("an answer"), SubscribeOutcome::EndedSince(since));

    for _ in 0..2 {
        assert_eq!(confirm(&service, "b").await, Some(SubscriberState::Active));
    }
    let confirmed = service.again(ADA).await;
    assert_eq!((confirmed.ended, confirmed.created), (None, standing.created));
    assert_eq!(confirmed.preferences, service.preferences(&["cats"]));
    let consent = confirmed.consent.expect("consent");
    assert_eq!((consent.opt_in, consent.time), (OptIn::DoubleOptIn, service.later(10)));
    assert!(service.due_queue.due(ADA).await.expect("an answer").is_some());
}

#[tokio::test]
async fn an_old_link_brings_nobody_back() {
    let service = TestService::build();
    for id in ["a", "b"] {
        ask(&service, id, if id == "a" { 0 } else { 60 }).await;
    }
    assert_eq!(confirm(&service, "a").await, Some(SubscriberState::Active));
    assert_eq!(
        service.store.active(Channel::Mail, 0).await.expect("an answer"),
        (0, vec!["a".to_owned()]),
        "it has the id of its request"
    );
    assert_eq!(
        confirm(&service, "b").await,
        Some(SubscriberState::Active),
        "the same subscriber"
    );
    service.at(70).subscriptions.unsubscribe("a").await.expect("an answer");
    for id in ["a", "b"] {
        assert_eq!(confirm(&service, id).await, Some(SubscriberState::Unsubscribed), "{id}");
    }
    assert_eq!(service.due_queue.due("a").await.expect("an answer"), None);
}

#[tokio::test]
async fn a_request_that_was_made_before_the_end_does_not_undo_it() {
    let service = TestService::build();
    ask(&service, "a", 0).await;
    service.reader(ADA, &[]).await;
    service.at(5).subscriptions.unsubscribe(ADA).await.expect("an answer");
    assert_eq!(confirm(&service, "a").await, Some(SubscriberState::Unsubscribed));
}

#[tokio::test]
async fn a_week_is_all_there_is() {
    let service = TestService::build();
    ask(&service, "a", 0).await;
    service.hand.set(service.now + SignedDuration::from_hours(24 * 7));
    assert_eq!(confirm(&service, "a").await, None);
    let by_email = service.subscriptions.by_email(&address(ADA)).await;
    assert_eq!(by_email.expect("an answer"), None);
}

#[tokio::test]
async fn who_declines_gets_no_more_mail_whatever_was_confirmed() {
    let service = TestService::build();
    ask(&service, "a", 0).await;
    ask_for(&service, "ada+x@example.org", "b", 60).await;
    assert_eq!(confirm(&service, "a").await, Some(SubscriberState::Active));
    let mailbox = mailbox_hash(&address(ADA));
    for _ in 0..2 {
        service.confirmations.decline(&mailbox).await.expect("an answer");
    }
    assert_eq!(service.again("a").await.state, SubscriberState::Suppressed);
    assert_eq!(service.due_queue.due("a").await.expect("an answer"), None);
    assert_eq!(confirm(&service, "b").await, None, "it is dropped");
    for (id, email) in [("c", ADA), ("d", "ada+y@example.org")] {
        assert_eq!(
            ask_for(&service, email, id, 24 * 60).await,
            RequestOutcome::Ignored,
            "{email}"
        );
    }
}

#[tokio::test]
async fn a_confirmation_that_came_back_suppresses_its_address() {
    let service = TestService::build();
    ask(&service, "a", 0).await;
    let bounced = service.confirmations.undeliverable("a", SuppressionCause::Bounce).await;
    assert!(bounced.expect("an answer"));
    let again = service.confirmations.undeliverable("a", SuppressionCause::Bounce).await;
    assert!(!again.expect("an answer"));
    assert_eq!(ask(&service, "b", 60).await, RequestOutcome::Ignored);
    assert_eq!(confirm(&service, "a").await, None);
}

#[tokio::test]
async fn what_waits_goes_with_who_is_forgotten() {
    let service = TestService::build();
    ask(&service, "a", 0).await;
    ask(&service, "b", 60).await;
    service.confirmations.forget(&address(ADA)).await.expect("an answer");
    let left = service.confirmations.of_address(&address(ADA)).await;
    assert_eq!(left.expect("an answer"), None);
}
