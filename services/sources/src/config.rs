//! The settings of a source, as they stand in a table of TOML.
//!
//! `defaults.toml` shows every key of every kind with its default and says what it means. When a source is asked
//! (enabled, interval, jitter) is no business of this crate: whoever schedules takes those keys out of the table first.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{acl, arxiv, biorxiv, crossref, feed, files, huggingface, oai, openalex, semantic_scholar};
use domain::merging::Provider;

/// Every key of every kind of source, commented, with its default: one table per kind.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// The kinds of sources there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// arXiv by OAI-PMH: everything, with revisions and deletions, some hours late.
    Arxiv,
    /// arXiv's announcement feed: what is new today, as soon as it is out.
    ArxivAnnounced,
    /// bioRxiv or medRxiv.
    Biorxiv,
    /// OpenAlex.
    Openalex,
    /// Crossref.
    Crossref,
    /// Semantic Scholar.
    SemanticScholar,
    /// Hugging Face daily papers.
    Huggingface,
    /// The ACL Anthology.
    Acl,
    /// Any server of OAI-PMH.
    Oai,
    /// Any RSS or Atom feed.
    Feed,
    /// Files.
    Files,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Arxiv,
        Self::ArxivAnnounced,
        Self::Biorxiv,
        Self::Openalex,
        Self::Crossref,
        Self::SemanticScholar,
        Self::Huggingface,
        Self::Acl,
        Self::Oai,
        Self::Feed,
        Self::Files,
    ];

    /// As it is written in settings and cursors.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Arxiv => "arxiv",
            Self::ArxivAnnounced => "arxiv_announced",
            Self::Biorxiv => "biorxiv",
            Self::Openalex => "openalex",
            Self::Crossref => "crossref",
            Self::SemanticScholar => "semantic_scholar",
            Self::Huggingface => "huggingface",
            Self::Acl => "acl",
            Self::Oai => "oai",
            Self::Feed => "feed",
            Self::Files => "files",
        }
    }

    /// The kind of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// How often it is worth asking, where an operator has no opinion.
    pub const fn usual_interval(self) -> Duration {
        let minutes = match self {
            Self::ArxivAnnounced | Self::Huggingface | Self::Feed => 30,
            Self::Arxiv | Self::Biorxiv | Self::Oai => 120,
            Self::Openalex | Self::Crossref | Self::SemanticScholar => 360,
            Self::Acl => 1_440,
            Self::Files => 5,
        };
        Duration::from_secs(minutes * 60)
    }

    /// Who speaks through it.
    pub const fn provider(self) -> Provider {
        match self {
            Self::Arxiv | Self::ArxivAnnounced => Provider::Arxiv,
            Self::Biorxiv => Provider::Biorxiv,
            Self::Openalex => Provider::OpenAlex,
            Self::Crossref => Provider::Crossref,
            Self::SemanticScholar => Provider::SemanticScholar,
            Self::Huggingface => Provider::HuggingFace,
            Self::Acl => Provider::Acl,
            Self::Oai => Provider::Repository,
            Self::Feed => Provider::Feed,
            Self::Files => Provider::Submitter,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The settings of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// Its name; papers carry it as their source. `a-z`, `0-9`, `-` and `_`.
    pub name: String,
    /// What depends on the kind.
    pub settings: Settings,
}

/// The settings that depend on the kind.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is the settings of the kind of its name")]
pub enum Settings {
    Arxiv(arxiv::Settings),
    ArxivAnnounced(arxiv::announced::Settings),
    Biorxiv(biorxiv::Settings),
    Openalex(openalex::Settings),
    Crossref(crossref::Settings),
    SemanticScholar(semantic_scholar::Settings),
    Huggingface(huggingface::Settings),
    Acl(acl::Settings),
    Oai(oai::Settings),
    Feed(feed::Settings),
    Files(files::Settings),
}

/// A mistake in the settings of a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("source {source_name}: {problem}")]
pub struct ConfigError {
    /// Which source.
    pub source_name: String,
    /// Which key, its value, and what is allowed.
    pub problem: String,
}

impl SourceConfig {
    /// Reads a table: `kind`, and the keys of that kind. A key that is left out has its default.
    ///
    /// # Errors
    /// A name that cannot be one, an unknown kind or key, or a value that is not allowed.
    pub fn read(name: &str, mut table: toml::Table) -> Result<Self, ConfigError> {
        let wrong = |problem: String| ConfigError {
            source_name: name.to_owned(),
            problem,
        };
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > domain::submission::MAX_LABEL_CHARS || !name.chars().all(allowed) {
            return Err(wrong(format!(
                "the name is {name:?}; allowed are 1 to {} of a-z, 0-9, - and _",
                domain::submission::MAX_LABEL_CHARS
            )));
        }
        let kinds = || Kind::ALL.map(Kind::as_str).join(", ");
        let kind = match table.remove("kind") {
            None => Kind::parse(name).ok_or_else(|| wrong(format!("kind is missing; allowed are {}", kinds())))?,
            Some(toml::Value::String(kind)) => {
                Kind::parse(&kind).ok_or_else(|| wrong(format!("kind is {kind:?}; allowed are {}", kinds())))?
            }
            Some(other) => return Err(wrong(format!("kind is {other}; allowed are {}", kinds()))),
        };
        let settings = Settings::read(kind, table).map_err(wrong)?;
        Ok(Self {
            name: name.to_owned(),
            settings,
        })
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.settings.kind()
    }
}

impl Settings {
    fn read(kind: Kind, table: toml::Table) -> Result<Self, String> {
        let settings = match kind {
            Kind::Arxiv => Self::Arxiv(typed(table)?),
            Kind::ArxivAnnounced => Self::ArxivAnnounced(typed(table)?),
            Kind::Biorxiv => Self::Biorxiv(typed(table)?),
            Kind::Openalex => Self::Openalex(typed(table)?),
            Kind::Crossref => Self::Crossref(typed(table)?),
            Kind::SemanticScholar => Self::SemanticScholar(typed(table)?),
            Kind::Huggingface => Self::Huggingface(typed(table)?),
            Kind::Acl => Self::Acl(typed(table)?),
            Kind::Oai => Self::Oai(typed(table)?),
            Kind::Feed => Self::Feed(typed(table)?),
            Kind::Files => Self::Files(typed(table)?),
        };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Self::Arxiv(settings) => settings.check(),
            Self::ArxivAnnounced(settings) => settings.check(),
            Self::Biorxiv(settings) => settings.check(),
            Self::Openalex(settings) => settings.check(),
            Self::Crossref(settings) => settings.check(),
            Self::SemanticScholar(settings) => settings.check(),
            Self::Huggingface(settings) => settings.check(),
            Self::Acl(settings) => settings.check(),
            Self::Oai(settings) => settings.check(),
            Self::Feed(settings) => settings.check(),
            Self::Files(settings) => settings.check(),
        }
    }

    /// The kind they are for.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Arxiv(_) => Kind::Arxiv,
            Self::ArxivAnnounced(_) => Kind::ArxivAnnounced,
            Self::Biorxiv(_) => Kind::Biorxiv,
            Self::Openalex(_) => Kind::Openalex,
            Self::Crossref(_) => Kind::Crossref,
            Self::SemanticScholar(_) => Kind::SemanticScholar,
            Self::Huggingface(_) => Kind::Huggingface,
            Self::Acl(_) => Kind::Acl,
            Self::Oai(_) => Kind::Oai,
            Self::Feed(_) => Kind::Feed,
            Self::Files(_) => Kind::Files,
        }
    }
}

