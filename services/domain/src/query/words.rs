//! Classifies one word of a query: a plain word, an operator, an exclusion, a field, a paper.
//!
//! It looks at the word alone; its context is the parser's concern.

use crate::PaperId;
use crate::identity::IdError;

/// Fields, each with an example.
pub(super) const FIELDS: [(&str, &str); 8] = [
    ("cat", "cat:cs.CL"),
    ("author", "author:lovelace"),
    ("source", "source:arxiv"),
    ("lang", "lang:en"),
    ("has", "has:code"),
    ("year", "year:2024"),
    ("date", "date:2024-05"),
    ("like", "like:arxiv:2402.14776"),
];

/// The class of a word.
#[derive(Debug, PartialEq)]
pub(super) enum Word<'a> {
    /// Dashes alone.
    Nothing,
    /// A word like any other.
    Plain(&'a str),
    /// AND, OR or NOT.
    Operator(&'a str),
    /// `-word`, without its dash.
    Without(&'a str),
    /// `field:value` and whether a dash stands in front; the value may be empty.
    Field(Sign, &'a str, &'a str),
    /// An id that needs no `like:`, or was meant to be one.
    Paper(Sign, Result<PaperId, IdError>),
}

/// Whether a dash stands in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// No dash.
    With,
    /// A dash.
    Without,
}

/// Classifies a word without white space and quotes.
pub(super) fn classify(word: &str) -> Word<'_> {
    if matches!(word, "AND" | "OR" | "NOT") {
        return Word::Operator(word);
    }
    let body = word.trim_start_matches('-');
    if body.is_empty() {
        return Word::Nothing;
    }
    let sign = match word.len() - body.len() {
        0 => Sign::With,
        // An arrow, not a word that is left out.
        1 if !body.chars().any(char::is_alphanumeric) => return Word::Plain(word),
        1 => Sign::Without,
        // Two dashes are punctuation.
        _ => return classify(body),
    };
    if let Some(paper) = paper(body) {
        return Word::Paper(sign, paper);
    }
    if let Some((name, value)) = field(body) {
        return Word::Field(sign, name, value);
    }
    match sign {
        Sign::With => Word::Plain(word),
        Sign::Without => Word::Without(body),
    }
}

/// The words of a text, spelt so that [`classify`] finds them plain: without operators, fields, leading dashes, or
/// parentheses that are not closed within their word.
pub(super) fn plain_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        push_plain(word, &mut words);
    }
    words
}

/// The field name where a word ends in `name:` and a quote follows.
pub(super) fn field_before_quote(word: &str) -> Option<(Sign, &str)> {
    let (sign, body) = match word.strip_prefix('-') {
        Some(body) => (Sign::Without, body),
        None => (Sign::With, word),
    };
    let name = body.strip_suffix(':')?;
    is_name(name).then_some((sign, name))
}

fn push_plain(word: &str, words: &mut Vec<String>) {
    if word.contains(['(', ')']) && !keeps_parentheses(word) {
        words.extend(plain_words(&word.replace(['(', ')'], " ")));
        return;
    }
    match classify(word) {
        Word::Nothing => {}
        Word::Plain(plain) if plain == word => words.push(word.to_owned()),
        Word::Operator(operator) => words.push(operator.to_lowercase()),
        Word::Plain(body) | Word::Without(body) => push_plain(body, words),
        Word::Field(..) | Word::Paper(..) => {
            words.extend(plain_words(&word.trim_start_matches('-').replace(':', " ")));
        }
    }
}

/// True for `O(n)` and `p(y|x)`: what opens inside the word closes inside it.
fn keeps_parentheses(word: &str) -> bool {
    let mut depth = 0_usize;
    for c in word.chars() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return false,
            ')' => depth -= 1,
            _ => {}
        }
    }
    let before = word.split('(').next().unwrap_or_default();
    depth == 0 && before.starts_with(char::is_alphanumeric) && !matches!(before, "AND" | "OR" | "NOT")
}

/// `name:value`. URLs and `std::vector` are words, and so is a word in front of a colon unless it is a field's name.
fn field(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once(':')?;
    if !is_name(name) || value.starts_with("//") || value.starts_with(':') {
        return None;
    }
    let known = FIELDS.iter().any(|(field, _)| *field == name);
    (known || !value.is_empty()).then_some((name, value))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic())
}

/// A paper id that its scheme identifies as one.
fn paper(word: &str) -> Option<Result<PaperId, IdError>> {
    let (scheme, rest) = word.split_once(':')?;
    match scheme.to_ascii_lowercase().as_str() {
        "arxiv" | "doi" if !rest.is_empty() => Some(PaperId::parse(word)),
        // Any other page of these sites is a word.
        "http" | "https" => PaperId::parse(word).ok().filter(|id| id.as_str() != word).map(Ok),
        "sha256" if rest.len() == 64 && rest.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Some(PaperId::parse(&word.to_ascii_lowercase()))
        }
        _ => None,
    }
}
