//! The tokens of a query, between lexer and parser.

use super::dates::DateRange;
use super::words::Sign;
use crate::PaperId;

/// One token of a query.
#[derive(Debug)]
pub(super) enum Token {
    /// Words as they are, at least one.
    Words(Vec<String>),
    /// A quoted phrase.
    Phrase(String),
    /// A paper, to be like or unlike.
    Like(Sign, PaperId),
    /// A restriction.
    Restriction(Restriction),
    /// An opening parenthesis, with or without a dash in front.
    Open(Sign),
    /// A closing parenthesis.
    Close,
    /// AND.
    And,
    /// OR.
    Or,
    /// NOT.
    Not,
}

/// One restriction.
#[derive(Debug)]
pub(super) enum Restriction {
    WithoutWord(String),
    WithoutPhrase(String),
    Category(Sign, String),
    Author(Sign, String),
    Source(Sign, String),
    Language(String),
    Code(bool),
    Published(DateRange),
}
