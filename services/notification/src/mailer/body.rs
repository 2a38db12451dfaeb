//! The body of a mail: its text alone, or text and HTML as alternatives, all of it quoted-printable.

use super::quoted::Quoted;

/// In no quoted-printable text is `=` followed by `_`, so no part can hold it.
const DELIMITER: &str = "--=_broadsheet_=\r\n";
const LAST_DELIMITER: &str = "--=_broadsheet_=--\r\n";
const ALTERNATIVES: &str = "Content-Type: multipart/alternative; boundary=\"=_broadsheet_=\"\r\n";
const PLAIN: &str = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n";
const HTML: &str = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n";

/// The line that ends a mail on the wire.
const END: &str = ".\r\n";

/// A body, and what it is.
#[derive(Debug, Clone)]
pub struct Body {
    headers: &'static str,
    /// With the line that ends a mail, so that it goes out without being copied once more.
    content: String,
}

impl Body {
    /// Of texts; without HTML it is the text alone.
    pub fn of(text: &str, html: Option<&str>) -> Self {
        let room = (text.len() + html.map_or(0, str::len)) * 5 / 4 + 512;
        match html {
            Some(html) => Self::alternatives(room, |out| out.push(text), |out| out.push(html)),
            None => Self::plain(room, |out| out.push(text)),
        }
    }

    /// A text, written into a buffer with room for so many bytes.
    pub fn plain(room: usize, write: impl FnOnce(&mut Quoted)) -> Self {
        let mut out = Quoted::with_capacity(room);
        write(&mut out);
        Self::ended(PLAIN, out)
    }

    /// A text and its HTML, written into a buffer with room for so many bytes.
    pub fn alternatives(room: usize, plain: impl FnOnce(&mut Quoted), html: impl FnOnce(&mut Quoted)) -> Self {
        let mut out = Quoted::with_capacity(room);
        for line in [DELIMITER, PLAIN, "\r\n"] {
            out.push_lines(line);
        }
        plain(&mut out);
        for line in [DELIMITER, HTML, "\r\n"] {
            out.push_lines(line);
        }
        html(&mut out);
        out.push_lines(LAST_DELIMITER);
        Self::ended(ALTERNATIVES, out)
    }

    fn ended(headers: &'static str, mut out: Quoted) -> Self {
        out.push_lines(END);
        Self {
            headers,
            content: out.finish(),
        }
    }

    /// The header lines that say what it is.
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

/// The text and the HTML of a body, as a reader's program reads them.
#[cfg(test)]
pub fn read(body: &Body) -> (String, Option<String>) {
    let content = |part: &str| {
        let (_, content) = part.split_once("\r\n\r\n").expect("a blank line");
        super::quoted::read(content)
    };
    if body.headers == PLAIN {
        return (super::quoted::read(body.as_str()), None);
    }
    let parts: Vec<&str> = body.as_str().split("--=_broadsheet_=").collect();
    let ["", plain, html, "--\r\n"] = parts.as_slice() else {
        panic!("not two parts in {}", body.as_str())
    };
    (content(plain), Some(content(html)))
}
