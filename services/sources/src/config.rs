//! The settings of a source, read from a table of TOML.
//!
//! `defaults.toml` documents every key of every kind with its default. The schedule (enabled, interval, jitter) does not
//! belong here: the harvester takes those keys out of the table first.

use serde::Deserialize;

use crate::kind::SourceKind;
use crate::{acl, arxiv, biorxiv, crossref, feed, files, huggingface, oai, openalex, semantic_scholar};

/// Every key of every kind of source, commented, with its default: one table per kind.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// The settings of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// Its name; papers carry it as their source. `a-z`, `0-9`, `-` and `_`.
    pub name: String,
    /// What depends on the kind.
    pub settings: KindSettings,
}

/// The settings that depend on the kind.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is the settings of the kind of its name")]
pub enum KindSettings {
    Arxiv(arxiv::ArxivSettings),
    ArxivAnnounced(arxiv::announced::ArxivAnnouncedSettings),
    Biorxiv(biorxiv::BiorxivSettings),
    Openalex(openalex::OpenAlexSettings),
    Crossref(crossref::CrossrefSettings),
    SemanticScholar(semantic_scholar::SemanticScholarSettings),
    Huggingface(huggingface::HuggingFaceSettings),
    Acl(acl::AclSettings),
    Oai(oai::OaiSettings),
    Feed(feed::FeedSettings),
    Files(files::FilesSettings),
}

/// A mistake in the settings of a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("source {source_name}: {problem}")]
pub struct SourceConfigError {
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
    pub fn read(name: &str, mut table: toml::Table) -> Result<Self, SourceConfigError> {
        let wrong = |problem: String| SourceConfigError {
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
        let kinds = || SourceKind::ALL.map(SourceKind::as_str).join(", ");
        let kind = match table.remove("kind") {
            None => {
                SourceKind::parse(name).ok_or_else(|| wrong(format!("kind is missing; allowed are {}", kinds())))?
            }
            Some(toml::Value::String(kind)) => {
                SourceKind::parse(&kind).ok_or_else(|| wrong(format!("kind is {kind:?}; allowed are {}", kinds())))?
            }
            Some(other) => return Err(wrong(format!("kind is {other}; allowed are {}", kinds()))),
        };
        let settings = KindSettings::read(kind, table).map_err(wrong)?;
        Ok(Self {
            name: name.to_owned(),
            settings,
        })
    }

    /// Its kind.
    pub fn kind(&self) -> SourceKind {
        self.settings.kind()
    }
}

impl KindSettings {
    fn read(kind: SourceKind, table: toml::Table) -> Result<Self, String> {
        let settings = match kind {
            SourceKind::Arxiv => Self::Arxiv(read_table(table)?),
            SourceKind::ArxivAnnounced => Self::ArxivAnnounced(read_table(table)?),
            SourceKind::Biorxiv => Self::Biorxiv(read_table(table)?),
            SourceKind::Openalex => Self::Openalex(read_table(table)?),
            SourceKind::Crossref => Self::Crossref(read_table(table)?),
            SourceKind::SemanticScholar => Self::SemanticScholar(read_table(table)?),
            SourceKind::Huggingface => Self::Huggingface(read_table(table)?),
            SourceKind::Acl => Self::Acl(read_table(table)?),
            SourceKind::Oai => Self::Oai(read_table(table)?),
            SourceKind::Feed => Self::Feed(read_table(table)?),
            SourceKind::Files => Self::Files(read_table(table)?),
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
    pub const fn kind(&self) -> SourceKind {
        match self {
            Self::Arxiv(_) => SourceKind::Arxiv,
            Self::ArxivAnnounced(_) => SourceKind::ArxivAnnounced,
            Self::Biorxiv(_) => SourceKind::Biorxiv,
            Self::Openalex(_) => SourceKind::Openalex,
            Self::Crossref(_) => SourceKind::Crossref,
            Self::SemanticScholar(_) => SourceKind::SemanticScholar,
            Self::Huggingface(_) => SourceKind::Huggingface,
            Self::Acl(_) => SourceKind::Acl,
            Self::Oai(_) => SourceKind::Oai,
            Self::Feed(_) => SourceKind::Feed,
            Self::Files(_) => SourceKind::Files,
        }
    }
}

fn read_table<T: for<'de> Deserialize<'de>>(table: toml::Table) -> Result<T, String> {
    table
        .try_into()
        .map_err(|error: toml::de::Error| error.message().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<SourceConfig, String> {
        let table = text.parse().expect("TOML");
        SourceConfig::read(name, table).map_err(|error| error.to_string())
    }

    #[test]
    fn the_documented_defaults_are_complete_and_true() {
        let tables: toml::Table = DEFAULTS.parse().expect("TOML");
        for kind in SourceKind::ALL {
            let documented = tables
                .get(kind.as_str())
                .and_then(toml::Value::as_table)
                .unwrap_or_else(|| panic!("{kind} is not documented"));
            let read = KindSettings::read(kind, documented.clone());
            let bare = match kind {
                SourceKind::Oai | SourceKind::Feed | SourceKind::Files | SourceKind::SemanticScholar => continue,
                _ => KindSettings::read(kind, toml::Table::new()),
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
        assert_eq!(read("arxiv", "").expect("a source").kind(), SourceKind::Arxiv);
        assert_eq!(
            read("mine", "kind = \"acl\"").expect("a source").kind(),
            SourceKind::Acl
        );
    }
}
