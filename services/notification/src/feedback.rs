//! What comes back for our mails, as messages in a maildir or through the API: bounces, complaints, unsubscriptions.
//!
//! An address that accepts no mail, one with too many soft bounces in a row, and a reader who complains get no more mail. A
//! mail to the address in a digest's List-Unsubscribe ends that reader's subscription, whatever it says and whoever sent it:
//! the address carries a code.
//!
//! Anybody can send us a message that looks like a report, so it must name a return path that we gave a mail
//! ([`crate::mail_ids`]): as its recipient, as the sender that it reports, or in the mail that it quotes. A complaint may name
//! the CFBL-Feedback-ID of a mail instead. A Message-ID, which replies and archives quote, is no proof; from an operator, who is
//! known, it is enough. A bounce about a mail of long ago is not believed either. Who is handed a whole mail with all headers could still forge one, and can end the subscription
//! with its List-Unsubscribe in any case.

pub mod maildir;
mod mime;
mod report;
pub mod soft_bounces;

use std::sync::Arc;

use common::clock::Clock;
use jiff::SignedDuration;
use tracing::{info, warn};

use crate::mail_ids::{MailIds, MailReference};
use crate::metrics::{FEEDBACK, FEEDBACK_UNPROVEN};
use crate::ports::{DeliveryLedger, StoreError};
use crate::subscribers::Subscriptions;
use crate::subscribers::confirmations::Confirmations;
use crate::subscribers::suppressions::SuppressionCause;
use crate::tokens::Tokens;
pub use report::{FeedbackReport, ReportKind};
use soft_bounces::SoftBounceLimit;

/// A longer message is cut; reports are a few kilobytes and may quote the mail.
pub const MAX_MESSAGE_BYTES: usize = 1_000_000;

/// Mail servers give up after five days; a digest may be sent a week after its slot.
const MAX_BOUNCE_AGE: SignedDuration = SignedDuration::from_hours(24 * 14);

/// Handles reports.
#[derive(Clone)]
pub struct FeedbackHandler {
    subscriptions: Subscriptions,
    confirmations: Confirmations,
    ledger: Arc<dyn DeliveryLedger>,
    tokens: Arc<Tokens>,
    mail_ids: Arc<MailIds>,
    soft_bounces: SoftBounceLimit,
    clock: Clock,
}

/// From whom a report comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportSource {
    /// From whoever sent a message.
    Message,
    /// From an operator's program, in fields.
    Operator,
}

/// What a report led to.
#[derive(Debug, PartialEq, Eq)]
pub struct FeedbackResult {
    /// What the report says.
    pub kind: ReportKind,
    /// The subscriber it is about.
    pub subscriber: Option<String>,
    /// Whether the subscriber gets no more mail because of it.
    pub suppressed: bool,
}

impl FeedbackHandler {
    /// For mails with such names.
    pub fn new(
        confirmations: Confirmations,
        ledger: Arc<dyn DeliveryLedger>,
        tokens: Arc<Tokens>,
        mail_ids: Arc<MailIds>,
        soft_bounces: SoftBounceLimit,
        clock: Clock,
    ) -> Self {
        Self {
            subscriptions: confirmations.subscriptions.clone(),
            confirmations,
            ledger,
            tokens,
            mail_ids,
            soft_bounces,
            clock,
        }
    }

    /// Handles a whole message. `None` where it is neither a report nor an unsubscription.
    pub async fn handle_message(&self, message: &[u8]) -> Result<Option<FeedbackResult>, StoreError> {
        match self.handle_unsubscription(message).await? {
            Some(result) => Ok(Some(result)),
            None => self.handle_report(message).await,
        }
    }

    /// Handles a message to an address that unsubscribes. `None` where it is none. Like every unsubscription it is taken
    /// while the store does not answer.
    pub async fn handle_unsubscription(&self, message: &[u8]) -> Result<Option<FeedbackResult>, StoreError> {
        let tags = report::tags(message);
        let Some(id) = tags.iter().find_map(|tag| self.tokens.unsubscribed_by(tag)) else {
            return Ok(None);
        };
        let ended = self.subscriptions.unsubscribe(&id).await?;
        let kind = ReportKind::Unsubscription;
        FEEDBACK.with_label_values(&[kind.name()]).inc();
        info!(
            subscriber = id,
            known = ended.is_some(),
            "an unsubscription by mail is handled"
        );
        Ok(Some(FeedbackResult {
            kind,
            suppressed: ended.is_some(),
            subscriber: ended.map(|ended| ended.id),
        }))
    }

