use futures::StreamExt as _;
use jiff::SignedDuration;
use proto::delivery::v1::delivery_service_server::DeliveryService as _;
use proto::delivery::v1::report_feedback_request::Report;
use proto::delivery::v1::{
    DeliveryState, Feedback as Fields, FeedbackKind, GetLatestEditionRequest, ListDeliveriesRequest,
    ReportFeedbackRequest, SendEditionsRequest, SendEditionsResponse, SendTestEditionRequest,
};
use proto::subscriptions::v1::subscription_service_server::SubscriptionService as _;
use proto::subscriptions::v1::{
    ConfirmSubscriptionRequest, GetSubscriberRequest, SubscribeRequest, SubscriptionState, UnsubscribeRequest,
};
use tonic::Request;

use super::*;
use crate::subscribers::Channel;
use crate::subscribers::bounces::SoftBounces;
use crate::subscribers::deliveries::Stage as DeliveryStage;
use crate::testing::House;
use tonic::Code;

const ADA: &str = "ada@example.org";

pub(super) fn front_door(house: &House) -> Notification {
    Notification {
        subscribers: house.subscribers.clone(),
        editions: Arc::clone(&house.editions),
        interests: Arc::clone(&house.interests),
        rates: Rates {
            all: 1_000,
            network: 1_000,
        },
        forwarded: Forwarded::ByLoopback,
        tokens: Arc::clone(&house.tokens),
        secrets: Arc::new(Secrets::new(b"secret")),
        schemes: Schemes::Https,
        allowed: Allowed::parse("").expect("no network"),
        feedback: Feedback::new(
            house.subscribers.clone(),
            "example.org",
            SoftBounces {
                most: 5,
                within: SignedDuration::from_hours(24 * 14),
            },
        ),
        defaults: Arc::new(Defaults {
            time: "07:00".to_owned(),
            time_zone: "UTC".to_owned(),
            paper_count: 10,
        }),
    }
}

fn wish(email: &str) -> Request<SubscribeRequest> {
    Request::new(SubscribeRequest {
        email: email.to_owned(),
        ..SubscribeRequest::default()
    })
}

fn token_in(mail: &crate::mailer::Mail) -> String {
    let (_, rest) = mail.text.split_once("token=").expect("a link");
    rest.lines().next().expect("a line").to_owned()
}

#[tokio::test]
async fn a_reader_confirms_reads_and_leaves_through_the_links_in_the_mails() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    let door = front_door(&house);
    assert!(
        door.subscribe(wish(ADA))
            .await
            .expect("taken")
            .into_inner()
            .confirmation_required
    );
    let token = token_in(&house.mails()[0]);
    for _ in 0..2 {
        let request = Request::new(ConfirmSubscriptionRequest { token: token.clone() });
        let confirmed = door
            .confirm_subscription(request)
            .await
            .expect("confirmed")
            .into_inner();
        let managed = house.tokens.check(&[Scope::Manage], &confirmed.token, house.now);
        let subscription = confirmed.subscription.expect("a subscription");
        assert_eq!(managed, Ok(subscription.subscriber_id.clone()));
        assert_eq!(subscription.state(), SubscriptionState::Active);
        assert!(subscription.next_due_time.is_some() && subscription.confirmed_time.is_some());
    }
    let known = door.subscribe(wish(ADA)).await.expect("taken").into_inner();
    assert!(
        known.confirmation_required,
        "the answer does not tell that the address is known"
    );
    assert_eq!(house.mails().len(), 1, "and no mail");

    let request = Request::new(SendEditionsRequest {
        email: ADA.to_owned(),
        ..SendEditionsRequest::default()
    });
    let outcomes: Vec<_> = door
        .send_editions(request)
        .await
        .expect("a stream")
        .into_inner()
        .collect()
        .await;
    let [
        Ok(SendEditionsResponse {
            delivery: Some(delivery),
        }),
    ] = &outcomes[..]
    else {
        panic!("one outcome, not {outcomes:?}");
    };
    assert_eq!(delivery.state(), DeliveryState::Sent);
    let digest = house.mails().pop().expect("a digest");
    let token = digest
        .list_unsubscribe_url
        .expect("a link")
        .rsplit_once('=')
        .expect("a token")
        .1
        .to_owned();
    let request = Request::new(UnsubscribeRequest { token });
    let ended = door.unsubscribe(request).await.expect("ended").into_inner();
    assert_eq!(
        ended.subscription.expect("a subscription").state(),
        SubscriptionState::Unsubscribed
    );
    let request = Request::new(SendEditionsRequest {
        email: ADA.to_owned(),
        ..SendEditionsRequest::default()
    });
    let Err(refused) = door.send_editions(request).await else {
        panic!("sent to somebody who left")
    };
    assert_eq!(refused.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn one_broken_subscriber_does_not_stop_the_others() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    for email in [ADA, "eve@example.org", "joe@example.org"] {
        house.reader(email, &[]).await;
    }
    let client = redis::Client::open(house.redis.url.as_str()).expect("a url");
    let mut redis = client.get_multiplexed_async_connection().await.expect("redis answers");
    let mut break_it = redis::cmd("HSET");
    break_it
        .arg("broadsheet:subscriber:eve@example.org")
        .arg("preferences")
        .arg("{");
    let () = break_it.query_async(&mut redis).await.expect("broken");
    let request = Request::new(SendEditionsRequest::default());
    let stream = front_door(&house)
        .send_editions(request)
        .await
        .expect("a stream")
        .into_inner();
    let outcomes: Vec<_> = stream.collect().await;
    let states: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| outcome.expect("an outcome").delivery.expect("a delivery").state())
        .collect();
    assert_eq!(
        states.iter().filter(|state| **state == DeliveryState::Sent).count(),
        2,
        "{states:?}"
    );
    assert_eq!(
        states.iter().filter(|state| **state == DeliveryState::Failed).count(),
        1,
        "{states:?}"
    );
}

