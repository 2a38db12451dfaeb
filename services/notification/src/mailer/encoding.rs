//! Text as bytes that every mail server passes on unchanged: quoted-printable bodies (RFC 2045) and encoded words in headers
//! (RFC 2047).
//!
//! No line of a body begins with a full stop or with `From `, so nothing on the way has a reason to change one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Longest line of a body, its soft line break included.
const LINE: usize = 76;
/// Bytes of text in an encoded word: 45 are 60 in base64, 72 with what is around them.
const WORD_BYTES: usize = 45;
/// Longest line of a header that is folded.
const HEADER_LINE: usize = 76;

/// Appends a text as quoted-printable, each line ended by CRLF.
pub fn quoted_printable(text: &str, out: &mut String) {
    out.reserve(text.len() + text.len() / 3);
    for line in text.lines() {
        quoted_line(line.as_bytes(), out);
        out.push_str("\r\n");
    }
}

fn quoted_line(line: &[u8], out: &mut String) {
    let mut start = out.len();
    for (at, &byte) in line.iter().enumerate() {
        let is_last = at + 1 == line.len();
        let begins = out.len() == start;
        let literal = match byte {
            b'=' => false,
            b' ' | b'\t' => !is_last,
            b'.' => !begins,
            b'F' => !(begins && line[at..].starts_with(b"From ")),
            b'!'..=b'~' => true,
            _ => false,
        };
        let width = if literal { 1 } else { 3 };
        // A line that goes on needs a place for its soft break.
        let room = if is_last { LINE } else { LINE - 1 };
        if out.len() - start + width > room {
            out.push_str("=\r\n");
            start = out.len();
            // What comes first on the new line is judged anew.
            push(byte, literal && !matches!(byte, b'.' | b'F'), out);
        } else {
            push(byte, literal, out);
        }
    }
}

fn push(byte: u8, literal: bool, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if literal {
        out.push(char::from(byte));
        return;
    }
    out.push('=');
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

/// The value of an unstructured header, folded. `used` characters of its first line are taken by the name.
pub fn header_text(text: &str, used: usize) -> String {
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let fits = |word: &str| word.len() < HEADER_LINE && !word.contains("=?");
    if plain && text.split(' ').all(|word| fits(word) && !word.is_empty()) {
        return folded(text, used);
    }
    encoded_words(text)
}

fn folded(text: &str, used: usize) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut width = used;
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 && width + 1 + word.len() > HEADER_LINE {
            out.push_str("\r\n");
            width = 0;
        }
        if index > 0 {
            out.push(' ');
        }
        out.push_str(word);
        width += word.len() + 1;
    }
    out
}

fn encoded_words(text: &str) -> String {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = rest.len().min(WORD_BYTES);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (word, behind) = rest.split_at(end);
        words.push(format!("=?utf-8?b?{}?=", STANDARD.encode(word)));
        rest = behind;
    }
    words.join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> String {
        let mut out = String::new();
        quoted_printable(text, &mut out);
        out
    }

    /// As a reader's program reads it.
    fn read(encoded: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = encoded.as_bytes();
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            if byte != b'=' {
                bytes.push(byte);
                continue;
            }
            let (code, behind) = rest.split_at(2);
            rest = behind;
            if code != b"\r\n" {
                let hex = std::str::from_utf8(code).expect("hex");
                bytes.push(u8::from_str_radix(hex, 16).expect("hex"));
            }
        }
        String::from_utf8(bytes).expect("the text").replace("\r\n", "\n")
    }

    #[test]
    fn lines_are_short_plain_and_whole_again_when_read() {
        let texts = [
            "Zürich = 100 % \nnext\n".to_owned(),
            ".\n..\nFrom me\n From \n\tx\t\n".to_owned(),
            format!("{}\n", "x".repeat(75)),
            format!("{}.{}\n", "x".repeat(75), "y".repeat(200)),
            format!("{}From here\n", "x".repeat(75)),
            format!("{}ü ü\n", "x".repeat(73)),
            "no line end".to_owned(),
        ];
        for text in texts {
            let encoded = quoted(&text);
            for line in encoded.split("\r\n") {
                assert!(line.len() <= LINE && line.is_ascii(), "{line}");
                assert!(!line.starts_with('.') && !line.starts_with("From "), "{line}");
                assert!(!line.ends_with([' ', '\t']), "{line:?}");
            }
            assert_eq!(read(&encoded).trim_end_matches('\n'), text.trim_end_matches('\n'));
        }
    }

    #[test]
    fn headers_are_folded_at_spaces_and_encoded_where_they_must_be() {
        assert_eq!(header_text("Cats on keyboards", 9), "Cats on keyboards");
        let long = header_text("word ".repeat(40).trim_end(), 9);
        assert!(long.split("\r\n").all(|line| line.len() <= 76), "{long}");
        assert_eq!(long.replace("\r\n", ""), "word ".repeat(40).trim_end());
        assert_eq!(header_text("Zürich", 9), "=?utf-8?b?WsO8cmljaA==?=");
        for odd in [
            "=?utf-8?q?x?=",
            "a\r\nBcc: eve@example.org",
            &"x".repeat(2000),
            &"ü".repeat(500),
        ] {
            let encoded = header_text(odd, 9);
            assert!(
                encoded
                    .split("\r\n ")
                    .all(|word| word.starts_with("=?utf-8?b?") && word.len() <= 75),
                "{encoded}"
            );
        }
    }
}
