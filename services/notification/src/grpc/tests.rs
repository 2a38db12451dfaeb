use futures::StreamExt as _;
use jiff::SignedDuration;
use proto::delivery::v1::delivery_service_server::DeliveryService as _;
use proto::delivery::v1::report_feedback_request::Report;
use proto::delivery::v1::{
    DeliveryState, Feedback as Fields, FeedbackKind, GetLatestDigestRequest, ListDeliveriesRequest,
    ReportFeedbackRequest, SendDigestsRequest, SendDigestsResponse, SendTestDigestRequest,
};
use proto::subscriptions::v1::subscription_service_server::SubscriptionService as _;
use proto::subscriptions::v1::{
    ConfirmSubscriptionRequest, GetSubscriberRequest, GetSubscriptionRequest, SubscribeRequest, SubscriptionState,
    UnsubscribeRequest,
};
use tonic::Request;

use super::*;
use crate::feedback::soft_bounces::SoftBounceLimit;
use crate::signing_keys::SigningKeys;
use crate::subscribers::Channel;
use crate::subscribers::deliveries::DeliveryStage;
use crate::testing::{TestService, mail_ids};
use crate::tokens::LinkHolder;
use tonic::Code;

const ADA: &str = "ada@example.org";

pub(super) fn front_door(service: &TestService) -> Notification {
    Notification {
        subscriptions: service.subscriptions.clone(),
        confirmations: service.confirmations.clone(),
        store: Arc::clone(&service.store),
        ledger: Arc::clone(&service.ledger),
        due_queue: Arc::clone(&service.due_queue),
        rate_limiter: Arc::clone(&service.rate_limiter),
        recovery: Arc::clone(&service.recovery),
        clock: service.clock.clone(),
        tasks: service.tasks.clone(),
        digests: Arc::clone(&service.digests),
        interests: Arc::clone(&service.interests),
        limits: SubscribeLimits {
            all: 1_000,
            network: 1_000,
        },
        forwarded: Forwarded::ByLoopback,
        tokens: Arc::clone(&service.tokens),
        secrets: Arc::new(WebhookSecrets::new(SigningKeys::single(b"secret"))),
        schemes: AllowedSchemes::HttpsOnly,
        allowed: AllowedAddresses::parse("").expect("no network"),
        feedback: FeedbackHandler::new(
            service.confirmations.clone(),
            Arc::clone(&service.ledger),
            Arc::clone(&service.tokens),
            Arc::new(mail_ids()),
            SoftBounceLimit {
                max_in_row: 5,
                within: SignedDuration::from_hours(24 * 14),
            },
            service.clock.clone(),
        ),
        defaults: Arc::new(SubscriptionDefaults {
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

pub(super) fn holder(id: &str) -> LinkHolder<'_> {
    LinkHolder { id, epoch: 0 }
}

fn token_in(mail: &crate::mailer::Mail) -> String {
    let (_, rest) = mail.text.split_once("token=").expect("a link");
    rest.lines().next().expect("a line").to_owned()
}

#[tokio::test]
async fn a_reader_confirms_reads_and_leaves_through_links() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    let door = front_door(&service);
    assert!(
        door.subscribe(wish(ADA))
            .await
            .expect("taken")
            .into_inner()
            .confirmation_required
    );
    let token = token_in(&service.mails()[0]);
    for _ in 0..2 {
        let request = Request::new(ConfirmSubscriptionRequest { token: token.clone() });
        let confirmed = door
            .confirm_subscription(request)
            .await
            .expect("confirmed")
            .into_inner();
        let managed = service
            .tokens
            .check(&[Scope::Preferences], &confirmed.token, service.now);
        let subscription = confirmed.subscription.expect("a subscription");
        assert_eq!(
            managed.map(|claim| claim.subscriber).as_ref(),
            Ok(&subscription.subscriber_id)
        );
        assert_eq!(subscription.state(), SubscriptionState::Active);
        assert!(subscription.next_due_time.is_some() && subscription.confirmed_time.is_some());
    }
    let known = door.subscribe(wish(ADA)).await.expect("taken").into_inner();
    assert!(
        known.confirmation_required,
        "the answer does not tell that the address is known"
    );
    assert_eq!(service.mails().len(), 1, "and no mail");

    let request = Request::new(SendDigestsRequest {
        email: ADA.to_owned(),
        ..SendDigestsRequest::default()
    });
    let outcomes: Vec<_> = door
        .send_digests(request)
        .await
        .expect("a stream")
        .into_inner()
        .collect()
        .await;
    let [
        Ok(SendDigestsResponse {
            delivery: Some(delivery),
        }),
    ] = &outcomes[..]
    else {
        panic!("one outcome, not {outcomes:?}");
    };
    assert_eq!(delivery.state(), DeliveryState::Sent);
    let digest = service.mails().pop().expect("a digest");
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
    let request = Request::new(SendDigestsRequest {
        email: ADA.to_owned(),
        ..SendDigestsRequest::default()
    });
    let Err(refused) = door.send_digests(request).await else {
        panic!("sent to somebody who left")
    };
    assert_eq!(refused.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn one_broken_subscriber_does_not_stop_the_others() {
    let server = crate::testing::Redis::start();
    let service = TestService::on_redis(&server).await;
    service.add_paper("x:a", "on cats", "test@1");
    for email in [ADA, "eve@example.org", "joe@example.org"] {
        service.reader(email, &[]).await;
    }
    let client = redis::Client::open(server.url.as_str()).expect("a url");
    let mut redis = client.get_multiplexed_async_connection().await.expect("redis answers");
    let mut break_it = redis::cmd("HSET");
    break_it
        .arg("broadsheet:subscriber:eve@example.org")
        .arg("preferences")
        .arg("{");
    let () = break_it.query_async(&mut redis).await.expect("broken");
    let request = Request::new(SendDigestsRequest::default());
    let stream = front_door(&service)
        .send_digests(request)
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
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    service.reader(ADA, &[]).await;
    service.transport.hand.forget_permits(64);
    let request = Request::new(SendDigestsRequest::default());
    let mut stream = front_door(&service)
        .send_digests(request)
        .await
        .expect("a stream")
        .into_inner();
    tokio::select! {
        _ = stream.next() => panic!("the mail server has not answered"),
        () = service.transport.taken.notified() => drop(stream),
    }
    service.transport.hand.add_permits(64);
    let slot = service.preview(ADA).await.slot;
    let sent = async {
        while service
            .ledger
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
    let service = TestService::build();
    let door = front_door(&service);
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
    let nobody = service.tokens.issue(Scope::Unsubscribe, holder("nobody"), service.now);
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
async fn a_confirmation_opens_nothing_once_links_are_revoked() {
    let service = TestService::build();
    let door = front_door(&service);
    door.subscribe(wish(ADA)).await.expect("taken");
    let token = token_in(&service.mails()[0]);
    let confirm = || Request::new(ConfirmSubscriptionRequest { token: token.clone() });
    let confirmed = door
        .confirm_subscription(confirm())
        .await
        .expect("confirmed")
        .into_inner();
    let id = confirmed.subscription.expect("a subscription").subscriber_id;
    service.subscriptions.revoke_links(&id).await.expect("an answer");
    let again = door.confirm_subscription(confirm()).await.expect_err("refused");
    assert!(again.message().contains("revoked"), "{again}");
    let shown = Request::new(GetSubscriptionRequest { token: token.clone() });
    let shown = door.get_subscription(shown).await.expect_err("refused");
    assert!(shown.message().contains("revoked"), "{shown}");
}

#[tokio::test]
async fn a_confirmation_that_was_not_mailed_is_asked_for_again() {
    let service = TestService::build();
    let door = front_door(&service);
    service.answer(Err(crate::mailer::SendError::Transient("451".into())));
    assert_eq!(
        door.subscribe(wish(ADA)).await.expect_err("not mailed").code(),
        Code::Unavailable
    );
    door.subscribe(wish(ADA)).await.expect("mailed");
    assert_eq!(service.mails().len(), 1);
}

#[tokio::test]
async fn feedback_in_fields_suppresses_and_names_what_is_missing() {
    let service = TestService::build();
    let door = front_door(&service);
    let (address, preferences) = (EmailAddress::parse(ADA).expect("an address"), service.preferences(&[]));
    let subscribed = service.subscriptions.subscribe(&address, "ada", &preferences).await;
    subscribed.expect("subscribed");
    let ada = service.again("ada").await;
    let report = |kind: FeedbackKind, message_id: &str| {
        Request::new(ReportFeedbackRequest {
            report: Some(Report::Feedback(Fields {
                kind: kind.into(),
                message_id: message_id.to_owned(),
                detail: "a hook".to_owned(),
            })),
        })
    };
    let message_id = mail_ids().message_id(&ada.id, "1");
    let taken = door
        .report_feedback(report(FeedbackKind::Complaint, &message_id))
        .await
        .expect("taken")
        .into_inner();
    assert_eq!(
        (taken.subscriber_id.as_str(), taken.suppressed),
        (ada.id.as_str(), true)
    );
    assert_eq!(
        service.again(&ada.id).await.state,
        crate::subscribers::SubscriberState::Suppressed
    );
    let email = domain::EmailAddress::parse(&ada.email).expect("an address");
    let why = service.subscriptions.suppression(&email).await.expect("redis answers");
    assert_eq!(why, Some(crate::subscribers::suppressions::SuppressionCause::Complaint));
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
    let service = TestService::build();
    let reader = service.reader(ADA, &[]).await;
    for day in 0..3 {
        let delivered = service.deliver(&reader.id, day * 24 * 60).await;
        assert_eq!(delivered.record.stage, DeliveryStage::Empty);
    }
    let door = front_door(&service);
    service.reader("eve@example.org", &[]).await;
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
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    for email in [ADA, "eve@example.org"] {
        service.reader(email, &["cats"]).await;
    }
    service.deliver("eve@example.org", 0).await;
    let request = Request::new(SendDigestsRequest {
        dry_run: true,
        ..SendDigestsRequest::default()
    });
    let stream = front_door(&service)
        .send_digests(request)
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
    assert_eq!(service.mails().len(), 1, "the one to Eve");
    let slot = service.preview(ADA).await.slot;
    assert_eq!(
        service
            .ledger
            .record(Channel::Mail, ADA, slot)
            .await
            .expect("redis answers")
            .stage,
        DeliveryStage::None
    );
}

#[tokio::test]
async fn a_test_mail_says_so_and_the_real_one_still_comes() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    service.reader(ADA, &["cats"]).await;
    let request = Request::new(SendTestDigestRequest { email: ADA.to_owned() });
    front_door(&service).send_test_digest(request).await.expect("mailed");
    assert_eq!(service.deliver(ADA, 0).await.record.stage, DeliveryStage::Sent);
    let [test, real] = &service.mails()[..] else {
        panic!("two mails")
    };
    assert_eq!(test.subject, format!("[Test] {}", real.subject));
    assert_ne!(test.message_id, real.message_id);
    service.subscriptions.unsubscribe(ADA).await.expect("redis answers");
    let request = Request::new(SendTestDigestRequest { email: ADA.to_owned() });
    let refused = front_door(&service)
        .send_test_digest(request)
        .await
        .expect_err("refused");
    assert_eq!(refused.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn the_newest_digests_are_there_for_feeds() {
    let service = TestService::build();
    service.add_paper("x:a", "on cats", "test@1");
    let preferences = service.preferences(&["cats"]);
    let email = address(ADA).expect("an address");
    let ada = service.subscriptions.subscribe(&email, "ada", &preferences);
    ada.await.expect("subscribed");
    service.deliver("ada", -24 * 60).await;
    service.add_paper("x:b", "more on cats", "test@1");
    service.deliver("ada", 0).await;
    let withdrawn = domain::PaperId::parse("x:a").expect("an id");
    service.window.write().withdraw(withdrawn, 9);
    let door = front_door(&service);
    let token = service.tokens.issue(Scope::Preferences, holder("ada"), service.now);
    let latest = async |digest_count| {
        let token = token.clone();
        let request = GetLatestDigestRequest { token, digest_count };
        let digests = door
            .get_latest_digest(Request::new(request))
            .await?
            .into_inner()
            .digests;
        let ids = digests
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
    let service = TestService::build();
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
            ..front_door(&service)
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
