//! A mail as the bytes that go over the wire: the signature, the headers, the body.

use jiff::Timestamp;
use lettre::Address;
use lettre::message::Mailbox;

use super::dkim::Dkim;
use super::headers::header_text;
use super::{Outgoing, SendError};

/// What ends a mail on the wire.
const END: &str = ".\r\n";
/// What headers take, about.
const HEADERS: usize = 2048;

/// Writes mails of one sender.
pub struct Writer {
    from: String,
    sender: Address,
    bounces: Option<Address>,
    dkim: Option<Dkim>,
}

/// A mail, ready for the wire.
#[derive(Debug)]
pub struct Message {
    /// Where what comes back goes to: names the mail where there is an address for it.
    pub return_path: Address,
    /// Whom it is for.
    pub to: Address,
    /// With what ends it, so that it goes out without being copied once more.
    content: String,
}

impl Message {
    /// Header and body, lines ended by CRLF, none of them beginning with a full stop.
    pub fn as_str(&self) -> &str {
        self.content.strip_suffix(END).unwrap_or(&self.content)
    }

    /// Header, body, and the line that ends a mail.
    pub fn content(&self) -> &str {
        &self.content
    }
}

impl Writer {
    /// For a sender. Where `bounces` is `name@host`, each mail's return path is `name+<its Message-ID's left side>@host`.
    pub fn new(from: &Mailbox, bounces: Option<Address>, dkim: Option<Dkim>) -> Self {
        let name = from.name.as_deref().filter(|name| !name.is_ascii());
        let shown = name.map_or_else(
            || from.to_string(),
            |name| format!("{}\r\n <{}>", header_text(name, "From: ".len()), from.email),
        );
        Self {
            from: shown,
            sender: from.email.clone(),
            bounces,
            dkim,
        }
    }

    /// Puts a mail together.
    pub fn write(&self, mail: &Outgoing) -> Result<Message, SendError> {
        let refused = |problem: String| SendError::Refused(problem);
        let to: Address = mail
            .to
            .parse()
            .map_err(|error| refused(format!("{}: {error}", mail.to)))?;
        let date = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();
        let mut headers = vec![
            ("From", self.from.clone()),
            ("To", mail.to.clone()),
            ("Subject", header_text(&mail.subject, "Subject: ".len())),
            ("Date", date),
            ("Message-ID", mail.message_id.clone()),
            ("MIME-Version", "1.0".to_owned()),
        ];
        if let Some(url) = &mail.list_unsubscribe_url {
            headers.push(("List-Unsubscribe", format!("<{url}>")));
            headers.push(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
        }
        if let Some((name, _)) = headers.iter().find(|(_, value)| !is_header(value)) {
            return Err(refused(format!("{name} holds a line end")));
        }
        let body = mail.body.as_str();
        let signature = self.dkim.as_ref().map(|dkim| dkim.sign(&headers, body));
        headers.push(("Auto-Submitted", "auto-generated".to_owned()));
        let mut content = String::with_capacity(body.len() + HEADERS);
        for (name, value) in signature.into_iter().chain(headers) {
            for part in [name, ": ", &value, "\r\n"] {
                content.push_str(part);
            }
        }
        for part in [mail.body.headers(), "\r\n", body, END] {
            content.push_str(part);
        }
        Ok(Message {
            return_path: self.return_path(&mail.message_id),
            to,
            content,
        })
    }

    fn return_path(&self, message_id: &str) -> Address {
        let own = || {
            let bounces = self.bounces.as_ref()?;
            let (left, _) = message_id.trim_start_matches('<').split_once('@')?;
            Address::new(format!("{}+{left}", bounces.user()), bounces.domain()).ok()
        };
        own()
            .or_else(|| self.bounces.clone())
            .unwrap_or_else(|| self.sender.clone())
    }
}

/// A line end is only allowed where it folds a header.
fn is_header(value: &str) -> bool {
    value.split("\r\n ").all(|line| !line.contains(['\r', '\n']))
}
