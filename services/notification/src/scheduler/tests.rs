use super::*;
use crate::subscribers::Subscriber;
use crate::testing::House;

fn pace() -> Pace {
    Pace::new(Duration::from_mins(1), 512)
}

fn next_slot(reader: &Subscriber) -> Timestamp {
    reader.preferences.schedule.next_slot(Timestamp::now())
}

#[tokio::test]
async fn what_is_due_is_sent_once_and_due_again_at_the_next_slot() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    let stop = CancellationToken::new();
    let (subscribers, editions) = (house.subscribers.clone(), Arc::clone(&house.editions));
    // Slots of three days were missed.
    let reader = house.reader("ada@example.org", &[]).await;
    house.set_due(&reader.id, -3 * 24 * 60).await;
    let running = tokio::spawn(run(Channel::Mail, subscribers, editions, pace(), stop.clone()));
    house.post.taken.notified().await;
    stop.cancel();
    running.await.expect("a clean end");
    assert_eq!(house.mails().len(), 1);
    let due = house.due(&reader.id).await;
    assert_eq!(due.as_millisecond(), next_slot(&reader).as_millisecond());
}

#[tokio::test]
async fn while_a_chunk_is_sent_the_next_one_is_composed_and_two_replicas_double_nothing() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    let readers: Vec<String> = (0..200).map(|number| format!("r{number}@example.org")).collect();
    for reader in &readers {
        house.reader(reader, &[]).await;
        house.set_due(reader, -1).await;
    }
    let stop = CancellationToken::new();
    let replicas = [(); 2].map(|()| {
        let (subscribers, editions) = (house.subscribers.clone(), Arc::clone(&house.editions));
        tokio::spawn(run(Channel::Mail, subscribers, editions, pace(), stop.clone()))
    });
    while house.mails().len() < readers.len() {
        house.post.taken.notified().await;
    }
    stop.cancel();
    for replica in replicas {
        replica.await.expect("a clean end");
    }
    let mut addressees: Vec<String> = house.mails().into_iter().map(|mail| mail.to).collect();
    addressees.sort();
    addressees.dedup();
    assert_eq!((house.mails().len(), addressees.len()), (200, 200));
}

#[tokio::test]
async fn what_is_not_begun_at_the_stop_is_left_for_others() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    house.post.hand.forget_permits(64);
    let readers: Vec<String> = (0..40).map(|number| format!("r{number}@example.org")).collect();
    for reader in &readers {
        house.reader(reader, &[]).await;
        house.set_due(reader, -1).await;
    }
    let stop = CancellationToken::new();
    let (subscribers, editions) = (house.subscribers.clone(), Arc::clone(&house.editions));
    let running = tokio::spawn(run(Channel::Mail, subscribers, editions, pace(), stop.clone()));
    while house.mails().len() < 16 {
        house.post.taken.notified().await;
    }
    stop.cancel();
    house.post.hand.add_permits(64);
    running.await.expect("a clean end");
    assert_eq!(house.mails().len(), 16, "those that were with the mail server");
    for reader in &readers {
        house.turn(reader, 5).await.result.expect("delivered");
    }
    assert_eq!(house.mails().len(), 40);
}

#[tokio::test]
async fn a_deferred_edition_keeps_the_moment_of_its_retry() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    let reader = house.reader("ada@example.org", &[]).await;
    house.answer(Err(crate::mailer::SendError::Transient("451".into())));
    house.turn(&reader.id, 0).await.result.expect("put off");
    assert!(house.due(&reader.id).await < next_slot(&reader), "before the next slot");
}
