//! Canonical ids of papers: equal ids mean the same paper.
//!
//! Every door reads ids here: submissions, files, feeds, the search box, `like:`, preferences, calls and addresses of pages.
//! It never looks anything up; the same input always gives the same id.

mod identifier;
mod scheme;
mod spellings;
#[cfg(test)]
mod tests;

pub use identifier::{Identifier, IdentifierError};
pub use scheme::Scheme;

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::text;

/// Canonical id of a paper: `arxiv:…`, `doi:…` or another [`Scheme`], `<source>:<native id>`, or `sha256:…` of title and first
/// author.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PaperId(String);

/// Longest id in characters.
pub const MAX_ID_CHARS: usize = 256;

/// An invalid id.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum IdError {
    /// Nothing there.
    #[error("is empty; give an id such as arxiv:2402.14776 or doi:10.1145/3292500")]
    Empty,
    /// Longer than [`MAX_ID_CHARS`].
    #[error("has {0} characters; at most {MAX_ID_CHARS} are allowed")]
    TooLong(usize),
    /// Holds white space or a control character.
    #[error("is {0:?}; white space and control characters are not allowed")]
    Blank(String),
    /// No `scheme:` in front.
    #[error("is {0:?}; a canonical id looks like arxiv:2402.14776, doi:10.1145/3292500 or seed:42")]
    NoScheme(String),
    /// An arXiv id of neither form.
    #[error("is {0:?}, which is not an arXiv id; it looks like arxiv:2402.14776 or arxiv:hep-th/9901001")]
    Arxiv(String),
    /// A DOI that does not start with `10.`.
    #[error("is {0:?}, which is not a DOI; it looks like doi:10.1145/3292500")]
    Doi(String),
}

impl PaperId {
    /// Parses any spelling of an identifier ([`Identifier::recognise`]), or an id of a source's own as `<source>:<id>`.
    pub fn parse(id: &str) -> Result<Self, IdError> {
        Identifier::recognise(id).map_or_else(|| Self::own(id), |identifier| Ok(identifier.into()))
    }

    /// Parses an id as submitters write it: any spelling of an identifier, or their own, which is prefixed with the source.
    pub fn from_submission(id: &str, source: &str) -> Result<Self, IdError> {
        if let Some(identifier) = Identifier::recognise(id) {
            return Ok(identifier.into());
        }
        match Self::own(id) {
            Ok(own) if own.is_of(source) || own.is_of_title() => Ok(own),
            Ok(_) | Err(IdError::NoScheme(_)) => Self::parse(&format!("{source}:{id}")),
            Err(wrong) => Err(wrong),
        }
    }

    /// An id that is no identifier of a shared scheme.
    fn own(id: &str) -> Result<Self, IdError> {
        check(id)?;
        match id.split_once(':') {
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("arxiv") => Err(IdError::Arxiv(text::shorten(id))),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("doi") => Err(IdError::Doi(text::shorten(id))),
            Some((scheme, rest)) if !scheme.is_empty() && !rest.is_empty() && !is_address(id) => {
                Ok(Self(id.to_owned()))
            }
            _ => Err(IdError::NoScheme(text::shorten(id))),
        }
    }

    /// What a value is most likely an id of that may also be something else: the 40 digits of Semantic Scholar, an old id of the
    /// ACL Anthology. Only for looking a paper up.
    pub fn likely(value: &str) -> Option<Self> {
        let schemes = [Scheme::SemanticScholar, Scheme::Acl, Scheme::OpenAlex];
        let found = schemes
            .into_iter()
            .find_map(|scheme| Identifier::new(scheme, value).ok());
        found.map(Self::from)
    }

    /// The ids under which a paper may be known here that is named by its id alone, the likeliest first.
    pub fn candidates(&self) -> Vec<Self> {
        let twin = Identifier::recognise(&self.0).and_then(|identifier| identifier.twin());
        std::iter::once(self.clone()).chain(twin.map(Self::from)).collect()
    }

    /// The id of a paper without one: SHA-256 of the folded title and first author.
    pub fn from_title(title: &str, first_author: Option<&str>) -> Self {
        let key = format!(
            "{}\n{}",
            text::fold(title),
            text::fold(first_author.unwrap_or_default())
        );
        Self(format!("sha256:{}", hex(&Sha256::digest(key))))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it was made by [`PaperId::from_title`].
    fn is_of_title(&self) -> bool {
        let hash = self.0.strip_prefix("sha256:");
        hash.is_some_and(|hash| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
    }

    fn is_of(&self, source: &str) -> bool {
        self.0.split_once(':').is_some_and(|(scheme, _)| scheme == source)
    }
}

impl From<Identifier> for PaperId {
    fn from(identifier: Identifier) -> Self {
        Self(identifier.to_string())
    }
}

impl fmt::Display for PaperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
    }
    text
}

fn check(id: &str) -> Result<(), IdError> {
    if id.is_empty() {
        return Err(IdError::Empty);
    }
    let length = id.chars().count();
    if length > MAX_ID_CHARS {
        return Err(IdError::TooLong(length));
    }
    if id.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(IdError::Blank(text::shorten(id)));
    }
    Ok(())
}

/// Whether a text is an address rather than `<source>:<id>`.
fn is_address(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        rest.starts_with('/') && (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
    })
}
