//! Mistakes in a query: what, where, and how to correct them.

use std::fmt;
use std::ops::Range;

use super::{MAX_CHARS, MAX_OPERANDS, MAX_RESTRICTIONS, MAX_WORDS, Span};
use crate::identity::IdError;

/// A query that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// What is wrong.
    pub kind: QueryErrorKind,
    /// Where it is: bytes of the query, at the bounds of characters.
    pub position: Range<usize>,
    /// Where it is, in characters from 0, for those who count them so.
    pub characters: Range<usize>,
}

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryErrorKind {
    /// Longer than [`MAX_CHARS`].
    #[error("the query has {0} characters; at most {MAX_CHARS} are allowed")]
    TooLong(usize),
    /// A field without a value.
    #[error("{0} has no value; write it directly after, as in {1}")]
    EmptyValue(String, &'static str),
    /// An invalid value of a field.
    #[error("{field}: cannot be {value:?}; {allowed}")]
    BadValue {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// An empty range, or ranges that do not overlap.
    #[error("nothing can have been published then: the range ends before it begins, or two ranges do not overlap")]
    EmptyRange,
    /// `has:code` and `-has:code`.
    #[error("has:code and -has:code exclude each other; remove one of them")]
    Contradiction,
    /// An exclusion such as `-lang:`.
    #[error("{0}: cannot be excluded; allowed are -cat:, -author:, -source:, -has:code, -like:, -word and -\"phrase\"")]
    NotExcludable(&'static str),
    /// An invalid id after `like:`.
    #[error("this paper id {0}")]
    BadId(IdError),
    /// OR beside a restriction.
    #[error(
        "OR needs words, like: or parentheses on both sides; a restriction applies to the whole query. If OR is meant as a \
         word, write it in lower case or in quotes"
    )]
    OrBesideRestriction,
    /// NOT before a restriction.
    #[error("NOT applies to words, like: or parentheses; to exclude this, put a dash before it, as in -cat:cs.CL")]
    NotBeforeRestriction,
    /// A restriction in parentheses.
    #[error("restrictions apply to the whole query and cannot be in parentheses; move this one to the end")]
    RestrictionInside,
    /// Only exclusions.
    #[error("there are only exclusions here; add something to search for")]
    OnlyNegations,
    /// More words than [`MAX_WORDS`].
    #[error("the query has more than {MAX_WORDS} words; remove some, or search for similar papers with like:")]
    TooManyWords,
    /// More operands than [`MAX_OPERANDS`].
    #[error("the query has more than {MAX_OPERANDS} operands of AND, OR, NOT and like:; remove some")]
    TooManyOperands,
    /// More restrictions than [`MAX_RESTRICTIONS`].
    #[error("the query has more than {MAX_RESTRICTIONS} restrictions of one kind; remove some")]
    TooManyRestrictions,
}

impl QueryErrorKind {
    pub(super) fn at(self, position: Span) -> SpannedError {
        SpannedError { kind: self, position }
    }
}

/// An error with its byte span, before characters are counted.
#[derive(Debug)]
pub(super) struct SpannedError {
    kind: QueryErrorKind,
    position: Span,
}

impl SpannedError {
    pub(super) fn within(self, text: &str) -> QueryError {
        let count = |end: usize| text.char_indices().take_while(|(at, _)| *at < end).count();
        QueryError {
            characters: count(self.position.start)..count(self.position.end),
            kind: self.kind,
            position: self.position,
        }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.characters.start + 1, self.kind)
    }
}

impl std::error::Error for QueryError {}
