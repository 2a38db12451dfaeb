//! The tokens of a query, between lexer and parser.

use super::dates::DateRange;
use super::words::Sign;
use crate::PaperId;

/// One token of a query.
#[derive(Debug, PartialEq)]
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
#[derive(Debug, Clone, PartialEq)]
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

impl Token {
    /// An operator as the word that it is where it cannot be one; in lower case, so that it is not read as one again.
    pub(super) fn as_word(&self) -> Option<Self> {
        let word = match self {
            Self::And => "and",
            Self::Or => "or",
            Self::Not => "not",
            _ => return None,
        };
        Some(Self::Words(vec![word.to_owned()]))
    }

    /// Whether it is a restriction that names its field; a dash alone may be part of a title.
    pub(super) fn has_field(&self) -> bool {
        use Restriction::{WithoutPhrase, WithoutWord};
        matches!(self, Self::Restriction(one) if !matches!(one, WithoutWord(_) | WithoutPhrase(_)))
    }
}
