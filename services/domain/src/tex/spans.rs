//! Tells mathematics from text, and dollars that delimit from dollars that are money.

/// The most bytes of one formula; what is longer has lost its end.
const MAX_MATH_BYTES: usize = 8 << 10;

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TexSpan<'a> {
    /// Text.
    Text(&'a str),
    /// Mathematics with its delimiters.
    Math(&'a str),
}

/// The parts of a text in order; together they are the text.
pub fn spans(text: &str) -> impl Iterator<Item = TexSpan<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (at, length) = next_math(rest).unwrap_or((rest.len(), 0));
        let (span, behind) = if at > 0 {
            (TexSpan::Text(&rest[..at]), &rest[at..])
        } else {
            (TexSpan::Math(&rest[..length]), &rest[length..])
        };
        rest = behind;
        Some(span)
    })
}

/// Where the first formula begins, and its length.
fn next_math(text: &str) -> Option<(usize, usize)> {
    let mut at = 0;
    loop {
        at += text[at..].find(['$', '\\'])?;
        let from = &text[at..];
        let (length, passed) = if from.starts_with("$$") {
            (between(from, "$$", "$$"), 2)
        } else if from.starts_with('$') {
            (inline(from), 1)
        } else if from.starts_with("\\(") {
            (between(from, "\\(", "\\)"), 2)
        } else if from.starts_with("\\[") {
            (between(from, "\\[", "\\]"), 2)
        } else {
            let escaped = from[1..].chars().next().map_or(0, char::len_utf8);
            (environment(from), 1 + escaped)
        };
        if let Some(length) = length {
            return Some((at, length));
        }
        at += passed;
    }
}

/// Length of the formula between two delimiters; `None` where the second is missing or nothing is between them.
fn between(text: &str, open: &str, close: &str) -> Option<usize> {
    let inner = &text[open.len()..];
    let end = find_unescaped(paragraph(inner), close)?;
    (!inner[..end].trim().is_empty()).then_some(open.len() + end + close.len())
}

/// Length of `$…$`; `None` where the dollars are money.
fn inline(text: &str) -> Option<usize> {
    let length = between(text, "$", "$")?;
    let inner = &text[1..length - 1];
    (!is_money(inner, &text[length..])).then_some(length)
}

/// Environments that hold mathematics.
const ENVIRONMENTS: [&str; 8] = [
    "align",
    "align*",
    "displaymath",
    "equation",
    "equation*",
    "eqnarray",
    "eqnarray*",
    "math",
];

/// Length of an environment of mathematics.
fn environment(text: &str) -> Option<usize> {
    let named = text.strip_prefix("\\begin{")?;
    let name = named.split_once('}')?.0;
    ENVIRONMENTS.contains(&name).then_some(())?;
    let end = format!("\\end{{{name}}}");
    let window = &text[..text.floor_char_boundary(MAX_MATH_BYTES)];
    window.find(&end).map(|start| start + end.len())
}

/// Whether what stands between two dollars is an amount and words, as in `$5 on weekdays and $10`.
fn is_money(inner: &str, behind: &str) -> bool {
    let amount = inner.trim_start();
    if !amount.starts_with(|c: char| c.is_ascii_digit()) || inner.contains(['\\', '^', '_', '{', '}', '=']) {
        return false;
    }
    let word = |part: &str| part.len() > 1 && part.bytes().all(|b| b.is_ascii_alphabetic());
    let uneven = inner.ends_with(char::is_whitespace) && amount.len() == inner.len();
    uneven || behind.starts_with(|c: char| c.is_ascii_digit()) || inner.split_whitespace().any(word)
}

/// The text up to the next blank line, and no more than a formula may have.
fn paragraph(text: &str) -> &str {
    let window = &text[..text.floor_char_boundary(MAX_MATH_BYTES)];
    window.find("\n\n").map_or(window, |end| &window[..end])
}

/// Where a delimiter stands that no backslash takes away.
fn find_unescaped(text: &str, delimiter: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += text[at..].find(['$', '\\'])?;
        if text[at..].starts_with(delimiter) {
            return Some(at);
        }
        let mut passed = text[at..].chars();
        let first = passed.next().map_or(0, char::len_utf8);
        let escaped = if text[at..].starts_with('\\') {
            passed.next().map_or(0, char::len_utf8)
        } else {
            0
        };
        at += first + escaped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn maths(text: &str) -> Vec<&str> {
        let math = |span| match span {
            TexSpan::Math(math) => Some(math),
            TexSpan::Text(_) => None,
        };
        spans(text).filter_map(math).collect()
    }

    #[test]
    fn mathematics_is_found_by_its_delimiters() {
        for (text, expected) in [
            ("for $n > 2$ and $\\alpha $-stable", &["$n > 2$", "$\\alpha $"][..]),
            ("$$x^2$$ or \\(y\\) or \\[z\\]", &["$$x^2$$", "\\(y\\)", "\\[z\\]"]),
            ("a $ x $ b", &["$ x $"]),
            ("$3$ and $4$", &["$3$", "$4$"]),
            ("$\\$5$", &["$\\$5$"]),
            (
                "\\begin{equation}x\\end{equation}!",
                &["\\begin{equation}x\\end{equation}"],
            ),
            ("$2 \\times 3 $", &["$2 \\times 3 $"]),
            ("$a$$b$", &["$a$", "$b$"]),
        ] {
            assert_eq!(maths(text), expected, "{text}");
        }
    }

    #[test]
    fn money_is_no_mathematics() {
        for text in [
            "A ferry costs $5 on weekdays and $10 on Sundays",
            "from $10US to $120US",
            "about $0.79/m³",
            "$5-$10",
            "$5M (not $6M)",
            "$5 or US$ 6",
            "\\$5 and \\$6",
            "one $ and\n\nanother $",
            "$$",
        ] {
            assert!(maths(text).is_empty(), "{text}: {:?}", maths(text));
        }
        assert_eq!(maths("costs $5 for $n$ riders"), ["$n$"]);
    }

    proptest! {
        #[test]
        fn the_parts_are_the_text(text in "([$\\\\(){}\\[\\]a5 \n]|begin|end|\\PC){0,60}") {
            let parts: Vec<&str> = spans(&text)
                .map(|span| match span { TexSpan::Text(part) | TexSpan::Math(part) => part })
                .collect();
            prop_assert!(parts.iter().all(|part| !part.is_empty()));
            prop_assert_eq!(parts.concat(), text);
        }
    }
}
