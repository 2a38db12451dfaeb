//! Text out of markup: HTML, JATS, and either escaped once too often.
//!
//! It removes every tag that it knows, and never mistakes the less-than sign of mathematics for one, or the `<think>` of a
//! paper about models that write it. The result is plain text, not HTML that is safe to embed: whoever shows it escapes it.

use std::borrow::Cow;

use quick_xml::escape::resolve_html5_entity;

/// Longest name of an entity.
const MAX_ENTITY: usize = 32;
/// Rounds of unescaping: feeds escape twice, never thrice.
const ROUNDS: usize = 2;

/// Plain text of what may hold markup: tags go, blocks end paragraphs, references become characters.
pub fn plain(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for _ in 0..ROUNDS {
        if text.contains('<') {
            text = Cow::Owned(without_tags(&text));
        }
        if !text.contains('&') {
            return text;
        }
        text = Cow::Owned(without_references(&text));
    }
    if text.contains('<') {
        text = Cow::Owned(without_tags(&text));
    }
    text
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

fn without_tags(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        plain.push_str(&rest[..start]);
        let tag = &rest[start..];
        let Some(length) = tag_length(tag) else {
            plain.push('<');
            rest = &tag[1..];
            continue;
        };
        let name = tag_name(&tag[..length]);
        rest = &tag[length..];
        match effect(&name) {
            Effect::Nothing if is_text(&tag[..length], &name) => plain.push_str(&tag[..length]),
            Effect::Nothing => {}
            Effect::Break => plain.push_str("\n\n"),
            Effect::Hide => {
                if !tag.starts_with("</") {
                    rest = behind_end(rest, &name);
                }
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// Bytes of the tag or comment that a text begins with; `None` where the `<` is no beginning of one.
fn tag_length(text: &str) -> Option<usize> {
    if let Some(comment) = text.strip_prefix("<!--") {
        return comment.find("-->").map(|end| end + 7);
    }
    let name = text.strip_prefix("</").or_else(|| text.strip_prefix('<'))?;
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!' || c == '?') {
        return None;
    }
    let length = name.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, ':' | '-' | '_' | '!' | '?'));
    let behind = &name[length?..];
    // `a <b and c> d` is mathematics: attributes have an equals sign, and tags no second `<`.
    let end = behind.find(['<', '>'])?;
    let inner = behind[..end].trim().trim_end_matches('/');
    let valid =
        behind[end..].starts_with('>') && (inner.is_empty() || inner.contains('=') || name.starts_with(['!', '?']));
    valid.then(|| text.len() - behind.len() + end + 1)
}

fn tag_name(tag: &str) -> String {
    let name = tag.trim_start_matches(['<', '/']);
    let end = name
        .find(|c: char| c.is_whitespace() || matches!(c, '>' | '/'))
        .unwrap_or(name.len());
    let name = &name[..end];
    name.rsplit_once(':')
        .map_or(name, |(_, local)| local)
        .to_ascii_lowercase()
}

/// Inline elements of HTML, JATS and MathML that are dropped without a trace.
const INLINE: [&str; 72] = [
    "a",
    "abbr",
    "abstract",
    "alternatives",
    "annotation",
    "article",
    "b",
    "big",
    "body",
    "bold",
    "cite",
    "code",
    "del",
    "disp-formula",
    "em",
    "ext-link",
    "figure",
    "font",
    "footer",
    "header",
    "hr",
    "html",
    "i",
    "img",
    "inf",
    "inline-formula",
    "ins",
    "italic",
    "kbd",
    "label",
    "main",
    "mark",
    "math",
    "mfrac",
    "mi",
    "mn",
    "mo",
    "monospace",
    "mover",
    "mrow",
    "mspace",
    "msqrt",
    "mstyle",
    "msub",
    "msubsup",
    "msup",
    "mtable",
    "mtd",
    "mtext",
    "mtr",
    "munder",
    "named-content",
    "nav",
    "pre",
    "q",
    "s",
    "sc",
    "scp",
    "semantics",
    "small",
    "span",
    "strike",
    "strong",
    "styled-content",
    "sub",
    "sup",
    "td",
    "tex-math",
    "th",
    "tt",
    "u",
    "xref",
];

/// Whether what looks like a tag is a word of the text: a bare name that no markup has.
fn is_text(tag: &str, name: &str) -> bool {
    let bare = tag.trim_start_matches(['<', '/']).trim_end_matches(['>', '/']).trim();
    bare.eq_ignore_ascii_case(name) && !name.is_empty() && INLINE.binary_search(&name).is_err()
}

enum Effect {
    Nothing,
    Break,
    Hide,
}

fn effect(name: &str) -> Effect {
    match name {
        "p" | "div" | "br" | "li" | "ul" | "ol" | "sec" | "section" | "title" | "h1" | "h2" | "h3" | "h4" | "h5"
        | "h6" | "tr" | "table" | "blockquote" | "list" | "list-item" => Effect::Break,
        "script" | "style" | "head" => Effect::Hide,
        _ => Effect::Nothing,
    }
}

/// What follows the end tag; everything is hidden where there is none.
fn behind_end<'a>(text: &'a str, name: &str) -> &'a str {
    let lower = text.to_ascii_lowercase();
    let Some(start) = lower.find(&format!("</{name}")) else {
        return "";
    };
    text[start..].find('>').map_or("", |end| &text[start + end + 1..])
}

fn without_references(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        plain.push_str(&rest[..start]);
        let behind = &rest[start + 1..];
        let end = behind.bytes().take(MAX_ENTITY).position(|b| b == b';');
        if let Some((end, value)) = end.and_then(|end| Some((end, reference(&behind[..end])?))) {
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
    resolve_html5_entity(name).map(Cow::Borrowed)
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
                "<jats:title>ABSTRACT</jats:title><jats:p>Of <jats:italic>SMARCB1</jats:italic> &amp; more.</jats:p>"
            ),
            "ABSTRACT\nOf SMARCB1 & more."
        );
        assert_eq!(
            lines("One<br/>two<script>alert(1)</script> <b class=\"x\">three</b>"),
            "One\ntwo three"
        );
        assert_eq!(lines("<!-- no -->yes<p title=\"a\">x"), "yes\nx");
    }

    #[test]
    fn what_was_escaped_twice_is_read() {
        assert_eq!(
            lines("&lt;h3&gt;Abstract&lt;/h3&gt;&lt;p&gt;A&amp;nbsp;b &amp;lt; c&lt;/p&gt;"),
            "Abstract\nA b < c"
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
        }
    }

    #[test]
    fn unknown_references_stay() {
        assert_eq!(plain("&lol9; &#0; &eacute;"), "&lol9; &#0; é");
    }

    proptest! {
        #[test]
        fn it_never_panics_nor_grows_much(text in "(<|>|&|;|a|p|/|=| |lt|amp|#x41|script|\u{fe}){0,60}") {
            let plain = plain(&text);
            prop_assert!(plain.len() <= text.len() * 4 + 4);
        }
    }

    #[test]
    fn a_word_in_angle_brackets_is_a_word() {
        assert!(INLINE.is_sorted());
        assert_eq!(
            plain("Let's <think> about </think> <b>bold</b> <jats:italic>text</jats:italic> <mi>x</mi> <i y='1'>z</i>")
                .trim(),
            "Let's <think> about </think> bold text x z"
        );
    }
}
