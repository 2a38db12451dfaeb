//! The past digests of a subscriber, newest first: their papers with the reasons, or why there was none. A digest sent by mail and
//! to a webhook is one entry with both outcomes.

use std::collections::HashMap;

use proto::delivery::v1::{
    Channel, Delivery, DeliveryState, GetLatestDigestRequest, ListDeliveriesRequest, SentDigest,
};
use serde::Serialize;
use tonic::Status;

use super::context::SubscriberContext;
use super::preview::DigestPaperView;
use super::wording;

/// Digests shown.
const DIGESTS: i32 = 14;

/// The digest of one slot.
#[derive(Debug, Serialize)]
pub struct PastDigest {
    day: String,
    outcome: String,
    papers: Vec<DigestPaperView>,
}

/// The newest digests.
pub async fn past_digests(
    ctx: &SubscriberContext,
    email: &str,
    token: &str,
    zone: &str,
) -> Result<Vec<PastDigest>, Status> {
    let listed = ListDeliveriesRequest {
        email: email.to_owned(),
        page_size: DIGESTS,
        ..ListDeliveriesRequest::default()
    };
    let sent = GetLatestDigestRequest {
        token: token.to_owned(),
        digest_count: DIGESTS,
    };
    let (mut one, mut other) = (ctx.app.deliveries.clone(), ctx.app.deliveries.clone());
    let (listed, sent) = tokio::try_join!(
        one.list_deliveries(ctx.request(listed)),
        other.get_latest_digest(ctx.request(sent))
    )?;
    Ok(joined(
        &listed.into_inner().deliveries,
        &sent.into_inner().digests,
        zone,
    ))
}

fn joined(listed: &[Delivery], sent: &[SentDigest], zone: &str) -> Vec<PastDigest> {
    let slot = |digest: &SentDigest| digest.slot_time.map(|slot| (slot.seconds, slot.nanos));
    let by_slot: HashMap<_, _> = sent.iter().map(|digest| (slot(digest), digest)).collect();
    // The deliveries of a slot follow one another.
    let same_slot = |one: &Delivery, next: &Delivery| one.slot_time == next.slot_time;
    let slots = listed.chunk_by(same_slot).enumerate();
    let past = slots.map(|(place, deliveries)| {
        let time = deliveries.first().and_then(|delivery| delivery.slot_time);
        let digest = by_slot.get(&time.map(|slot| (slot.seconds, slot.nanos)));
        let papers = digest.map(|digest| digest.papers.iter().filter_map(DigestPaperView::new).collect());
        PastDigest {
            day: wording::day(time, zone),
            outcome: outcome(
                deliveries,
                if place == 0 {
                    DigestAge::Newest
                } else {
                    DigestAge::Older
                },
            ),
            papers: papers.unwrap_or_default(),
        }
    });
    past.collect()
}

/// Only the newest digest may still be retried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DigestAge {
    Newest,
    Older,
}

/// The outcome of a digest; the channel is named if it is not mail alone.
fn outcome(deliveries: &[Delivery], age: DigestAge) -> String {
    let one = |delivery: &Delivery| match (delivery.channel(), deliveries.len()) {
        (Channel::Webhook, _) => format!("webhook: {}", on_webhook(delivery.state(), age)),
        (_, 1) => by_mail(delivery.state(), age).to_owned(),
        _ => format!("mail: {}", by_mail(delivery.state(), age)),
    };
    deliveries.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn by_mail(state: DeliveryState, age: DigestAge) -> &'static str {
    match state {
        DeliveryState::Failed => "rejected by your mail server",
        DeliveryState::Empty => "nothing new, so no mail",
        DeliveryState::Expired => "delayed too long, so no mail",
        state => on_any_channel(state, age),
    }
}

fn on_webhook(state: DeliveryState, age: DigestAge) -> &'static str {
    match state {
        DeliveryState::Failed => "failed",
        DeliveryState::Empty => "nothing new, so no request",
        DeliveryState::Expired => "not delivered in time",
        state => on_any_channel(state, age),
    }
}

fn on_any_channel(state: DeliveryState, age: DigestAge) -> &'static str {
    match state {
        DeliveryState::Sent => "sent",
        DeliveryState::Intended | DeliveryState::Sending => "being sent",
        DeliveryState::Deferred if age == DigestAge::Newest => "delayed; will be retried",
        DeliveryState::Deferred => "given up when the next one was due",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::Timestamp;
    use proto::delivery::v1::DigestPaper;
    use proto::papers::v1::Paper;

    #[test]
    fn every_slot_has_an_outcome() {
        let slot = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let delivery = |seconds, state: DeliveryState| Delivery {
            slot_time: slot(seconds),
            state: state.into(),
            ..Delivery::default()
        };
        let paper = DigestPaper {
            parts: Vec::new(),
            paper: Some(Paper {
                id: "x:a".to_owned(),
                ..Paper::default()
            }),
            reason: "new today".to_owned(),
            score: 1.0,
        };
        let digest = SentDigest {
            slot_time: slot(86_400),
            papers: vec![paper],
            ..SentDigest::default()
        };
        let listed = vec![
            delivery(172_800, DeliveryState::Empty),
            delivery(86_400, DeliveryState::Sent),
        ];
        let past = joined(&listed, &[digest], "UTC");
        assert_eq!(past[0].outcome, "nothing new, so no mail");
        assert_eq!(
            (past[1].day.as_str(), past[1].papers.len()),
            ("Friday, 2 January 1970", 1)
        );
    }

    #[test]
    fn two_channels_make_one_entry() {
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
        let outcomes: Vec<String> = joined(&listed, &[], "UTC")
            .into_iter()
            .map(|past| past.outcome)
            .collect();
        assert_eq!(
            outcomes,
            [
                "mail: sent; webhook: delayed; will be retried",
                "webhook: given up when the next one was due",
                "rejected by your mail server",
            ]
        );
    }
}