#[tokio::test]
async fn a_sending_that_nobody_waits_for_is_brought_to_its_end() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    house.reader(ADA, &[]).await;
    house.post.hand.forget_permits(64);
    let request = Request::new(SendEditionsRequest::default());
    let mut stream = front_door(&house)
        .send_editions(request)
        .await
        .expect("a stream")
        .into_inner();
    tokio::select! {
        _ = stream.next() => panic!("the mail server has not answered"),
        () = house.post.taken.notified() => drop(stream),
    }
    house.post.hand.add_permits(64);
    let slot = house.preview(ADA).await.slot;
    let sent = async {
        while house
            .subscribers
            .record(Channel::Mail, ADA, slot)
            .await
            .expect("redis answers")
            .stage
            != DeliveryStage::Sent
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), sent)
        .await
        .expect("recorded");
}

#[tokio::test]
async fn bad_requests_name_the_field_and_unknown_addresses_themselves() {
    let house = House::build().await;
    let door = front_door(&house);
    let mut request = wish(ADA);
    request.get_mut().paper_count = 51;
    let refused = door.subscribe(request).await.expect_err("refused");
    assert_eq!(
        (refused.code(), refused.message().contains("paper_count is 51")),
        (Code::InvalidArgument, true)
    );
    assert_eq!(
        door.subscribe(wish("ada")).await.expect_err("refused").code(),
        Code::InvalidArgument
    );
    let request = Request::new(GetSubscriberRequest { email: ADA.to_owned() });
    let unknown = door.get_subscriber(request).await.expect_err("unknown");
    assert_eq!(
        (unknown.code(), unknown.message().contains(ADA)),
        (Code::NotFound, true)
    );
    let nobody = house.tokens.issue(Scope::Manage, "nobody", house.now);
    let request = Request::new(UnsubscribeRequest { token: nobody });
    assert_eq!(
        door.unsubscribe(request).await.expect_err("unknown").code(),
        Code::NotFound
    );
    let request = Request::new(UnsubscribeRequest { token: "x".to_owned() });
    assert_eq!(
        door.unsubscribe(request).await.expect_err("forged").code(),
        Code::InvalidArgument
    );
}

#[tokio::test]
async fn a_confirmation_that_was_not_mailed_can_be_asked_for_again_at_once() {
    let house = House::build().await;
    let door = front_door(&house);
    house.answer(Err(crate::mailer::SendError::Transient("451".into())));
    assert_eq!(
        door.subscribe(wish(ADA)).await.expect_err("not mailed").code(),
        Code::Unavailable
    );
    door.subscribe(wish(ADA)).await.expect("mailed");
    assert_eq!(house.mails().len(), 1);
}

