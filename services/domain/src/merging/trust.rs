//! Which provider to trust with which field of a paper.
//!
//! | field | most trusted first |
//! |---|---|
//! | title, abstract, published, updated, links, language | arXiv, bioRxiv, ACL, Crossref, OpenAlex, Semantic Scholar, Hugging Face, repositories, feeds, submitters |
//! | authors | arXiv, ACL, Crossref, OpenAlex, Semantic Scholar, Hugging Face, bioRxiv (initials only), repositories, feeds, submitters |
//! | categories | arXiv, bioRxiv, ACL, OpenAlex, Semantic Scholar, Crossref, Hugging Face, repositories, feeds, submitters |
//!
//! Preprint servers come before Crossref because the authors write those records themselves and in full, while a
//! publisher's record often lacks the abstract. Where a field is empty, the next provider is used.

/// Who provides a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// arXiv itself.
    Arxiv,
    /// bioRxiv and medRxiv.
    Biorxiv,
    /// The ACL Anthology.
    Acl,
    /// Crossref, where publishers register DOIs.
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

/// A field of a paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Title.
    Title,
    /// Abstract.
    Abstract,
    /// Authors.
    Authors,
    /// Categories.
    Categories,
    /// When the first version was published.
    Published,
    /// When the text was last changed.
    Updated,
    /// Links; all are kept, most trusted first.
    Links,
    /// Language.
    Language,
}

use Provider::{Acl, Arxiv, Biorxiv, Crossref, Feed, HuggingFace, OpenAlex, Repository, SemanticScholar, Submitter};

const GENERAL: [Provider; 10] = [
    Arxiv,
    Biorxiv,
    Acl,
    Crossref,
    OpenAlex,
    SemanticScholar,
    HuggingFace,
    Repository,
    Feed,
    Submitter,
];
const AUTHORS: [Provider; 10] = [
    Arxiv,
    Acl,
    Crossref,
    OpenAlex,
    SemanticScholar,
    HuggingFace,
    Biorxiv,
    Repository,
    Feed,
    Submitter,
];
const CATEGORIES: [Provider; 10] = [
    Arxiv,
    Biorxiv,
    Acl,
    OpenAlex,
    SemanticScholar,
    Crossref,
    HuggingFace,
    Repository,
    Feed,
    Submitter,
];

/// Providers by their trust for a field, most trusted first.
pub const fn order(field: Field) -> [Provider; 10] {
    match field {
        Field::Authors => AUTHORS,
        Field::Categories => CATEGORIES,
        _ => GENERAL,
    }
}

/// Position of a provider in that order; 0 is the most trusted.
pub fn rank(field: Field, provider: Provider) -> usize {
    let order = order(field);
    order.iter().position(|other| *other == provider).unwrap_or(order.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_lists_each_provider_once() {
        for field in [Field::Title, Field::Authors, Field::Categories] {
            let mut all = order(field);
            all.sort_unstable();
            assert_eq!(all, GENERAL, "{field:?}");
        }
    }
}
