//! Text out of markup: HTML, JATS and MathML, and either escaped once too often.
//!
//! The less-than sign of mathematics is never mistaken for a tag, nor the `<think>` of a paper about models that write it.
//! Superscripts, subscripts and formulas are kept as text, a formula that is given in several forms once. The result is
//! plain text, not HTML that is safe to embed: whoever shows it escapes it.

mod formulas;
mod rendering;
mod tags;

use std::borrow::Cow;

use html_escape::decode_html_entities;
use rendering::{Scripts, rendered};
use tags::TagRule;

/// Longest name of an entity.
const MAX_ENTITY: usize = 32;

/// Plain text of markup: tags go, blocks end paragraphs, references become characters.
pub fn plain(text: &str) -> Cow<'_, str> {
    rounds(text, TagRule::Known, Scripts::Kept)
}

/// Plain text of what may hold markup: a tag goes where it stands as one, around words or with attributes.
pub fn mixed(text: &str) -> Cow<'_, str> {
    rounds(text, TagRule::Standing, Scripts::Kept)
}

/// Plain text of markup without superscripts and subscripts, which are marks of footnotes in names.
pub fn without_scripts(text: &str) -> Cow<'_, str> {
    rounds(text, TagRule::Known, Scripts::Dropped)
}

/// Feeds escape twice, never thrice. What was escaped is markup only where it stands as markup does.
fn rounds(text: &str, first: TagRule, scripts: Scripts) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for (rule, read) in [
        (first, reference as ReadReference),
        (TagRule::Standing, reference),
        (TagRule::Standing, |_| None),
    ] {
        if !text.contains(['<', '&']) {
            break;
        }
        text = Cow::Owned(rendered(&text, rule, scripts, read));
    }
    text
}

/// Text with its references as characters; tags stay.
pub fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(without_references(text, reference))
}

/// The first words of an unexpected response.
pub fn first_words(text: &str) -> String {
    const SHOWN: usize = 200;
    let plain = plain(text);
    let line: Vec<&str> = plain.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// What a reference stands for, by its name.
type ReadReference = fn(&str) -> Option<Cow<'static, str>>;

fn without_references(text: &str, read: ReadReference) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        plain.push_str(&rest[..start]);
        let behind = &rest[start + 1..];
        let end = behind.bytes().take(MAX_ENTITY).position(|b| b == b';');
        if let Some((end, value)) = end.and_then(|end| Some((end, read(&behind[..end])?))) {
            plain.push_str(&value);
            rest = &behind[end + 1..];
        } else {
            plain.push('&');
            rest = behind;
        }
    }
    plain.push_str(rest);
    plain
}

