//! Sentences and words of a text, as far as a notice needs them.

/// Sentences of one text that are read.
const MAX_SENTENCES: usize = 200;

/// A word in lower case.
pub struct Word {
    pub text: String,
    /// A quotation begins with it.
    pub quoted: bool,
    /// The thought ends behind it.
    pub ends: bool,
}

/// The sentences of a text; what is in parentheses is one of its own.
pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .char_indices()
            .find(|&(at, c)| ends_sentence(rest, at, c))
            .map_or(rest.len(), |(at, c)| at + c.len_utf8());
        let sentence = &rest[..end];
        rest = &rest[end..];
        Some(sentence.trim().trim_matches(['(', ')', '[', ']']))
    })
    .filter(|sentence| !sentence.is_empty())
    .take(MAX_SENTENCES)
}

/// Whether a sentence ends with this character. The point of an initial ends none.
fn ends_sentence(text: &str, at: usize, c: char) -> bool {
    let behind = &text[at + c.len_utf8()..];
    let mut before = text[..at].chars().rev();
    let initial =
        c == '.' && before.next().is_some_and(char::is_uppercase) && !before.next().is_some_and(char::is_alphanumeric);
    matches!(c, '(' | ')' | '[' | ']')
        || matches!(c, '.' | '!' | '?' | ';' | ':' | '\n')
            && !initial
            && (behind.is_empty() || behind.starts_with(char::is_whitespace))
}

/// The words of a sentence.
pub fn words(sentence: &str) -> Vec<Word> {
    let is_part = |c: char| c.is_alphanumeric();
    let mut words: Vec<Word> = Vec::new();
    let mut quoted = false;
    let mut rest = sentence;
    while let Some(c) = rest.chars().next() {
        if is_part(c) {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let (text, ends) = (rest[..end].to_lowercase(), false);
            words.push(Word {
                text,
                quoted: std::mem::take(&mut quoted),
                ends,
            });
            rest = &rest[end..];
            continue;
        }
        quoted = matches!(c, '"' | '“' | '‘' | '`' | '«');
        if matches!(c, ',' | ';' | ':' | '.' | '–' | '—' | '-' | '!')
            && let Some(last) = words.last_mut()
        {
            last.ends = true;
        }
        rest = &rest[c.len_utf8()..];
    }
    if let Some(last) = words.last_mut() {
        last.ends = true;
    }
    words
}
