//! The webhook of a subscriber: its URL, the names of its secrets, and whether it has agreed. How long one has failed is
//! counted in [`super::failures`].

use domain::preferences::Channels;
use jiff::{SignedDuration, Timestamp};
use proto::convert::{from_wire_time, to_wire_time};
use proto::subscriptions::v1 as wire;

use super::failures::{Failing, Noted};
use super::{State, Subscriber, Subscribers, SubscribersError};

/// For so long after a rotation the earlier secret signs, too.
const BOTH_SECRETS: SignedDuration = SignedDuration::from_hours(24);

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where it is.
    pub url: String,
    /// Name of its secret, from which the secret is derived.
    pub secret: String,
    /// Name of the secret before that, and until when that one signs, too.
    pub earlier: Option<(String, Timestamp)>,
    /// Where it stands.
    pub standing: Standing,
    /// What it last said: why it is not verified, or what became of the last edition where editions fail.
    pub detail: String,
    /// Since when it stands there.
    pub since: Timestamp,
    /// Editions in a row that it did not take; none where it took the last one.
    pub failing: Option<Failing>,
}

/// Where a webhook stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Has not agreed yet.
    Unverified,
    /// Takes editions.
    Verified,
    /// Said that it is gone for good.
    Gone,
    /// Took nothing for days.
    Disabled,
}

/// What a webhook says to a challenge; that it is gone, to an edition, too.
#[derive(Debug)]
pub enum Answered {
    /// It takes requests.
    Agreed,
    /// It does not, and this is why.
    Refused(String),
    /// It never will again, and this is what it said.
    Gone(String),
}

impl Webhook {
    /// Names of the secrets that sign at a moment, the newest first.
    pub fn secrets(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let earlier = self.earlier.as_ref().filter(|(_, until)| now < *until);
        std::iter::once(self.secret.as_str()).chain(earlier.map(|(name, _)| name.as_str()))
    }

    pub(super) fn stand(&mut self, standing: Standing, detail: &str, now: Timestamp) {
        if self.standing != standing {
            self.since = now;
        }
        self.standing = standing;
        detail.clone_into(&mut self.detail);
    }
}

impl Subscribers {
    /// Names a webhook, which has not agreed yet, and the ways on which editions come from now on.
    pub async fn set_webhook(
        &self,
        id: &str,
        url: &str,
        secret: &str,
        channels: Channels,
        now: Timestamp,
    ) -> Result<Option<Subscriber>, SubscribersError> {
        let set = |known: &mut Subscriber| {
            known.webhook = Some(Webhook {
                url: url.to_owned(),
                secret: secret.to_owned(),
                earlier: None,
                standing: Standing::Unverified,
                detail: String::new(),
                since: now,
                failing: None,
            });
            known.preferences.channels = channels;
        };
        self.change(id, now, set).await
    }

    /// Takes note of what a webhook says, as long as it is the one that was asked. One that agrees ends a pause that it
    /// caused. Where one is gone that was the only way, the subscription pauses and says why.
    pub async fn webhook_answered(
        &self,
        id: &str,
        asked: &Webhook,
        answered: &Answered,
        now: Timestamp,
    ) -> Result<Noted, SubscribersError> {
        let mut ended = false;
        let note = |known: &mut Subscriber| {
            ended = false;
            let Some(webhook) = same(known, asked) else {
                return;
            };
            match answered {
                Answered::Agreed => {
                    webhook.stand(Standing::Verified, "", now);
                    webhook.failing = None;
                    known.end_own_pause();
                }
                // One that is in use and is asked again in a bad moment stays in use.
                Answered::Refused(problem) if webhook.standing == Standing::Verified => {
                    problem.clone_into(&mut webhook.detail);
                }
                // One that was put out of use stays so, with the days on which it failed.
                Answered::Refused(problem) if webhook.standing == Standing::Disabled => {
                    problem.clone_into(&mut webhook.detail);
                }
                Answered::Refused(problem) => webhook.stand(Standing::Unverified, problem, now),
                Answered::Gone(problem) => {
                    ended = webhook.standing == Standing::Verified;
                    webhook.stand(Standing::Gone, problem, now);
                    known.pause_without_ways(&format!("the webhook is gone: {problem}"));
                }
            }
        };
        let subscriber = self.change(id, now, note).await?;
        Ok(Noted { subscriber, ended })
    }

