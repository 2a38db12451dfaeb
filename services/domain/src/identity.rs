//! Canonical ids of papers: equal ids mean the same paper.
//!
//! It never looks anything up; the same input always gives the same id.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::text;

/// Canonical id of a paper: `arxiv:…`, `doi:…`, `<source>:<native id>`, or `sha256:…` of title and first author.
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
    /// Parses a canonical id.
    pub fn parse(id: &str) -> Result<Self, IdError> {
        check(id)?;
        let canonical = canonical_known(id)?;
        if let Some(known) = canonical {
            return Ok(known);
        }
        if id
            .split_once(':')
            .is_none_or(|(scheme, rest)| scheme.is_empty() || rest.is_empty())
        {
            return Err(IdError::NoScheme(text::shorten(id)));
        }
        Ok(Self(id.to_owned()))
    }

    /// Parses an id as submitters write it: with or without scheme, as a URL of arxiv.org or doi.org, or their own, which is
    /// prefixed with the source.
    pub fn from_submission(id: &str, source: &str) -> Result<Self, IdError> {
        check(id)?;
        if let Some(known) = canonical_known(id)? {
            return Ok(known);
        }
        if let Some(digits) = arxiv_id(id) {
            return Ok(Self(format!("arxiv:{digits}")));
        }
        if is_doi(id) {
            return Ok(Self(format!("doi:{}", id.to_lowercase())));
        }
        let own = if id.starts_with(&format!("{source}:")) {
            id.to_owned()
        } else {
            format!("{source}:{id}")
        };
        check(&own)?;
        Ok(Self(own))
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

/// Ids with a known scheme. `None` where the scheme is a source's own.
fn canonical_known(id: &str) -> Result<Option<PaperId>, IdError> {
    let lower = id.to_lowercase();
    for prefix in ["https://arxiv.org/abs/", "http://arxiv.org/abs/", "arxiv:"] {
        if let Some(rest) = lower.strip_prefix(prefix) {
            let digits = arxiv_id(rest).ok_or_else(|| IdError::Arxiv(text::shorten(id)))?;
            return Ok(Some(PaperId(format!("arxiv:{digits}"))));
        }
    }
    for prefix in [
        "https://doi.org/",
        "http://doi.org/",
        "http://dx.doi.org/",
        "https://dx.doi.org/",
        "doi:",
    ] {
        if let Some(rest) = lower.strip_prefix(prefix) {
            if !is_doi(rest) {
                return Err(IdError::Doi(text::shorten(id)));
            }
            return Ok(Some(arxiv_doi(rest).unwrap_or_else(|| PaperId(format!("doi:{rest}")))));
        }
    }
    Ok(None)
}

/// arXiv registers a DOI for every paper; it is the same paper.
fn arxiv_doi(doi: &str) -> Option<PaperId> {
    let digits = arxiv_id(doi.strip_prefix("10.48550/arxiv.")?)?;
    Some(PaperId(format!("arxiv:{digits}")))
}

pub(crate) fn is_doi(text: &str) -> bool {
    text.strip_prefix("10.")
        .and_then(|rest| rest.split_once('/'))
        .is_some_and(|(registrant, name)| {
            !name.is_empty() && registrant.len() >= 4 && registrant.chars().all(|c| c.is_ascii_digit() || c == '.')
        })
}

/// `2402.14776v2` or `hep-th/9901001`, without the version.
pub(crate) fn arxiv_id(text: &str) -> Option<String> {
    let text = text.strip_suffix(".pdf").unwrap_or(text);
    let bare = match text.rsplit_once('v') {
        Some((bare, version)) if !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) => bare,
        _ => text,
    };
    let digits = |s: &str, length: std::ops::RangeInclusive<usize>| {
        length.contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit())
    };
    if let Some((month, number)) = bare.split_once('.')
        && digits(month, 4..=4)
        && digits(number, 4..=5)
    {
        return Some(bare.to_owned());
    }
    let (archive, number) = bare.split_once('/')?;
    let plausible = archive
        .bytes()
        .all(|b| b.is_ascii_alphabetic() || b == b'-' || b == b'.')
        && archive.len() >= 2;
    (plausible && digits(number, 7..=7)).then(|| bare.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_arxiv_id_are_equal() {
        for spelling in [
            "2402.14776",
            "2402.14776v3",
            "arXiv:2402.14776v1",
            "https://arxiv.org/abs/2402.14776",
            "doi:10.48550/arXiv.2402.14776",
        ] {
            let id = PaperId::from_submission(spelling, "api").expect(spelling);
            assert_eq!(id.as_str(), "arxiv:2402.14776", "{spelling}");
        }
    }

    #[test]
    fn old_arxiv_ids_and_dois_are_known() {
        let id = |text| PaperId::from_submission(text, "api").expect(text).to_string();
        assert_eq!(id("hep-th/9901001v2"), "arxiv:hep-th/9901001");
        assert_eq!(id("10.1145/3292500.ABC"), "doi:10.1145/3292500.abc");
        assert_eq!(id("https://doi.org/10.1145/X"), "doi:10.1145/x");
    }

    #[test]
    fn own_ids_are_prefixed_with_their_source() {
        let id = |text| PaperId::from_submission(text, "seed").expect(text).to_string();
        assert_eq!(id("seed-12"), "seed:seed-12");
        assert_eq!(id("seed:12"), "seed:12");
    }

    #[test]
    fn bad_ids_say_what_is_wrong() {
        assert_eq!(PaperId::parse(""), Err(IdError::Empty));
        assert!(matches!(
            PaperId::from_submission("arxiv:12", "x"),
            Err(IdError::Arxiv(_))
        ));
        assert!(matches!(
            PaperId::from_submission("doi:nope", "x"),
            Err(IdError::Doi(_))
        ));
        assert!(matches!(PaperId::from_submission("a b", "x"), Err(IdError::Blank(_))));
        assert!(matches!(PaperId::parse(&"x".repeat(300)), Err(IdError::TooLong(300))));
        assert!(matches!(PaperId::parse("plain"), Err(IdError::NoScheme(_))));
    }

    #[test]
    fn titles_that_differ_only_in_spelling_share_an_id() {
        let one = PaperId::from_title("Deep  Learning: a survey", Some("José Núñez"));
        assert_eq!(one, PaperId::from_title("deep learning — A Survey", Some("jose nunez")));
        assert_ne!(one, PaperId::from_title("Deep Learning: a survey", Some("Other")));
    }
}
