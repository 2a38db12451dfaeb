//! Where formulas stand in a text, and which dollars are money.

use std::ops::Range;

/// Longest formula, in bytes; what is longer is no formula.
pub const LONGEST_FORMULA: usize = 600;
/// Most words without a sign of mathematics.
const MOST_WORDS: usize = 3;
/// Most words of three letters and more, whatever signs are between them.
const MOST_LONG_WORDS: usize = 4;

/// A formula in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormulaPlace<'a> {
    /// As written, without its dollars.
    pub tex: &'a str,
    /// Its bytes in the text, with its dollars.
    pub source: Range<usize>,
}

/// The formulas between dollars, in order. Escaped dollars, lone ones and those of amounts are none.
pub fn formulas(text: &str) -> Vec<FormulaPlace<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = text.get(at..).and_then(|rest| rest.find(['$', '\\'])) {
        at += next;
        if text[at..].starts_with('\\') {
            at += 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8);
            continue;
        }
        match formula_at(text, at) {
            Some(formula) => {
                at = formula.source.end;
                found.push(formula);
            }
            None => at += dollars(&text[at..]).len(),
        }
    }
    found
}

/// The formula whose first dollar is at a byte of a text.
pub(super) fn formula_at(text: &str, at: usize) -> Option<FormulaPlace<'_>> {
    let sign = dollars(text.get(at..)?);
    let start = at + sign.len();
    let rest = window(&text[start..]);
    let tex = &rest[..closing(rest, sign)?];
    let end = start + tex.len() + sign.len();
    let follows = text[end..].chars().next();
    let is_formula = !tex.trim().is_empty() && is_balanced(tex) && (sign.len() > 1 || !is_prose(tex, follows));
    is_formula.then_some(FormulaPlace { tex, source: at..end })
}

/// The formula between two signs, given what follows the first one, up to the second.
pub(super) fn enclosed<'a>(rest: &'a str, end: &str) -> Option<&'a str> {
    let (tex, _) = window(rest).split_once(end)?;
    is_balanced(tex).then_some(tex)
}

/// As much of a text as a formula may have, with its end.
fn window(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_FORMULA)]
}

/// One dollar or two, as a text begins.
pub(super) fn dollars(text: &str) -> &'static str {
    if text.starts_with("$$") { "$$" } else { "$" }
}

/// Where the closing sign is; a dollar behind a backslash is none.
fn closing(rest: &str, sign: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            b'\\' => is_escaped = !is_escaped,
            b'$' if !is_escaped => return rest[at..].starts_with(sign).then_some(at),
            _ => is_escaped = false,
        }
    }
    None
}

/// Whether every brace has its other; escaped ones are signs.
pub(super) fn is_balanced(tex: &str) -> bool {
    let (mut depth, mut is_escaped) = (0_usize, false);
    for byte in tex.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'{' => depth += 1,
            b'}' if depth == 0 => return false,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    depth == 0
}

/// Whether what stands between two dollars is a piece of a sentence: `$5 and $10`, `US$ 5 or A$`.
fn is_prose(tex: &str, follows: Option<char>) -> bool {
    let has_command = tex
        .split('\\')
        .skip(1)
        .any(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
    if has_command || tex.contains(['^', '_']) {
        return false;
    }
    let (begins, ends) = (tex.starts_with(char::is_whitespace), tex.ends_with(char::is_whitespace));
    let is_amount = tex.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let is_followed = follows.is_some_and(|c| c.is_ascii_digit());
    let words = tex.split_whitespace();
    let long = |word: &&str| word.chars().filter(|c| c.is_alphabetic()).count() > 2;
    let has_sign = tex.contains(['=', '<', '>', '+', '|', '/', '-', '\\', '*']);
    begins && (!ends || !has_sign && words.clone().any(|word| long(&word)))
        || is_amount && (ends || is_followed || words.clone().skip(1).any(|word| long(&word)))
        || is_followed && ends
        || words.clone().filter(long).count() > MOST_LONG_WORDS
        || !has_sign && words.count() > MOST_WORDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn holds(text: &str, expected: &[&str]) {
        let found: Vec<&str> = formulas(text).into_iter().map(|formula| formula.tex).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn formulas_stand_between_dollars() {
        holds("Bounds of $O(n^2)$ and $$x$$ now", &["O(n^2)", "x"]);
        holds(
            "for $k$-NN with $ n $ of $10$ and $3,000$",
            &["k", " n ", "10", "3,000"],
        );
        holds(r"$\$5$ and $a \$ b$", &[r"\$5", r"a \$ b"]);
        holds(
            "CO$_2$ at 90$^\\circ$C, $5 \\times 5$",
            &["_2", "^\\circ", "5 \\times 5"],
        );
        holds("$5n$ of $2 + 3$, $m = 4$", &["5n", "2 + 3", "m = 4"]);
    }

    #[test]
    fn money_is_no_formula() {
        for money in [
            "from $5 to $6",
            "it costs $5, and saves $10 a day",
            "$5-$10 each, or $0.10/page and $3/book",
            "US$ 5 or A$ 6, in US$ and A$",
            "costs $5 on weekdays and $10 on Sundays",
            r"costs \$5 and \$10",
            "a lone $ sign, $x",
            "costs $ 5 or $ 6",
            "$3 million for $x",
            "a$, which is a large, multi-sector, and multi-task set,$",
        ] {
            holds(money, &[]);
        }
        holds("costs $5 for each of the $n$ riders", &["n"]);
    }

    #[test]
    fn what_is_unbalanced_or_too_long_is_no_formula() {
        holds("$}{$ $a{$ $\\{x$", &["\\{x"]);
        holds(&format!("${}$ and $y$", "x+".repeat(LONGEST_FORMULA)), &["y"]);
        holds(&format!("${}$", "é".repeat(LONGEST_FORMULA)), &[]);
    }
}
