//! A mail as the bytes that go over the wire: headers, then text and HTML as alternatives.

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};

use super::{Mail, SendError};

/// Puts a mail together.
pub fn message(from: &Mailbox, mail: &Mail) -> Result<Message, SendError> {
    let refused = |problem: String| SendError::Refused(problem);
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
    let Some(url) = &mail.list_unsubscribe_url else {
        return Ok(message);
    };
    let headers = [
        ("List-Unsubscribe", format!("<{url}>")),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()),
    ];
    for (name, value) in headers {
        let name = HeaderName::new_from_ascii_str(name);
        message.headers_mut().insert_raw(HeaderValue::new(name, value));
    }
    Ok(message)
}
