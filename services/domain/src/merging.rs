//! One paper, many sources: which claims are about the same work, and what the work is by all that is claimed.
//!
//! A claim is what one source says about one work. Claims that share a DOI or an arXiv id are about the same work; with
//! neither, title and authors decide, with care ([`same_work`]). What all claims together say is a pure function of the
//! set of claims ([`merge`]): the order in which they came, and how often, makes no difference. Nothing here looks
//! anything up, and what only looks alike is reported, never merged.

mod identifiers;

pub use identifiers::{Identifier, IdentifierError, Identifiers, Scheme};

use jiff::Timestamp;

use crate::Submission;

/// What one source says about one work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who says it; decides how far it is trusted.
    pub provider: Provider,
    /// The paper in the source's words, complete and ready for ingest.
    pub submission: Submission,
    /// All names under which the source knows the work.
    pub identifiers: Identifiers,
    /// The version of the text, from 1, where the source counts versions.
    pub version: Option<u32>,
    /// When the source last changed what it says, by its own clock.
    pub datestamp: Option<Timestamp>,
}

/// Who makes a claim. The order here is the order of trust where nothing else is said (see [`merge`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// arXiv itself.
    Arxiv,
    /// bioRxiv and medRxiv.
    Biorxiv,
    /// The ACL Anthology.
    Acl,
    /// Crossref, where publishers register.
    Crossref,
    /// OpenAlex.
    OpenAlex,
    /// Semantic Scholar.
    SemanticScholar,
    /// Hugging Face papers.
    HuggingFace,
    /// A repository that speaks OAI-PMH.
    Repository,
    /// A web feed.
    Feed,
    /// A file or a call.
    Submitter,
}
