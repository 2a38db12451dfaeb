use std::time::Duration;

use common::keys::KeyHolder;
use proto::delivery::v1::delivery_service_server::DeliveryService as _;
use proto::subscriptions::v1::{Exclusions, Format, Schedule};
use tonic::{Code, Request};

use super::*;
use crate::grpc::tests::{front_door, holder};
use crate::testing::TestService;
use crate::tokens::Scope;

const ADA: &str = "ada@example.org";

fn service() -> TestService {
    let service = TestService::build();
    service.add_paper("x:a", "on dogs", "test@1");
    service.add_paper("x:b", "on cats", "test@1");
    service
}

async fn ask(service: &TestService, request: PreviewDigestRequest) -> Result<PreviewDigestResponse, Status> {
    let mut request = Request::new(request);
    // Previews by address are for operators.
    request.extensions_mut().insert(KeyHolder::local());
    let answer = front_door(service).preview_digest(request).await;
    answer.map(tonic::Response::into_inner)
}

fn in_words(interests: &[&str], paper_count: i32) -> PreviewPreferences {
    PreviewPreferences {
        interests: interests.iter().map(|words| (*words).to_owned()).collect(),
        paper_count,
        ..PreviewPreferences::default()
    }
}

fn of_nobody(preferences: PreviewPreferences) -> PreviewDigestRequest {
    PreviewDigestRequest {
        preferences: Some(preferences),
        ..PreviewDigestRequest::default()
    }
}

fn ids(answer: &PreviewDigestResponse) -> Vec<&str> {
    let papers = answer.digest.iter().flat_map(|digest| &digest.papers);
    papers
        .filter_map(|one| one.paper.as_ref())
        .map(|paper| paper.id.as_str())
        .collect()
}

fn like(id: &str) -> Interest {
    Interest {
        like_paper_ids: vec![id.to_owned()],
        ..Interest::default()
    }
}

#[tokio::test]
async fn strangers_wait_for_the_encoder_and_subscribers_do_not() {
    let service = service();
    let email = domain::EmailAddress::parse(ADA).expect("an address");
    let preferences = service.preferences(&["cats"]);
    let subscribed = service.subscriptions.subscribe(&email, "ada", &preferences);
    subscribed.await.expect("subscribed");
    *service.encoder.busy.lock().expect("unpoisoned") = Some(Duration::from_secs(7));
    let refusal = ask(&service, of_nobody(in_words(&["cats"], 1)))
        .await
        .expect_err("busy");
    let wait = status::retry_delay(&refusal);
    assert_eq!(
        (refusal.code(), wait),
        (Code::ResourceExhausted, Some(Duration::from_secs(7)))
    );
    let of_reader = PreviewDigestRequest {
        token: service.tokens.issue(Scope::Preferences, holder("ada"), service.now),
        ..of_nobody(in_words(&["dogs"], 1))
    };
    let answer = ask(&service, of_reader).await.expect("composed");
    assert_eq!(ids(&answer), ["x:a"]);
    *service.encoder.busy.lock().expect("unpoisoned") = None;
    ask(&service, of_nobody(in_words(&["cats"], 1)))
        .await
        .expect("composed");
}

#[tokio::test]
async fn a_preview_needs_no_subscription() {
    let service = service();
    let answer = ask(&service, of_nobody(in_words(&["cats"], 1)))
        .await
        .expect("composed");
    assert_eq!(ids(&answer), ["x:b"]);
    assert_eq!(answer.empty_detail, "");
}

#[tokio::test]
async fn every_preference_counts() {
    let service = service();
    let without = |words: &str, share| PreviewPreferences {
        exclusions: Some(Exclusions {
            words: vec![words.to_owned()],
            ..Exclusions::default()
        }),
        trending_share: share,
        ..in_words(&["cats"], 5)
    };
    let answer = ask(&service, of_nobody(without("cats", None))).await.expect("composed");
    assert_eq!(ids(&answer), Vec::<&str>::new());
    assert!(answer.empty_detail.contains("excluded"), "{answer:?}");
    let answer = ask(&service, of_nobody(without("dogs", Some(0.0))))
        .await
        .expect("composed");
    assert_eq!(ids(&answer), ["x:b"]);
    let trending = ask(&service, of_nobody(without("dogs", Some(2.0)))).await;
    assert_eq!(trending.expect_err("refused").code(), Code::InvalidArgument);
    let written = PreviewPreferences {
        format: Format::Text.into(),
        language: "de".to_owned(),
        full_interests: vec![Interest {
            text: "dogs".to_owned(),
            ..Interest::default()
        }],
        ..in_words(&[], 1)
    };
    let answer = ask(&service, of_nobody(written)).await.expect("composed");
    assert_eq!(ids(&answer), ["x:a"]);
    let digest = answer.digest.expect("a digest");
    assert!(digest.html.is_empty() && digest.text.contains("on dogs"), "{digest:?}");
}

#[tokio::test]
async fn a_preview_of_a_change_holds_nothing_that_was_sent() {
    let service = service();
    let email = domain::EmailAddress::parse(ADA).expect("an address");
    let preferences = service.preferences(&["cats"]);
    let subscribed = service.subscriptions.subscribe(&email, "ada", &preferences);
    subscribed.await.expect("subscribed");
    service.deliver("ada", 0).await;
    service.add_paper("x:c", "more on cats", "test@1");
    let before = service.again("ada").await;
    let token = service.tokens.issue(Scope::Preferences, holder("ada"), service.now);
    let wanted = |preferences| PreviewDigestRequest {
        preferences,
        token: token.clone(),
        ..PreviewDigestRequest::default()
    };
    let answer = ask(&service, wanted(Some(in_words(&["cats"], 1))))
        .await
        .expect("composed");
    assert_eq!(ids(&answer), ["x:c"]);
    let plain = ask(&service, wanted(None)).await.expect("composed");
    assert_eq!(plain.digest.expect("a digest").email, ADA);
    assert_eq!(service.again("ada").await, before, "nothing is saved");
    let react = service.tokens.issue(Scope::React, holder("ada"), service.now);
    let refused = ask(
        &service,
        PreviewDigestRequest {
            token: react,
            ..wanted(None)
        },
    )
    .await;
    assert_eq!(refused.expect_err("refused").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn mistakes_are_named_by_their_fields() {
    let service = service();
    let of_ada = |preferences, token: &str| PreviewDigestRequest {
        email: ADA.to_owned(),
        preferences,
        token: token.to_owned(),
    };
    let late = Schedule {
        time: "25:00".to_owned(),
        ..Schedule::default()
    };
    let mixed = PreviewPreferences {
        full_interests: vec![like("x:a"), like("no id")],
        ..in_words(&["cats"], 1)
    };
    let unknown = PreviewPreferences {
        full_interests: vec![like("x:nobody")],
        ..in_words(&["cats"], 1)
    };
    let scheduled = PreviewPreferences {
        schedule: Some(late),
        ..in_words(&[], 1)
    };
    for (request, field) in [
        (of_nobody(in_words(&[], 51)), "preferences.paper_count"),
        (of_nobody(in_words(&[""], 1)), "preferences.interests[0].text"),
        (of_nobody(mixed), "preferences.full_interests[1].like_paper_ids[0]"),
        (of_nobody(unknown), "preferences.full_interests[0].like_paper_ids[0]"),
        (of_nobody(scheduled), "preferences.schedule.time"),
        (of_ada(Some(in_words(&[], 1)), ""), "preferences"),
        (of_ada(None, "a.token"), "token"),
    ] {
        let refused = ask(&service, request).await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(status::blamed_field(&refused).as_deref(), Some(field), "{refused}");
    }
}
