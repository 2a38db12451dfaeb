//! What a source says its texts are, and the one place where they become plain text.
//!
//! Plain text keeps every tag, because an author wrote it; markup keeps none. Letters that are written in TeX become characters
//! in all of them, and mathematics stays in TeX.

use std::borrow::Cow;

use domain::tex;

use crate::markup;

/// What a source says a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextFormat {
    /// Plain text, in which authors may write TeX: arXiv, files of people.
    #[default]
    Plain,
    /// HTML or JATS: every element that these have is markup.
    Markup,
    /// Text taken over from elsewhere, in which markup was left now and then: OpenAlex, Semantic Scholar. A tag is markup where
    /// it stands as one does, around words.
    Mixed,
    /// TeX: BibTeX.
    Tex,
}

/// What the texts of a record are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TextFormats {
    /// Title.
    pub title: TextFormat,
    /// Abstract.
    pub abstract_text: TextFormat,
    /// Names of authors, and categories.
    pub names: TextFormat,
}

impl TextFormats {
    /// The same for all texts of a record.
    pub const fn all(format: TextFormat) -> Self {
        Self {
            title: format,
            abstract_text: format,
            names: format,
        }
    }
}

impl TextFormat {
    /// Plain text of a title or an abstract. Blank lines separate paragraphs.
    pub fn plain(self, text: &str) -> String {
        let text = match self {
            Self::Plain => markup::unescaped(text),
            Self::Markup => markup::plain(text),
            Self::Mixed => markup::mixed(text),
            // Reference managers escape the HTML of publishers once more.
            Self::Tex => return with_ligatures(&markup::mixed(&tex::plain(text))).into_owned(),
        };
        with_ligatures(&tex::letters(&text)).into_owned()
    }

    /// Plain text of a name, without marks of footnotes and without braces.
    pub fn name(self, text: &str) -> String {
        let text = match self {
            Self::Plain => markup::unescaped(text),
            Self::Markup | Self::Mixed => markup::without_scripts(text),
            Self::Tex => Cow::Borrowed(text),
        };
        if text.contains(['\\', '{', '}']) {
            // A brace is no letter, however it was written.
            return tex::plain(&text).replace(['{', '}'], "");
        }
        with_ligatures(&text).into_owned()
    }
}

/// Ligatures of fonts as the letters that they join.
fn with_ligatures(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| matches!(c, '\u{fb00}'..='\u{fb06}')) {
        return Cow::Borrowed(text);
    }
    let mut letters = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'ﬀ' => letters.push_str("ff"),
            'ﬁ' => letters.push_str("fi"),
            'ﬂ' => letters.push_str("fl"),
            'ﬃ' => letters.push_str("ffi"),
            'ﬄ' => letters.push_str("ffl"),
            'ﬅ' | 'ﬆ' => letters.push_str("st"),
            other => letters.push(other),
        }
    }
    Cow::Owned(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_keeps_what_an_author_wrote() {
        for text in [
            "averages <S> and <Q> and <p> and <p_T>, |<i|j>|^2 < 0.1, a<b and c>d",
            "Why <s> and </s> matter",
            "let models <think> about <b>bold</b> text </think>",
            "R&D and $a<b$",
            "See {\\em e.g.} $\\|f\\|_{p} \\le 1$",
        ] {
            assert_eq!(TextFormat::Plain.plain(text), text);
        }
    }

    #[test]
    fn escapes_letters_and_ligatures_are_read_everywhere() {
        for format in [TextFormat::Plain, TextFormat::Markup, TextFormat::Mixed] {
            assert_eq!(
                format.plain("H\\\"older, R&amp;D, &#252;ber, eﬃcient"),
                "Hölder, R&D, über, efficient"
            );
        }
        assert_eq!(
            TextFormat::Tex.plain("H{\\\"o}lder, R\\&D, eﬃcient"),
            "Hölder, R&D, efficient"
        );
    }

    #[test]
    fn markup_is_never_shown() {
        assert_eq!(
            TextFormat::Markup.plain("10<sup>3</sup> Pa in H<sub>2</sub>O"),
            "10³ Pa in H₂O"
        );
        assert_eq!(
            TextFormat::Mixed.plain("Growth of <i>Zostera</i> and why <s> and </s> matter"),
            "Growth of Zostera and why <s> and </s> matter"
        );
    }

    #[test]
    fn html_in_tex_is_markup() {
        for (text, expected) in [
            (
                "Of {\\textless}i{\\textgreater}E. coli{\\textless}/i{\\textgreater}",
                "Of E. coli",
            ),
            (
                "R{\\&}amp;D in CO<sub>2</sub>, as <s> and $a<b$",
                "R&D in CO₂, as <s> and $a<b$",
            ),
        ] {
            assert_eq!(TextFormat::Tex.plain(text), expected);
        }
    }

    #[test]
    fn names_have_letters_and_no_marks() {
        for (format, name, expected) in [
            (TextFormat::Plain, "Erd\\H{o}s", "Erdős"),
            (TextFormat::Plain, "{\\L}ukasiewicz", "Łukasiewicz"),
            (TextFormat::Markup, "Ada Lovelace<sup>1</sup>", "Ada Lovelace"),
            (TextFormat::Markup, "<b>Ada</b> &amp; Co", "Ada & Co"),
            (TextFormat::Tex, "G{\\\"o}del", "Gödel"),
            (TextFormat::Tex, "Arne {\\{O}}. Mooer", "Arne O. Mooer"),
        ] {
            assert_eq!(format.name(name).trim(), expected);
        }
    }
}
