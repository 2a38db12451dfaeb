//! The query language: parses a reader's text into an expression to search for and restrictions on the results.
//!
//! | query | finds |
//! |---|---|
//! | `graph networks` | papers about graph networks: adjacent words form one topic |
//! | `"graph networks"` | the same, and title or abstract must contain these words in this order |
//! | `graphs AND proteins` | papers that fit both |
//! | `graphs OR proteins` | papers that fit at least one; AND binds tighter |
//! | `graphs NOT proteins` | papers that fit the first and not the second; also `AND NOT` and `-(…)` |
//! | `(graphs OR trees) AND proteins` | parentheses group |
//! | `arxiv:2402.14776`, alone | this paper, then similar ones; any spelling of its id, see [`ParsedQuery::named`] |
//! | `like:arxiv:2402.14776` | papers similar to this one; any spelling without white space, or in quotes |
//! | `-like:arxiv:2402.14776` | papers unlike this one; needs something else to search for |
//! | `-proteins`, `-"drug discovery"` | papers without the word in any form, or without the phrase, in title and abstract |
//! | `cat:cs.CL`, `-cat:cs.CL` | category; several: any of them, none of them |
//! | `author:lovelace`, `author:"Ada Lovelace"`, `-author:…` | author; several: any of them, none of them |
//! | `source:arxiv`, `-source:arxiv` | source; several: any of them, none of them |
//! | `lang:en` | language; several: any of them |
//! | `has:code`, `-has:code` | with, or without, a link to code |
//! | `year:2024`, `year:2023..2025`, `year:2023..`, `year:..2020` | published in these years, UTC |
//! | `date:2024-05-01..2024-06-30`, `date:2024-05` | published on these days or in these months; open ranges as above; a paper of unknown date is in none |
//!
//! An operator is only what can be one, everything else is text: titles that are pasted search for their words. AND, OR and NOT
//! are operators in upper case only, where they have their operands, and unless all words are in capitals. A quote without a
//! partner or behind a letter or digit (`12"`), a parenthesis without a partner (`:)`), a dash before a number, and an unknown
//! name before a colon (`title: subtitle`) are text. Only a known field with an impossible value is a mistake, or one where it
//! cannot be.
//!
//! NOT applies to the next operand: a run of words, one `like:`, or a group in parentheses. Adjacent words and `like:` must both fit, as with AND. Restrictions apply to the whole query, may be
//! anywhere outside parentheses, and do not separate the words around them. A quoted phrase restricts the results if every
//! result must fit it anyway; under OR or NOT and in parentheses it stands for its words only. A dash inside a word is part
//! of it. Quotes also make plain text of everything above: `"AND"`, `"cat:cs.CL"`.
//!
//! Nothing here knows whether a paper, a category or an author exists. A query may consist of restrictions alone
//! (`cat:cs.CL`), or be empty; the caller decides whether it can be answered.

use std::ops::Range;

use jiff::Timestamp;

use crate::identity::Identifier;
use crate::{PaperId, pages};

mod dates;
mod error;
mod fields;
mod lexer;
mod parser;
mod token;
mod words;

pub use error::{QueryError, QueryErrorKind};

/// Longest query in characters.
pub const MAX_CHARS: usize = 8_000;
/// Most words to search for.
pub const MAX_WORDS: usize = 256;
/// Most operands: runs of words and `like:`, each of which is a search of its own.
pub const MAX_OPERANDS: usize = 16;
/// Most parentheses inside one another; those that are deeper are text.
pub const MAX_DEPTH: usize = 16;
/// Most restrictions of one kind.
pub const MAX_RESTRICTIONS: usize = 100;

/// A parsed query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParsedQuery {
    /// What to search for; `None` where only restrictions are given.
    pub expression: Option<QueryExpression>,
    /// What every result must satisfy.
    pub restrictions: Restrictions,
}

/// What to search for, as a set expression.
///
/// Operands of `All` are never `All` themselves, those of `Any` never `Any`, and both have two or more. In `All` the
/// operands that are `Not` come last, behind at least one that is not; nowhere else is there a `Not`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryExpression {
    /// Papers about these words, single spaces between them.
    Words(String),
    /// Papers like this one.
    Like(PaperId),
    /// Papers that fit every operand.
    All(Vec<QueryExpression>),
    /// Papers that fit at least one operand.
    Any(Vec<QueryExpression>),
    /// Papers that do not fit the operand.
    Not(Box<QueryExpression>),
}

/// What every result must satisfy. Lists hold each value once, in the order they were written.
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
    /// At least one of these authors, as written; [`crate::names::search_keys`] makes the keys to compare.
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

/// The paper that a whole query names, by an identifier or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPaper {
    /// The ids under which it may be known, the likeliest first; at least one.
    pub ids: Vec<PaperId>,
    /// Whether it is certainly an id; `C:N` may be one of a source's own, or a word.
    pub is_certain: bool,
}

impl Restrictions {
    /// True when nothing is restricted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl ParsedQuery {
    /// The paper that the query names if it is nothing but one id: in any spelling of an identifier, as `<source>:<id>`, or as
    /// the address of a paper's page here.
    pub fn named(&self) -> Option<NamedPaper> {
        let Some(QueryExpression::Words(words)) = self.expression.as_ref().filter(|_| self.restrictions.is_empty())
        else {
            return None;
        };
        let id = pages::paper_of(words).or_else(|| Identifier::recognise(words).map(PaperId::from));
        let is_certain = id.is_some();
        let id = id
            .or_else(|| PaperId::parse(words).ok())
            .or_else(|| PaperId::likely(words))?;
        Some(NamedPaper {
            ids: id.candidates(),
            is_certain,
        })
    }

    /// All words searched for, without those behind NOT: the words to highlight in a result.
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        if let Some(expression) = &self.expression {
            positive_words(expression, &mut words);
        }
        words.join(" ")
    }
}

/// Parses a query.
///
/// # Errors
/// The first mistake, where it is and how to correct it.
pub fn parse(text: &str) -> Result<ParsedQuery, QueryError> {
    parser::parse(text)
}

fn positive_words<'a>(expression: &'a QueryExpression, words: &mut Vec<&'a str>) {
    match expression {
        QueryExpression::Words(run) => words.push(run),
        QueryExpression::Like(_) | QueryExpression::Not(_) => {}
        QueryExpression::All(operands) | QueryExpression::Any(operands) => {
            for operand in operands {
                positive_words(operand, words);
            }
        }
    }
}

/// A range of the text, in bytes.
type Span = Range<usize>;

#[cfg(test)]
mod tests;
