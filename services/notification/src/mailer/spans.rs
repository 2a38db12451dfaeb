//! Each attempt at a mail as a span: which kind of mail, what the mail server answered, what that meant.
//!
//! It never says whom a mail is for or what is in it.

use tracing::{Span, field, info_span};

use super::SendError;

/// The span of handing over a `digest` or a `confirmation`.
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

/// Notes the code of the mail server's last answer on the current span.
pub fn answered(code: u16) {
    Span::current().record("smtp.reply_code", code);
}

/// Notes how an attempt ended.
pub fn ended(span: &Span, outcome: &Result<(), SendError>) {
    let name = match outcome {
        Ok(()) => "taken",
        Err(SendError::Transient(_) | SendError::Paused { .. }) => "later",
        Err(SendError::NoSuchAddress(_)) => "address_refused",
        Err(SendError::Refused(_)) => "mail_refused",
        Err(SendError::Lost(_)) => "unknown",
    };
    span.record("mail.outcome", name);
    if outcome.is_err() {
        span.record("otel.status_code", "ERROR");
    }
}
