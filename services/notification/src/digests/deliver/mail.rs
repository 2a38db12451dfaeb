//! Digests by mail, and the other mails to readers: each is written, the subscription and the lease are checked once more,
//! and it is handed over to the mail server.

use std::sync::Arc;
use std::time::Duration;

use common::telemetry;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tracing::{Instrument as _, Span};

use crate::digests::lease::{LeasedDigest, SendDecision};
use crate::digests::settle::Settler;
use crate::digests::{DigestError, DigestPaper, SettledDigest};
use crate::mail_ids::MailIds;
use crate::mailer::{EncodedMail, Mail, SendError, Transport, spans};
use crate::mails::{AccountLinkMail, ConfirmationContent, DigestContent, Links, MailPaper, MailWriter};
use crate::subscribers::deliveries::{AttemptEffect, DeliveryStage};
use crate::subscribers::pending::PendingSubscription;
use crate::subscribers::suppressions::SuppressionCause;
use crate::subscribers::{Subscriber, Subscriptions};
use crate::tokens::{LinkHolder, Scope, Tokens};
use crate::window::SharedWindow;

/// Writes mails and hands them over.
pub struct MailChannel {
    pub subscriptions: Subscriptions,
    pub settler: Settler,
    pub window: SharedWindow,
    pub transport: Arc<dyn Transport>,
    pub writer: Arc<MailWriter>,
    pub tokens: Arc<Tokens>,
    /// What links begin with.
    pub public_url: String,
    /// Names mails.
    pub mail_ids: Arc<MailIds>,
    /// No attempt takes longer.
    pub send_timeout: Duration,
    /// One for each mail that may be with the mail server.
    pub permits: Arc<Semaphore>,
}

impl MailChannel {
    /// Sends a leased digest.
    pub async fn send(&self, digest: LeasedDigest) -> Result<SettledDigest, DigestError> {
        // Before the last check: what cannot be written must not seem to be with the mail server.
        let mail = self.encoded(&digest.subscriber, digest.slot, &digest.papers)?;
        let mut digest = match self.settler.begin(Box::new(digest)).await? {
            SendDecision::Send(digest) => *digest,
            SendDecision::Settled(settled) => return Ok(settled),
        };
        let outcome = self.hand_over(&mail, self.digest_span(&digest.papers)).await;
        digest.record.at = self.settler.clock.now();
        match outcome {
            Ok(()) => self.settler.accepted(digest).await,
            Err(SendError::NoSuchAddress(problem)) => {
                let id = &digest.subscriber.id;
                self.subscriptions.suppress(id, SuppressionCause::Bounce).await?;
                self.settler.end(digest, DeliveryStage::Failed, &problem).await
            }
            Err(SendError::Refused(problem)) => self.settler.end(digest, DeliveryStage::Failed, &problem).await,
            Err(SendError::Transient(problem)) => self.settler.defer(digest, problem, AttemptEffect::NotAccepted).await,
            Err(SendError::Paused { problem, remaining }) => {
                let remaining = SignedDuration::try_from(remaining).unwrap_or(SignedDuration::MAX);
                let due = digest.record.at.saturating_add(remaining.max(self.settler.first_pause));
                let due = due.unwrap_or(digest.next).min(digest.next);
                self.settler
                    .defer_until(due, digest, problem, AttemptEffect::NotTried)
                    .await
            }
            Err(SendError::Lost(problem)) => self.settler.defer(digest, problem, AttemptEffect::Unknown).await,
        }
    }

    /// Mails a confirmation.
    pub async fn send_confirmation(&self, request: &PendingSubscription) -> Result<(), DigestError> {
        let now = request.requested;
        let link = |page, scope, subject: &str| {
            let token = self.tokens.issue(scope, LinkHolder::without_epoch(subject), now);
            format!("{}/{page}?token={token}", self.public_url)
        };
        let serial = format!("confirm.{}", now.as_millisecond());
        let mail = self.writer.confirmation(&ConfirmationContent {
            to: request.email.as_str(),
            language: &request.preferences.language,
            confirm_url: &link("confirm", Scope::Confirm, &request.id),
            decline_url: &link("not-me", Scope::Decline, &request.mailbox_hash()),
            message_id: self.message_id(&request.id, &serial),
        })?;
        Ok(self.hand_over(&mail.into(), spans::sending("confirmation")).await?)
    }

    /// Mails a link to the account.
    pub async fn send_account_link(&self, subscriber: &Subscriber) -> Result<(), DigestError> {
        let now = self.settler.clock.now();
        let token = self.tokens.issue(Scope::Account, subscriber.link_holder(), now);
        let url = format!("{}/preferences?token={token}", self.public_url);
        let serial = format!("account.{}", now.as_millisecond());
        let mail = self.writer.account_link(&AccountLinkMail {
            to: &subscriber.email,
            language: &subscriber.preferences.language,
            url: &url,
            message_id: self.message_id(&subscriber.id, &serial),
        })?;
        Ok(self.hand_over(&mail.into(), spans::sending("account_link")).await?)
    }

    /// Hands a mail over, within the time that an attempt may take.
    pub async fn hand_over(&self, mail: &EncodedMail, span: Span) -> Result<(), SendError> {
        let sending = self.transport.send(mail).instrument(span.clone());
        let outcome = tokio::time::timeout(self.send_timeout, sending).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let problem = format!("no answer within {} s", self.send_timeout.as_secs());
            Err(SendError::Lost(problem))
        });
        spans::ended(&span, &outcome);
        outcome
    }

    /// The mail of a digest, to be looked at.
    pub fn written(
        &self,
        subscriber: &Subscriber,
        slot: Timestamp,
        papers: &[DigestPaper],
    ) -> Result<Mail, DigestError> {
        let links = self.links(subscriber, slot);
        Ok(self.writer.digest(&self.content(subscriber, slot, papers, &links))?)
    }

    fn encoded(
        &self,
        subscriber: &Subscriber,
        slot: Timestamp,
        papers: &[DigestPaper],
    ) -> Result<EncodedMail, DigestError> {
        let links = self.links(subscriber, slot);
        let content = self.content(subscriber, slot, papers, &links);
        Ok(self.writer.encoded_digest(&content)?)
    }

    fn links(&self, subscriber: &Subscriber, slot: Timestamp) -> Links {
        Links::new(&self.public_url, &self.tokens, subscriber.link_holder(), slot)
    }

    fn content<'a>(
        &self,
        subscriber: &'a Subscriber,
        slot: Timestamp,
        papers: &'a [DigestPaper],
        links: &'a Links,
    ) -> DigestContent<'a> {
        let in_mail = |one: &'a DigestPaper| MailPaper {
            paper: &one.paper,
            reason: &one.reason,
            interest: one.interest,
        };
        DigestContent {
            to: &subscriber.email,
            preferences: &subscriber.preferences,
            day: subscriber.preferences.schedule.local_date(slot),
            papers: papers.iter().map(in_mail).collect(),
            links,
            message_id: self.message_id(&subscriber.id, &slot.as_millisecond().to_string()),
        }
    }

    /// The Message-ID of a mail to a subscriber, the same at every attempt.
    pub fn message_id(&self, id: &str, serial: &str) -> String {
        self.mail_ids.message_id(id, serial)
    }

    /// The span of sending a digest, which points at the traces of its papers.
    pub fn digest_span(&self, papers: &[DigestPaper]) -> Span {
        if !telemetry::is_exported() {
            // Nobody would see it, and with a link to each paper it is a twentieth of what a mail costs.
            return Span::none();
        }
        let span = spans::sending("digest");
        self.window.link_traces(&span, papers);
        span
    }
}
