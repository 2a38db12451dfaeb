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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_xml_cannot_hold_are_dropped() {
        let hostile = "a\u{0}b\u{8}c\u{fffe}d\u{202e}e\nf\u{1f600}";
        assert_eq!(without_illegal(hostile), "abcde\nf\u{1f600}");
    }
}
