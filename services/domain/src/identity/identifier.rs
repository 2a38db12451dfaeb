//! Identifiers of a work in schemes that several sources share, whatever way they are spelled.

use std::fmt;

use super::scheme::Scheme;
use super::spellings;
use crate::text;

/// What a DOI of the ACL Anthology has before the anthology's own id.
const ACL_DOI: &str = "10.18653/v1/";

/// One identifier of a work, such as `doi:10.1145/3292500`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    scheme: Scheme,
    value: String,
}

/// A text that is no identifier of its scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is no {} id; {}", scheme.as_str(), scheme.expected())]
pub struct IdentifierError {
    scheme: Scheme,
    value: String,
}

impl Identifier {
    /// Parses what stands where an identifier of this scheme is expected: a bare value, or any spelling that
    /// [`Identifier::recognise`] knows, even of another scheme; sources put addresses of arXiv where a DOI belongs.
    pub fn new(scheme: Scheme, raw: &str) -> Result<Self, IdentifierError> {
        scheme
            .canonical(&spellings::visible(raw))
            .or_else(|| spellings::recognise(raw))
            .map(|(scheme, value)| Self { scheme, value })
            .ok_or_else(|| IdentifierError {
                scheme,
                value: text::shorten(raw),
            })
    }

    /// Recognises an identifier by its spelling alone: an address, a value with the name of its scheme, or a value that
    /// nothing else looks like.
    pub fn recognise(text: &str) -> Option<Self> {
        Self::of(spellings::recognise(text))
    }

    /// Reads what [`Display`](fmt::Display) wrote. A value that is no longer understood stays as it is.
    pub fn from_display(text: &str) -> Option<Self> {
        let (name, value) = text.split_once(':')?;
        let scheme = Scheme::ALL.into_iter().find(|scheme| scheme.as_str() == name)?;
        let (scheme, value) = scheme.canonical(value).unwrap_or_else(|| (scheme, value.to_owned()));
        Some(Self { scheme, value })
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The identifier without its scheme.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The ACL Anthology id that a DOI of the anthology holds: `10.18653/v1/P19-1001` is its `P19-1001`.
    pub fn implied(&self) -> Option<Self> {
        let value = self
            .value
            .strip_prefix(ACL_DOI)
            .filter(|_| self.scheme == Scheme::Doi)?;
        Self::of(Scheme::Acl.canonical(value))
    }

    /// Another identifier under which the work may be known, for looking it up: the implied one, or the DOI that the ACL
    /// Anthology has registered for most of its papers since 2017.
    pub fn twin(&self) -> Option<Self> {
        if self.scheme == Scheme::Acl {
            return Self::of(Scheme::Doi.canonical(&format!("{ACL_DOI}{}", self.value)));
        }
        self.implied()
    }

    fn of(found: Option<(Scheme, String)>) -> Option<Self> {
        found.map(|(scheme, value)| Self { scheme, value })
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme.as_str(), self.value)
    }
}
