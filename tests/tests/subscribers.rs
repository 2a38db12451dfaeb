//! Subscribers through the front doors of a real platform: the whole life of one, the loss of Redis, imports, bad input.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use common::grpc::{ServiceChannel, channel};
use prost_types::FieldMask;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::delivery::v1::{Feedback, FeedbackKind, ReportFeedbackRequest, report_feedback_request};
use proto::subscriptions::v1::subscription_service_client::SubscriptionServiceClient;
use proto::subscriptions::v1::{
    ConfirmSubscriptionRequest, Exclusions, Frequency, GetSubscriptionRequest, Interest, PauseSubscriptionRequest,
    ReactToPaperRequest, Reaction, ResumeSubscriptionRequest, Schedule, SubscribeRequest, Subscription,
    SubscriptionState, UnsubscribeRequest, UpdateSubscriptionRequest, Weekday,
};
use serde_json::Value;
use tests::servers::Servers;
use tests::{Platform, eventually, token};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

const PAPERS: &str = r#"{"id":"arxiv:2402.14776","published":"2026-01-02","title":"Sleepy consensus","abstract":"Leader election that sleeps."}
{"id":"arxiv:2403.00001","published":"2026-01-02","title":"Counting seedlings from drones","abstract":"Weak supervision from row totals."}
"#;

type Client = SubscriptionServiceClient<ServiceChannel>;

fn client(platform: &Platform) -> Client {
    SubscriptionServiceClient::new(channel(&platform.endpoint("grpc"), None).unwrap())
}

fn take_in(platform: &Platform) {
    let taken = platform.run_with_input(&["ingest", "-", "--wait", "--source", "test"], PAPERS);
    assert_eq!(taken.status, 0, "{taken:?}");
}

fn show(platform: &Platform, email: &str) -> Value {
    platform.must(&["subscribers", "show", email, "--json"]).json()
}

fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.clone());
    violations
        .unwrap_or_default()
        .into_iter()
        .map(|one| one.field)
        .collect()
}