fn typed<T: for<'de> Deserialize<'de>>(table: toml::Table) -> Result<T, String> {
    table
        .try_into()
        .map_err(|error: toml::de::Error| error.message().to_owned())
}

/// Checks that a value is an absolute http or https URL.
pub(crate) fn check_url(key: &str, value: &str) -> Result<(), String> {
    let sound = url::Url::parse(value).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if sound {
        return Ok(());
    }
    Err(format!("{key} is {value:?}; an absolute http or https URL is required"))
}

/// Checks that a number lies within bounds.
pub(crate) fn check_number(key: &str, value: u64, allowed: std::ops::RangeInclusive<u64>) -> Result<(), String> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(format!(
        "{key} is {value}; allowed are {} to {}",
        allowed.start(),
        allowed.end()
    ))
}

/// Checks that a list is not empty.
pub(crate) fn check_some<T>(key: &str, list: &[T]) -> Result<(), String> {
    if list.is_empty() {
        return Err(format!("{key} is empty; at least one is required"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<SourceConfig, String> {
        let table = text.parse().expect("TOML");
        SourceConfig::read(name, table).map_err(|error| error.to_string())
    }

    #[test]
    fn the_documented_defaults_are_the_defaults_and_no_key_is_missing() {
        let tables: toml::Table = DEFAULTS.parse().expect("TOML");
        for kind in Kind::ALL {
            let documented = tables
                .get(kind.as_str())
                .and_then(toml::Value::as_table)
                .unwrap_or_else(|| panic!("{kind} is not documented"));
            let read = Settings::read(kind, documented.clone());
            let bare = match kind {
                Kind::Oai | Kind::Feed | Kind::Files | Kind::SemanticScholar => continue,
                _ => Settings::read(kind, toml::Table::new()),
            };
            assert_eq!(read, bare, "{kind}");
        }
    }

    #[test]
    fn mistakes_name_the_source_the_key_and_what_is_allowed() {
        let error = read("My Feed", "kind = \"feed\"").expect_err("a mistake");
        assert!(error.contains("allowed are 1 to 64"), "{error}");
        let error = read("x", "kind = \"gopher\"").expect_err("a mistake");
        assert!(
            error.contains("\"gopher\"") && error.contains("semantic_scholar"),
            "{error}"
        );
        let error = read("arxiv", "sett = \"cs\"").expect_err("a mistake");
        assert!(error.contains("sett") && error.contains("set"), "{error}");
        let error = read("arxiv", "oai_url = \"ftp://x\"").expect_err("a mistake");
        assert!(error.contains("oai_url"), "{error}");
    }

    #[test]
    fn the_kind_may_be_the_name() {
        assert_eq!(read("arxiv", "").expect("a source").kind(), Kind::Arxiv);
        assert_eq!(read("mine", "kind = \"acl\"").expect("a source").kind(), Kind::Acl);
    }
}
