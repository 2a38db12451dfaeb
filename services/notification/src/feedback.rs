//! What comes back for mails that were taken: bounces and complaints, as messages in a maildir or through the call.
//!
//! An address that takes no mail, one whose mails came back softly too often in a row, and a reader who complains, are sent
//! nothing more. A report names its mail by the
//! Message-ID or the return path we gave it, whose left sides hold the subscriber's id and the slot; ids are not to be
//! guessed, so a report about somebody else's mail cannot be made up.

pub mod maildir;
mod parts;
mod report;

use jiff::Timestamp;
use tracing::{info, warn};

use crate::metrics::FEEDBACK;
use crate::subscribers::bounces::SoftBounces;
use crate::subscribers::suppressions::Reason;
use crate::subscribers::{State, Subscribers, SubscribersError};
pub use report::{Kind, Report};

/// Largest message that is read; reports are a few kilobytes and may quote the mail.
pub const MOST_BYTES: usize = 1_000_000;

/// Takes reports in.
#[derive(Clone)]
pub struct Feedback {
    subscribers: Subscribers,
    domain: String,
    soft_bounces: SoftBounces,
}

/// What a report led to.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// What it says.
    pub kind: Kind,
    /// The subscriber it is about.
    pub subscriber: Option<String>,
    /// Whether the subscriber is sent nothing more because of it.
    pub suppressed: bool,
}

impl Feedback {
    /// For mails whose Message-IDs end with `domain`.
    pub fn new(subscribers: Subscribers, domain: &str, soft_bounces: SoftBounces) -> Self {
        Self {
            subscribers,
            soft_bounces,
            domain: domain.to_ascii_lowercase(),
        }
    }

    /// A whole message. `None` where it is no report.
    pub async fn take_message(&self, message: &[u8], now: Timestamp) -> Result<Option<Taken>, SubscribersError> {
        let Some(report) = report::read(message) else {
            FEEDBACK.with_label_values(&["not_a_report"]).inc();
            return Ok(None);
        };
        self.take(&report, now).await.map(Some)
    }

    /// A report. The same one again changes nothing.
    pub async fn take(&self, report: &Report, now: Timestamp) -> Result<Taken, SubscribersError> {
        FEEDBACK.with_label_values(&[report.kind.name()]).inc();
        let mut taken = Taken {
            kind: report.kind,
            subscriber: None,
            suppressed: false,
        };
        for (id, serial) in report.mails.iter().filter_map(|mail| mail_of(mail, &self.domain)) {
            let Some(subscriber) = self.subscribers.get(id).await? else {
                continue;
            };
            taken.subscriber = Some(subscriber.id.clone());
            // New consent lifts a bounce and never a complaint, so they are told apart.
            let reason = match report.kind {
                Kind::HardBounce => Some(Reason::Bounce),
                Kind::Complaint => Some(Reason::Complaint),
                Kind::SoftBounce if self.is_too_often(id, serial).await? => Some(Reason::Bounce),
                Kind::SoftBounce | Kind::Rejection => None,
            };
            let open = matches!(subscriber.state, State::Active | State::Pending | State::Paused);
            if let Some(reason) = reason.filter(|_| open) {
                self.subscribers.suppress(id, reason, now).await?;
                taken.suppressed = true;
            }
            info!(
                subscriber = id,
                kind = report.kind.name(),
                detail = report.detail,
                suppressed = taken.suppressed,
                "feedback taken"
            );
            return Ok(taken);
        }
        warn!(
            kind = report.kind.name(),
            detail = report.detail,
            "feedback names no mail of ours"
        );
        Ok(taken)
    }

    /// Whether one more soft bounce is one too many. Mails that are no editions do not count.
    async fn is_too_often(&self, id: &str, serial: &str) -> Result<bool, SubscribersError> {
        let slot = serial
            .parse()
            .ok()
            .and_then(|slot| Timestamp::from_millisecond(slot).ok());
        match slot {
            Some(slot) => self.subscribers.soft_bounced(id, slot, self.soft_bounces).await,
            None => Ok(false),
        }
    }
}

/// The subscriber whose mail a Message-ID or a return path belongs to, and which mail it was.
fn mail_of<'a>(mail: &'a str, domain: &str) -> Option<(&'a str, &'a str)> {
    let (left, host) = mail.trim_matches(['<', '>', ' ']).rsplit_once('@')?;
    // A return path has the mail behind the plus sign, at whatever host takes bounces.
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
