use proto::delivery::v1::delivery_service_server::DeliveryService as _;
use proto::subscriptions::v1::{Exclusions, Format, Schedule};
use tonic::{Code, Request};

use super::*;
use crate::grpc::tests::front_door;
use crate::testing::House;

const ADA: &str = "ada@example.org";

async fn house() -> House {
    let house = House::build().await;
    house.add_paper("x:a", "on dogs", "test@1");
    house.add_paper("x:b", "on cats", "test@1");
    house
}

async fn ask(house: &House, request: PreviewEditionRequest) -> Result<PreviewEditionResponse, Status> {
    let answer = front_door(house).preview_edition(Request::new(request)).await;
    answer.map(tonic::Response::into_inner)
}

fn in_words(interests: &[&str], paper_count: i32) -> PreviewPreferences {
    PreviewPreferences {
        interests: interests.iter().map(|words| (*words).to_owned()).collect(),
        paper_count,
        ..PreviewPreferences::default()
    }
}

fn of_nobody(preferences: PreviewPreferences) -> PreviewEditionRequest {
    PreviewEditionRequest {
        preferences: Some(preferences),
        ..PreviewEditionRequest::default()
    }
}

fn ids(answer: &PreviewEditionResponse) -> Vec<&str> {
    let papers = answer.edition.iter().flat_map(|edition| &edition.papers);
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
async fn a_preview_needs_no_subscription() {
    let house = house().await;
    let answer = ask(&house, of_nobody(in_words(&["cats"], 1))).await.expect("composed");
    assert_eq!(ids(&answer), ["x:b"]);
    assert_eq!(answer.empty_detail, "");
}

#[tokio::test]
async fn every_preference_counts() {
    let house = house().await;
    let without = |words: &str, share| PreviewPreferences {
        exclusions: Some(Exclusions {
            words: vec![words.to_owned()],
            ..Exclusions::default()
        }),
        trending_share: share,
        ..in_words(&["cats"], 5)
    };
    let answer = ask(&house, of_nobody(without("cats", None))).await.expect("composed");
    assert_eq!(ids(&answer), Vec::<&str>::new());
    assert!(answer.empty_detail.contains("excluded"), "{answer:?}");
    let answer = ask(&house, of_nobody(without("dogs", Some(0.0))))
        .await
        .expect("composed");
    assert_eq!(ids(&answer), ["x:b"]);
    let trending = ask(&house, of_nobody(without("dogs", Some(2.0)))).await;
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
    let answer = ask(&house, of_nobody(written)).await.expect("composed");
    assert_eq!(ids(&answer), ["x:a"]);
    let edition = answer.edition.expect("an edition");
    assert!(
        edition.html.is_empty() && edition.text.contains("on dogs"),
        "{edition:?}"
    );
}

#[tokio::test]
async fn a_subscriber_sees_what_a_change_would_bring_and_nothing_that_was_sent() {
    let house = house().await;
    let email = domain::EmailAddress::parse(ADA).expect("an address");
    let consent = crate::subscribers::Opting::OnRecord;
    let wishes = house.wishes(&["cats"]);
    let subscribed = house.subscribers.subscribe(&email, "ada", &wishes, consent, house.now);
    subscribed.await.expect("subscribed");
    house.deliver("ada", 0).await;
    house.add_paper("x:c", "more on cats", "test@1");
    let before = house.again("ada").await;
    let token = house.tokens.issue(Scope::Manage, "ada", house.now);
    let wanted = |preferences| PreviewEditionRequest {
        preferences,
        token: token.clone(),
        ..PreviewEditionRequest::default()
    };
    let answer = ask(&house, wanted(Some(in_words(&["cats"], 1))))
        .await
        .expect("composed");
    assert_eq!(ids(&answer), ["x:c"]);
    let plain = ask(&house, wanted(None)).await.expect("composed");
    assert_eq!(plain.edition.expect("an edition").email, ADA);
    assert_eq!(house.again("ada").await, before, "nothing is saved");
    let react = house.tokens.issue(Scope::React, "ada", house.now);
    let refused = ask(
        &house,
        PreviewEditionRequest {
            token: react,
            ..wanted(None)
        },
    )
    .await;
    assert_eq!(refused.expect_err("refused").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn mistakes_are_named_by_their_fields() {
    let house = house().await;
    let of_ada = |preferences, token: &str| PreviewEditionRequest {
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
        let refused = ask(&house, request).await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(status::blamed_field(&refused).as_deref(), Some(field), "{refused}");
    }
}
