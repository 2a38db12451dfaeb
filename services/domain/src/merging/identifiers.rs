//! Identifiers of a work in schemes that several sources share.
//!
//! An identifier is normalised when it is read. Nothing here checks whether the work exists.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

use crate::identity::{self, PaperId};
use crate::text;

/// Longest identifier in characters.
const MAX_CHARS: usize = 200;

/// An identifier scheme. A work's id is its first identifier in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// arXiv, without version: `2402.14776`, `hep-th/9901001`.
    Arxiv,
    /// DOI in lower case: `10.1145/3292500`.
    Doi,
    /// ACL Anthology: `2024.acl-long.1`, `P19-1001`.
    Acl,
    /// PubMed: digits.
    Pubmed,
    /// OpenAlex work: `W2741809807`.
    OpenAlex,
    /// Semantic Scholar paper: 40 hexadecimal digits.
    SemanticScholar,
}

impl Scheme {
    /// As it stands before the colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Arxiv => "arxiv",
            Self::Doi => "doi",
            Self::Acl => "acl",
            Self::Pubmed => "pubmed",
            Self::OpenAlex => "openalex",
            Self::SemanticScholar => "s2",
        }
    }

    const ALL: [Self; 6] = [
        Self::Arxiv,
        Self::Doi,
        Self::Acl,
        Self::Pubmed,
        Self::OpenAlex,
        Self::SemanticScholar,
    ];
}

/// One identifier of a work, such as `doi:10.1145/3292500`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    scheme: Scheme,
    value: String,
}

/// A text that is no identifier of its scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is no {} id; {expected}", scheme.as_str())]
pub struct IdentifierError {
    scheme: Scheme,
    value: String,
    expected: &'static str,
}

impl Identifier {
    /// Parses any spelling of the scheme: bare, with a prefix, or as a URL. The DOI that arXiv registers for each of its
    /// papers becomes that arXiv id.
    pub fn new(scheme: Scheme, raw: &str) -> Result<Self, IdentifierError> {
        let trimmed = raw.trim();
        let sound =
            trimmed.chars().count() <= MAX_CHARS && !trimmed.chars().any(|c| c.is_whitespace() || c.is_control());
        let value = if sound { canonical(scheme, trimmed) } else { None };
        if scheme == Scheme::Doi
            && let Some(arxiv) = value.as_deref().and_then(|doi| doi.strip_prefix("10.48550/arxiv."))
            && let Some(value) = identity::arxiv_id(arxiv)
        {
            return Ok(Self {
                scheme: Scheme::Arxiv,
                value,
            });
        }
        value
            .map(|value| Self { scheme, value })
            .ok_or_else(|| IdentifierError {
                scheme,
                value: text::shorten(raw),
                expected: expected(scheme),
            })
    }

    /// Parses `scheme:value`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, value) = text.split_once(':')?;
        let scheme = Scheme::ALL.into_iter().find(|scheme| scheme.as_str() == name)?;
        Self::new(scheme, value).ok()
    }

    /// Recognises the scheme of a URL or a prefixed id; feeds mix them in one field.
    pub fn recognise(text: &str) -> Option<Self> {
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        let web = lower
            .strip_prefix("https://")
            .or_else(|| lower.strip_prefix("http://"))
            .map(|rest| rest.strip_prefix("www.").unwrap_or(rest));
        let scheme = match web {
            Some(rest) if rest.starts_with("arxiv.org/") || rest.starts_with("export.arxiv.org/") => Scheme::Arxiv,
            Some(rest) if rest.starts_with("doi.org/") || rest.starts_with("dx.doi.org/") => Scheme::Doi,
            Some(rest) if rest.starts_with("aclanthology.org/") => Scheme::Acl,
            Some(rest) if rest.starts_with("pubmed.ncbi.nlm.nih.gov/") => Scheme::Pubmed,
            Some(rest) if rest.starts_with("openalex.org/") => Scheme::OpenAlex,
            Some(_) => return None,
            None if lower.starts_with("arxiv:") || lower.starts_with("oai:arxiv.org:") => Scheme::Arxiv,
            None if lower.starts_with("doi:") || identity::is_doi(&lower) => Scheme::Doi,
            None => return Self::parse(text),
        };
        Self::new(scheme, text).ok()
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The identifier without its scheme.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme.as_str(), self.value)
    }
}

