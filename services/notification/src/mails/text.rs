//! Keeps texts of strangers in their place: on one line, without invisible characters, and cut where they are long.

use std::borrow::Cow;

use domain::text;

/// A text on one line, without invisible characters that change how the text around them is displayed.
pub fn single_line(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c != '\n' && !text::is_invisible(c);
    // Most texts are plain ASCII, and a fold that never ends early checks many bytes at a time.
    let is_ascii = text
        .bytes()
        .fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'));
    if is_ascii || text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text::one_line(text))
}

/// The beginning of a text on one line.
pub fn truncated_line(text: &str, max_chars: usize) -> Cow<'_, str> {
    match single_line(text) {
        Cow::Borrowed(text) => truncated(text, max_chars),
        Cow::Owned(text) => Cow::Owned(truncated(&text, max_chars).into_owned()),
    }
}

/// The beginning of a text, cut between words where there are any.
pub fn truncated(text: &str, max_chars: usize) -> Cow<'_, str> {
    // A text never has more characters than bytes, so most need no counting.
    if text.len() <= max_chars {
        return Cow::Borrowed(text);
    }
    let Some((end, _)) = text.char_indices().nth(max_chars) else {
        return Cow::Borrowed(text);
    };
    let head = &text[..end];
    let head = head.rfind(char::is_whitespace).map_or(head, |space| &head[..space]);
    Cow::Owned(format!("{}…", head.trim_end_matches([' ', '\n', ',', ';', ':', '.'])))
}