fn mask(paths: &[&str]) -> FieldMask {
    FieldMask {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_from_confirmation_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    take_in(&platform);
    let manage = subscribed(&platform).await;
    change(&platform, &manage).await;
    pause(&platform, &manage).await;
    end(&platform, manage).await;
}

/// Subscribes and confirms; gives the token of a digest.
async fn subscribed(platform: &Platform) -> String {
    platform.must(&[
        "subscribe",
        "ada@Bücher.example",
        "--interest",
        "drones over fields",
        "--like",
        "arxiv:2402.14776",
        "--exclude",
        "blockchain",
        "--exclude",
        "author:Nakamoto",
        "--weekly",
        "friday",
        "--trending-share",
        "0.5",
        "--text-only",
    ]);
    let mut service = client(platform);
    let confirm = token(&platform.mails()[0], "confirm");
    let confirmed = service
        .confirm_subscription(ConfirmSubscriptionRequest { token: confirm })
        .await
        .unwrap()
        .into_inner()
        .subscription
        .unwrap();
    assert_eq!(confirmed.email, "ada@xn--bcher-kva.example");
    let shown = show(platform, "ada@bücher.example");
    assert_eq!(shown["state"], "active");
    assert_eq!(
        (&shown["frequency"], &shown["weekday"]),
        (&"weekly".into(), &"friday".into())
    );
    assert_eq!(
        (&shown["format"], &shown["trending_share"]),
        (&"text".into(), &0.5.into())
    );
    assert_eq!(shown["interests"][1]["like"][0], "arxiv:2402.14776");
    assert_eq!(shown["exclusions"]["authors"][0], "Nakamoto");
    assert_eq!(shown["consent"]["kind"], "confirmed by mail");

    platform.must(&["digest", "send", "--to", "ada@bücher.example", "--now"]);
    let mails = platform.mails();
    let digest = mails.iter().find(|mail| mail.contains("/unsubscribe?token=")).unwrap();
    token(digest, "preferences")
}

async fn change(platform: &Platform, manage: &str) {
    let mut service = client(platform);
    let updated = service
        .update_subscription(UpdateSubscriptionRequest {
            token: manage.to_owned(),
            subscription: Some(Subscription {
                schedule: Some(Schedule {
                    frequency: Frequency::Weekdays.into(),
                    time: "09:15".to_owned(),
                    ..Schedule::default()
                }),
                exclusions: Some(Exclusions::default()),
                paper_count: 3,
                ..Subscription::default()
            }),
            update_mask: Some(mask(&["schedule.frequency", "schedule.time", "exclusions"])),
        })
        .await
        .unwrap()
        .into_inner()
        .subscription
        .unwrap();
    let schedule = updated.schedule.unwrap();
    assert_eq!(
        (schedule.frequency(), schedule.weekday()),
        (Frequency::Weekdays, Weekday::Unspecified)
    );
    assert_eq!((schedule.time.as_str(), schedule.time_zone.as_str()), ("09:15", "UTC"));
    assert_eq!(updated.exclusions, None);
    assert_eq!(updated.paper_count, 10, "what the mask does not name stays");
    assert_eq!(updated.interests.len(), 2);

    let reacted = service
        .react_to_paper(ReactToPaperRequest {
            token: manage.to_owned(),
            paper_id: "arxiv:2403.00001".to_owned(),
            reaction: Reaction::NotInterested.into(),
        })
        .await
        .unwrap()
        .into_inner();
    assert!(
        reacted.reader_id.len() == 32 && reacted.reader_id != updated.subscriber_id,
        "a pseudonym: {reacted:?}"
    );
    let shown = show(platform, "ada@bücher.example");
    assert_eq!(shown["interests"][0]["unlike"][0], "arxiv:2403.00001");
}

async fn pause(platform: &Platform, manage: &str) {
    let mut service = client(platform);
    let paused = service
        .pause_subscription(PauseSubscriptionRequest {
            token: manage.to_owned(),
            until_time: None,
        })
        .await
        .unwrap()
        .into_inner()
        .subscription
        .unwrap();
    assert_eq!(
        (paused.state(), paused.next_due_time),
        (SubscriptionState::Paused, None)
    );
    let refused = platform.run(&["digest", "send", "--to", "ada@bücher.example", "--now"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    let resumed = service
        .resume_subscription(ResumeSubscriptionRequest {
            token: manage.to_owned(),
        })
        .await
        .unwrap()
        .into_inner()
        .subscription
        .unwrap();
    assert_eq!(resumed.state(), SubscriptionState::Active);
    assert!(resumed.next_due_time.is_some());
}

async fn end(platform: &Platform, manage: String) {
    let mut service = client(platform);
    let export = platform.must(&["subscribers", "export", "ada@bücher.example"]).json();
    assert_eq!(export["deliveries"][0]["state"], "sent");
    assert_eq!(export["deliveries"].as_array().unwrap().len(), 1);
    assert!(!export["papers_sent"].as_array().unwrap().is_empty());
    assert_eq!(export["consent"]["kind"], "double_opt_in");
    assert_eq!(export["preferences"]["time"], "09:15");

    for _ in 0..2 {
        let request = UnsubscribeRequest { token: manage.clone() };
        let ended = service
            .unsubscribe(request)
            .await
            .unwrap()
            .into_inner()
            .subscription
            .unwrap();
        assert_eq!(ended.state(), SubscriptionState::Unsubscribed);
    }
    let late = service
        .resume_subscription(ResumeSubscriptionRequest { token: manage.clone() })
        .await;
    assert_eq!(late.unwrap_err().code(), Code::FailedPrecondition);
    platform.must(&["subscribers", "suppress", "ada@bücher.example", "--reason", "complaint"]);
    let forgotten = platform.must(&["subscribers", "delete", "ada@bücher.example"]).out;
    assert!(forgotten.contains("a hash of the address is kept"), "{forgotten}");
    let gone = service.get_subscription(GetSubscriptionRequest { token: manage }).await;
    assert_eq!(gone.unwrap_err().code(), Code::NotFound);
    let again = platform.run(&["subscribe", "ada@bücher.example", "--confirm"]);
    assert!(again.err.contains("suppressed (complaint)"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complaint_ends_a_paused_subscription_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    take_in(&platform);
    platform.must(&["subscribe", "ada@example.org", "--confirm"]);
    platform.must(&["digest", "send", "--now"]);
    let mail = platform.mails().remove(0);
    let manage = token(&mail, "preferences");
    let header = mail
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with("message-id:"));
    let message_id = header.unwrap().split_once(':').unwrap().1.trim().to_owned();
    platform.must(&["subscribers", "pause", "ada@example.org"]);
    assert_eq!(show(&platform, "ada@example.org")["state"], "paused");

    let mut delivery = DeliveryServiceClient::new(channel(&platform.endpoint("grpc"), None).unwrap());
    let complaint = || {
        let fields = Feedback {
            kind: FeedbackKind::Complaint.into(),
            message_id: message_id.clone(),
            detail: "abuse".to_owned(),
        };
        ReportFeedbackRequest {
            report: Some(report_feedback_request::Report::Feedback(fields)),
        }
    };
    let taken = delivery.report_feedback(complaint()).await.unwrap().into_inner();
    assert!(taken.suppressed && taken.kind() == FeedbackKind::Complaint, "{taken:?}");
    assert_eq!(show(&platform, "ada@example.org")["state"], "suppressed");
    let again = delivery.report_feedback(complaint()).await.unwrap().into_inner();
    assert!(!again.suppressed, "it was already: {again:?}");

    let resume = ResumeSubscriptionRequest { token: manage };
    let resumed = client(&platform).resume_subscription(resume).await;
    let state = resumed.map(|answer| answer.into_inner().subscription.unwrap_or_default().state());
    assert!(!matches!(state, Ok(SubscriptionState::Active)), "{state:?}");
    assert_eq!(show(&platform, "ada@example.org")["state"], "suppressed");
    let again = platform.run(&["subscribe", "ada@example.org", "--confirm"]);
    assert!(again.err.contains("suppressed (complaint)"), "{again:?}");
    platform.must(&["digest", "send", "--now"]);
    assert_eq!(platform.mails().len(), 1, "nothing more is sent");
}

#[test]
fn a_lost_redis_loses_nobody_and_mails_nobody_twice() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    take_in(&platform);
    for email in ["ada@example.org", "eve@example.org", "joe@example.org"] {
        platform.must(&["subscribe", email, "--interest", "consensus", "--confirm"]);
    }
    platform.must(&["digest", "send", "--now"]);
    assert_eq!(platform.mails().len(), 3);
    let web = platform.endpoint("web");
    let mails = platform.mails();
    let to_eve = mails.iter().find(|mail| mail.contains("To: eve@example.org")).unwrap();
    let manage = token(to_eve, "unsubscribe");
    let (status, page) = tests::post(&format!("{web}/unsubscribe?token={manage}"), &[]);
    assert_eq!(status, 200, "{page}");
    platform.must(&["subscribers", "pause", "joe@example.org"]);
    let before: Vec<Value> = ["ada", "eve", "joe"]
        .map(|name| show(&platform, &format!("{name}@example.org")))
        .into();
    platform.kill();

    std::fs::remove_dir_all(folder.path().join("redis")).unwrap();
    let platform = Platform::start(folder.path());
    let after: Vec<Value> = ["ada", "eve", "joe"]
        .map(|name| show(&platform, &format!("{name}@example.org")))
        .into();
    assert_eq!(after, before);
    assert_eq!(after[1]["state"], "unsubscribed");
    let again = platform.must(&["digest", "send", "--now", "--json"]).json();
    let deliveries = again["deliveries"].as_array().unwrap();
    assert_eq!(deliveries.len(), 1, "{again}");
    assert_eq!(deliveries[0]["already_delivered"], true);
    assert_eq!(platform.mails().len(), 3, "nobody gets a second mail for the slot");
    let listed = platform.must(&["subscribers", "list", "--state", "paused"]).out;
    assert!(
        listed.contains("joe@example.org") && !listed.contains("ada"),
        "{listed}"
    );
    let rebuilt = platform.must(&["subscribers", "rebuild"]).out;
    assert!(rebuilt.contains(" 0 restored"), "{rebuilt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_is_filled_again_under_a_running_platform() {
    let servers = Servers::start().await;
    let folder = tempfile::tempdir().unwrap();
    let platform = servers.platform(folder.path()).await;
    take_in(&platform);
    for email in ["ada@example.org", "eve@example.org"] {
        platform.must(&["subscribe", email, "--interest", "consensus", "--confirm"]);
    }
    platform.must(&["digest", "send", "--now"]);
    platform.must(&["subscribers", "suppress", "eve@example.org"]);
    let url = servers.redis().replace("redis://:", "");
    let (password, address) = url.split_once('@').unwrap();
    let mut redis = TcpStream::connect(address).unwrap();
    write!(redis, "AUTH {password}\r\nFLUSHALL\r\n").unwrap();
    let answers: Vec<String> = BufReader::new(redis).lines().take(2).map(Result::unwrap).collect();
    assert_eq!(answers, ["+OK", "+OK"]);
    eventually("everybody is there again", async || {
        let shown = platform.run(&["subscribers", "show", "ada@example.org", "--json"]);
        (shown.status == 0).then_some(())
    })
    .await;
    let again = platform.must(&["digest", "send", "--now", "--json"]).json();
    let deliveries = again["deliveries"].as_array().unwrap();
    assert_eq!(deliveries.len(), 1, "{again}");
    assert_eq!(deliveries[0]["already_delivered"], true);
    assert_eq!(show(&platform, "eve@example.org")["state"], "suppressed");
    drop(platform);
    servers.stop().await;
}

#[test]
fn an_import_accepts_good_lines_and_reports_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    platform.must(&["subscribers", "suppress", "spam@example.org", "--reason", "complaint"]);
    let csv = "\u{feff}email,interests,time,time_zone,papers,consent_source,consent_time\r
ada@example.org,\"graphs, of molecules;sleepy consensus\",07:30,Europe/Berlin,5,fair 2024,2024-05-01\r
not an address,,,,,fair 2024,2024-05-01\r
eve@example.org,,,Mars/Olympus,,fair 2024,2024-05-01\r
\"broken@example.org,,,,,fair 2024,2024-05-01\r
few@example.org,x\r
late@example.org,,,,,fair 2024,2999-01-01\r
none@example.org,,,,,,2024-05-01\r
spam@example.org,,,,,fair 2024,2024-05-01\r
\r
joe@example.org,,,,,fair 2024,2024-05-01T12:00:00Z\r
";
    let taken = platform.run_with_input(&["subscribers", "import", "-", "--json"], csv);
    assert_eq!(taken.status, 65, "{taken:?}");
    let report = taken.json();
    assert_eq!(report["accepted"], 2, "{report}");
    let refused: Vec<(u64, &str)> = report["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["line"].as_u64().unwrap(), one["problem"].as_str().unwrap()))
        .collect();
    let expected = [
        (3, "email"),
        (4, "schedule.time_zone"),
        (5, "quote"),
        (6, "2 values"),
        (7, "consent_time"),
        (8, "consent_source"),
        (9, "suppressed (complaint)"),
    ];
    assert_eq!(refused.len(), expected.len(), "{refused:?}");
    for ((line, problem), (expected_line, part)) in refused.iter().zip(expected) {
        assert!(*line == expected_line && problem.contains(part), "{line}: {problem}");
    }
    let ada = show(&platform, "ada@example.org");
    assert_eq!((&ada["state"], &ada["papers"]), (&"active".into(), &5.into()));
    assert_eq!(ada["interests"][0]["text"], "graphs, of molecules");
    assert_eq!(ada["consent"]["source"], "fair 2024");
    assert!(ada["consent"]["time"].as_str().unwrap().starts_with("2024-05-01"));
    let again = platform.run_with_input(&["subscribers", "import", "-", "--json"], csv);
    assert_eq!(again.json()["accepted"], 2, "{again:?}");
    let header = platform.run_with_input(&["subscribers", "import", "-"], "mail,name\n");
    assert!(header.status == 65 && header.err.contains("\"mail\""), "{header:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_answered_with_the_field_and_what_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    let mut service = client(&platform);
    let base = || SubscribeRequest {
        email: "ada@example.org".to_owned(),
        ..SubscribeRequest::default()
    };
    let interest = |interest: Interest| SubscribeRequest {
        interests: vec![interest],
        ..base()
    };
    let long = Interest {
        text: "x".repeat(100_000),
        ..Interest::default()
    };
    let unknown = Interest {
        text: "cats".to_owned(),
        unlike_paper_ids: vec!["arxiv:9999.99999".to_owned()],
        ..Interest::default()
    };
    let nowhere = Schedule {
        time_zone: "Mars/Olympus".to_owned(),
        ..Schedule::default()
    };
    for (request, field) in [
        (interest(long), "interests[0].text"),
        (interest(unknown), "interests[0].unlike_paper_ids[0]"),
        (
            SubscribeRequest {
                schedule: Some(nowhere),
                ..base()
            },
            "schedule.time_zone",
        ),
        (
            SubscribeRequest {
                trending_share: Some(1.5),
                ..base()
            },
            "trending_share",
        ),
        (
            SubscribeRequest {
                email: "дa@example.org".to_owned(),
                ..base()
            },
            "email",
        ),
    ] {
        let refused = service.subscribe(request).await.unwrap_err();
        assert_eq!(
            (refused.code(), fields(&refused)),
            (Code::InvalidArgument, vec![field.to_owned()]),
            "{refused}"
        );
        assert!(refused.message().len() < 400, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forbidden_changes_do_nothing_and_too_many_are_limited() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("BROADSHEET_NOTIFICATION__SUBSCRIBES_PER_MINUTE_PER_NETWORK", "2")];
    let platform = Platform::start_with(folder.path(), &environment);
    let mut service = client(&platform);
    platform.must(&["subscribe", "ada@example.org", "--confirm"]);
    let manage = proto::subscriptions::v1::GetSubscriberTokenRequest {
        email: "ada@example.org".to_owned(),
    };
    let manage = service.get_subscriber_token(manage).await.unwrap().into_inner().token;
    for (token, paths, field) in [
        (manage.as_str(), &["email"][..], "update_mask"),
        (&manage, &[], "update_mask"),
        (&manage, &["paper_count"], "paper_count"),
        ("forged.token", &["paper_count"], "token"),
    ] {
        let request = UpdateSubscriptionRequest {
            token: token.to_owned(),
            subscription: Some(Subscription {
                paper_count: 51,
                ..Subscription::default()
            }),
            update_mask: Some(mask(paths)),
        };
        let refused = service.update_subscription(request).await.unwrap_err();
        assert_eq!(
            (refused.code(), fields(&refused)),
            (Code::InvalidArgument, vec![field.to_owned()]),
            "{refused}"
        );
    }
    let past = PauseSubscriptionRequest {
        token: manage,
        until_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
    };
    let refused = service.pause_subscription(past).await.unwrap_err();
    assert_eq!(fields(&refused), ["until_time"]);

    let mut wish = async |number: usize, network: &str| {
        let mut request = tonic::Request::new(SubscribeRequest {
            email: format!("victim{number}@example.org"),
            ..SubscribeRequest::default()
        });
        request
            .metadata_mut()
            .insert("x-forwarded-for", network.parse().unwrap());
        service.subscribe(request).await
    };
    for number in 0..2 {
        wish(number, "192.0.2.7").await.unwrap();
    }
    let refused = wish(2, "192.0.2.99").await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.get_details_retry_info().unwrap().retry_delay.is_some());
    wish(3, "198.51.100.1").await.unwrap();
}
