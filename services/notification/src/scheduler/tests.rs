use common::tasks::Job;
use jiff::Timestamp;

use super::*;
use crate::subscribers::Subscriber;
use crate::testing::{TestService, start_of_tests};

/// The scheduler of mail, until a stop.
fn run(service: &TestService, stop: &CancellationToken) -> Job<()> {
    let scheduler = Scheduler {
        channel: Channel::Mail,
        due_queue: Arc::clone(&service.due_queue),
        digests: Arc::clone(&service.digests),
        pace: SendingPace::new(Duration::from_mins(1), 512),
        clock: service.clock.clone(),
    };
    service.tasks.job("scheduler", scheduler.run(stop.clone()))
}

fn next_slot(reader: &Subscriber) -> Timestamp {
    reader.preferences.schedule.next_slot(start_of_tests())
}

#[tokio::test]
async fn what_is_due_is_sent_once_and_due_again_at_the_next_slot() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    let stop = CancellationToken::new();
    // Slots of three days were missed.
    let reader = service.reader("ada@example.org", &[]).await;
    service.set_due(&reader.id, -3 * 24 * 60).await;
    let running = run(&service, &stop);
    service.transport.taken.notified().await;
    stop.cancel();
    running.result().await.expect("a clean end");
    assert_eq!(service.mails().len(), 1);
    let due = service.due(&reader.id).await;
    assert_eq!(due.as_millisecond(), next_slot(&reader).as_millisecond());
}

#[tokio::test]
async fn two_replicas_compose_while_they_send_and_double_nothing() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    let readers: Vec<String> = (0..200).map(|number| format!("r{number}@example.org")).collect();
    for reader in &readers {
        service.reader(reader, &[]).await;
        service.set_due(reader, -1).await;
    }
    let stop = CancellationToken::new();
    let replicas = [(); 2].map(|()| run(&service, &stop));
    while service.mails().len() < readers.len() {
        service.transport.taken.notified().await;
    }
    stop.cancel();
    for replica in replicas {
        replica.result().await.expect("a clean end");
    }
    let mut addressees: Vec<String> = service.mails().into_iter().map(|mail| mail.to).collect();
    addressees.sort();
    addressees.dedup();
    assert_eq!((service.mails().len(), addressees.len()), (200, 200));
}

#[tokio::test]
async fn what_is_not_begun_at_the_stop_is_left_for_others() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    service.transport.hand.forget_permits(64);
    let readers: Vec<String> = (0..40).map(|number| format!("r{number}@example.org")).collect();
    for reader in &readers {
        service.reader(reader, &[]).await;
        service.set_due(reader, -1).await;
    }
    let stop = CancellationToken::new();
    let running = run(&service, &stop);
    while service.mails().len() < 16 {
        service.transport.taken.notified().await;
    }
    stop.cancel();
    service.transport.hand.add_permits(64);
    running.result().await.expect("a clean end");
    assert_eq!(service.mails().len(), 16, "those that were with the mail server");
    for reader in &readers {
        service.deliver_due(reader, 5).await.result.expect("delivered");
    }
    assert_eq!(service.mails().len(), 40);
}

#[tokio::test]
async fn a_deferred_digest_keeps_the_moment_of_its_retry() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    let reader = service.reader("ada@example.org", &[]).await;
    service.answer(Err(crate::mailer::SendError::Transient("451".into())));
    service.deliver_due(&reader.id, 0).await.result.expect("put off");
    assert!(
        service.due(&reader.id).await < next_slot(&reader),
        "before the next slot"
    );
}
