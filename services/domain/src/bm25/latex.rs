//! Strips LaTeX just enough to find words: `Erd\H{o}s` is `Erdos`, `\textbf{deep} nets` is `deep nets`.
//!
//! It does not interpret mathematics: names such as `\alpha` stay as words, and so do the letters of formulas.

use std::iter::Peekable;
use std::str::Chars;

use crate::readable::{accent, is_letter};

/// Formatting commands without a meaning of their own.
const FORMATTING: &[&str] = &[
    "begin",
    "bf",
    "bigl",
    "bigr",
    "bm",
    "boldsymbol",
    "cite",
    "citep",
    "citet",
    "displaystyle",
    "emph",
    "em",
    "end",
    "ensuremath",
    "footnote",
    "frac",
    "hspace",
    "href",
    "it",
    "item",
    "label",
    "left",
    "mathbb",
    "mathbf",
    "mathcal",
    "mathfrak",
    "mathit",
    "mathrm",
    "mathsf",
    "mathtt",
    "mbox",
    "operatorname",
    "overline",
    "quad",
    "qquad",
    "ref",
    "right",
    "rm",
    "sc",
    "sf",
    "sqrt",
    "texorpdfstring",
    "text",
    "textbf",
    "textit",
    "textrm",
    "textsc",
    "textsf",
    "textsubscript",
    "textsuperscript",
    "texttt",
    "tt",
    "underline",
    "url",
    "vspace",
    "xspace",
];

/// The text with LaTeX commands replaced by their content, without braces.
pub fn without_latex(text: &str) -> String {
    if !text.contains(['\\', '{', '}']) {
        return text.to_owned();
    }
    let mut result = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => command(&mut chars, &mut result),
            // Two groups side by side are two things: \frac{a}{b}.
            '}' if chars.peek() == Some(&'{') => result.push(' '),
            '{' | '}' => {}
            _ => result.push(c),
        }
    }
    result
}

/// Whether a word ends in a command that applies to the letter after the next space: `\c`, `Stra\ss`.
pub fn joins_next(word: &str) -> bool {
    let Some((_, name)) = word.rsplit_once('\\') else {
        return false;
    };
    is_letter(name) || name.starts_with(|c: char| c.is_alphabetic()) && accent(name).is_some()
}

/// Reads what follows a backslash.
fn command(chars: &mut Peekable<Chars<'_>>, result: &mut String) {
    let mut name = String::new();
    while let Some(letter) = chars.next_if(char::is_ascii_alphabetic) {
        name.push(letter);
    }
    match name.as_str() {
        "" => match chars.next() {
            // An accent on the next letter: Poincar\'e, G\"{o}del.
            Some(c) if accent(c.encode_utf8(&mut [0; 4])).is_none() => result.push(' '),
            _ => {}
        },
        // An accent on the next letter too: Erd\H{o}s, \c c.
        name if accent(name).is_some() => while chars.next_if(|c| *c == ' ').is_some() {},
        // A letter by itself: \o, Stra\ss e.
        name if is_letter(name) => {
            result.push_str(name);
            chars.next_if_eq(&' ');
        }
        name if FORMATTING.contains(&name) => result.push(' '),
        name => {
            result.push(' ');
            result.push_str(name);
            result.push(' ');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_join_their_letters() {
        assert_eq!(
            without_latex(r#"Erd\H{o}s, Poincar\'e, G\"{o}del, \L{}ojasiewicz"#),
            "Erdos, Poincare, Godel, Lojasiewicz"
        );
        assert_eq!(without_latex(r"Fran\c cois, Stra\ss e"), "Francois, Strasse");
    }

    #[test]
    fn formatting_goes_and_its_content_stays() {
        assert_eq!(
            without_latex(r"a \textbf{deep} net, {\em k}-means, {N}ewton"),
            "a  deep net,   k-means, Newton"
        );
    }

    #[test]
    fn names_of_symbols_are_words() {
        assert_eq!(
            without_latex(r"$\alpha$-stable \frac{a}{b} 5\% x\\y \"),
            "$ alpha $-stable  a b 5  x y "
        );
    }

    #[test]
    fn text_without_latex_is_unchanged() {
        assert_eq!(without_latex("C++ and C#"), "C++ and C#");
    }
}
