//! The editions of a subscriber, newest first: what was in them and why, and why there was none.

use std::collections::HashMap;

use proto::delivery::v1::{Delivery, DeliveryState, GetLatestEditionRequest, ListDeliveriesRequest, SentEdition};
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
    outcome: &'static str,
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
        listed.into_inner().deliveries,
        &sent.into_inner().editions,
        zone,
    ))
}

fn joined(listed: Vec<Delivery>, sent: &[SentEdition], zone: &str) -> Vec<Past> {
    let slot = |edition: &SentEdition| edition.slot_time.map(|slot| (slot.seconds, slot.nanos));
    let by_slot: HashMap<_, _> = sent.iter().map(|edition| (slot(edition), edition)).collect();
    let past = |delivery: Delivery| {
        let edition = by_slot.get(&delivery.slot_time.map(|slot| (slot.seconds, slot.nanos)));
        let papers = edition.map(|edition| edition.papers.iter().filter_map(Picked::of).collect());
        Past {
            day: words::day(delivery.slot_time, zone),
            outcome: outcome(delivery.state()),
            papers: papers.unwrap_or_default(),
        }
    };
    listed.into_iter().map(past).collect()
}

fn outcome(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Sent => "sent",
        DeliveryState::Intended | DeliveryState::Sending => "on its way",
        DeliveryState::Deferred => "held up; it is tried again",
        DeliveryState::Failed => "not taken by your mail server",
        DeliveryState::Empty => "nothing new for you, so no mail",
        DeliveryState::Expired => "too late to be of use, so no mail",
        DeliveryState::Unspecified => "unknown",
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
        let past = joined(listed, &[edition], "UTC");
        assert_eq!(past[0].outcome, "nothing new for you, so no mail");
        assert_eq!(
            (past[1].day.as_str(), past[1].papers.len()),
            ("Friday, 2 January 1970", 1)
        );
    }
}
