//! Cleaning of text from outside before it goes into other formats.

/// Text without characters that XML cannot hold (XML 1.0, 2.2) or that change how the text around them is displayed. Line
/// breaks stay.
pub fn without_illegal(text: &str) -> String {
    let fits = |c: &char| match *c {
        '\n' | '\t' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        c => !domain::text::is_invisible(c),
    };
    text.chars().filter(fits).collect()
}

/// The same on one line.
pub fn one_line(text: &str) -> String {
    domain::text::one_line(&without_illegal(text))
}

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
pub enum TextPiece<'a> {
    /// Words.
    Words(&'a str),
    /// A formula with its dollar signs; its braces are balanced.
    Formula(&'a str),
}

/// Splits a text at its formulas. Unpaired dollar signs, and pairs around what is no formula, are words.
pub fn pieces(text: &str) -> Vec<TextPiece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut words = 0;
    while let Some(found) = rest[words..].find('$') {
        let start = words + found;
        let end = rest[start + 1..].find('$').map(|end| start + 1 + end);
        let Some(end) = end.filter(|&end| is_formula(&rest[start + 1..end])) else {
            words = start + 1;
            continue;
        };
        if start > 0 {
            pieces.push(TextPiece::Words(&rest[..start]));
        }
        pieces.push(TextPiece::Formula(&rest[start..=end]));
        rest = &rest[end + 1..];
        words = 0;
    }
    if !rest.is_empty() {
        pieces.push(TextPiece::Words(rest));
    }
    pieces
}

/// Braces are balanced, there is no comment, and it does not look like two amounts of money.
fn is_formula(inside: &str) -> bool {
    let mut depth = 0_i32;
    for c in inside.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            '%' | '#' => return false,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    let tight = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace());
    depth == 0 && !inside.ends_with('\\') && tight(inside.chars().next()) && tight(inside.chars().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_not_confused_with_money() {
        assert_eq!(
            pieces("Bounds of $O(n^2)$ now"),
            [
                TextPiece::Words("Bounds of "),
                TextPiece::Formula("$O(n^2)$"),
                TextPiece::Words(" now")
            ]
        );
        for words in ["from $5 to $6", "a $ b", "$x", "$}{$", "$a % b$", "$$", "$a\\$"] {
            assert_eq!(pieces(words), [TextPiece::Words(words)], "{words}");
        }
        assert_eq!(pieces(""), []);
        assert_eq!(
            pieces("it costs $5, and $x$ ß"),
            [
                TextPiece::Words("it costs $5, and "),
                TextPiece::Formula("$x$"),
                TextPiece::Words(" ß")
            ]
        );
    }

    #[test]
    fn characters_that_xml_cannot_hold_are_dropped() {
        let hostile = "a\u{0}b\u{8}c\u{fffe}d\u{202e}e\nf\u{1f600}";
        assert_eq!(without_illegal(hostile), "abcde\nf\u{1f600}");
    }
}
