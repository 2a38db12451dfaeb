//! Classifies one word of a query: a plain word, an operator, an exclusion, a field.
//!
//! It looks at the word alone; its context is the parser's concern.

/// A field's name and an example of its use.
pub(super) type Field = (&'static str, &'static str);

const FIELDS: [Field; 8] = [
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
    Field(Sign, Field, &'a str),
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
        // A negative number.
        1 if is_number(body) => return Word::Plain(word),
        1 => Sign::Without,
        // Two dashes are punctuation.
        _ => return classify(body),
    };
    if let Some((field, value)) = field(body) {
        return Word::Field(sign, field, value);
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

/// The field where a word ends in `name:` and a quote follows.
pub(super) fn field_before_quote(word: &str) -> Option<(Sign, Field)> {
    let (sign, body) = match word.strip_prefix('-') {
        Some(body) => (Sign::Without, body),
        None => (Sign::With, word),
    };
    Some((sign, known(body.strip_suffix(':')?)?))
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
        Word::Field(..) => {
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

/// `name:value`. Only the names of fields make one, and `Source: none` is no field: nothing stands behind the colon, and nobody
/// writes fields in capitals.
fn field(word: &str) -> Option<(Field, &str)> {
    let (name, value) = word.split_once(':')?;
    let field = known(name)?;
    let is_text = value.starts_with("//") || value.starts_with(':') || value.is_empty() && name != field.0;
    (!is_text).then_some((field, value))
}

fn known(name: &str) -> Option<Field> {
    FIELDS.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name))
}

/// `40`, `1.5`, `40%` or `40°C`.
fn is_number(word: &str) -> bool {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ','));
    word.starts_with(|c: char| c.is_ascii_digit()) && !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-')
}
