//! The editions of a subscriber, newest first: what was in them and why, and why there was none. One that goes by mail and to
//! the webhook is one, with both outcomes.

use std::collections::HashMap;

use proto::delivery::v1::{
    Channel, Delivery, DeliveryState, GetLatestEditionRequest, ListDeliveriesRequest, SentEdition,
};
use serde::Serialize;
use tonic::Status;

use super::desk::Desk;
use super::preview::Picked;
use super::words;

/// Editions of a page.
const EDITIONS: i32 = 14;

/// What came of one slot.
#[derive(Debug, Serialize)]
pub struct Past {
    day: String,
    outcome: String,
    papers: Vec<Picked>,
}

/// The newest editions.
pub async fn of(desk: &Desk, email: &str, token: &str, zone: &str) -> Result<Vec<Past>, Status> {
    let listed = ListDeliveriesRequest {
        email: email.to_owned(),
        page_size: EDITIONS,
        ..ListDeliveriesRequest::default()
    };
    let sent = GetLatestEditionRequest {
        token: token.to_owned(),
        edition_count: EDITIONS,
    };
    let (mut one, mut other) = (desk.front.deliveries.clone(), desk.front.deliveries.clone());
    let (listed, sent) = tokio::try_join!(
        one.list_deliveries(desk.ask(listed)),
        other.get_latest_edition(desk.ask(sent))
    )?;
    Ok(joined(
        &listed.into_inner().deliveries,
        &sent.into_inner().editions,
        zone,
    ))
}

fn joined(listed: &[Delivery], sent: &[SentEdition], zone: &str) -> Vec<Past> {
    let slot = |edition: &SentEdition| edition.slot_time.map(|slot| (slot.seconds, slot.nanos));
    let by_slot: HashMap<_, _> = sent.iter().map(|edition| (slot(edition), edition)).collect();
    // The ways of a slot stand one behind the other.
    let same_slot = |one: &Delivery, next: &Delivery| one.slot_time == next.slot_time;
    let slots = listed.chunk_by(same_slot).enumerate();
    let past = slots.map(|(place, ways)| {
        let time = ways.first().and_then(|way| way.slot_time);
        let edition = by_slot.get(&time.map(|slot| (slot.seconds, slot.nanos)));
        let papers = edition.map(|edition| edition.papers.iter().filter_map(Picked::of).collect());
        Past {
            day: words::day(time, zone),
            outcome: outcome(ways, if place == 0 { Age::Newest } else { Age::Older }),
            papers: papers.unwrap_or_default(),
        }
    });
    past.collect()
}

/// Whether an edition that is held up may still come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Newest,
    Older,
}

/// What came of an edition; with the way where there are several, or where it is not mail.
fn outcome(ways: &[Delivery], age: Age) -> String {
    let one = |way: &Delivery| match (way.channel(), ways.len()) {
        (Channel::Webhook, _) => format!("webhook: {}", on_webhook(way.state(), age)),
        (_, 1) => by_mail(way.state(), age).to_owned(),
        _ => format!("mail: {}", by_mail(way.state(), age)),
    };
    ways.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn by_mail(state: DeliveryState, age: Age) -> &'static str {
    match state {
        DeliveryState::Failed => "not taken by your mail server",
        DeliveryState::Empty => "nothing new for you, so no mail",
        DeliveryState::Expired => "too late to be of use, so no mail",
        state => on_any_way(state, age),
    }
}

fn on_webhook(state: DeliveryState, age: Age) -> &'static str {
    match state {
        DeliveryState::Failed => "not taken",
        DeliveryState::Empty => "nothing new for you, so no request",
        DeliveryState::Expired => "not taken in time",
        state => on_any_way(state, age),
    }
}

fn on_any_way(state: DeliveryState, age: Age) -> &'static str {
    match state {
        DeliveryState::Sent => "sent",
        DeliveryState::Intended | DeliveryState::Sending => "on its way",
        DeliveryState::Deferred if age == Age::Newest => "held up; it is tried again",
        DeliveryState::Deferred => "held up until the next one was due",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::Timestamp;
    use proto::delivery::v1::EditionPaper;
    use proto::papers::v1::Paper;

    #[test]
    fn every_slot_says_what_came_of_it() {
        let slot = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let delivery = |seconds, state: DeliveryState| Delivery {
            slot_time: slot(seconds),
            state: state.into(),
            ..Delivery::default()
        };
        let paper = EditionPaper {
            parts: Vec::new(),
            paper: Some(Paper {
                id: "x:a".to_owned(),
                ..Paper::default()
            }),
            reason: "new today".to_owned(),
            score: 1.0,
        };
        let edition = SentEdition {
            slot_time: slot(86_400),
            papers: vec![paper],
            ..SentEdition::default()
        };
        let listed = vec![
            delivery(172_800, DeliveryState::Empty),
            delivery(86_400, DeliveryState::Sent),
        ];
        let past = joined(&listed, &[edition], "UTC");
        assert_eq!(past[0].outcome, "nothing new for you, so no mail");
        assert_eq!(
            (past[1].day.as_str(), past[1].papers.len()),
            ("Friday, 2 January 1970", 1)
        );
    }

    #[test]
    fn a_slot_that_goes_two_ways_is_one_with_both_outcomes() {
        let delivery = |seconds, channel: Channel, state: DeliveryState| Delivery {
            slot_time: Some(Timestamp { seconds, nanos: 0 }),
            channel: channel.into(),
            state: state.into(),
            ..Delivery::default()
        };
        let listed = [
            delivery(172_800, Channel::Mail, DeliveryState::Sent),
            delivery(172_800, Channel::Webhook, DeliveryState::Deferred),
            delivery(86_400, Channel::Webhook, DeliveryState::Deferred),
            delivery(0, Channel::Mail, DeliveryState::Failed),
        ];
        let said: Vec<String> = joined(&listed, &[], "UTC")
            .into_iter()
            .map(|past| past.outcome)
            .collect();
        assert_eq!(
            said,
            [
                "mail: sent; webhook: held up; it is tried again",
                "webhook: held up until the next one was due",
                "not taken by your mail server",
            ]
        );
    }
}
