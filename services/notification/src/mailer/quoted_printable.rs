//! Text as quoted-printable (RFC 2045), written once into one buffer: texts, and texts that were encoded before.
//!
//! Every body is in the relaxed form of DKIM as it is written (RFC 6376, section 3.4.4): white space is single and never at
//! the end of a line, so a body is hashed as it stands. No line begins with a full stop or with `From `, so nothing on the
//! way has a reason to change one. It stays 7-bit where a server would take 8: one further on that does not would encode it
//! anew, and the signature would be void.

use std::fmt;

/// Longest line, its soft break left out; with it a line has 76 characters.
const LINE: usize = 75;
const SOFT_BREAK: &str = "=\r\n";

/// A buffer that text is written to.
#[derive(Debug, Default)]
pub struct QuotedPrintable {
    out: String,
    /// Characters of the line that is being written.
    column: usize,
}

/// A text that is encoded once and written many times.
#[derive(Debug)]
pub struct EncodedText {
    encoded: String,
    column: usize,
}

impl EncodedText {
    /// Of a text.
    pub fn new(text: &str) -> Self {
        let mut quoted = QuotedPrintable::default();
        quoted.push(text);
        Self {
            encoded: quoted.out,
            column: quoted.column,
        }
    }
}

impl QuotedPrintable {
    /// With a capacity in bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            out: String::with_capacity(bytes),
            column: 0,
        }
    }

    /// Writes text.
    pub fn push(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let run = self.run(&bytes[at..]);
            if run > 0 {
                self.out.push_str(&text[at..at + run]);
                self.column += run;
                at += run;
                continue;
            }
            at += 1;
            match byte {
                b'\n' => self.end_line(),
                b'\r' if bytes.get(at) == Some(&b'\n') => {}
                _ if self.column >= LINE && is_plain(byte) => {
                    self.soft_break();
                    at -= 1;
                }
                _ => self.push_code(byte),
            }
        }
    }

    /// Writes an encoded text, which begins on a line of its own.
    pub fn push_encoded(&mut self, text: &EncodedText) {
        if text.encoded.is_empty() {
            return;
        }
        if self.column > 0 {
            self.soft_break();
        }
        self.out.push_str(&text.encoded);
        self.column = text.column;
    }

    /// Writes lines that need no encoding, such as the headers of a part; ends a line that was begun.
    pub fn push_lines(&mut self, lines: &str) {
        self.end_begun_line();
        self.out.push_str(lines);
    }

    /// The text, whose last line is ended.
    pub fn finish(mut self) -> String {
        self.end_begun_line();
        self.out
    }

    /// How many bytes go out as they are, into the line that is being written.
    fn run(&self, bytes: &[u8]) -> usize {
        let Some(room) = LINE.checked_sub(self.column) else {
            return 0;
        };
        let bytes = &bytes[..bytes.len().min(room)];
        let begins = self.column == 0 && (bytes.first() == Some(&b'.') || begins_with_from(bytes));
        if begins || bytes.first() == Some(&b' ') && self.out.ends_with(' ') && self.column > 0 {
            return 0;
        }
        let mut end = 0;
        let mut after_space = false;
        for &byte in bytes {
            let is_space = byte == b' ';
            if !is_plain(byte) || is_space && after_space {
                break;
            }
            after_space = is_space;
            end += 1;
        }
        end
    }

    fn push_code(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        if self.column + 3 > LINE {
            self.soft_break();
        }
        self.out.push('=');
        self.out.push(char::from(HEX[usize::from(byte >> 4)]));
        self.out.push(char::from(HEX[usize::from(byte & 15)]));
        self.column += 3;
    }

    fn soft_break(&mut self) {
        self.out.push_str(SOFT_BREAK);
        self.column = 0;
    }

    fn end_line(&mut self) {
        // A space at the end of a line would be trimmed on the way.
        if self.column > 0 && self.out.ends_with(' ') {
            self.out.push_str(SOFT_BREAK);
        }
        self.out.push_str("\r\n");
        self.column = 0;
    }

    fn end_begun_line(&mut self) {
        if self.column > 0 {
            self.end_line();
        }
    }
}

/// Whether a byte may stand for itself; a space may where no other is beside it.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'='
}

/// Whether a line would begin with `From `, or may when more comes.
fn begins_with_from(bytes: &[u8]) -> bool {
    let most = bytes.len().min(5);
    most > 0 && bytes[..most] == b"From "[..most]
}

/// So that text is escaped into it.
impl fmt::Write for QuotedPrintable {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mail_parser::decoders::quoted_printable::quoted_printable_decode;
    use proptest::prelude::*;

    use super::*;
    use crate::mailer::dkim::relaxed_body;

    /// As a mail program reads it.
    fn decoded(encoded: &str) -> String {
        let bytes = quoted_printable_decode(encoded.as_bytes()).expect("quoted-printable");
        let text = String::from_utf8(bytes).expect("the text");
        text.replace("\r\n", "\n")
    }

    fn quoted(text: &str) -> String {
        let mut out = QuotedPrintable::default();
        out.push(text);
        out.finish()
    }

    fn assert_fit_to_send(encoded: &str) {
        for line in encoded.split("\r\n") {
            assert!(line.len() <= 76 && line.is_ascii(), "{line}");
            assert!(!line.starts_with('.') && !line.starts_with("From "), "{line}");
            assert!(!line.ends_with([' ', '\t']), "{line:?}");
        }
        let kept = encoded.trim_end_matches("\r\n");
        assert_eq!(
            relaxed_body(encoded).trim_end_matches("\r\n"),
            kept,
            "it is its own relaxed form"
        );
    }

    #[test]
    fn lines_are_short_and_read_back_whole() {
        let texts = [
            "Zürich = 100 % \nnext\n".to_owned(),
            ".\n..\nFrom me\n From \n\tx\t\n   three  two\n".to_owned(),
            format!("{}\n", "x".repeat(75)),
            format!("{} \n", "x".repeat(74)),
            format!("{}.{}\n", "x".repeat(75), "y".repeat(200)),
            format!("{}From here\n", "x".repeat(75)),
            format!("{}ü ü\n", "x".repeat(73)),
            "no line end".to_owned(),
            "two ends\r\n\r\n".to_owned(),
        ];
        for text in texts {
            let encoded = quoted(&text);
            assert_fit_to_send(&encoded);
            let text = text.replace("\r\n", "\n");
            assert_eq!(decoded(&encoded).trim_end_matches('\n'), text.trim_end_matches('\n'));
        }
    }

    proptest! {
        #[test]
        fn encoded_and_other_texts_read_as_one(parts in prop::collection::vec(("[ -~ü\n.=]{0,120}|From |[ \t]{0,3}", any::<bool>()), 0..8)) {
            let (mut out, mut whole) = (QuotedPrintable::default(), String::new());
            for (text, as_piece) in &parts {
                if *as_piece {
                    out.push_encoded(&EncodedText::new(text));
                } else {
                    out.push(text);
                }
                whole.push_str(text);
            }
            let encoded = out.finish();
            assert_fit_to_send(&encoded);
            let decoded = decoded(&encoded);
            prop_assert_eq!(decoded.trim_end_matches('\n'), whole.trim_end_matches('\n'));
        }
    }
}
