//! The body of a mail: text alone, or text and HTML as alternatives, all of it quoted-printable.

use super::quoted_printable::QuotedPrintable;

/// In no quoted-printable text is `=` followed by `_`, so no part can hold it.
const DELIMITER: &str = "--=_broadsheet_=\r\n";
const LAST_DELIMITER: &str = "--=_broadsheet_=--\r\n";
const ALTERNATIVES: &str = "Content-Type: multipart/alternative; boundary=\"=_broadsheet_=\"\r\n";
const PLAIN: &str = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n";
const HTML: &str = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n";

/// The line that ends a mail on the wire.
const END: &str = ".\r\n";

/// A body, and the headers that describe it.
#[derive(Debug, Clone)]
pub struct MimeBody {
    headers: &'static str,
    /// With the line that ends a mail, so that it goes out without being copied once more.
    content: String,
}

impl MimeBody {
    /// Of a text, and of HTML where there is some.
    pub fn of(text: &str, html: Option<&str>) -> Self {
        let capacity = (text.len() + html.map_or(0, str::len)) * 5 / 4 + 512;
        match html {
            Some(html) => Self::alternatives(capacity, |out| out.push(text), |out| out.push(html)),
            None => Self::plain(capacity, |out| out.push(text)),
        }
    }

    /// A text, written into a buffer with a capacity in bytes.
    pub fn plain(capacity: usize, write: impl FnOnce(&mut QuotedPrintable)) -> Self {
        let mut out = QuotedPrintable::with_capacity(capacity);
        write(&mut out);
        Self::finished(PLAIN, out)
    }

    /// A text and its HTML, written into a buffer with a capacity in bytes.
    pub fn alternatives(
        capacity: usize,
        plain: impl FnOnce(&mut QuotedPrintable),
        html: impl FnOnce(&mut QuotedPrintable),
    ) -> Self {
        let mut out = QuotedPrintable::with_capacity(capacity);
        for line in [DELIMITER, PLAIN, "\r\n"] {
            out.push_lines(line);
        }
        plain(&mut out);
        for line in [DELIMITER, HTML, "\r\n"] {
            out.push_lines(line);
        }
        html(&mut out);
        out.push_lines(LAST_DELIMITER);
        Self::finished(ALTERNATIVES, out)
    }

    fn finished(headers: &'static str, mut out: QuotedPrintable) -> Self {
        out.push_lines(END);
        Self {
            headers,
            content: out.finish(),
        }
    }

    /// The headers that describe it.
    pub fn headers(&self) -> &'static str {
        self.headers
    }

    /// Its lines.
    pub fn as_str(&self) -> &str {
        self.content.strip_suffix(END).unwrap_or(&self.content)
    }

    /// Its lines, and the one that ends a mail.
    pub fn content(&self) -> &str {
        &self.content
    }
}

#[cfg(test)]
impl MimeBody {
    /// The text and the HTML, as a mail program reads them.
    pub fn parsed(&self) -> (String, Option<String>) {
        use mail_parser::{MessageParser, PartType};

        let raw = format!("MIME-Version: 1.0\r\n{}\r\n{}", self.headers(), self.as_str());
        let message = MessageParser::default().parse(&raw).expect("a mail");
        let (mut plain, mut html) = (None, None);
        for part in &message.parts {
            match &part.body {
                PartType::Text(text) => plain = Some(text.replace("\r\n", "\n")),
                PartType::Html(text) => html = Some(text.replace("\r\n", "\n")),
                _ => {}
            }
        }
        (plain.expect("a text part"), html)
    }
}
