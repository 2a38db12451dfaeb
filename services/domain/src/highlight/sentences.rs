//! Splits a text into sentences, with care for abbreviations, numbers and initials.
//!
//! It knows no grammar: a sentence ends at a full stop, question or exclamation mark before white space and something that
//! can begin a sentence.

use std::ops::Range;

/// Abbreviations, lower case: a full stop after one does not end a sentence.
#[rustfmt::skip]
const ABBREVIATIONS: &[&str] = &[
    "a.k.a", "al", "approx", "ca", "cf", "ch", "chap", "cor", "def", "dr", "e.g", "eg", "eq", "eqn", "eqs", "ex", "fig",
    "figs", "i.e", "i.i.d", "ie", "lem", "mr", "mrs", "ms", "nos", "pp", "prof", "prop", "ref", "refs", "resp", "s.t", "sec",
    "sect", "st", "tab", "thm", "viz", "vol", "vs", "w.r.t",
];

/// The byte ranges of the sentences of a text, without the white space between them. A line break ends a sentence too.
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let mut end = at + c.len_utf8();
        let ends = match c {
            '\n' => true,
            '。' | '！' | '？' => {
                while let Some((at, c)) = chars.next_if(|(_, c)| is_closing(*c)) {
                    end = at + c.len_utf8();
                }
                true
            }
            '.' | '!' | '?' => {
                while let Some((at, c)) = chars.next_if(|(_, c)| is_closing(*c) || matches!(c, '.' | '!' | '?')) {
                    end = at + c.len_utf8();
                }
                begins(&text[end..]) && !(c == '.' && is_abbreviation(&text[start..at], &text[end..]))
            }
            _ => false,
        };
        if ends {
            push(text, start..end, &mut sentences);
            start = end;
        }
    }
    push(text, start..text.len(), &mut sentences);
    sentences
}

fn push(text: &str, range: Range<usize>, sentences: &mut Vec<Range<usize>>) {
    let sentence = &text[range.clone()];
    let start = range.start + sentence.len() - sentence.trim_start().len();
    let end = start + sentence.trim().len();
    if start < end {
        sentences.push(start..end);
    }
}

fn is_closing(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '”' | '’' | '»' | ')' | ']' | '}' | '$' | '」' | '』' | '）'
    )
}

/// Whether white space follows, and then something that can begin a sentence.
fn begins(rest: &str) -> bool {
    let next = rest.trim_start();
    next.len() < rest.len()
        && next
            .chars()
            .next()
            .is_some_and(|c| !c.is_lowercase() && !matches!(c, ',' | ';' | ')'))
}

/// Whether the full stop between the two texts belongs to the word before it.
fn is_abbreviation(before: &str, after: &str) -> bool {
    let word = before
        .rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '[' | '~'))
        .next()
        .unwrap_or_default();
    let mut chars = word.chars();
    let initial = chars.next().is_some_and(char::is_uppercase) && chars.next().is_none();
    let initials = word.contains('.') && word.split('.').all(|part| part.chars().count() == 1);
    let lower = word.to_lowercase();
    let number = lower == "no" && after.trim_start().starts_with(|c: char| c.is_ascii_digit());
    initial || initials || number || ABBREVIATIONS.contains(&lower.as_str())
}
