//! Accents, letters and signs as the characters that they stand for.

use std::borrow::Cow;

use unicode_normalization::char::compose;

use super::commands::{letter, mark, sign};
use super::{TexSpan, spans};

/// The most bytes of a group that is read as letters.
const MAX_GROUP_BYTES: usize = 256;
/// Accents upon accents.
const MAX_DEPTH: usize = 8;

/// Writes accents, letters, signs and escaped characters as what they stand for: `G\"odel` is `Gödel`, `5\%` is `5%`.
/// Mathematics, formatting and unknown commands stay, and so does `\$` where a bare dollar would begin a formula.
pub fn letters(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let has_quotes = holds_escaped_quotes(text);
    Cow::Owned(outside_mathematics(text, |part, dollar, written| {
        LetterReader { dollar, has_quotes }.read(part, 0, written);
    }))
}

/// Converts the text around formulas. `convert` is given the text, how to write an escaped dollar, and where to write.
pub(super) fn outside_mathematics(text: &str, convert: impl Fn(&str, &'static str, &mut String)) -> String {
    let with = |dollar| {
        let mut written = String::with_capacity(text.len());
        for span in spans(text) {
            match span {
                TexSpan::Text(part) => convert(part, dollar, &mut written),
                TexSpan::Math(formula) => written.push_str(formula),
            }
        }
        written
    };
    let bare = with("$");
    let same = !text.contains("\\$") || formulas(&bare).eq(formulas(text));
    if same { bare } else { with("\\$") }
}

fn formulas(text: &str) -> impl Iterator<Item = &str> {
    spans(text).filter_map(|span| match span {
        TexSpan::Math(formula) => Some(formula),
        TexSpan::Text(_) => None,
    })
}

/// Whether backslashes before double quotes are left from a program: an accent stands before a letter.
fn holds_escaped_quotes(text: &str) -> bool {
    let accents = |behind: &str| behind.starts_with(|c: char| c.is_alphabetic() || matches!(c, '{' | '\\'));
    text.match_indices("\\\"")
        .any(|(at, quote)| !accents(&text[at + quote.len()..]))
}

#[derive(Clone, Copy)]
struct LetterReader {
    dollar: &'static str,
    has_quotes: bool,
}

impl LetterReader {
    fn read(self, text: &str, depth: usize, written: &mut String) {
        let mut rest = text;
        while let Some(at) = rest.find(['\\', '{']) {
            written.push_str(&rest[..at]);
            rest = &rest[at..];
            rest = if rest.starts_with('{') {
                self.group(rest, depth, written)
            } else {
                self.command(rest, written)
            };
        }
        written.push_str(rest);
    }

    /// A group; its braces go if they held only letters.
    fn group<'a>(self, text: &'a str, depth: usize, written: &mut String) -> &'a str {
        let Some((inner, behind)) = group(text).filter(|_| depth < MAX_DEPTH) else {
            written.push('{');
            return &text[1..];
        };
        let mut letters = String::new();
        self.read(inner, depth + 1, &mut letters);
        if letters != inner && !letters.contains(['\\', '{', '}']) {
            written.push_str(&letters);
        } else {
            written.extend(["{", &letters, "}"]);
        }
        behind
    }

    fn command<'a>(self, text: &'a str, written: &mut String) -> &'a str {
        if let Some(behind) = quote(text, self.has_quotes, written) {
            return behind;
        }
        if let Some((character, behind)) = character(text) {
            written.push_str(&character);
            return behind;
        }
        let Some(next) = text[1..].chars().next() else {
            written.push('\\');
            return "";
        };
        match next {
            '$' => written.push_str(self.dollar),
            '&' | '%' | '#' | '_' | '"' | '\'' => written.push(next),
            _ => written.extend(['\\', next]),
        }
        &text[1 + next.len_utf8()..]
    }
}

/// A quote that a program escaped: `\"` where those are no accents, `\'s` at the end of a word.
fn quote<'a>(text: &'a str, has_quotes: bool, written: &mut String) -> Option<&'a str> {
    if has_quotes && text.starts_with("\\\"") && !text[2..].starts_with(['{', '\\']) {
        written.push('"');
        return Some(&text[2..]);
    }
    let behind = text.strip_prefix("\\'s")?;
    let genitive = written.ends_with(|c: char| c.is_ascii_alphabetic()) && !behind.starts_with(char::is_alphabetic);
    genitive.then(|| {
        written.push_str("'s");
        behind
    })
}

/// What the command at the beginning of a text stands for, and what follows it; `None` where it is no character.
pub(super) fn character(text: &str) -> Option<(String, &str)> {
    character_within(text, 0)
}

fn character_within(text: &str, depth: usize) -> Option<(String, &str)> {
    let (name, behind) = command_name(text)?;
    if let Some(mark) = mark(name) {
        return accented(name, mark, behind, depth);
    }
    if let Some(letter) = letter(name) {
        // A command ends with its blanks or with an empty group.
        let behind = behind
            .strip_prefix("{}")
            .unwrap_or_else(|| behind.trim_start_matches(' '));
        return Some((letter.to_owned(), behind));
    }
    let sign = sign(name)?;
    Some((sign.to_owned(), behind.strip_prefix("{}").unwrap_or(behind)))
}

/// The name of the command at the beginning of a text: letters, or one other character.
pub(super) fn command_name(text: &str) -> Option<(&str, &str)> {
    let behind = text.strip_prefix('\\')?;
    let letters = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
    let length = if letters > 0 {
        letters
    } else {
        behind.chars().next()?.len_utf8()
    };
    Some(behind.split_at(length))
}

