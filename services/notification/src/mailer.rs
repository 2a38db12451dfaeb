//! Hands mails to a mail server, or to a maildir where there is none.
//!
//! It says whether a refusal is for now or for good; what follows from that is not its business.
//!
//! Mail goes over our own pool of connections (lettre speaks the protocol; the pool sets TCP_NODELAY and sends everything
//! before the content at once if the server offers PIPELINING), at a rate in total and per domain, with DKIM signatures if a
//! key is configured. Too many failures in a row pause sending. A bounce or a complaint arrives by a call or in a maildir and
//! leads to suppression; soft bounces do after several digests in a row. 4xx is retried, other 5xx fail the digest.

pub mod body;
pub mod config;
pub mod dkim;
pub mod domains;
mod error_budget;
mod headers;
mod maildir;
mod message;
mod private_key_file;
pub mod quoted_printable;
mod rate_limit;
mod reply;
pub mod smtp;
pub mod spans;

use std::time::Duration;

use async_trait::async_trait;

use self::body::MimeBody;

/// A mail as a person reads it, complete but for the sender.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Address.
    pub to: String,
    /// Subject line.
    pub subject: String,
    /// Text part.
    pub text: String,
    /// HTML part, where the reader does not want text alone.
    pub html: Option<String>,
    /// With angle brackets; the same at every attempt.
    pub message_id: String,
    /// Where one POST ends the subscription (RFC 8058).
    pub list_unsubscribe_url: Option<String>,
    /// What it is for.
    pub kind: MailKind,
}

/// What a mail is for. Providers count complaints by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailKind {
    /// A digest.
    Digest,
    /// Asks for consent.
    Confirmation,
    /// Has the link to an account, for a reader who asked for it.
    AccountLink,
    /// Tells a reader of a change.
    Notice,
}

impl MailKind {
    /// As headers spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::Confirmation => "confirmation",
            Self::AccountLink => "account",
            Self::Notice => "notice",
        }
    }
}

/// A mail as it is sent, complete but for the sender: the body is encoded.
#[derive(Debug, Clone)]
pub struct EncodedMail {
    /// Address.
    pub to: String,
    /// Subject line.
    pub subject: String,
    /// Its parts.
    pub body: MimeBody,
    /// With angle brackets; the same at every attempt.
    pub message_id: String,
    /// Where one POST ends the subscription (RFC 8058).
    pub list_unsubscribe_url: Option<String>,
    /// What it is for.
    pub kind: MailKind,
}

impl From<Mail> for EncodedMail {
    fn from(mail: Mail) -> Self {
        Self {
            body: MimeBody::of(&mail.text, mail.html.as_deref()),
            to: mail.to,
            subject: mail.subject,
            message_id: mail.message_id,
            list_unsubscribe_url: mail.list_unsubscribe_url,
            kind: mail.kind,
        }
    }
}

/// A mail that was not accepted, or may not have been.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Not now.
    #[error("the mail server does not accept it now: {0}")]
    Transient(String),
    /// Not tried, because sending is paused.
    #[error("{problem}")]
    Paused {
        /// Why.
        problem: String,
        /// How much longer the pause lasts.
        remaining: Duration,
    },
    /// Never at this address.
    #[error("the mail server refuses the address: {0}")]
    NoSuchAddress(String),
    /// Never this mail; the address may be a good one.
    #[error("the mail is refused: {0}")]
    Refused(String),
    /// The connection broke before the answer. The mail server may have the mail.
    #[error("the mail server did not answer: {0}")]
    Lost(String),
}

/// Takes mails, from hundreds of tasks at once.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Returns when the mail is the other side's responsibility.
    async fn send(&self, mail: &EncodedMail) -> Result<(), SendError>;
}

#[cfg(test)]
mod tests;
