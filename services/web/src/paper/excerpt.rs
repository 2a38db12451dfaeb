//! What of an abstract fits into a list: its beginning, or the sentence that says most; cut after a sentence or at least a
//! word, never inside a formula.

use domain::highlight::key_sentence;

use domain::readable::{LONGEST_FORMULA, formulas};

/// An excerpt ends with the first sentence that reaches this, in bytes.
const ENOUGH: usize = 190;
/// Longest excerpt, in bytes.
const LONGEST: usize = 340;

/// The sentence of an abstract that says most; the whole abstract where it is short.
pub fn summary(title: &str, abstract_text: &str) -> String {
    if abstract_text.len() <= ENOUGH {
        return abstract_text.to_owned();
    }
    excerpt(&abstract_text[key_sentence(title, abstract_text)])
}

/// The first sentences of a text, as its authors wrote them.
pub fn excerpt(text: &str) -> String {
    let mut sentence = None;
    let mut word = 0;
    let formulas = formulas(&text[..text.floor_char_boundary(LONGEST + LONGEST_FORMULA)]);
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        if at > LONGEST {
            break;
        }
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if c.is_whitespace() && depth == 0 && !formulas.iter().any(|one| one.source.contains(&at)) => {
                word = at;
                if ends_sentence(text.get(..at).unwrap_or_default()) {
                    sentence = Some(at);
                    if at >= ENOUGH {
                        break;
                    }
                }
            }
            _ => {}
        }
    }
    if text.len() <= LONGEST && sentence.is_none_or(|end| end < ENOUGH) {
        return text.to_owned();
    }
    match sentence.filter(|end| *end >= ENOUGH / 2) {
        Some(end) => text.get(..end).unwrap_or_default().to_owned(),
        None => format!("{} …", text.get(..word).unwrap_or_default().trim_end()),
    }
}

/// Whether a text ends with a sentence, rather than with `et al.` or an initial.
fn ends_sentence(text: &str) -> bool {
    let Some(rest) = text.strip_suffix(['.', '!', '?']) else {
        return false;
    };
    let last = rest.rsplit(char::is_whitespace).next().unwrap_or_default();
    last.chars().count() > 1 && !matches!(last, "al" | "e.g" | "i.e" | "cf" | "vs" | "resp" | "Fig" | "approx")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_whole() {
        assert_eq!(excerpt("One sentence. And another."), "One sentence. And another.");
        assert_eq!(excerpt(""), "");
    }

    #[test]
    fn money_does_not_end_it_early() {
        let text = format!("It costs $5 and {}", "wort ".repeat(120));
        assert!(excerpt(&text).len() > ENOUGH, "{}", excerpt(&text));
    }

    #[test]
    fn a_summary_is_the_sentence_that_says_most() {
        assert_eq!(
            summary("Owls", "Birds fly. We count owls."),
            "Birds fly. We count owls."
        );
        let background = "It has long been known that some birds fly at night. Farmers everywhere could tell as much, \
                          though nobody wrote it down. Darkness hides whatever moves above fields and meadows. ";
        let said = summary(
            "Counting owls",
            &format!("{background}We show that counting owls is easy."),
        );
        assert_eq!(said, "We show that counting owls is easy.");
    }

    #[test]
    fn a_long_text_ends_with_a_sentence() {
        let text = format!("{} end of the first. {}", "word ".repeat(40), "more ".repeat(80));
        let cut = excerpt(&text);
        assert!(cut.ends_with("the first.") && cut.len() > ENOUGH, "{cut}");
    }

    #[test]
    fn without_a_sentence_it_ends_with_a_word() {
        let text = format!("{} $a + b = c d$ {}", "wort ".repeat(66), "mehr ".repeat(80));
        let cut = excerpt(&text);
        assert!(cut.ends_with("wort …") || cut.ends_with("$ …"), "{cut}");
        assert!(excerpt(&"x".repeat(2_000)).len() < 2_000);
    }
}
