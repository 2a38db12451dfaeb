//! Normalises text: Unicode NFC, no control characters, single spaces. LaTeX stays as written.
//!
//! It never translates, truncates or interprets text.

use unicode_normalization::UnicodeNormalization as _;

/// Text on one line: NFC, white space collapsed, invisible control characters removed, trimmed.
pub fn one_line(text: &str) -> String {
    let clean: String = text.nfc().map(space_or_self).filter(|c| !is_invisible(*c)).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text in paragraphs, one per line: blank lines separate paragraphs, line breaks within a paragraph become spaces.
pub fn paragraphs(text: &str) -> String {
    let unix = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut result: Vec<String> = Vec::new();
    let mut current = String::new();
    for line in unix.split('\n') {
        let line = one_line(line);
        if line.is_empty() {
            push_paragraph(&mut result, &mut current);
            continue;
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(&line);
    }
    push_paragraph(&mut result, &mut current);
    result.join("\n")
}

/// Comparison key of a text: compatibility form, lower case, without accents and punctuation, single spaces. Never shown.
/// Ids and fingerprints are made of it, so it never changes.
pub fn fold(text: &str) -> String {
    let letters: String = text
        .nfkd()
        .filter(|c| !unicode_normalization::char::is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect();
    letters.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// About how many tokens an encoder makes of a text with this many bytes, for what a text costs before it is split. English
/// has a few more bytes in a token.
pub fn estimated_tokens(bytes: usize) -> usize {
    const BYTES_PER_TOKEN: usize = 3;
    /// The special tokens that models put around a text.
    const SPECIAL_TOKENS: usize = 2;
    bytes / BYTES_PER_TOKEN + SPECIAL_TOKENS
}

/// The first characters of a value, for an error message.
pub fn shorten(value: &str) -> String {
    const SHOWN: usize = 60;
    if value.chars().count() <= SHOWN {
        return value.to_owned();
    }
    value.chars().take(SHOWN).chain(['…']).collect()
}

fn push_paragraph(result: &mut Vec<String>, current: &mut String) {
    if !current.is_empty() {
        result.push(std::mem::take(current));
    }
}

fn space_or_self(c: char) -> char {
    if c.is_whitespace() { ' ' } else { c }
}

/// Control characters and marks that change how surrounding text is displayed without being seen. The joiners U+200C and
/// U+200D stay: several scripts need them to spell words.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_line_joins_lines_and_drops_controls() {
        assert_eq!(
            one_line("  A\u{0}\tTitle\r\n on  two\u{202e} lines "),
            "A Title on two lines"
        );
    }

    #[test]
    fn latex_stays_readable() {
        assert_eq!(
            one_line("Bounds of $O(n\\log n)$ for  {\\em k}-SAT"),
            "Bounds of $O(n\\log n)$ for {\\em k}-SAT"
        );
    }

    #[test]
    fn paragraphs_keep_only_blank_lines_as_breaks() {
        assert_eq!(paragraphs("one\ntwo\r\n\r\n  three  "), "one two\nthree");
    }

    #[test]
    fn fold_ignores_case_accents_and_punctuation() {
        assert_eq!(fold("Gödel's  Théorème: A-B"), fold("godel s theoreme a b"));
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in any::<String>()) {
            let once = one_line(&text);
            prop_assert_eq!(one_line(&once), once.clone());
            let once = paragraphs(&text);
            prop_assert_eq!(paragraphs(&once).replace('\n', " "), once.replace('\n', " "));
        }
    }
}
