//! The query language: from what a reader typed to what is looked for by meaning and what restricts the results.
//!
//! | written | means |
//! |---|---|
//! | `graph networks` | papers about graph networks: words side by side are one thing |
//! | `"graph networks"` | the same, and title or abstract must hold these words in this order |
//! | `graphs AND proteins` | papers that fit both |
//! | `graphs OR proteins` | papers that fit at least one; AND binds tighter |
//! | `graphs NOT proteins` | papers that fit the first and not the second; `AND NOT` and `-(…)` say the same |
//! | `(graphs OR trees) AND proteins` | parentheses group |
//! | `like:arxiv:2402.14776` | papers like this one; a bare `arxiv:…`, `doi:…` or their URL says the same |
//! | `-like:arxiv:2402.14776` | papers unlike this one; beside something that is looked for |
//! | `-proteins`, `-"drug discovery"` | title and abstract must not hold the word in any of its forms, or the phrase |
//! | `cat:cs.CL`, `-cat:cs.CL` | category; several: any of them, none of them |
//! | `author:lovelace`, `author:"Ada Lovelace"`, `-author:…` | author; several: any of them, none of them |
//! | `source:arxiv`, `-source:arxiv` | the feed it comes from; several: any of them, none of them |
//! | `lang:en` | language; several: any of them |
//! | `has:code`, `-has:code` | with, or without, a link to code |
//! | `year:2024`, `year:2023..2025`, `year:2023..`, `year:..2020` | published in these years, UTC |
//! | `date:2024-05-01..2024-06-30`, `date:2024-05` | published in these days or months; open ends as above |
//!
//! AND, OR and NOT are operators in upper case only, and NOT takes the one operand behind it: a run of words, one
//! `like:`, or what is in parentheses. Words and `like:` side by side must both fit, as if AND stood between them.
//! Whatever restricts holds for the whole query, may stand anywhere outside parentheses, and does not part the words
//! around it. A quoted phrase restricts where every result must fit it anyway; under OR or NOT and in parentheses it
//! means its words and nothing else. A dash inside a word is part of it. Quotes also take the meaning from everything
//! above: `"AND"`, `"cat:cs.CL"`.
//!
//! Nothing here knows whether a paper, a category or an author exists, and nothing is looked up. A query may have no
//! meaning at all (`cat:cs.CL`), or be empty; whether that can be answered is for the caller to say.

use std::ops::Range;

use jiff::Timestamp;

use crate::PaperId;

mod dates;
mod error;
mod fields;
mod lexer;
mod parser;
mod print;
mod words;

pub use error::{QueryError, QueryErrorKind};

/// Longest query in characters.
pub const MAX_CHARS: usize = 8_000;
/// Most words of meaning.
pub const MAX_WORDS: usize = 256;
/// Most operands of meaning: runs of words and `like:`, each of which is a search of its own.
pub const MAX_OPERANDS: usize = 16;
/// Most parentheses inside one another.
pub const MAX_DEPTH: usize = 16;
/// Most restrictions of one kind.
pub const MAX_RESTRICTIONS: usize = 100;

/// A query that was understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// What is looked for by meaning; `None` where only restrictions are given.
    pub meaning: Option<Meaning>,
    /// What every result must fulfil.
    pub restrictions: Restrictions,
}

/// What is looked for by meaning, as a set.
///
/// Operands of `All` are never `All` themselves, those of `Any` never `Any`, and both have two or more. In `All` the
/// operands that are `Not` come last, behind at least one that is not; nowhere else is there a `Not`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// Papers about these words, single spaces between them.
    Words(String),
    /// Papers like this one.
    Like(PaperId),
    /// Papers that fit every operand.
    All(Vec<Meaning>),
    /// Papers that fit at least one operand.
    Any(Vec<Meaning>),
    /// Papers that do not fit the operand.
    Not(Box<Meaning>),
}

/// What every result must fulfil. Lists hold each value once, in the order they were written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restrictions {
    /// Title or abstract holds each of these, see [`crate::highlight::contains_phrase`].
    pub phrases: Vec<String>,
    /// Title and abstract hold none of these words in any of its forms.
    pub without_words: Vec<String>,
    /// Title and abstract hold none of these phrases.
    pub without_phrases: Vec<String>,
    /// At least one of these categories.
    pub categories: Vec<String>,
    /// None of these categories.
    pub without_categories: Vec<String>,
    /// At least one of these authors, as written; [`crate::text::fold`] makes the key to compare.
    pub authors: Vec<String>,
    /// None of these authors.
    pub without_authors: Vec<String>,
    /// One of these sources, lower case.
    pub sources: Vec<String>,
    /// None of these sources.
    pub without_sources: Vec<String>,
    /// One of these languages.
    pub languages: Vec<String>,
    /// Whether there must, or must not, be a link to code.
    pub has_code: Option<bool>,
    /// Published at or after.
    pub published_after: Option<Timestamp>,
    /// Published before.
    pub published_before: Option<Timestamp>,
}

impl Restrictions {
    /// True when nothing is restricted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Query {
    /// All words that are looked for, not those behind NOT: what is worth marking in a result.
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        if let Some(meaning) = &self.meaning {
            positive_words(meaning, &mut words);
        }
        words.join(" ")
    }
}

/// Reads a query.
///
/// # Errors
/// The first thing that is wrong with it, where it is and what to do about it.
pub fn parse(text: &str) -> Result<Query, QueryError> {
    parser::parse(text)
}

fn positive_words<'a>(meaning: &'a Meaning, words: &mut Vec<&'a str>) {
    match meaning {
        Meaning::Words(run) => words.push(run),
        Meaning::Like(_) | Meaning::Not(_) => {}
        Meaning::All(operands) | Meaning::Any(operands) => {
            for operand in operands {
                positive_words(operand, words);
            }
        }
    }
}

/// Where something stands in the text, in bytes.
type Place = Range<usize>;

#[cfg(test)]
mod tests;