/// All identifiers that a source gives for a work.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identifiers(BTreeSet<Identifier>);

impl Identifiers {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an identifier.
    pub fn insert(&mut self, identifier: Identifier) {
        self.0.insert(identifier);
    }

    /// Adds an identifier as a source wrote it; an invalid one is refused.
    pub fn insert_raw(&mut self, scheme: Scheme, raw: &str) -> Result<(), IdentifierError> {
        self.insert(Identifier::new(scheme, raw)?);
        Ok(())
    }

    /// Adds every identifier of another set.
    pub fn extend(&mut self, others: &Self) {
        self.0.extend(others.0.iter().cloned());
    }

    /// All identifiers, in the order of [`Scheme`].
    pub fn iter(&self) -> impl Iterator<Item = &Identifier> {
        self.0.iter()
    }

    /// The identifiers of one scheme.
    pub fn of(&self, scheme: Scheme) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |identifier| identifier.scheme == scheme)
            .map(Identifier::value)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Compares the identifiers of two works in one scheme.
    pub(super) fn overlap(&self, other: &Self, scheme: Scheme) -> IdentifierOverlap {
        let mut both = false;
        for mine in self.of(scheme) {
            for theirs in other.of(scheme) {
                if mine == theirs {
                    return IdentifierOverlap::Shared;
                }
                both = true;
            }
        }
        if both {
            IdentifierOverlap::Conflicting
        } else {
            IdentifierOverlap::Missing
        }
    }

    /// The paper id: the first identifier in the order of [`Scheme`]. `None` where there is none.
    pub fn paper_id(&self) -> Option<PaperId> {
        self.0
            .iter()
            .find_map(|identifier| PaperId::parse(&identifier.to_string()).ok())
    }
}

/// The beginning of the month that an arXiv id names: `2402.14776` and `hep-th/9901001` say year and month.
pub(super) fn month_of_arxiv(id: &str) -> Option<Timestamp> {
    let digits = id.rsplit_once('/').map_or(id, |(_, number)| number);
    let year: i16 = digits.get(..2)?.parse().ok()?;
    let month = digits.get(2..4)?.parse().ok()?;
    let century = if year >= 91 { 1_900 } else { 2_000 };
    let first = Date::new(century + year, month, 1).ok()?;
    Offset::UTC.to_timestamp(first.at(0, 0, 0, 0)).ok()
}

/// How the identifiers of two works in one scheme compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdentifierOverlap {
    /// They share one.
    Shared,
    /// Both have one, and none is shared.
    Conflicting,
    /// One of them has none.
    Missing,
}

fn expected(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Arxiv => "it looks like 2402.14776 or hep-th/9901001",
        Scheme::Doi => "it looks like 10.1145/3292500",
        Scheme::Acl => "it looks like 2024.acl-long.1 or P19-1001",
        Scheme::Pubmed => "it is a number",
        Scheme::OpenAlex => "it looks like W2741809807",
        Scheme::SemanticScholar => "it has 40 hexadecimal digits",
    }
}

fn canonical(scheme: Scheme, raw: &str) -> Option<String> {
    let lower = raw.to_ascii_lowercase();
    match scheme {
        Scheme::Arxiv => {
            let prefixes = [
                "oai:arxiv.org:",
                "arxiv:",
                "arxiv.org/abs/",
                "arxiv.org/pdf/",
                "arxiv.org/html/",
            ];
            identity::arxiv_id(after(&lower, &prefixes))
        }
        Scheme::Doi => {
            let doi = after(&lower, &["dx.doi.org/", "doi.org/", "doi:"]);
            let doi = doi.trim_end_matches(['.', ',', ';']);
            identity::is_doi(doi).then(|| doi.to_owned())
        }
        Scheme::Acl => {
            let start = raw.len() - after(&lower, &["aclanthology.org/", "acl:"]).len();
            let id = raw.get(start..)?.trim_end_matches('/').trim_end_matches(".pdf");
            let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            (id.chars().all(sound) && id.contains(['.', '-']) && id.len() >= 5).then(|| id.to_owned())
        }
        Scheme::Pubmed => {
            let id = after(&lower, &["pubmed.ncbi.nlm.nih.gov/", "pubmed:", "pmid:"]).trim_matches('/');
            let id = id.trim_start_matches('0');
            ((1..=10).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit())).then(|| id.to_owned())
        }
        Scheme::OpenAlex => {
            let id = after(&lower, &["openalex.org/works/", "openalex.org/", "openalex:"]);
            let digits = id.strip_prefix('w')?;
            (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then(|| format!("W{digits}"))
        }
        Scheme::SemanticScholar => {
            let id = after(&lower, &["semanticscholar.org/paper/", "s2:"]);
            (id.len() == 40 && id.bytes().all(|b| b.is_ascii_hexdigit())).then(|| id.to_owned())
        }
    }
}