/// The letter that an accent applies to, with the accent on it.
fn accented<'a>(name: &str, mark: char, text: &'a str, depth: usize) -> Option<(String, &'a str)> {
    if depth >= MAX_DEPTH {
        return None;
    }
    if let Some((inner, behind)) = group(text) {
        let base = base(inner.trim(), depth + 1)?;
        if base.is_empty() {
            return matches!(name, "~" | "^").then(|| (name.to_owned(), behind));
        }
        return Some((with_mark(&base, mark)?, behind));
    }
    let is_word = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let argument = if is_word { text.trim_start_matches(' ') } else { text };
    if argument.starts_with('\\') {
        let (base, behind) = character_within(argument, depth + 1)?;
        return Some((with_mark(&base, mark)?, behind));
    }
    let letter = argument.chars().next().filter(|c| c.is_alphabetic())?;
    // Without braces it is an accent only if there is such a letter.
    let letter_with_mark = compose(letter, mark)?;
    Some((letter_with_mark.to_string(), &argument[letter.len_utf8()..]))
}

/// The letters of a group under an accent; `None` where it holds anything else.
fn base(text: &str, depth: usize) -> Option<String> {
    let mut letters = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '\\' {
            let (character, behind) = character_within(rest, depth)?;
            letters.push_str(&character);
            rest = behind;
        } else if c.is_alphabetic() {
            letters.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            return None;
        }
    }
    Some(letters)
}

fn with_mark(base: &str, mark: char) -> Option<String> {
    let first = base.chars().next()?;
    let dotted = match first {
        'ı' => 'i',
        'ȷ' => 'j',
        other => other,
    };
    let mut letter = match compose(dotted, mark) {
        Some(letter) => letter.to_string(),
        None => String::from_iter([dotted, mark]),
    };
    letter.push_str(&base[first.len_utf8()..]);
    Some(letter)
}

/// The content of the group that a text begins with, and what follows it.
pub(super) fn group(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('{')?;
    let window = &text.as_bytes()[..text.len().min(MAX_GROUP_BYTES)];
    let mut depth = 0_usize;
    let mut escaped = false;
    for (at, byte) in window.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[1..at], &text[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accents_and_letters_become_characters() {
        for (text, expected) in [
            (
                r#"G\"odel, G{\"o}del, G\"{o}del, G{\"{o}}del"#,
                "Gödel, Gödel, Gödel, Gödel",
            ),
            (r"Erd\H{o}s and Erd\H os, Erd{\H{o}}s", "Erdős and Erdős, Erdős"),
            (
                r"\L{}ukasiewicz, {\L}ukasiewicz, \L ukasiewicz",
                "Łukasiewicz, Łukasiewicz, Łukasiewicz",
            ),
            (
                r"Garc\'{\i}a, Garc\'\i a, Garc{\'\i}a, Garc\'ia",
                "García, García, García, García",
            ),
            (
                r"Fran\c{c}ois, Fran\c cois, Stra{\ss}e, Stra\ss e",
                "François, François, Straße, Straße",
            ),
            (
                r"\v{S}afa\v r\'{\i}k, \u{g}, \k{a}, \r{u}, \.I, \={a}",
                "Šafařík, ğ, ą, ů, İ, ā",
            ),
            (r"S\o{}ren \AE r\oe, \aa, \dh\th, \dj", "Søren Ærœ, å, ðþ, đ"),
            (r"Nguy\~{\^e}n, \d{h}, \t{oo}", "Nguyễn, ḥ, o\u{361}o"),
            (
                r"5\% of R\&D, a\_b, \#1, \S 5, \copyright{} 2020",
                "5% of R&D, a_b, #1, § 5, © 2020",
            ),
        ] {
            assert_eq!(unicode(&letters(text)), expected, "{text}");
        }
    }

    fn unicode(text: &str) -> String {
        use unicode_normalization::UnicodeNormalization as _;
        text.nfc().collect()
    }

    #[test]
    fn everything_else_stays() {
        for text in [
            r"$\|f\|_{p} \le \'a$",
            r"See {\em e.g.} the \textbf{bold} ~\cite{x}",
            r"a\\b",
            r"{a} and \{b\}",
            r"\mathcal{O}(n)",
            "<S> and <p_T>",
            "\\",
            r"\'",
        ] {
            let expected = text.strip_prefix('\\').filter(|_| text == r"\'").unwrap_or(text);
            assert_eq!(letters(text), expected);
        }
    }

    #[test]
    fn a_dollar_that_costs_begins_no_formula() {
        assert_eq!(
            letters(r"Costs of \$5 and \$10 lanterns, and of $5 to $10 ferries"),
            "Costs of $5 and $10 lanterns, and of $5 to $10 ferries"
        );
        assert_eq!(letters(r"\$x and $y$ or \$z"), r"\$x and $y$ or \$z");
        assert_eq!(letters(r"US\$ for $y$"), r"US\$ for $y$");
    }

    #[test]
    fn quotes_that_a_program_escaped_are_quotes() {
        assert_eq!(letters(r#"the \"other\" one"#), "the \"other\" one");
        assert_eq!(letters(r"Newton\'s don\'t Ja\'skowski"), "Newton's don't Jaśkowski");
    }

    proptest! {
        #[test]
        fn nothing_panics_nor_grows_much(text in "([\\\\{}$\"'`^~a-e ]|\\\\v|\\\\i|\\PC){0,80}") {
            prop_assert!(letters(&text).len() <= text.len() * 3 + 8);
        }

        #[test]
        fn what_was_converted_stays(text in "[a-zA-Z\u{e0}-\u{17f} .,<>&$5]{0,60}") {
            prop_assert_eq!(letters(&text), text.as_str());
        }
    }
}
