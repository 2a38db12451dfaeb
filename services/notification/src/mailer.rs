//! Hands mails to a mail server, or to a maildir where there is none.
//!
//! It says whether a refusal is for now or for good; what follows from that is not its business.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::PoolConfig;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

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
    pub unsubscribe_url: String,
}

/// A mail that was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Not now.
    #[error("the mail server does not take it now: {0}")]
    Transient(String),
    /// Never at this address.
    #[error("the mail server refuses the address: {0}")]
    Permanent(String),
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
    /// By URL, such as `smtp://user:password@host:587?tls=required`.
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
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(SendError::Permanent(error.to_string())),
            Err(error) => Err(SendError::Transient(error.to_string())),
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
        let (tmp, new) = (self.folder.join("tmp").join(&name), self.folder.join("new").join(&name));
        let written = tokio::task::spawn_blocking(move || {
            std::fs::write(&tmp, bytes)?;
            std::fs::File::open(&tmp)?.sync_all()?;
            std::fs::rename(&tmp, &new)
        });
        let written = written.await.map_err(|error| SendError::Transient(error.to_string()))?;
        written.map_err(|error| SendError::Transient(format!("maildir {}: {error}", self.folder.display())))
    }
}

fn message(from: &Mailbox, mail: &Mail) -> Result<Message, SendError> {
    let refused = |problem: String| SendError::Permanent(problem);
    let to: Mailbox = mail
        .to
        .parse()
        .map_err(|error| refused(format!("{}: {error}", mail.to)))?;
    let mut message = Message::builder()
        .from(from.clone())
        .to(to)
        .subject(&mail.subject)
        .message_id(Some(mail.message_id.clone()))
        .date_now()
        .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
        .map_err(|error| refused(error.to_string()))?;
    let headers = [
        ("List-Unsubscribe", format!("<{}>", mail.unsubscribe_url)),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()),
    ];
    for (name, value) in headers {
        let name = HeaderName::new_from_ascii_str(name);
        message.headers_mut().insert_raw(HeaderValue::new(name, value));
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Mail {
        Mail {
            to: "ada@example.org".into(),
            subject: "Zürich: 3 papers".into(),
            text: "plain".into(),
            html: "<p>rich</p>".into(),
            message_id: "<a.1@example.org>".into(),
            unsubscribe_url: "https://example.org/unsubscribe?token=x".into(),
        }
    }

    #[tokio::test]
    async fn a_mail_sent_twice_is_one_file_with_the_headers_readers_need() {
        let folder = tempfile::tempdir().expect("a folder");
        let maildir = Maildir::new(folder.path(), "B <b@example.org>".parse().expect("a mailbox")).expect("a maildir");
        maildir.send(&mail()).await.expect("sent");
        maildir.send(&mail()).await.expect("sent again");
        let files: Vec<_> = std::fs::read_dir(folder.path().join("new"))
            .expect("a folder")
            .collect();
        assert_eq!(files.len(), 1);
        let path = files[0].as_ref().expect("an entry").path();
        let text = std::fs::read_to_string(path).expect("a mail");
        for expected in [
            "Message-ID: <a.1@example.org>",
            "List-Unsubscribe: <https://example.org/unsubscribe?token=x>",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            "multipart/alternative",
            "Subject: =?utf-8?",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }
}