/// What follows the first of the prefixes, with or without `https://`, `www.` or `export.` before it.
fn after<'a>(lower: &'a str, prefixes: &[&str]) -> &'a str {
    let mut bare = lower;
    for lead in ["https://", "http://", "www.", "export."] {
        bare = bare.strip_prefix(lead).unwrap_or(bare);
    }
    prefixes
        .iter()
        .find_map(|prefix| bare.strip_prefix(prefix))
        .unwrap_or(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_identifier_are_equal() {
        let same = |scheme, spellings: &[&str], value: &str| {
            for spelling in spellings {
                let id = Identifier::new(scheme, spelling).expect(spelling);
                assert_eq!((id.scheme(), id.value()), (scheme, value), "{spelling}");
                assert_eq!(Identifier::parse(&id.to_string()), Some(id));
            }
        };
        same(
            Scheme::Arxiv,
            &[
                "2402.14776v2",
                "arXiv:2402.14776",
                "https://arxiv.org/abs/2402.14776v1",
                "oai:arXiv.org:2402.14776",
            ],
            "2402.14776",
        );
        same(
            Scheme::Doi,
            &["10.1145/ABC", "https://doi.org/10.1145/abc", "doi:10.1145/abc."],
            "10.1145/abc",
        );
        same(
            Scheme::Acl,
            &[
                "P19-1001",
                "https://aclanthology.org/P19-1001/",
                "https://www.aclanthology.org/P19-1001.pdf",
            ],
            "P19-1001",
        );
        same(Scheme::OpenAlex, &["W12", "https://openalex.org/W12", "w12"], "W12");
        same(Scheme::Pubmed, &["123", "https://pubmed.ncbi.nlm.nih.gov/123/"], "123");
    }

    #[test]
    fn the_doi_of_an_arxiv_paper_is_its_arxiv_id() {
        let id = Identifier::new(Scheme::Doi, "https://doi.org/10.48550/arXiv.2402.14776").expect("an id");
        assert_eq!(id.to_string(), "arxiv:2402.14776");
    }

    #[test]
    fn an_arxiv_id_names_a_month() {
        let month = |id| month_of_arxiv(id).map(|time| time.to_string());
        assert_eq!(month("2402.14776").as_deref(), Some("2024-02-01T00:00:00Z"));
        assert_eq!(month("hep-th/9901001").as_deref(), Some("1999-01-01T00:00:00Z"));
        assert_eq!((month("2413.00001"), month("x")), (None, None));
    }

    #[test]
    fn an_invalid_identifier_shows_a_valid_one() {
        let error = Identifier::new(Scheme::Doi, "11.1/x").expect_err("no DOI").to_string();
        assert_eq!(error, "\"11.1/x\" is no doi id; it looks like 10.1145/3292500");
        assert!(Identifier::new(Scheme::SemanticScholar, "abc").is_err());
        assert!(Identifier::recognise("https://example.org/10.1145/x").is_none());
    }

    #[test]
    fn the_paper_id_prefers_arxiv_to_doi() {
        let mut names = Identifiers::new();
        names.insert_raw(Scheme::OpenAlex, "W1").expect("an id");
        names.insert_raw(Scheme::Doi, "10.1145/1").expect("an id");
        assert_eq!(names.paper_id().expect("an id").as_str(), "doi:10.1145/1");
        names.insert_raw(Scheme::Arxiv, "2402.14776").expect("an id");
        assert_eq!(names.paper_id().expect("an id").as_str(), "arxiv:2402.14776");
    }
}
