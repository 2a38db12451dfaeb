//! Whom to believe about which field of a paper.
//!
//! | field | most trusted first |
//! |---|---|
//! | title, abstract, published, updated, links, language | arXiv, bioRxiv, ACL, Crossref, OpenAlex, Semantic Scholar, Hugging Face, repositories, feeds, submitters |
//! | authors | arXiv, ACL, Crossref, OpenAlex, Semantic Scholar, Hugging Face, bioRxiv (initials only), repositories, feeds, submitters |
//! | categories | arXiv, bioRxiv, ACL, OpenAlex, Semantic Scholar, Crossref, Hugging Face, repositories, feeds, submitters |
//!
//! Preprint servers come before Crossref because what they say is written by the authors and complete, while a publisher's
//! record often lacks the abstract. An empty field is no claim: the next in line is asked.

/// Who makes a claim.
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
    /// Links; all are kept, in the order of trust.
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

/// Who is believed about a field, most trusted first.
pub const fn order(field: Field) -> [Provider; 10] {
    match field {
        Field::Authors => AUTHORS,
        Field::Categories => CATEGORIES,
        _ => GENERAL,
    }
}

/// The place of a provider in the order of a field; 0 is believed first.
pub fn rank(field: Field, provider: Provider) -> usize {
    let order = order(field);
    order.iter().position(|other| *other == provider).unwrap_or(order.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_names_everybody_once() {
        for field in [Field::Title, Field::Authors, Field::Categories] {
            let mut all = order(field);
            all.sort_unstable();
            assert_eq!(all, GENERAL, "{field:?}");
        }
    }
}
