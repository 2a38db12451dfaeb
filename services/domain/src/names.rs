//! Names of authors: as they are printed, and which part of them is the family name.
//!
//! Where a source knows the parts it gives them; where there is only text, [`AuthorName::parse`] finds them by one rule.
//! Lists in one text are split here, and the keys by which authors are searched and excluded are made here. Nothing here
//! identifies people.

use std::borrow::Cow;
use std::fmt;

use crate::text;

mod keys;
mod lists;
mod parsing;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use keys::{fold, keys, keys_of_all, search_keys};
pub use lists::{between_commas, bibtex_list, each, list};
pub use vocabulary::stands_for_others;

/// The name of an author: of a person, in parts, or of a group or of somebody with a single name, which has none.
///
/// Its texts are normalised as [`text::one_line`] does. Names compare by their printed form first.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthorName {
    /// Given names, family name, suffix, as far as there are any.
    printed: String,
    /// Where the family name begins in it, in bytes, and where it ends; both zero for a name without parts.
    family: (usize, usize),
}

impl AuthorName {
    /// A name of parts, of which any may be empty. Particles such as `van der` belong to the family name. What has no
    /// family name, or nothing else, is [literal](Self::literal).
    pub fn new(given: &str, family: &str, suffix: &str) -> Self {
        let [given, family, suffix] = [given, family, suffix].map(normal);
        let mut printed = String::with_capacity(given.len() + family.len() + suffix.len() + 2);
        let mut span = (0, 0);
        for (part, is_family) in [(given, false), (family, true), (suffix, false)] {
            if part.is_empty() {
                continue;
            }
            if !printed.is_empty() {
                printed.push(' ');
            }
            if is_family {
                span = (printed.len(), printed.len() + part.len());
            }
            printed.push_str(&part);
        }
        if span == (0, printed.len()) {
            span = (0, 0);
        }
        Self { printed, family: span }
    }

    /// A name that has no parts, such as `IceCube Collaboration` or `Plato`.
    pub fn literal(name: &str) -> Self {
        Self {
            printed: normal(name).into_owned(),
            family: (0, 0),
        }
    }

    /// Finds the parts of a name in text.
    ///
    /// * `Last, First`, `Last, Jr., First`, `Last, First, Jr.` and `First Last, Jr.` say where the parts are.
    /// * In `First von Last` the family name begins with its particles, and is the last word where there are none.
    /// * What is in braces, is called a team, a company or the like, holds an `and` or `of`, ends with an initial, or is
    ///   written in Chinese, Japanese or Korean stays as it is.
    /// * E-mail addresses, `et al.`, and affiliations in parentheses behind the name are dropped.
    pub fn parse(text: &str) -> Self {
        parsing::name_with_notes(text)
    }

    /// The printed form, given names first.
    pub fn as_str(&self) -> &str {
        &self.printed
    }

    /// Whether there is nothing to print.
    pub fn is_empty(&self) -> bool {
        self.printed.is_empty()
    }

    /// The family name with its particles; `None` for a name without parts.
    pub fn family(&self) -> Option<&str> {
        let (start, end) = self.family;
        (end > 0).then(|| &self.printed[start..end])
    }

    /// Given names; empty where there are none, and for a name without parts.
    pub fn given(&self) -> &str {
        self.printed[..self.family.0].trim_end()
    }

    /// What follows the family name, such as `Jr.`; empty where there is none.
    pub fn suffix(&self) -> &str {
        self.family().map_or("", |_| self.printed[self.family.1..].trim_start())
    }

    /// The printed form without a suffix, which is left out as often as it is written.
    pub fn without_suffix(&self) -> &str {
        self.family().map_or(&self.printed, |_| &self.printed[..self.family.1])
    }

    /// The same name with another spelling of its parts.
    #[must_use]
    pub fn map<'a>(&'a self, spell: impl Fn(&'a str) -> Cow<'a, str>) -> Self {
        match self.family() {
            Some(family) => Self::new(&spell(self.given()), &spell(family), &spell(self.suffix())),
            None => Self::literal(&spell(&self.printed)),
        }
    }
}

impl fmt::Display for AuthorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.printed)
    }
}

/// The parts, so that a test that fails shows them.
impl fmt::Debug for AuthorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family() {
            Some(family) => write!(f, "{:?}", [self.given(), family, self.suffix()]),
            None => write!(f, "{:?}", self.printed),
        }
    }
}

impl From<&str> for AuthorName {
    fn from(text: &str) -> Self {
        Self::parse(text)
    }
}

impl From<String> for AuthorName {
    fn from(text: String) -> Self {
        Self::parse(&text)
    }
}

impl PartialEq<str> for AuthorName {
    fn eq(&self, printed: &str) -> bool {
        self.printed == printed
    }
}

impl PartialEq<&str> for AuthorName {
    fn eq(&self, printed: &&str) -> bool {
        self.printed == *printed
    }
}

/// A part on one line. Most are plain ASCII and need no work.
fn normal(part: &str) -> Cow<'_, str> {
    let part = part.trim_matches(' ');
    if part.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !part.contains("  ") {
        return Cow::Borrowed(part);
    }
    Cow::Owned(text::one_line(part))
}