/// What a reference stands for, without its ampersand and semicolon. Entities that a document declares are never
/// looked up.
pub fn reference(name: &str) -> Option<Cow<'static, str>> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code)
            .filter(|c| *c != '\0')
            .map(|c| Cow::Owned(c.to_string()));
    }
    let predefined = match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => "",
    };
    if !predefined.is_empty() {
        return Some(Cow::Borrowed(predefined));
    }
    // The table of `quick-xml` has wrong characters for many names, `&alpha;` among them.
    let written = format!("&{name};");
    match decode_html_entities(&written) {
        Cow::Owned(text) if text != written => Some(Cow::Owned(text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(text: &str) -> String {
        domain::text::paragraphs(&plain(text))
    }

    #[test]
    fn jats_and_html_become_paragraphs() {
        assert_eq!(
            lines(
                "<jats:title>Background</jats:title><jats:p>Of <jats:italic>SMARCB1</jats:italic> &amp; more.</jats:p>"
            ),
            "Background\nOf SMARCB1 & more."
        );
        assert_eq!(
            lines("One<br/>two<script>alert(1)</script> <b class=\"x\">three</b>"),
            "One\ntwo three"
        );
        assert_eq!(lines("<!-- no -->yes<p title=\"a\">x"), "yes\nx");
        assert_eq!(lines("<p>a <![CDATA[x <b> y]]></p>"), "a x <b> y");
    }

    #[test]
    fn a_heading_that_says_abstract_goes() {
        assert_eq!(
            lines("<jats:title>Abstract</jats:title><jats:p>We study.</jats:p>"),
            "We study."
        );
        assert_eq!(
            lines("<h2>ABSTRACT</h2>We study the abstract."),
            "We study the abstract."
        );
    }

    #[test]
    fn what_was_escaped_twice_is_read() {
        assert_eq!(
            lines("&lt;h3&gt;Aims&lt;/h3&gt;&lt;p&gt;A&amp;nbsp;b &amp;lt; c&lt;/p&gt;"),
            "Aims\nA b < c"
        );
        assert_eq!(plain("a <i>b</i>: a &lt;i&gt;review&lt;/i&gt;"), "a b: a review");
        assert_eq!(
            plain("Why &lt;s&gt; and &lt;/s&gt; matter, as &lt;b&gt;"),
            "Why <s> and </s> matter, as <b>"
        );
    }

    #[test]
    fn mathematics_is_left_alone() {
        for text in [
            "if a < b and c > d",
            "x<y",
            "p <0.05",
            "a <b and c> d",
            "1 < 2 & 3",
            "$\\alpha<\\beta$",
            "R&D",
        ] {
            assert_eq!(plain(text), text);
            assert_eq!(mixed(text), text);
        }
    }

    #[test]
    fn scripts_are_kept_as_characters() {
        for (text, expected) in [
            ("10<sup>3</sup> Pa", "10³ Pa"),
            ("10<jats:sup>&minus;3</jats:sup>", "10⁻³"),
            ("H<sub>2</sub>O, T<sub>c</sub>, <sup>14</sup>C", "H₂O, T_{c}, ¹⁴C"),
            ("x<sup><i>n</i></sup>, E<sup>a/b</sup>", "xⁿ, E^{a/b}"),
            ("1<sup>st</sup>", "1ˢᵗ"),
            ("a<inf>2</inf> and b<sup>c", "a₂ and bc"),
            ("&lt;sup&gt;2&lt;/sup&gt;", "²"),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
    }

    #[test]
    fn unknown_references_stay() {
        assert_eq!(plain("&lol9; &#0; &eacute;"), "&lol9; &#0; é");
        assert_eq!(
            plain("&alpha;&beta; &scaron;&odblac; &mdash;&nbsp;&lt;"),
            "αβ šő —\u{a0}<"
        );
        assert_eq!(unescaped("R&amp;D <b> &lt; &lol9;"), "R&D <b> < &lol9;");
    }

    #[test]
    fn a_word_in_angle_brackets_is_a_word() {
        assert_eq!(
            plain("Let's <think> about </think> <b>bold</b> <jats:italic>text</jats:italic> <mi>x</mi> <i y='1'>z</i>")
                .trim(),
            "Let's <think> about </think> bold text x z"
        );
    }

    #[test]
    fn a_tag_in_a_text_is_markup_around_words() {
        for (text, expected) in [
            ("<i>E. coli</i> and CO<sub>2</sub>", "E. coli and CO₂"),
            (
                "tokens such as <s>, <unk> and <b> matter",
                "tokens such as <s>, <unk> and <b> matter",
            ),
            ("<S> and <Q> and <p>", "<S> and <Q> and <p>"),
            ("<jats:p>Text</jats:p>", "\n\nText\n\n"),
            ("one<br/>two", "one\n\ntwo"),
            ("a <span class=\"x\">b</span>", "a b"),
        ] {
            assert_eq!(mixed(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_never_panics_nor_grows_much(
            text in "(<|>|&|;|a|p|/|=| |lt|amp|#x41|<script>|</script>|<sup>|</sup>|<math>|</math>|<tex-math>|</tex-math>|<mfrac>|</mfrac>|<alternatives>|\u{fe}){0,60}",
        ) {
            for plain in [plain(&text), mixed(&text), without_scripts(&text)] {
                prop_assert!(plain.len() <= text.len() * 4 + 4);
            }
        }
    }
}
