//! Plain text of what is written in TeX, as BibTeX files are.

use super::commands::is_formatting;
use super::letters::{character, command_name, group, outside_mathematics};
use super::{subscript, superscript};

/// Plain text of TeX: letters as characters, without braces and formatting. Mathematics and unknown commands stay.
pub fn plain(text: &str) -> String {
    if !text.contains(['\\', '{', '}', '~', '-', '`', '\'']) {
        return text.to_owned();
    }
    outside_mathematics(text, |part, dollar, written| {
        let mut rest = part;
        while let Some(at) = rest.find(['\\', '{', '}', '~', '-', '`', '\'']) {
            written.push_str(&rest[..at]);
            rest = special(&rest[at..], dollar, written);
        }
        written.push_str(rest);
    })
}

/// An address or identifier without the escapes that TeX needs: `a\_b` is `a_b`, `\url{x}` is `x`.
pub fn unescaped(text: &str) -> String {
    let text = text.trim().replace("$\\sim$", "~");
    let mut written = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(['\\', '{', '}']) {
        written.push_str(&rest[..at]);
        rest = match rest[at..].strip_prefix('\\') {
            Some(_) => command(&rest[at..], "$", &mut written),
            None => &rest[at + 1..],
        };
    }
    written.push_str(rest);
    written.trim().to_owned()
}

/// Writes what a special character stands for, and returns what follows.
fn special<'a>(text: &'a str, dollar: &str, written: &mut String) -> &'a str {
    const LIGATURES: [(&str, &str); 8] = [
        ("---", "—"),
        ("--", "–"),
        ("``", "“"),
        ("''", "”"),
        ("`", "‘"),
        ("~", " "),
        ("{", ""),
        ("}", ""),
    ];
    if text.starts_with('\\') {
        return command(text, dollar, written);
    }
    for (from, to) in LIGATURES {
        if let Some(behind) = text.strip_prefix(from) {
            written.push_str(to);
            return behind;
        }
    }
    written.push_str(&text[..1]);
    &text[1..]
}

fn command<'a>(text: &'a str, dollar: &str, written: &mut String) -> &'a str {
    if let Some((character, behind)) = character(text) {
        written.push_str(&character);
        return behind;
    }
    let Some((name, behind)) = command_name(text) else {
        written.push('\\');
        return &text[1..];
    };
    match name {
        "$" => written.push_str(dollar),
        "\\" | " " | "," | ";" | ":" | ">" | "\n" | "quad" | "qquad" => written.push(' '),
        "-" | "/" | "!" | "@" => {}
        "slash" => written.push('/'),
        "par" => written.push_str("\n\n"),
        "textbackslash" => {
            written.push('\\');
            return behind.strip_prefix("{}").unwrap_or(behind);
        }
        _ if is_formatting(name) => return behind.strip_prefix(' ').unwrap_or(behind),
        _ if name.starts_with(|c: char| c.is_ascii_alphabetic()) => return argument_of(name, behind, written),
        _ => written.push_str(name),
    }
    behind
}

/// A command whose arguments count.
fn argument_of<'a>(name: &str, text: &'a str, written: &mut String) -> &'a str {
    let argument = group(text);
    match (name, argument) {
        ("textsuperscript", Some((raised, behind))) => {
            written.push_str(&superscript(&plain(raised)));
            behind
        }
        ("textsubscript", Some((lowered, behind))) => {
            written.push_str(&subscript(&plain(lowered)));
            behind
        }
        ("ensuremath", Some((formula, behind))) => {
            written.extend(["$", formula, "$"]);
            behind
        }
        // The key that a name is sorted by, the target of a link, and works that are cited are not read.
        ("noopsort" | "href" | "cite" | "citep" | "citet", Some((_, behind))) => behind,
        _ => {
            written.extend(["\\", name]);
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formatting_goes_and_its_content_stays() {
        for (text, expected) in [
            (
                r#"{\"U}ber formal {Unentscheidbare} S{\"a}tze"#,
                "Über formal Unentscheidbare Sätze",
            ),
            (r#"A {"}quoted{"} title"#, "A \"quoted\" title"),
            (r"G{\'{o}}mez{-}Ruiz", "Gómez-Ruiz"),
            (
                "``Quoted'' pages 1--3 --- at~last, don't",
                "“Quoted” pages 1–3 — at last, don't",
            ),
            (r"\emph{very} \textbf{bold}, {\em k}-means", "very bold, k-means"),
            (
                r"\href{https://example.org}{a link}, \url{https://a.org/b}",
                "a link, https://a.org/b",
            ),
            (r"10\textsuperscript{3} H\textsubscript{2}O", "10³ H₂O"),
            (r"On $a < b$ and {$\alpha$-{stable}}", r"On $a < b$ and $\alpha$-stable"),
            (r"5\% of \$5 \& \{x\}, a\,b\\c", "5% of $5 & {x}, a b c"),
            (r"{\relax Ch}arles \foo{x}", r"Charles \foox"),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
    }

    #[test]
    fn addresses_lose_their_escapes() {
        for (text, expected) in [
            (r"10.5555/978-3-030-15719-7\_27", "10.5555/978-3-030-15719-7_27"),
            (r"\url{https://example.org/a_b}", "https://example.org/a_b"),
            (
                r"https://example.org/\~{}ada/{a\%20b}",
                "https://example.org/~ada/a%20b",
            ),
            (r"https://example.org/$\sim$ada", "https://example.org/~ada"),
            (
                r"https://example.org/~ada--b?x=1\&y=\#2",
                "https://example.org/~ada--b?x=1&y=#2",
            ),
            (r"https://example.org/{\textasciitilde}ada", "https://example.org/~ada"),
        ] {
            assert_eq!(unescaped(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_nor_grows_much(text in "([\\\\{}$\"'`^~a-e -]|\\\\v|\\\\textsuperscript|\\PC){0,80}") {
            prop_assert!(plain(&text).len() <= text.len() * 3 + 8);
            prop_assert!(unescaped(&text).len() <= text.len() * 3 + 8);
        }
    }
}
