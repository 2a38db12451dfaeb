//! Subscribers taken in with consent that is on record.

use std::pin::Pin;

use domain::{EmailAddress, Violation};
use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use proto::convert::from_wire_time;
use proto::subscriptions::v1::{ImportSubscribersRequest, ImportSubscribersResponse, SubscribeRequest};
use tonic::{Status, Streaming};
use tracing::{Instrument as _, Span};

use super::Notification;
use crate::subscribers::subscriptions::SubscribeOutcome;
use crate::subscribers::webhook::to_wire;
use crate::subscribers::{Consent, OptIn, Subscriber, SubscriberState};

/// Imported at the same time.
const AT_ONCE: usize = 32;
/// Most characters of where consent comes from.
const MOST_SOURCE_CHARS: usize = 200;

/// What became of each.
pub type Answers = Pin<Box<dyn Stream<Item = Result<ImportSubscribersResponse, Status>> + Send>>;

impl Notification {
    /// Answers each in the order of the requests.
    pub(super) fn import(&self, requests: Streaming<ImportSubscribersRequest>) -> Answers {
        let this = self.clone();
        let span = Span::current();
        let answers = requests.map(move |request| {
            let this = this.clone();
            let answer = async move {
                let request = request?;
                let reference = request.reference.clone();
                let answer = this.import_one(request).await;
                let answer = answer.unwrap_or_else(|refusal| ImportSubscribersResponse {
                    refusal,
                    ..ImportSubscribersResponse::default()
                });
                Ok(ImportSubscribersResponse { reference, ..answer })
            };
            answer.instrument(span.clone())
        });
        answers.buffered(AT_ONCE).boxed()
    }

    /// The answer but for its reference, or why it is refused.
    async fn import_one(&self, request: ImportSubscribersRequest) -> Result<ImportSubscribersResponse, String> {
        let now = self.clock.now();
        let wanted: SubscribeRequest = request.subscriber.clone().unwrap_or_default();
        let email = EmailAddress::parse(&wanted.email).map_err(|error| format!("email: {error}"))?;
        let consent = consent(&request, now)?;
        let preferences = self
            .requested_preferences(&wanted)
            .map_err(|violations| said(&violations))?;
        let webhook = self.requested_webhook(&wanted, &preferences, OptIn::OnRecord);
        let webhook = webhook.map_err(|violation| said(&[violation]))?;
        let checked = self.check_examples(&preferences).await;
        checked.map_err(|status| status.message().to_owned())?;
        let fresh = uuid::Uuid::now_v7().simple().to_string();
        let trouble = |problem: &dyn std::fmt::Display| {
            tracing::warn!(%problem, "a subscriber was not imported");
            "not taken because of a fault of the platform; try again".to_owned()
        };
        let before = self.subscriptions.by_email(&email).await;
        let subscribed = |known: Subscriber| matches!(known.state, SubscriberState::Active | SubscriberState::Paused);
        let before = before.map_err(|error| trouble(&error))?.is_some_and(subscribed);
        let next = self.subscriptions.import(&email, &fresh, &preferences, &consent).await;
        match next.map_err(|error| trouble(&error))? {
            SubscribeOutcome::Active => {}
            SubscribeOutcome::Suppressed(reason) => {
                let reason = reason.name();
                return Err(format!(
                    "email {email} is suppressed ({reason}); an operator has to unsuppress it first"
                ));
            }
            SubscribeOutcome::EndedSince(ended) => {
                let given = consent.time;
                return Err(format!(
                    "consent_time {given} is older than {ended}, when the reader unsubscribed"
                ));
            }
        }
        let found = self
            .subscriptions
            .by_email(&email)
            .await
            .map_err(|error| trouble(&error))?;
        let id = found.ok_or_else(|| trouble(&"it is gone again"))?.id;
        let mut answer = ImportSubscribersResponse {
            subscriber_id: id.clone(),
            ..ImportSubscribersResponse::default()
        };
        // Who is subscribed already keeps everything.
        if let Some(url) = webhook.filter(|_| !before) {
            let named = self.name_webhook(&id, &url, preferences.channels).await;
            let (secret, webhook) = named.map_err(|status| trouble(&status))?;
            answer.webhook_secret = secret;
            answer.webhook = webhook.as_ref().map(to_wire);
        }
        Ok(answer)
    }
}

fn said(violations: &[Violation]) -> String {
    let lines = violations
        .iter()
        .map(|one| format!("{} {}", one.field, one.description));
    lines.collect::<Vec<_>>().join("; ")
}

fn consent(request: &ImportSubscribersRequest, now: Timestamp) -> Result<Consent, String> {
    let source = domain::text::one_line(&request.consent_source);
    let length = source.chars().count();
    if !(1..=MOST_SOURCE_CHARS).contains(&length) {
        return Err(format!(
            "consent_source has {length} characters; 1 to {MOST_SOURCE_CHARS} are required, such as newsletter of 2024"
        ));
    }
    let time = request
        .consent_time
        .ok_or("consent_time is missing; say when consent was given")?;
    let time = from_wire_time("consent_time", time).map_err(|error| error.to_string())?;
    if time > now {
        return Err(format!("consent_time {time} is in the future"));
    }
    Ok(Consent {
        opt_in: OptIn::OnRecord,
        source,
        time,
    })
}
