//! Hands mails to a mail server, or to a maildir where there is none.
//!
//! It says whether a refusal is for now or for good; what follows from that is not its business.

pub mod body;
mod budget;
pub mod config;
mod dkim;
mod headers;
mod maildir;
mod message;
mod pace;
pub mod quoted;
mod refusal;
mod smtp;
pub mod spans;

use std::time::Duration;

use async_trait::async_trait;

use self::body::Body;

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
}

/// A mail as it goes out, complete but for the sender.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Address.
    pub to: String,
    /// Subject line.
    pub subject: String,
    /// Its parts.
    pub body: Body,
    /// With angle brackets; the same at every attempt.
    pub message_id: String,
    /// Where one POST ends the subscription (RFC 8058).
    pub list_unsubscribe_url: Option<String>,
}

impl From<Mail> for Outgoing {
    fn from(mail: Mail) -> Self {
        Self {
            body: Body::of(&mail.text, mail.html.as_deref()),
            to: mail.to,
            subject: mail.subject,
            message_id: mail.message_id,
            list_unsubscribe_url: mail.list_unsubscribe_url,
        }
    }
}

/// A mail that was not taken, or may not have been.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Not now.
    #[error("the mail server does not take it now: {0}")]
    Transient(String),
    /// Not tried, because sending is paused.
    #[error("{problem}")]
    Paused {
        /// Why.
        problem: String,
        /// For how long yet.
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
    async fn send(&self, mail: &Outgoing) -> Result<(), SendError>;
}

#[cfg(test)]
mod tests;
