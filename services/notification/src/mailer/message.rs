//! A mail as the bytes that go over the wire: the signature, the headers, the body.

use std::fmt;
use std::sync::Arc;

use common::clock::Clock;
use lettre::Address;
use lettre::message::Mailbox;

use super::body::MimeBody;
use super::dkim::DkimSigner;
use super::headers::header_text;
use super::{EncodedMail, SendError};
use crate::mail_ids::MailIds;

/// The usual size of the headers.
const HEADER_BYTES: usize = 2048;

/// Builds the messages of one sender.
pub struct MessageBuilder {
    from: String,
    sender: Address,
    return_paths: Option<ReturnPaths>,
    dkim: Option<DkimSigner>,
    clock: Clock,
}

/// Gives each mail a return path of its own, so that a bounce proves which mail it is about.
pub struct ReturnPaths {
    /// Where bounces go.
    pub address: Address,
    /// Names mails.
    pub ids: Arc<MailIds>,
}

impl ReturnPaths {
    fn of(&self, message_id: &str) -> Address {
        let own = self.ids.return_path(&self.address, message_id);
        own.unwrap_or_else(|| self.address.clone())
    }
}

/// A mail, ready for the wire.
#[derive(Debug)]
pub struct Message<'a> {
    /// Where bounces go; it names the mail where there is a bounce address.
    pub return_path: Address,
    /// Whom it is for.
    pub to: Address,
    /// Headers, and the empty line after them.
    head: String,
    body: &'a MimeBody,
}

impl Message<'_> {
    /// Headers and body. Lines end with CRLF, and none begins with a full stop.
    pub fn to_text(&self) -> String {
        [&self.head, self.body.as_str()].concat()
    }

    /// Headers, body, and the line that ends a mail.
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

impl MessageBuilder {
    /// For a sender. Without return paths bounces go to the sender.
    pub fn new(from: &Mailbox, return_paths: Option<ReturnPaths>, dkim: Option<DkimSigner>, clock: Clock) -> Self {
        let name = from.name.as_deref().filter(|name| !name.is_ascii());
        let from_header = name.map_or_else(
            || from.to_string(),
            |name| format!("{}\r\n <{}>", header_text(name, "From: ".len()), from.email),
        );
        Self {
            from: from_header,
            sender: from.email.clone(),
            return_paths,
            dkim,
            clock,
        }
    }

    /// Signs a mail and puts its headers before its body.
    pub fn build<'a>(&self, mail: &'a EncodedMail) -> Result<Message<'a>, SendError> {
        let refused = |problem: String| SendError::Refused(problem);
        let to: Address = mail
            .to
            .parse()
            .map_err(|error| refused(format!("{}: {error}", mail.to)))?;
        let date = self.clock.now().strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();
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
        let mut head = String::with_capacity(HEADER_BYTES);
        for (name, value) in signature.into_iter().chain(headers) {
            for part in [name, ": ", &value, "\r\n"] {
                head.push_str(part);
            }
        }
        head.push_str(mail.body.headers());
        head.push_str("\r\n");
        Ok(Message {
            return_path: self
                .return_paths
                .as_ref()
                .map_or_else(|| self.sender.clone(), |paths| paths.of(&mail.message_id)),
            to,
            head,
            body: &mail.body,
        })
    }
}

/// A line end is only allowed where it folds a header.
fn is_header(value: &str) -> bool {
    value.split("\r\n ").all(|line| !line.contains(['\r', '\n']))
}
