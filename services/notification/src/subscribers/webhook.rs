//! The webhook of a subscriber: its URL, the names of its secrets, whether it has agreed, and for how long it has failed.
//!
//! What counts as a failure is a digest with all of its attempts, not each of them, and none counts twice. A digest that is
//! accepted ends the streak.

use jiff::{SignedDuration, Timestamp};
use proto::convert::to_wire_time;
use proto::subscriptions::v1 as wire;

use super::Subscriber;

/// For so long after a rotation the earlier secret signs, too.
pub const BOTH_SECRETS: SignedDuration = SignedDuration::from_hours(24);

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRegistration {
    /// Where it is.
    pub url: String,
    /// Name of its secret, from which the secret is derived.
    pub secret: String,
    /// Name of the secret before that, and until when that one signs, too.
    pub earlier: Option<(String, Timestamp)>,
    /// Its status.
    pub status: WebhookStatus,
    /// What it last said: why it is not verified, or what became of the last digest where digests fail.
    pub detail: String,
    /// Since when it has that status.
    pub since: Timestamp,
    /// Digests in a row that it did not take; none where it took the last one.
    pub failure_streak: Option<FailureStreak>,
}

/// The status of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookStatus {
    /// Has not agreed yet.
    Unverified,
    /// Takes digests.
    Verified,
    /// Said that it is gone for good.
    Gone,
    /// Took nothing for days.
    Disabled,
}

/// What a webhook says to a challenge; that it is gone, to a digest, too.
#[derive(Debug)]
pub enum WebhookAnswer {
    /// It takes requests.
    Accepted,
    /// It does not, and this is why.
    Refused(String),
    /// It never will again, and this is what it said.
    Gone(String),
}

impl WebhookRegistration {
    /// Names of the secrets that sign at a moment, the newest first.
    pub fn secrets(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let earlier = self.earlier.as_ref().filter(|(_, until)| now < *until);
        std::iter::once(self.secret.as_str()).chain(earlier.map(|(name, _)| name.as_str()))
    }

    /// Sets the status, which is new from now on where it was another one.
    pub fn set_status(&mut self, status: WebhookStatus, detail: &str, now: Timestamp) {
        if self.status != status {
            self.since = now;
        }
        self.status = status;
        detail.clone_into(&mut self.detail);
    }
}

/// Fewer digests say too little of a webhook, however long they take: a weekly one fails for days with the first.
const LEAST_DIGESTS: u32 = 3;

/// Digests in a row that a webhook did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureStreak {
    /// When the first one was given up.
    pub since: Timestamp,
    /// How many.
    pub digests: u32,
    /// The last one of them.
    pub slot: Timestamp,
}

/// How long a webhook may fail before it is out of use.
#[derive(Debug, Clone, Copy)]
pub enum FailureTolerance {
    /// For so long.
    For(SignedDuration),
    /// For ever.
    Unlimited,
}

/// What a report about a webhook led to.
#[derive(Debug)]
pub struct WebhookUpdate {
    /// The subscriber afterwards; none where there is none any more.
    pub subscriber: Option<Subscriber>,
    /// Whether this very call ended the use of the webhook, so that the reader is to be told.
    pub ended: bool,
}

impl FailureTolerance {
    /// Whether it has run out.
    pub fn is_over(self, failure_streak: FailureStreak, now: Timestamp) -> bool {
        match self {
            Self::Unlimited => false,
            Self::For(span) => {
                failure_streak.digests >= LEAST_DIGESTS && now.duration_since(failure_streak.since) >= span
            }
        }
    }
}

impl FailureStreak {
    /// For people.
    pub fn in_words(&self, problem: &str) -> String {
        let Self { since, digests, .. } = self;
        let day = since.strftime("%Y-%m-%d");
        format!("every digest has failed since {day}, {digests} in a row; the last answer was: {problem}")
    }
}

impl WebhookRegistration {
    /// Counts a digest that was not counted before.
    pub fn fail(&mut self, slot: Timestamp, problem: &str, now: Timestamp) -> FailureStreak {
        let failure_streak = self.failure_streak.get_or_insert(FailureStreak {
            since: now,
            digests: 0,
            slot: Timestamp::MIN,
        });
        if failure_streak.slot != slot {
            failure_streak.digests = failure_streak.digests.saturating_add(1);
            failure_streak.slot = slot;
            problem.clone_into(&mut self.detail);
        }
        *failure_streak
    }
}

/// The webhook of a subscriber, where it is still the one that was asked.
pub fn same<'a>(known: &'a mut Subscriber, asked: &WebhookRegistration) -> Option<&'a mut WebhookRegistration> {
    let webhook = known.webhook.as_mut()?;
    (webhook.url == asked.url).then_some(webhook)
}

/// A webhook as it is answered, without anything of its secrets.
pub fn to_wire(of: &WebhookRegistration) -> wire::Webhook {
    wire::Webhook {
        url: of.url.clone(),
        state: to_wire_state(of.status).into(),
        detail: of.detail.clone(),
        state_time: Some(to_wire_time(of.since)),
        failing_since_time: of
            .failure_streak
            .map(|failure_streak| to_wire_time(failure_streak.since)),
        failed_digests: of.failure_streak.map_or(0, |failure_streak| {
            i32::try_from(failure_streak.digests).unwrap_or(i32::MAX)
        }),
    }
}

/// The status on the wire and in records.
pub fn to_wire_state(status: WebhookStatus) -> wire::WebhookState {
    match status {
        WebhookStatus::Unverified => wire::WebhookState::Unverified,
        WebhookStatus::Verified => wire::WebhookState::Verified,
        WebhookStatus::Gone => wire::WebhookState::Gone,
        WebhookStatus::Disabled => wire::WebhookState::Disabled,
    }
}
