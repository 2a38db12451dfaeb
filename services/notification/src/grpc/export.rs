//! Everything that is held about a subscriber, as JSON.

use std::collections::BTreeSet;

use common::status;
use domain::preferences::{Channels, MailFormat};
use domain::schedule::Frequency;
use domain::{EmailAddress, Exclusions, Interest, PaperId, Preferences};
use serde_json::{Value, json};
use tonic::Status;

use super::{Notification, unavailable};
use crate::subscribers::deliveries::DeliveryStage;
use crate::subscribers::suppressions::SuppressionCause;
use crate::subscribers::webhook::{WebhookRegistration, WebhookStatus};
use crate::subscribers::{Channel, OptIn, Subscriber, SubscriberState};

/// Deliveries that are read in one go.
const DELIVERIES_AT_ONCE: usize = 500;

impl Notification {
    /// State, preferences, consent, deliveries, papers sent, votes.
    pub(super) async fn export(&self, of: &Subscriber) -> Result<Value, Status> {
        let address = EmailAddress::parse(&of.email).map_err(status::internal)?;
        let suppression = self.subscriptions.suppression(&address).await.map_err(unavailable)?;
        let request = self.confirmations.of_address(&address).await.map_err(unavailable)?;
        let deliveries = self.all_deliveries(&of.id).await?;
        let due = self.due_queue.due(&of.id).await.map_err(unavailable)?;
        let vectors = self.interests.stored(of).await.map_err(unavailable)?;
        Ok(json!({
            "subscriber_id": of.id,
            "email": of.email,
            "state": of.state.name(),
            "created": of.created,
            "confirmed": of.confirmed,
            "confirmation_asked": of.asked,
            "ended": of.ended,
            "paused_until": of.paused_until.filter(|_| of.state == SubscriberState::Paused),
            "next_due": due,
            "consent": of.consent.as_ref().map(|consent| json!({
                "kind": match consent.opt_in { OptIn::DoubleOptIn => "double_opt_in", OptIn::OnRecord => "on_record" },
                "source": consent.source,
                "time": consent.time,
            })),
            "webhook": of.webhook.as_ref().map(webhook),
            "pause_reason": of.pause_reason,
            "suppressed_for": suppression.map(SuppressionCause::name),
            "preferences": preferences(&of.preferences, &of.unwanted),
            "unconfirmed_request": request.map(|request| json!({
                "requested": request.requested,
                "preferences": preferences(&request.preferences, &[]),
            })),
            "interests_embedded_by": vectors.map(|(encoder, _)| encoder.to_string()),
            "deliveries": deliveries,
            "papers_sent": sent(&deliveries),
            "pseudonym": of.pseudonym,
            "votes": of.votes.iter().map(|vote| json!({
                "paper": vote.paper.to_string(),
                "time": vote.time,
            })).collect::<Vec<_>>(),
        }))
    }

    async fn all_deliveries(&self, id: &str) -> Result<Vec<Value>, Status> {
        let mut found = Vec::new();
        let mut before = None;
        loop {
            let slots = self
                .ledger
                .slots(id, before, DELIVERIES_AT_ONCE)
                .await
                .map_err(unavailable)?;
            for (slot, channel) in slots
                .iter()
                .flat_map(|slot| Channel::ALL.map(|channel| (slot, channel)))
            {
                let record = self.ledger.record(channel, id, *slot).await.map_err(unavailable)?;
                if record.stage == DeliveryStage::None {
                    continue;
                }
                let papers: Vec<&str> = record.picks.iter().map(|pick| pick.id.as_str()).collect();
                found.push(json!({
                    "slot": slot,
                    "channel": channel.name(),
                    "state": record.stage.name(),
                    "at": record.at,
                    "message_id": record.message_id,
                    "papers": papers,
                    "detail": record.detail,
                }));
            }
            if slots.len() < DELIVERIES_AT_ONCE {
                return Ok(found);
            }
            before = slots.last().copied();
        }
    }
}

/// The papers of all digests that were sent, each once.
fn sent(deliveries: &[Value]) -> BTreeSet<&str> {
    let sent = deliveries.iter().filter(|one| one["state"] == "sent");
    let papers = sent.filter_map(|one| one["papers"].as_array()).flatten();
    papers.filter_map(Value::as_str).collect()
}

fn preferences(preferences: &Preferences, unwanted: &[PaperId]) -> Value {
    let schedule = &preferences.schedule;
    let (frequency, weekday) = match schedule.frequency() {
        Frequency::Daily => ("daily", None),
        Frequency::Weekdays => ("weekdays", None),
        Frequency::Weekly(day) => ("weekly", Some(format!("{day:?}").to_lowercase())),
    };
    json!({
        "interests": preferences.interests.iter().map(interest).collect::<Vec<_>>(),
        "exclusions": exclusions(&preferences.exclusions),
        "unwanted_papers": unwanted.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "trending_share": preferences.trending_share,
        "paper_count": preferences.paper_count,
        "time": schedule.time(),
        "time_zone": schedule.zone(),
        "frequency": frequency,
        "weekday": weekday,
        "format": match preferences.format { MailFormat::Html => "html", MailFormat::Text => "text" },
        "language": preferences.language,
        "channels": match preferences.channels {
            Channels::Mail => "mail",
            Channels::Webhook => "webhook",
            Channels::Both => "mail_and_webhook",
        },
    })
}

fn webhook(webhook: &WebhookRegistration) -> Value {
    json!({
        "url": webhook.url,
        "state": match webhook.status {
            WebhookStatus::Unverified => "unverified",
            WebhookStatus::Verified => "verified",
            WebhookStatus::Gone => "gone",
            WebhookStatus::Disabled => "disabled",
        },
        "detail": webhook.detail,
        "since": webhook.since,
        "failing_since": webhook.failure_streak.map(|streak| streak.since),
        "failed_digests": webhook.failure_streak.map_or(0, |streak| streak.digests),
    })
}

fn interest(interest: &Interest) -> Value {
    let ids = |papers: &[PaperId]| papers.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "words": interest.words,
        "like": ids(&interest.like),
        "unlike": ids(&interest.unlike),
        "categories": interest.categories,
        "exclusions": exclusions(&interest.exclusions),
        "weight": interest.weight,
    })
}

fn exclusions(exclusions: &Exclusions) -> Value {
    json!({
        "words": exclusions.words,
        "authors": exclusions.authors,
        "categories": exclusions.categories,
    })
}
