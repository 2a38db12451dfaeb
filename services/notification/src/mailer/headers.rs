//! Header values that every mail server passes on unchanged: folded, and as encoded words where they must be (RFC 2047).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of text in an encoded word: 45 are 60 in base64, 72 with what is around them.
const WORD_BYTES: usize = 45;
/// Longest line of a header that is folded.
const HEADER_LINE: usize = 76;

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

    #[test]
    fn headers_are_folded_and_encoded_where_they_must_be() {
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
