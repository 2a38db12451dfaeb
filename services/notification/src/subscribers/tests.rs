use domain::EmailAddress;

use super::subscriptions::SubscribeOutcome;
use super::suppressions::SuppressionCause;
use super::*;
use crate::testing::TestService;

const ADA: &str = "ada@example.org";

fn address() -> EmailAddress {
    EmailAddress::parse(ADA).expect("an address")
}

fn state(of: Option<Subscriber>) -> Option<SubscriberState> {
    of.map(|one| one.state)
}

async fn subscribe(service: &TestService, minutes: i64) -> SubscribeOutcome {
    let (address, preferences) = (address(), service.preferences(&["cats"]));
    let next = service
        .at(minutes)
        .subscriptions
        .subscribe(&address, "ada", &preferences);
    next.await.expect("an answer")
}

async fn may_be_asked(service: &TestService) -> bool {
    service.subscriptions.may_be_asked(&address()).await.expect("an answer")
}

#[tokio::test]
async fn a_suppressed_address_is_left_alone() {
    let service = TestService::build();
    service.reader("ada@example.org", &[]).await;
    service
        .subscriptions
        .suppress(ADA, SuppressionCause::Bounce)
        .await
        .expect("an answer");
    assert_eq!(service.again(ADA).await.state, SubscriberState::Suppressed);
    assert!(!may_be_asked(&service).await);
    assert_eq!(subscribe(&service, 10).await, SubscribeOutcome::Active, "a bounce");
    let address = address();
    let complain = service
        .subscriptions
        .suppress_address(&address, SuppressionCause::Complaint);
    complain.await.expect("an answer");
    assert_eq!(service.again(ADA).await.state, SubscriberState::Suppressed);
    let outweighed = SubscribeOutcome::Suppressed(SuppressionCause::Complaint);
    assert_eq!(subscribe(&service, 10).await, outweighed);
    service
        .subscriptions
        .lift_suppression(&address)
        .await
        .expect("an answer");
    assert_eq!(
        service.again(ADA).await.state,
        SubscriberState::Unsubscribed,
        "until there is new consent"
    );
    assert!(may_be_asked(&service).await);
}

#[tokio::test]
async fn a_suppression_outlives_the_subscriber() {
    let service = TestService::build();
    let store = &service.subscriptions;
    store
        .suppress_address(&address(), SuppressionCause::Manual)
        .await
        .expect("an answer");
    assert!(!may_be_asked(&service).await);
    store.lift_suppression(&address()).await.expect("an answer");
    let reader = service.reader(ADA, &["cats"]).await;
    store
        .suppress_address(&address(), SuppressionCause::Complaint)
        .await
        .expect("an answer");
    store.forget(&reader).await.expect("an answer");
    assert_eq!(store.by_email(&address()).await.expect("an answer"), None);
    assert!(!may_be_asked(&service).await, "the hash is kept");
    let (_, kept) = service.store.suppressions(0, 10).await.expect("an answer");
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].hash.len(), kept[0].cause), (64, SuppressionCause::Complaint));
}

#[tokio::test]
async fn what_a_mailbox_declined_holds_for_its_tags_until_lifted() {
    let service = TestService::build();
    let store = &service.subscriptions;
    let tagged = EmailAddress::parse("ada+news@example.org").expect("an address");
    store
        .suppress_address(&tagged, SuppressionCause::Bounce)
        .await
        .expect("an answer");
    assert!(may_be_asked(&service).await, "a bounce is of one address");
    store
        .decline(&suppressions::mailbox_hash(&tagged))
        .await
        .expect("an answer");
    for address in [&tagged, &address()] {
        let cause = store.suppression(address).await.expect("an answer");
        assert_eq!(cause, Some(SuppressionCause::Declined), "{address}");
        let taken = store.subscribe(address, "x", &service.preferences(&[])).await;
        let refused = SubscribeOutcome::Suppressed(SuppressionCause::Declined);
        assert_eq!(
            taken.expect("an answer"),
            refused,
            "consent on record does not outweigh it"
        );
    }
    store.lift_suppression(&tagged).await.expect("an answer");
    assert_eq!(store.suppression(&tagged).await.expect("an answer"), None);
    assert!(may_be_asked(&service).await);
}

#[tokio::test]
async fn a_pause_ends_by_itself() {
    let service = TestService::build();
    let store = &service.subscriptions;
    service.reader(ADA, &["cats"]).await;
    let until = service.later(5);
    let paused = store.pause(ADA, Some(until)).await.expect("an answer");
    assert_eq!(state(paused.clone()), Some(SubscriberState::Paused));
    assert_eq!(
        paused.and_then(|one| one.paused_until).map(Timestamp::as_millisecond),
        Some(until.as_millisecond())
    );
    assert_eq!(service.due_queue.due(ADA).await.expect("an answer"), None);
    service.at(4).subscriptions.resume_due().await.expect("an answer");
    assert_eq!(service.again(ADA).await.state, SubscriberState::Paused);
    service.at(6).subscriptions.resume_due().await.expect("an answer");
    let resumed = service.again(ADA).await;
    assert_eq!((resumed.state, resumed.paused_until), (SubscriberState::Active, None));
    let due = service.due_queue.due(ADA).await.expect("an answer").expect("due");
    assert!(due > service.later(6), "the slots of the pause are over");
    store.unsubscribe(ADA).await.expect("an answer");
    let paused = store.pause(ADA, None).await.expect("an answer");
    assert_eq!(state(paused), Some(SubscriberState::Unsubscribed));
}

#[tokio::test]
async fn changes_at_the_same_time_all_hold() {
    let service = TestService::build();
    let reader = service.reader(ADA, &[]).await;
    let add = |n: usize| {
        let store = service.subscriptions.clone();
        async move {
            let change = |known: &mut Subscriber, _| {
                known.preferences.exclusions.words.push(n.to_string());
            };
            store.change(ADA, change).await.expect("an answer");
        }
    };
    futures::future::join_all((0..20).map(add)).await;
    let after = service.again(ADA).await;
    assert_eq!(after.preferences.exclusions.words.len(), 20);
    assert_eq!(after.version, reader.version + 20);
}

#[tokio::test]
async fn a_late_refusal_does_not_undo_an_unsubscription() {
    let service = TestService::build();
    service.reader("ada@example.org", &[]).await;
    service.subscriptions.unsubscribe(ADA).await.expect("an answer");
    service
        .subscriptions
        .suppress(ADA, SuppressionCause::Bounce)
        .await
        .expect("an answer");
    assert_eq!(service.again(ADA).await.state, SubscriberState::Unsubscribed);
}
