//! Words that a text must not have, made ready once for many texts, and texts made ready once for many words.

use std::collections::HashSet;
use std::sync::OnceLock;

use super::{folded, holds};
use crate::bm25;

/// A title and an abstract, of which nothing is made ready before it is asked for.
#[derive(Debug, Clone)]
pub struct Text<'a> {
    parts: [&'a str; 2],
    folded: OnceLock<[String; 2]>,
    terms: OnceLock<HashSet<String>>,
}

/// A word in any of its forms, or a phrase.
#[derive(Debug, Clone)]
pub struct Unwanted {
    folded: String,
    form: Option<String>,
    /// It is also looked for letter by letter.
    literally: bool,
}

impl<'a> Text<'a> {
    /// Of a paper.
    pub fn of(title: &'a str, abstract_text: &'a str) -> Self {
        Self {
            parts: [title, abstract_text],
            folded: OnceLock::new(),
            terms: OnceLock::new(),
        }
    }

    /// Whether the title or the abstract has a word or phrase.
    pub fn has(&self, unwanted: &Unwanted) -> bool {
        let by_form = unwanted.form.as_ref().is_some_and(|form| self.terms().contains(form));
        by_form || unwanted.literally && self.holds(&unwanted.folded)
    }

    /// Whether the title or the abstract holds a folded phrase.
    pub(super) fn holds(&self, phrase: &str) -> bool {
        let folded = self.folded.get_or_init(|| self.parts.map(folded));
        folded.iter().any(|text| holds(text, phrase))
    }

    /// Stemming takes long, and phrases do without.
    fn terms(&self) -> &HashSet<String> {
        let all = || self.parts.iter().flat_map(|part| bm25::terms(part)).collect();
        self.terms.get_or_init(all)
    }
}

impl Unwanted {
    /// Several words, or what folds to several, are a phrase; `GPT-4` is `GPT4` too.
    pub fn new(unwanted: &str) -> Self {
        let folded = folded(unwanted);
        let parts = folded.split(' ').count();
        let spaced = unwanted.trim().contains(char::is_whitespace);
        let forms = match parts {
            1 => bm25::terms(unwanted),
            2 if !spaced => bm25::terms(&folded.replace(' ', "")),
            _ => Vec::new(),
        };
        let literally = (forms.len() != 1 || parts > 1) && !folded.is_empty();
        // Several terms of one word are characters of Chinese, which only together mean it.
        let form = <[String; 1]>::try_from(forms).ok().map(|[form]| form);
        Self {
            folded,
            form,
            literally,
        }
    }
}