#[tokio::test]
async fn feedback_in_fields_ends_what_must_end_and_names_what_is_missing() {
    let house = House::build().await;
    let door = front_door(&house);
    let (address, wishes) = (EmailAddress::parse(ADA).expect("an address"), house.wishes(&[]));
    let on_record = crate::subscribers::Opting::OnRecord;
    let subscribed = house
        .subscribers
        .subscribe(&address, "ada", &wishes, on_record, house.now)
        .await;
    subscribed.expect("subscribed");
    let ada = house.again("ada").await;
    let report = |kind: FeedbackKind, message_id: &str| {
        Request::new(ReportFeedbackRequest {
            report: Some(Report::Feedback(Fields {
                kind: kind.into(),
                message_id: message_id.to_owned(),
                detail: "a hook".to_owned(),
            })),
        })
    };
    let message_id = format!("<{}.1@example.org>", ada.id);
    let taken = door
        .report_feedback(report(FeedbackKind::Complaint, &message_id))
        .await
        .expect("taken")
        .into_inner();
    assert_eq!(
        (taken.subscriber_id.as_str(), taken.suppressed),
        (ada.id.as_str(), true)
    );
    assert_eq!(house.again(&ada.id).await.state, crate::subscribers::State::Suppressed);
    let email = domain::EmailAddress::parse(&ada.email).expect("an address");
    let why = house.subscribers.suppression(&email).await.expect("redis answers");
    assert_eq!(why, Some(crate::subscribers::suppressions::Reason::Complaint));
    let missing = Request::new(ReportFeedbackRequest::default());
    let wrong = Request::new(ReportFeedbackRequest {
        report: Some(Report::Message(b"Subject: hello".to_vec())),
    });
    for request in [
        report(FeedbackKind::Unspecified, &message_id),
        report(FeedbackKind::Complaint, ""),
        missing,
        wrong,
    ] {
        assert_eq!(
            door.report_feedback(request).await.expect_err("refused").code(),
            Code::InvalidArgument
        );
    }
}

#[tokio::test]
async fn deliveries_are_listed_page_by_page() {
    let house = House::build().await;
    let reader = house.reader(ADA, &[]).await;
    for day in 0..3 {
        let delivered = house.deliver(&reader.id, day * 24 * 60).await;
        assert_eq!(delivered.record.stage, DeliveryStage::Empty);
    }
    let door = front_door(&house);
    house.reader("eve@example.org", &[]).await;
    let request = ListDeliveriesRequest {
        email: "eve@example.org".to_owned(),
        ..ListDeliveriesRequest::default()
    };
    let none = door.list_deliveries(Request::new(request)).await.expect("a page");
    assert!(none.into_inner().deliveries.is_empty());
    let (mut slots, mut page_token) = (Vec::new(), String::new());
    for expected in [2, 1] {
        let request = ListDeliveriesRequest {
            email: ADA.to_owned(),
            page_size: 2,
            page_token,
        };
        let page = door
            .list_deliveries(Request::new(request))
            .await
            .expect("a page")
            .into_inner();
        assert_eq!(page.deliveries.len(), expected);
        slots.extend(page.deliveries.iter().map(|one| one.slot_time.expect("a slot").seconds));
        page_token = page.next_page_token;
    }
    assert!(page_token.is_empty() && slots.is_sorted_by(|a, b| a > b), "{slots:?}");
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_does_nothing() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    for email in [ADA, "eve@example.org"] {
        house.reader(email, &["cats"]).await;
    }
    house.deliver("eve@example.org", 0).await;
    let request = Request::new(SendEditionsRequest {
        dry_run: true,
        ..SendEditionsRequest::default()
    });
    let stream = front_door(&house)
        .send_editions(request)
        .await
        .expect("a stream")
        .into_inner();
    let outcomes: Vec<_> = stream.collect().await;
    let delivery = |email: &str| {
        let deliveries = outcomes
            .iter()
            .map(|one| one.as_ref().expect("an outcome").delivery.as_ref());
        let mut of_email = deliveries.flatten().filter(|one| one.email == email);
        of_email.next().expect("a delivery").clone()
    };
    let (ada, eve) = (delivery(ADA), delivery("eve@example.org"));
    assert_eq!(
        (ada.state(), &ada.paper_ids[..]),
        (DeliveryState::Intended, &["x:a".to_owned()][..])
    );
    assert_eq!((eve.state(), eve.already_delivered), (DeliveryState::Sent, true));
    assert_eq!(house.mails().len(), 1, "the one to Eve");
    let slot = house.preview(ADA).await.slot;
    assert_eq!(
        house
            .subscribers
            .record(Channel::Mail, ADA, slot)
            .await
            .expect("redis answers")
            .stage,
        DeliveryStage::None
    );
}

