//! Subscriptions as they are answered.

use common::status;
use jiff::Timestamp;
use proto::convert::to_wire_time;
use proto::subscriptions::v1::{DeliveryChannel, Preferences, Subscription, SubscriptionState};
use tonic::Status;

use super::{Notification, unavailable};
use crate::subscribers::{Subscriber, SubscriberState, webhook};

impl Notification {
    /// A subscription as it is now.
    pub(super) async fn shown(&self, id: &str) -> Result<Subscription, Status> {
        let found = self.subscriptions.get(id).await.map_err(unavailable)?;
        let subscriber = found.ok_or_else(|| status::not_found("subscription", id))?;
        let due = self.due_queue.due(id).await.map_err(unavailable)?;
        Ok(to_wire(&subscriber, due))
    }
}

/// A subscription that is due at a moment.
pub fn to_wire(subscriber: &Subscriber, due: Option<Timestamp>) -> Subscription {
    let preferences = Preferences::from(&subscriber.preferences);
    let delivery_channel = match preferences.delivery_channel() {
        DeliveryChannel::Unspecified => DeliveryChannel::Mail,
        channel => channel,
    };
    Subscription {
        subscriber_id: subscriber.id.clone(),
        email: subscriber.email.clone(),
        state: to_wire_state(subscriber.state).into(),
        interests: preferences.interests,
        schedule: preferences.schedule,
        paper_count: preferences.paper_count,
        created_time: Some(to_wire_time(subscriber.created)),
        confirmed_time: subscriber.confirmed.map(to_wire_time),
        next_due_time: due.map(to_wire_time),
        exclusions: preferences.exclusions,
        trending_share: Some(preferences.trending_share),
        format: preferences.format,
        language: preferences.language,
        paused_until_time: subscriber.paused_until.map(to_wire_time),
        consent: subscriber.consent.as_ref().map(Into::into),
        delivery_channel: delivery_channel.into(),
        webhook: subscriber.webhook.as_ref().map(webhook::to_wire),
        pause_reason: subscriber.pause_reason.clone(),
    }
}

/// A state on the wire.
pub fn to_wire_state(state: SubscriberState) -> SubscriptionState {
    match state {
        SubscriberState::Pending => SubscriptionState::Pending,
        SubscriberState::Active => SubscriptionState::Active,
        SubscriberState::Paused => SubscriptionState::Paused,
        SubscriberState::Unsubscribed => SubscriptionState::Unsubscribed,
        SubscriberState::Suppressed => SubscriptionState::Suppressed,
    }
}
