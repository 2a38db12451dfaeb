//! What comes back for our mails, as messages in a maildir or through the API: bounces, complaints, unsubscriptions.
//!
//! An address that accepts no mail, one with too many soft bounces in a row, and a reader who complains get no more mail. A
//! report names its mail by our Message-ID or return path, whose local parts hold the subscriber's id and the slot. Ids
//! cannot be guessed, so nobody can make up a report about another reader's mail. A mail to the address in a digest's
//! List-Unsubscribe ends that reader's subscription, whatever it says and whoever sent it: the address carries a code.

pub mod maildir;
mod mime;
mod report;
pub mod soft_bounces;

use std::sync::Arc;

use jiff::Timestamp;
use tracing::{info, warn};

use crate::metrics::FEEDBACK;
use crate::ports::{DeliveryLedger, StoreError};
use crate::subscribers::Subscriptions;
use crate::subscribers::confirmations::Confirmations;
use crate::subscribers::suppressions::SuppressionCause;
use crate::tokens::Tokens;
pub use report::{FeedbackReport, ReportKind};
use soft_bounces::SoftBounceLimit;

/// A longer message is cut; reports are a few kilobytes and may quote the mail.
pub const MAX_MESSAGE_BYTES: usize = 1_000_000;

/// Handles reports.
#[derive(Clone)]
pub struct FeedbackHandler {
    subscriptions: Subscriptions,
    confirmations: Confirmations,
    ledger: Arc<dyn DeliveryLedger>,
    tokens: Arc<Tokens>,
    domain: String,
    soft_bounces: SoftBounceLimit,
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
    /// For mails whose Message-IDs end with `domain`.
    pub fn new(
        confirmations: Confirmations,
        ledger: Arc<dyn DeliveryLedger>,
        tokens: Arc<Tokens>,
        domain: &str,
        soft_bounces: SoftBounceLimit,
    ) -> Self {
        Self {
            subscriptions: confirmations.subscriptions.clone(),
            confirmations,
            ledger,
            tokens,
            soft_bounces,
            domain: domain.to_ascii_lowercase(),
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
        self.handle(&report).await.map(Some)
    }

    /// Handles a report. The same one again changes nothing.
    pub async fn handle(&self, report: &FeedbackReport) -> Result<FeedbackResult, StoreError> {
        FEEDBACK.with_label_values(&[report.kind.name()]).inc();
        let mut result = FeedbackResult {
            kind: report.kind,
            subscriber: None,
            suppressed: false,
        };
        for (id, serial) in report.mails.iter().filter_map(|mail| id_and_serial(mail, &self.domain)) {
            let Some(subscriber) = self.subscriptions.get(id).await? else {
                let cause = match report.kind {
                    ReportKind::HardBounce => SuppressionCause::Bounce,
                    ReportKind::Complaint => SuppressionCause::Complaint,
                    ReportKind::SoftBounce | ReportKind::Rejection | ReportKind::Unsubscription => continue,
                };
                if self.confirmations.undeliverable(id, cause).await? {
                    info!(request = id, kind = report.kind.name(), "a confirmation came back");
                    result.suppressed = true;
                    return Ok(result);
                }
                continue;
            };
            result.subscriber = Some(subscriber.id.clone());
            // New consent lifts a suppression by a bounce, but never one by a complaint.
            let cause = match report.kind {
                ReportKind::HardBounce => Some(SuppressionCause::Bounce),
                ReportKind::Complaint => Some(SuppressionCause::Complaint),
                ReportKind::SoftBounce if self.is_one_too_many(id, serial).await? => Some(SuppressionCause::Bounce),
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
            return Ok(result);
        }
        warn!(
            kind = report.kind.name(),
            detail = report.detail,
            "a report names no mail of ours"
        );
        Ok(result)
    }

    /// Whether one more soft bounce is too many. Only digests count.
    async fn is_one_too_many(&self, id: &str, serial: &str) -> Result<bool, StoreError> {
        let slot = serial
            .parse()
            .ok()
            .and_then(|slot| Timestamp::from_millisecond(slot).ok());
        match slot {
            Some(slot) => {
                let within = self.soft_bounces.within;
                let mailed = self.ledger.record_soft_bounce(id, slot, within).await?;
                Ok(self.soft_bounces.is_reached(&mailed, slot))
            }
            None => Ok(false),
        }
    }
}

/// The subscriber's id and the serial of the mail in a Message-ID or a return path.
fn id_and_serial<'a>(mail: &'a str, domain: &str) -> Option<(&'a str, &'a str)> {
    let (left, host) = mail.trim_matches(['<', '>', ' ']).rsplit_once('@')?;
    // A return path has both after the plus sign, at whatever host receives bounces.
    let left = match left.split_once('+') {
        Some((_, mail)) => mail,
        None if host.eq_ignore_ascii_case(domain) => left,
        None => return None,
    };
    let (id, serial) = left.split_once('.')?;
    (!id.is_empty()).then_some((id, serial))
}

#[cfg(test)]
mod tests;
