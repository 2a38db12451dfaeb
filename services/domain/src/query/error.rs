//! What can be wrong with a query, where, and the way out.

use std::fmt;
use std::ops::Range;

use super::{MAX_CHARS, MAX_DEPTH, MAX_OPERANDS, MAX_RESTRICTIONS, MAX_WORDS, Place};
use crate::identity::IdError;

/// A query that cannot be read.
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
    /// A quote without its partner.
    #[error("this quote is not closed; add the closing \" or leave this one out")]
    OpenQuote,
    /// A parenthesis that is not closed.
    #[error("this parenthesis is not closed; add the closing ) or leave this one out")]
    OpenParenthesis,
    /// A parenthesis that closes nothing.
    #[error("this parenthesis closes nothing; leave it out, or put the text in quotes")]
    StrayParenthesis,
    /// Parentheses around nothing.
    #[error("there is nothing in these parentheses; put words or like:<paper id> in them")]
    EmptyParentheses,
    /// Parentheses too deep.
    #[error("parentheses are nested deeper than {MAX_DEPTH} levels; write the query flatter")]
    TooDeep,
    /// `title:` and the like.
    #[error(
        "there is no field {0}; fields are cat, author, source, lang, has, year, date and like. Put the text in quotes \
         to look for it as it is"
    )]
    UnknownField(String),
    /// A field, or quotes, without a value.
    #[error("{0} has no value; write it directly behind, as in {1}")]
    EmptyValue(String, &'static str),
    /// A value a field cannot have.
    #[error("{field}: cannot be {value:?}; {allowed}")]
    BadValue {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A range or several of them in which nothing lies.
    #[error("nothing can have been published then: the range ends before it begins, or two ranges do not overlap")]
    EmptyRange,
    /// `has:code` and `-has:code`.
    #[error("has:code and -has:code exclude one another; leave one of them out")]
    Contradiction,
    /// `-lang:` and the like.
    #[error("{0}: cannot be excluded; what can is -cat:, -author:, -source:, -has:code, -like:, -word and -\"phrase\"")]
    NotExcludable(&'static str),
    /// An id behind `like:` that is none.
    #[error("this paper id {0}")]
    BadId(IdError),
    /// AND, OR or NOT without something to join.
    #[error("{0} needs {1}; write it in lower case or in quotes where it is a word")]
    NoOperand(&'static str, &'static str),
    /// NOT in front of a restriction.
    #[error("NOT takes words, like: or parentheses; to exclude here put a dash in front, as in -cat:cs.CL")]
    NotBeforeRestriction,
    /// A restriction where it could not hold for the whole query.
    #[error("restrictions hold for the whole query and cannot stand in parentheses; move this one to the end")]
    RestrictionInside,
    /// Only things that are not looked for.
    #[error("there is only something to leave out here; add what to look for beside it")]
    OnlyNegations,
    /// More words than [`MAX_WORDS`].
    #[error("the query has more than {MAX_WORDS} words; leave some out, or look for papers like one with like:")]
    TooManyWords,
    /// More operands than [`MAX_OPERANDS`].
    #[error("AND, OR, NOT and like: join more than {MAX_OPERANDS} operands; leave some out")]
    TooManyOperands,
    /// More restrictions than [`MAX_RESTRICTIONS`].
    #[error("the query has more than {MAX_RESTRICTIONS} restrictions of one kind; leave some out")]
    TooManyRestrictions,
}

impl QueryErrorKind {
    pub(super) fn at(self, position: Place) -> Wrong {
        Wrong { kind: self, position }
    }
}

/// An error before it is known how many characters stand in front of it.
#[derive(Debug)]
pub(super) struct Wrong {
    kind: QueryErrorKind,
    position: Place,
}

impl Wrong {
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
