//! Writes the text of tokens.

use std::ops::Range;

use domain::tex::{subscript, superscript};

use super::ReadReference;
use super::formulas;
use super::tags::{Tag, TagRule, Token, TokenList, is_block, is_heading, is_hidden};

/// How deep elements that matter may be nested; what is deeper is read as if it were not.
const MAX_DEPTH: usize = 32;

/// What becomes of superscripts and subscripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scripts {
    /// They are written.
    Kept,
    /// They go.
    Dropped,
}

/// A text whose tags have been found.
struct Rendering<'a> {
    tokens: TokenList<'a>,
    scripts: Scripts,
}

/// Where the renderer is.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    depth: usize,
    /// Within a formula that is given in TeX, too.
    has_tex: bool,
    is_display: bool,
}

/// The text without its markup; `read` says what references stand for.
pub fn rendered(text: &str, rule: TagRule, scripts: Scripts, read: ReadReference) -> String {
    let tokens = TokenList::new(text, rule, read);
    let all = 0..tokens.len();
    let rendering = Rendering { tokens, scripts };
    let mut written = String::with_capacity(text.len());
    rendering.write(all, Place::default(), &mut written);
    written
}

impl Rendering<'_> {
    fn write(&self, range: Range<usize>, place: Place, written: &mut String) {
        let mut at = range.start;
        while at < range.end {
            match self.tokens.at(at) {
                Token::Text(text) => written.push_str(&self.tokens.characters(text)),
                Token::Literal(text) => written.push_str(text),
                Token::Comment => {}
                Token::Tag(tag) if !tag.is_markup => written.push_str(tag.raw),
                Token::Tag(tag) if tag.closes => {
                    if is_block(&tag.name) {
                        written.push_str("\n\n");
                    }
                }
                Token::Tag(tag) => {
                    let end = tag.end.filter(|end| *end < range.end);
                    at = self.element(tag, at, end, range.end, place, written);
                }
            }
            at += 1;
        }
    }

    /// Writes an element, or only its beginning; the last token that it read.
    fn element(
        &self,
        tag: &Tag<'_>,
        at: usize,
        end: Option<usize>,
        last: usize,
        place: Place,
        written: &mut String,
    ) -> usize {
        let name = tag.name.as_str();
        if is_hidden(name) || tag.attribute("aria-hidden") == Some("true") || (name == "math" && place.has_tex) {
            return self.hidden(tag, at, end, last, place, written);
        }
        let Some(end) = end.filter(|_| place.depth < MAX_DEPTH) else {
            if is_block(name) {
                written.push_str("\n\n");
            }
            return at;
        };
        let inner = at + 1..end;
        let within = Place {
            depth: place.depth + 1,
            ..place
        };
        match name {
            "sup" | "sub" | "inf" => self.script(name, inner, within, written),
            "tex-math" => written.push_str(&formulas::tex(&self.tokens.raw(inner), place.is_display)),
            "math" => written.push_str(&formulas::math(&self.tokens, tag, inner)),
            "alternatives" | "inline-formula" | "disp-formula" | "formula" => {
                let has_tex = place.has_tex || self.tokens.holds(inner.clone(), "tex-math");
                let is_display = place.is_display || name == "disp-formula";
                written.push_str(
                    self.text(
                        inner,
                        Place {
                            has_tex,
                            is_display,
                            ..within
                        },
                    )
                    .trim(),
                );
            }
            _ if is_heading(name) => self.heading(inner, within, written),
            _ if is_block(name) => {
                written.push_str("\n\n");
                return at;
            }
            _ => return at,
        }
        end
    }

    /// Passes over an element, unless it is a formula for a script of the page; the last token that it read.
    fn hidden(
        &self,
        tag: &Tag<'_>,
        at: usize,
        end: Option<usize>,
        last: usize,
        place: Place,
        written: &mut String,
    ) -> usize {
        let is_formula = tag.attribute("type").is_some_and(|kind| kind.starts_with("math/tex"));
        if let Some(end) = end.filter(|_| is_formula) {
            written.push_str(&formulas::tex(&self.tokens.raw(at + 1..end), place.is_display));
        }
        // Everything is hidden where a script has no end.
        let open = matches!(tag.name.as_str(), "script" | "style" | "head");
        end.unwrap_or(if open { last } else { at })
    }

    fn script(&self, name: &str, inner: Range<usize>, place: Place, written: &mut String) {
        if self.scripts == Scripts::Dropped {
            return;
        }
        let text = self.text(inner, place);
        let script = if name == "sup" {
            superscript(&text)
        } else {
            subscript(&text)
        };
        written.push_str(&script);
    }

    /// A heading is a paragraph; one that only says what everybody knows is none.
    fn heading(&self, inner: Range<usize>, place: Place, written: &mut String) {
        let text = self.text(inner, place);
        written.push_str("\n\n");
        if !text
            .trim()
            .trim_end_matches([':', '.'])
            .eq_ignore_ascii_case("abstract")
        {
            written.push_str(&text);
            written.push_str("\n\n");
        }
    }

    fn text(&self, range: Range<usize>, place: Place) -> String {
        let mut written = String::new();
        self.write(range, place, &mut written);
        written
    }
}
