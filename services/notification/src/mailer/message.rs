//! A mail as the bytes that go over the wire: the signature, the headers, the body.

use std::fmt;

use jiff::Timestamp;
use lettre::Address;
use lettre::message::Mailbox;

use super::body::Body;
use super::dkim::Dkim;
use super::headers::header_text;
use super::{Outgoing, SendError};

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
pub struct Message<'a> {
    /// Where what comes back goes to: names the mail where there is an address for it.
    pub return_path: Address,
    /// Whom it is for.
    pub to: Address,
    /// Headers, and the line behind them.
    head: String,
    body: &'a Body,
}

impl Message<'_> {
    /// Header and body, lines ended by CRLF, none of them beginning with a full stop.
    pub fn to_text(&self) -> String {
        [&self.head, self.body.as_str()].concat()
    }

    /// Header, body, and the line that ends a mail.
    pub fn content(&self) -> impl fmt::Display {
        Content(&self.head, self.body.content())
    }
}

/// A mail, in one write.
struct Content<'a>(&'a str, &'a str);

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)?;
        f.write_str(self.1)
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
    pub fn write<'a>(&self, mail: &'a Outgoing) -> Result<Message<'a>, SendError> {
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
        let signature = self.dkim.as_ref();
        let signature = signature.map(|dkim| dkim.sign(&headers, mail.body.as_str()));
        headers.push(("Auto-Submitted", "auto-generated".to_owned()));
        let mut head = String::with_capacity(HEADERS);
        for (name, value) in signature.into_iter().chain(headers) {
            for part in [name, ": ", &value, "\r\n"] {
                head.push_str(part);
            }
        }
        head.push_str(mail.body.headers());
        head.push_str("\r\n");
        Ok(Message {
            return_path: self.return_path(&mail.message_id),
            to,
            head,
            body: &mail.body,
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