    /// Handles a message that may be a report. `None` where it is none.
    pub async fn handle_report(&self, message: &[u8]) -> Result<Option<FeedbackResult>, StoreError> {
        let Some(report) = report::parse(message) else {
            FEEDBACK.with_label_values(&["not_a_report"]).inc();
            return Ok(None);
        };
        self.handle(&report, ReportSource::Message).await.map(Some)
    }

    /// Handles a report. The same one again changes nothing.
    pub async fn handle(&self, report: &FeedbackReport, from: ReportSource) -> Result<FeedbackResult, StoreError> {
        FEEDBACK.with_label_values(&[report.kind.name()]).inc();
        let mut result = FeedbackResult {
            kind: report.kind,
            subscriber: None,
            suppressed: false,
        };
        let kind = report.kind;
        let mut named = report.mails.iter().filter_map(|mail| self.mail(mail, kind, from));
        let Some(mail) = named.find(|mail| self.is_believable(report.kind, mail)) else {
            FEEDBACK_UNPROVEN.inc();
            warn!(
                kind = report.kind.name(),
                detail = report.detail,
                "a report does not prove that it is about a mail of ours; nothing follows from it"
            );
            return Ok(result);
        };
        let id = mail.subscriber.as_str();
        let Some(subscriber) = self.subscriptions.get(id).await? else {
            result.suppressed = self.is_about_a_request(id, report.kind).await?;
            return Ok(result);
        };
        result.subscriber = Some(subscriber.id.clone());
        // New consent lifts a suppression by a bounce, but never one by a complaint.
        let cause = match report.kind {
            ReportKind::HardBounce => Some(SuppressionCause::Bounce),
            ReportKind::Complaint => Some(SuppressionCause::Complaint),
            ReportKind::SoftBounce if self.is_one_too_many(&mail).await? => Some(SuppressionCause::Bounce),
            ReportKind::SoftBounce | ReportKind::Rejection | ReportKind::Unsubscription => None,
        };
        let is_open = subscriber.state.is_open();
        if let Some(cause) = cause.filter(|_| is_open) {
            self.subscriptions.suppress(id, cause).await?;
            result.suppressed = true;
        }
        info!(
            subscriber = id,
            kind = report.kind.name(),
            detail = report.detail,
            suppressed = result.suppressed,
            "a report is handled"
        );
        Ok(result)
    }

    /// Whether a report about the mail of a request that waits for its confirmation ends it.
    async fn is_about_a_request(&self, id: &str, kind: ReportKind) -> Result<bool, StoreError> {
        let cause = match kind {
            ReportKind::HardBounce => SuppressionCause::Bounce,
            ReportKind::Complaint => SuppressionCause::Complaint,
            ReportKind::SoftBounce | ReportKind::Rejection | ReportKind::Unsubscription => return Ok(false),
        };
        let ended = self.confirmations.undeliverable(id, cause).await?;
        if ended {
            info!(request = id, kind = kind.name(), "a confirmation came back");
        }
        Ok(ended)
    }

    fn mail(&self, named: &str, kind: ReportKind, from: ReportSource) -> Option<MailReference> {
        let by_complaint = || {
            let complains = kind == ReportKind::Complaint;
            complains.then(|| self.mail_ids.read_feedback_id(named)).flatten()
        };
        let by_operator = || {
            let trusted = from == ReportSource::Operator;
            trusted.then(|| self.mail_ids.read_message_id(named)).flatten()
        };
        let by_path = self.mail_ids.read_return_path(named);
        by_path.or_else(by_complaint).or_else(by_operator)
    }

    fn is_believable(&self, kind: ReportKind, mail: &MailReference) -> bool {
        kind == ReportKind::Complaint || self.clock.now().duration_since(mail.time) <= MAX_BOUNCE_AGE
    }

    /// Whether one more soft bounce is too many. Only digests count.
    async fn is_one_too_many(&self, mail: &MailReference) -> Result<bool, StoreError> {
        match mail.slot {
            Some(slot) => {
                let within = self.soft_bounces.within;
                let id = &mail.subscriber;
                let mailed = self.ledger.record_soft_bounce(id, slot, within).await?;
                Ok(self.soft_bounces.is_reached(&mailed, slot))
            }
            None => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests;
