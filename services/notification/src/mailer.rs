//! Hands mails to a mail server, or to a maildir where there is none.
//!
//! It says whether a refusal is for now or for good; what follows from that is not its business.

mod message;
mod refusal;
pub mod spans;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use lettre::transport::smtp::PoolConfig;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use message::message;

/// lettre sets no TCP_NODELAY, so one connection sends some 40 mails a second and a pool many times that.
const CONNECTIONS: u32 = 16;
const TIMEOUT: Duration = Duration::from_secs(30);

/// A mail, complete but for the sender.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Address.
    pub to: String,
    /// Subject line.
    pub subject: String,
    /// Text part.
    pub text: String,
    /// HTML part.
    pub html: String,
    /// With angle brackets; the same at every attempt.
    pub message_id: String,
    /// Where one POST ends the subscription (RFC 8058).
    pub list_unsubscribe_url: Option<String>,
}

/// A mail that was not taken, or may not have been.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Not now.
    #[error("the mail server does not take it now: {0}")]
    Transient(String),
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

/// Takes mails.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Returns when the mail is the other side's responsibility.
    async fn send(&self, mail: &Mail) -> Result<(), SendError>;
}

/// A mail server.
pub struct Smtp {
    from: Mailbox,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Smtp {
    /// By URL: `smtps://user:password@host`, or `smtp://…` with `?tls=required`, `?tls=opportunistic` or neither.
    pub fn new(url: &str, from: Mailbox) -> Result<Self, String> {
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|error| error.to_string())?;
        let pool = PoolConfig::new().max_size(CONNECTIONS);
        Ok(Self {
            from,
            transport: builder.pool_config(pool).timeout(Some(TIMEOUT)).build(),
        })
    }
}

#[async_trait]
impl Transport for Smtp {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let message = message(&self.from, mail)?;
        match self.transport.send(message).await {
            Ok(answer) => {
                spans::answered(u16::from(answer.code()));
                Ok(())
            }
            Err(error) => {
                if let Some(code) = error.status() {
                    spans::answered(u16::from(code));
                }
                Err(refusal::meaning(&error))
            }
        }
    }
}

/// A folder in maildir form. A mail that is sent again replaces itself.
pub struct Maildir {
    from: Mailbox,
    folder: PathBuf,
}

impl Maildir {
    /// Makes the folder.
    pub fn new(folder: &Path, from: Mailbox) -> Result<Self, String> {
        for part in ["tmp", "new", "cur"] {
            let path = folder.join(part);
            std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(Self {
            from,
            folder: folder.to_owned(),
        })
    }
}

#[async_trait]
impl Transport for Maildir {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let bytes = message(&self.from, mail)?.formatted();
        let safe = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '@') {
                c
            } else {
                '_'
            }
        };
        let name: String = mail.message_id.trim_matches(['<', '>']).chars().map(safe).collect();
        // Two attempts at the same mail write files of their own, and the later rename replaces the earlier one.
        let unique = format!("{name}.{}", uuid::Uuid::new_v4().simple());
        let (tmp, folder) = (self.folder.join("tmp").join(unique), self.folder.join("new"));
        let written = tokio::task::spawn_blocking(move || {
            std::fs::write(&tmp, bytes)?;
            std::fs::File::open(&tmp)?.sync_all()?;
            std::fs::rename(&tmp, folder.join(name))?;
            std::fs::File::open(&folder)?.sync_all()
        });
        let written = written.await.map_err(|error| SendError::Transient(error.to_string()))?;
        written.map_err(|error| SendError::Transient(format!("maildir {}: {error}", self.folder.display())))
    }
}

#[cfg(test)]
mod tests;