    /// Gives a webhook a new secret; answers until when the one before signs, too.
    pub async fn rotate_secret(
        &self,
        id: &str,
        fresh: &str,
        now: Timestamp,
    ) -> Result<(Option<Subscriber>, Timestamp), SubscribersError> {
        let until = now.saturating_add(BOTH_SECRETS).unwrap_or(Timestamp::MAX);
        let rotate = |known: &mut Subscriber| {
            if let Some(webhook) = &mut known.webhook {
                let earlier = std::mem::replace(&mut webhook.secret, fresh.to_owned());
                webhook.earlier = Some((earlier, until));
            }
        };
        Ok((self.change(id, now, rotate).await?, until))
    }

    /// Forgets a webhook; editions come by mail again.
    pub async fn remove_webhook(&self, id: &str, now: Timestamp) -> Result<Option<Subscriber>, SubscribersError> {
        let remove = |known: &mut Subscriber| {
            known.webhook = None;
            known.preferences.channels = Channels::Mail;
            known.end_own_pause();
        };
        self.change(id, now, remove).await
    }
}

impl Subscriber {
    /// Pauses a subscription that is active and has no way left.
    pub(super) fn pause_without_ways(&mut self, why: &str) {
        if self.state == State::Active && self.takes_nothing() {
            self.state = State::Paused;
            why.clone_into(&mut self.pause_reason);
        }
    }

    /// Ends a pause that the platform made, and none that a reader made.
    pub(super) fn end_own_pause(&mut self) {
        if self.state == State::Paused && !self.pause_reason.is_empty() {
            self.state = State::Active;
        }
    }
}

/// The webhook of a subscriber, where it is still the one that was asked.
pub(super) fn same<'a>(known: &'a mut Subscriber, asked: &Webhook) -> Option<&'a mut Webhook> {
    let webhook = known.webhook.as_mut()?;
    (webhook.url == asked.url).then_some(webhook)
}

/// A webhook as it is kept.
pub(super) fn to_record(of: &Webhook) -> wire::WebhookRecord {
    let (earlier, until) = of.earlier.clone().unzip();
    wire::WebhookRecord {
        url: of.url.clone(),
        secret_name: of.secret.clone(),
        earlier_secret_name: earlier.unwrap_or_default(),
        earlier_secret_end_time: until.map(to_wire_time),
        state: to_wire_state(of.standing).into(),
        detail: of.detail.clone(),
        state_time: Some(to_wire_time(of.since)),
        failing_since_time: of.failing.map(|failing| to_wire_time(failing.since)),
        failed_editions: of.failing.map_or(0, |failing| failing.editions),
        failed_slot_time: of.failing.map(|failing| to_wire_time(failing.slot)),
    }
}

/// A webhook from what is kept of it.
pub(super) fn from_record(record: &wire::WebhookRecord) -> Webhook {
    let time = |time: Option<prost_types::Timestamp>| from_wire_time("time", time?).ok();
    let earlier = Some(record.earlier_secret_name.clone()).filter(|name| !name.is_empty());
    Webhook {
        url: record.url.clone(),
        secret: record.secret_name.clone(),
        earlier: earlier.zip(time(record.earlier_secret_end_time)),
        standing: match record.state() {
            wire::WebhookState::Verified => Standing::Verified,
            wire::WebhookState::Gone => Standing::Gone,
            wire::WebhookState::Disabled => Standing::Disabled,
            wire::WebhookState::Unverified | wire::WebhookState::Unspecified => Standing::Unverified,
        },
        detail: record.detail.clone(),
        since: time(record.state_time).unwrap_or_default(),
        failing: time(record.failing_since_time).map(|since| Failing {
            since,
            editions: record.failed_editions,
            slot: time(record.failed_slot_time).unwrap_or(Timestamp::MIN),
        }),
    }
}

/// A webhook as it is answered, without anything of its secrets.
pub fn to_wire(of: &Webhook) -> wire::Webhook {
    wire::Webhook {
        url: of.url.clone(),
        state: to_wire_state(of.standing).into(),
        detail: of.detail.clone(),
        state_time: Some(to_wire_time(of.since)),
        failing_since_time: of.failing.map(|failing| to_wire_time(failing.since)),
        failed_editions: of
            .failing
            .map_or(0, |failing| i32::try_from(failing.editions).unwrap_or(i32::MAX)),
    }
}

fn to_wire_state(standing: Standing) -> wire::WebhookState {
    match standing {
        Standing::Unverified => wire::WebhookState::Unverified,
        Standing::Verified => wire::WebhookState::Verified,
        Standing::Gone => wire::WebhookState::Gone,
        Standing::Disabled => wire::WebhookState::Disabled,
    }
}