#[tokio::test]
async fn a_test_mail_says_so_and_the_real_one_still_comes() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    house.reader(ADA, &["cats"]).await;
    let request = Request::new(SendTestEditionRequest { email: ADA.to_owned() });
    front_door(&house).send_test_edition(request).await.expect("mailed");
    assert_eq!(house.deliver(ADA, 0).await.record.stage, DeliveryStage::Sent);
    let [test, real] = &house.mails()[..] else {
        panic!("two mails")
    };
    assert_eq!(test.subject, format!("[Test] {}", real.subject));
    assert_ne!(test.message_id, real.message_id);
    house
        .subscribers
        .unsubscribe(ADA, house.now)
        .await
        .expect("redis answers");
    let request = Request::new(SendTestEditionRequest { email: ADA.to_owned() });
    let refused = front_door(&house)
        .send_test_edition(request)
        .await
        .expect_err("refused");
    assert_eq!(refused.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn the_newest_editions_are_there_for_feeds() {
    let house = House::build().await;
    house.add_paper("x:a", "on cats", "test@1");
    let wishes = house.wishes(&["cats"]);
    let (email, consent) = (address(ADA).expect("an address"), crate::subscribers::Opting::OnRecord);
    let ada = house.subscribers.subscribe(&email, "ada", &wishes, consent, house.now);
    ada.await.expect("subscribed");
    house.deliver("ada", -24 * 60).await;
    house.add_paper("x:b", "more on cats", "test@1");
    house.deliver("ada", 0).await;
    let withdrawn = domain::PaperId::parse("x:a").expect("an id");
    house.window.write().expect("unpoisoned").withdraw(withdrawn, 9);
    let door = front_door(&house);
    let token = house.tokens.issue(Scope::Manage, "ada", house.now);
    let latest = async |edition_count| {
        let token = token.clone();
        let request = GetLatestEditionRequest { token, edition_count };
        let editions = door
            .get_latest_edition(Request::new(request))
            .await?
            .into_inner()
            .editions;
        let ids = editions
            .iter()
            .flat_map(|one| &one.papers)
            .filter_map(|one| one.paper.as_ref());
        Ok::<_, Status>(
            ids.map(|paper| format!("{} {}", paper.id, paper.title))
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(latest(0).await.expect("found"), ["x:b more on cats"]);
    assert_eq!(
        latest(30).await.expect("found"),
        ["x:b more on cats", "x:a "],
        "its title has left the window"
    );
    assert_eq!(latest(31).await.expect_err("refused").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn only_trusted_callers_say_whom_they_call_for() {
    use std::net::SocketAddr;
    use tonic::transport::server::TcpConnectInfo;
    let house = House::build().await;
    let from = |peer: &str, forwarded: Option<&str>, trust: Forwarded| {
        let mut request = Request::new(());
        let peer: SocketAddr = peer.parse().expect("an address");
        request.extensions_mut().insert(TcpConnectInfo {
            local_addr: None,
            remote_addr: Some(peer),
        });
        if let Some(forwarded) = forwarded {
            let value = forwarded.parse().expect("a value");
            request.metadata_mut().insert("x-forwarded-for", value);
        }
        let door = Notification {
            forwarded: trust,
            ..front_door(&house)
        };
        door.caller(&request).map(|address| address.to_string())
    };
    let said = |address: &str| Some(address.to_owned());
    let (web, reader) = ("10.0.0.2:5000", Some("192.0.2.7, 10.0.0.1"));
    assert_eq!(from(web, reader, Forwarded::ByAll), said("192.0.2.7"));
    assert_eq!(from(web, reader, Forwarded::ByLoopback), said("10.0.0.2"));
    assert_eq!(from("127.0.0.1:5000", reader, Forwarded::ByLoopback), said("192.0.2.7"));
    assert_eq!(
        from("[::1]:5000", None, Forwarded::ByLoopback),
        None,
        "this machine itself"
    );
    assert_eq!(from(web, Some("nonsense"), Forwarded::ByAll), said("10.0.0.2"));
}
