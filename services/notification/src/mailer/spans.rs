//! A span for each attempt to send a mail: which kind of mail it is, what the mail server replied, and what that means.
//!
//! It never says whom a mail is for or what is in it.

use tracing::{Span, field, info_span};

use super::SendError;

/// The span of an attempt to send a `digest`, a `confirmation` or a `notice`.
pub fn sending(kind: &'static str) -> Span {
    info_span!(
        "send",
        otel.name = format!("send {kind}"),
        otel.kind = "client",
        otel.status_code = field::Empty,
        mail.kind = kind,
        mail.outcome = field::Empty,
        smtp.reply_code = field::Empty
    )
}

/// Records the code of the mail server's last reply on the current span.
pub fn record_reply(code: u16) {
    Span::current().record("smtp.reply_code", code);
}

/// Records how an attempt ended.
pub fn ended(span: &Span, outcome: &Result<(), SendError>) {
    let name = match outcome {
        Ok(()) => "accepted",
        Err(SendError::Transient(_) | SendError::Paused { .. }) => "deferred",
        Err(SendError::NoSuchAddress(_)) => "address_refused",
        Err(SendError::Refused(_)) => "mail_refused",
        Err(SendError::Lost(_)) => "unknown",
    };
    span.record("mail.outcome", name);
    if outcome.is_err() {
        span.record("otel.status_code", "ERROR");
    }
}
