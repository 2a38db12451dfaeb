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

async fn subscribe(service: &TestService, opt_in: OptIn, minutes: i64) -> SubscribeOutcome {
    let (address, preferences) = (address(), service.preferences(&["cats"]));
    let next = service
        .at(minutes)
        .subscriptions
        .subscribe(&address, "ada", &preferences, opt_in);
    next.await.expect("an answer")
}

#[tokio::test]
async fn many_requests_at_once_are_one_confirmation() {
    let service = TestService::build();
    let requests: Vec<_> = (0..10).map(|_| subscribe(&service, OptIn::DoubleOptIn, 0)).collect();
    let asked = futures::future::join_all(requests).await;
    assert_eq!(
        asked
            .iter()
            .filter(|next| **next == SubscribeOutcome::ConfirmationNeeded("ada".into()))
            .count(),
        1
    );
    assert_eq!(
        asked.iter().filter(|next| **next == SubscribeOutcome::Ignored).count(),
        9
    );
    assert_eq!(
        subscribe(&service, OptIn::DoubleOptIn, 2).await,
        SubscribeOutcome::ConfirmationNeeded("ada".into())
    );
    service
        .subscriptions
        .confirmation_not_sent("ada")
        .await
        .expect("an answer");
    assert_eq!(
        subscribe(&service, OptIn::DoubleOptIn, 2).await,
        SubscribeOutcome::ConfirmationNeeded("ada".into()),
        "the mail was not taken"
    );
}

#[tokio::test]
async fn a_subscription_holds_from_its_confirmation_to_its_end() {
    let service = TestService::build();
    let store = &service.subscriptions;
    subscribe(&service, OptIn::DoubleOptIn, 0).await;
    assert_eq!(
        service.due_queue.due("ada").await.expect("an answer"),
        None,
        "pending is never due"
    );
    let confirmed = store.confirm("ada").await.expect("an answer");
    assert_eq!(state(confirmed), Some(SubscriberState::Active));
    assert_eq!(
        subscribe(&service, OptIn::DoubleOptIn, 5).await,
        SubscribeOutcome::Ignored,
        "active"
    );
    assert_eq!(
        service.store.active(Channel::Mail, 0).await.expect("an answer"),
        (0, vec!["ada".to_owned()])
    );
    assert!(service.due_queue.due("ada").await.expect("an answer").is_some());
    for _ in 0..2 {
        let ended = store.unsubscribe("ada").await.expect("an answer");
        assert_eq!(state(ended), Some(SubscriberState::Unsubscribed));
    }
    assert_eq!(service.due_queue.due("ada").await.expect("an answer"), None);
    service.set_due("ada", 0).await;
    assert_eq!(
        service.due_queue.due("ada").await.expect("an answer"),
        None,
        "a late scheduler brings nobody back"
    );
    let confirmed = store.confirm("ada").await.expect("an answer");
    assert_eq!(
        state(confirmed),
        Some(SubscriberState::Unsubscribed),
        "an old link brings nobody back"
    );
    assert_eq!(
        subscribe(&service, OptIn::DoubleOptIn, 10).await,
        SubscribeOutcome::ConfirmationNeeded("ada".into()),
        "a new wish asks again"
    );
    assert_eq!(service.again("ada").await.state, SubscriberState::Pending);
    assert_eq!(store.unsubscribe("nobody").await.expect("an answer"), None);
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
    assert_eq!(
        subscribe(&service, OptIn::DoubleOptIn, 10).await,
        SubscribeOutcome::Ignored
    );
    assert_eq!(
        subscribe(&service, OptIn::OnRecord, 10).await,
        SubscribeOutcome::Active,
        "a bounce"
    );
    let address = address();
    let complain = service
        .subscriptions
        .suppress_address(&address, SuppressionCause::Complaint);
    complain.await.expect("an answer");
    assert_eq!(service.again(ADA).await.state, SubscriberState::Suppressed);
    let outweighed = SubscribeOutcome::Suppressed(SuppressionCause::Complaint);
    assert_eq!(subscribe(&service, OptIn::OnRecord, 10).await, outweighed);
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
    assert_eq!(
        subscribe(&service, OptIn::DoubleOptIn, 20).await,
        SubscribeOutcome::ConfirmationNeeded(ADA.into())
    );
}

#[tokio::test]
async fn a_suppression_outlives_the_subscriber() {
    let service = TestService::build();
    let store = &service.subscriptions;
    store
        .suppress_address(&address(), SuppressionCause::Manual)
        .await
        .expect("an answer");
    assert_eq!(
        subscribe(&service, OptIn::DoubleOptIn, 0).await,
        SubscribeOutcome::Ignored
    );
    store.lift_suppression(&address()).await.expect("an answer");
    let reader = service.reader(ADA, &["cats"]).await;
    store
        .suppress_address(&address(), SuppressionCause::Complaint)
        .await
        .expect("an answer");
    store.forget(&reader).await.expect("an answer");
    assert_eq!(store.by_email(&address()).await.expect("an answer"), None);
    assert_eq!(
        subscribe(&service, OptIn::DoubleOptIn, 10).await,
        SubscribeOutcome::Ignored,
        "the hash is kept"
    );
    let (_, kept) = service.store.suppressions(0, 10).await.expect("an answer");
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].hash.len(), kept[0].cause), (64, SuppressionCause::Complaint));
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
