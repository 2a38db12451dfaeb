//! The kinds of sources.

use std::fmt;
use std::time::Duration;

use domain::merging::Provider;
use serde::{Deserialize, Serialize};

/// The kinds of sources there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
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

impl SourceKind {
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

    /// How often it is fetched unless the settings say otherwise.
    pub const fn default_interval(self) -> Duration {
        let minutes = match self {
            Self::ArxivAnnounced | Self::Huggingface | Self::Feed => 30,
            Self::Arxiv | Self::Biorxiv | Self::Oai => 120,
            Self::Openalex | Self::Crossref | Self::SemanticScholar => 360,
            Self::Acl => 1_440,
            Self::Files => 5,
        };
        Duration::from_secs(minutes * 60)
    }

    /// Who provides its records, which decides how far they are trusted.
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

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
