//! A mail as the bytes that go over the wire: the signatures, the headers, the body.
//!
//! Every mail says that no person wrote it (RFC 3834) and has a Feedback-ID, by which Gmail counts complaints; it names the
//! sender and what the mail is for, and no reader. A digest is a list's mail: List-Id (RFC 2919), one-click unsubscribing
//! (RFC 8058) with a mail address beside the URL, and Precedence for old auto-responders. Where complaints are read, mails say
//! where they may be sent (RFC 9477). All of these are signed.

use std::fmt;
use std::sync::Arc;

use common::clock::Clock;
use lettre::Address;
use lettre::message::Mailbox;
use ring::digest::{SHA256, digest};

use super::body::MimeBody;
use super::dkim::DkimSigner;
use super::headers::header_text;
use super::{EncodedMail, SendError};
use crate::mail_ids::MailIds;
use crate::tokens::Tokens;

/// The usual size of the headers.
const HEADER_BYTES: usize = 4096;
/// Headers of a mail, beside the signatures.
const MAX_HEADERS: usize = 14;
/// Longest part of an address before the @ (RFC 5321, section 4.5.3.1.1).
pub const MAX_LOCAL_CHARS: usize = 64;

/// Builds the messages of one sender.
pub struct MessageBuilder {
    from: String,
    sender: Address,
    return_paths: Option<ReturnPaths>,
    answers: Option<AnswerMailbox>,
    dkim: Option<DkimSigner>,
    list_id: String,
    feedback_sender: String,
    clock: Clock,
}

/// The mailbox in which what readers and providers answer by mail is read.
pub struct AnswerMailbox {
    /// Its address. It takes `<name>+<anything>@<host>`, too.
    pub address: Address,
    /// Whether receivers may send complaints there.
    pub takes_complaints: bool,
    /// Makes the addresses at which a mail ends a subscription.
    pub tokens: Arc<Tokens>,
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
    /// For a sender. Without return paths bounces go to the sender; without a mailbox that is read, no header asks for answers
    /// by mail.
    pub fn new(
        from: &Mailbox,
        return_paths: Option<ReturnPaths>,
        answers: Option<AnswerMailbox>,
        dkim: Option<DkimSigner>,
        clock: Clock,
    ) -> Self {
        let name = from.name.as_deref().filter(|name| !name.is_ascii());
        let from_header = name.map_or_else(
            || from.to_string(),
            |name| format!("{}\r\n <{}>", header_text(name, "From: ".len()), from.email),
        );
        Self {
            from: from_header,
            sender: from.email.clone(),
            return_paths,
            answers,
            dkim,
            list_id: format!("<digests.{}>", from.email.domain()),
            feedback_sender: feedback_sender(from.email.domain()),
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
        let mut headers = Vec::with_capacity(MAX_HEADERS);
        headers.extend([
            ("From", self.from.clone()),
            ("To", mail.to.clone()),
            ("Subject", header_text(&mail.subject, "Subject: ".len())),
            ("Date", date),
            ("Message-ID", mail.message_id.clone()),
            ("MIME-Version", "1.0".to_owned()),
            ("Auto-Submitted", "auto-generated".to_owned()),
            (
                "Feedback-ID",
                format!("{}:broadsheet:{}", mail.kind.name(), self.feedback_sender),
            ),
        ]);
        if let Some(url) = &mail.list_unsubscribe_url {
            headers.extend([
                ("List-Id", self.list_id.clone()),
                ("List-Unsubscribe", self.list_unsubscribe(url, &mail.message_id)),
                ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()),
                ("Precedence", "bulk".to_owned()),
            ]);
        }
        if let Some(mailbox) = self.answers.as_ref().filter(|mailbox| mailbox.takes_complaints) {
            headers.extend([
                ("CFBL-Address", format!("{}; report=arf", mailbox.address)),
                ("CFBL-Feedback-ID", self.complaint_id(&mail.message_id)),
            ]);
        }
        if let Some((name, _)) = headers.iter().find(|(_, value)| !is_header(value)) {
            return Err(refused(format!("{name} holds a line end")));
        }
        let signer = self.dkim.as_ref();
        let signatures = signer.map(|signer| signer.sign(&headers, mail.body.as_str()));
        let mut head = String::with_capacity(HEADER_BYTES);
        for (name, value) in signatures.into_iter().flatten().chain(headers) {
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

    /// What names a mail in complaints; nobody who has seen its Message-ID alone can make it.
    fn complaint_id(&self, message_id: &str) -> String {
        let own = self
            .return_paths
            .as_ref()
            .and_then(|paths| paths.ids.feedback_id(message_id));
        own.unwrap_or_else(|| message_id.trim_matches(['<', '>']).to_owned())
    }

    /// The URL first: clients try the first that they know, and a request is answered at once.
    fn list_unsubscribe(&self, url: &str, message_id: &str) -> String {
        let by_mail = self
            .answers
            .as_ref()
            .and_then(|mailbox| mailbox.unsubscribe_address(message_id));
        by_mail.map_or_else(
            || format!("<{url}>"),
            |address| format!("<{url}>,\r\n <mailto:{address}?subject=unsubscribe>"),
        )
    }
}

impl AnswerMailbox {
    /// The address at which a mail ends the subscription of the reader whom a Message-ID names.
    fn unsubscribe_address(&self, message_id: &str) -> Option<Address> {
        let (subscriber, _) = message_id.trim_start_matches('<').split_once('.')?;
        let user = format!("{}+{}", self.address.user(), self.tokens.unsubscribe_tag(subscriber));
        let fits = user.len() <= MAX_LOCAL_CHARS;
        fits.then(|| Address::new(user, self.address.domain()).ok()).flatten()
    }
}

/// A sender's own part of a Feedback-ID: 5 to 15 characters, the same in all of its mails.
fn feedback_sender(domain: &str) -> String {
    let hash = digest(&SHA256, domain.to_ascii_lowercase().as_bytes());
    domain::identity::hex(&hash.as_ref()[..6])
}

/// A line end is only allowed where it folds a header.
fn is_header(value: &str) -> bool {
    value.split("\r\n ").all(|line| !line.contains(['\r', '\n']))
}
