//! A mail as the bytes that go over the wire: headers, then text and HTML as alternatives, then the signature in front.

use jiff::Timestamp;
use lettre::Address;
use lettre::message::Mailbox;

use super::dkim::Dkim;
use super::encoding::{header_text, quoted_printable};
use super::{Mail, SendError};

/// In no quoted-printable text is `=` followed by `_`, so no part can hold it.
const BOUNDARY: &str = "=_broadsheet_=";

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
    /// Header and body, lines ended by CRLF, none of them beginning with a full stop.
    pub bytes: String,
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
    pub fn write(&self, mail: &Mail) -> Result<Message, SendError> {
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
        let mut body = String::new();
        let kind = write_body(mail, &mut body);
        let signature = self.dkim.as_ref().map(|dkim| dkim.sign(&headers, &body));
        headers.push(("Auto-Submitted", "auto-generated".to_owned()));
        let mut bytes = String::with_capacity(body.len() + 2048);
        for (name, value) in signature.into_iter().chain(headers) {
            for part in [name, ": ", &value, "\r\n"] {
                bytes.push_str(part);
            }
        }
        bytes.push_str(&kind);
        bytes.push_str("\r\n");
        bytes.push_str(&body);
        Ok(Message {
            return_path: self.return_path(&mail.message_id),
            to,
            bytes,
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
    let unfolded = value.replace("\r\n ", " ");
    !unfolded.contains(['\r', '\n'])
}

/// Writes the parts and says what they are.
fn write_body(mail: &Mail, body: &mut String) -> String {
    let part = |kind: &str| {
        format!("Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n")
    };
    let Some(html) = &mail.html else {
        quoted_printable(&mail.text, body);
        return part("plain");
    };
    for (kind, text) in [("plain", &mail.text), ("html", html)] {
        body.push_str("--");
        body.push_str(BOUNDARY);
        body.push_str("\r\n");
        body.push_str(&part(kind));
        body.push_str("\r\n");
        quoted_printable(text, body);
    }
    body.push_str("--");
    body.push_str(BOUNDARY);
    body.push_str("--\r\n");
    format!("Content-Type: multipart/alternative; boundary=\"{BOUNDARY}\"\r\n")
}
