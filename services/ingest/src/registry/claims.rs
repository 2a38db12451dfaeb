//! What each source says about a work, and the names the work is known by: in the bucket of the register, beside the
//! records.
//!
//! A name is given once and never taken away, so two replicas that meet a work at the same moment agree on its id. It
//! decides nothing about papers.

use async_nats::jetstream::kv;
use domain::identity::hex;
use domain::merging::{self, Claim, Identifier, Identifiers, Provider, Standing, Withdrawn};
use domain::{LinkKind, PaperId, Submission};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{RegistryError, hash_of, unanswered};

/// All that sources say about one work.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Work {
    /// The newest claim of each source and paper of it, in the order of their names.
    claims: Vec<KeptClaim>,
    /// Who took the work back, each source once.
    withdrawals: Vec<KeptWithdrawal>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct KeptWithdrawal {
    provider: String,
    source: String,
    names: Vec<String>,
    datestamp: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct KeptClaim {
    provider: String,
    source: String,
    #[serde(default)]
    id: String,
    title: String,
    #[serde(default)]
    abstract_text: String,
    #[serde(default)]
    authors: Vec<String>,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    published: Option<Timestamp>,
    #[serde(default)]
    updated: Option<Timestamp>,
    #[serde(default)]
    links: Vec<(String, String)>,
    #[serde(default)]
    language: String,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    version: Option<u32>,
    #[serde(default)]
    datestamp: Option<Timestamp>,
}

impl Work {
    /// The claims.
    pub fn claims(&self) -> Vec<Claim> {
        self.claims.iter().filter_map(KeptClaim::claim).collect()
    }

    /// Whether a source says just this already.
    pub fn holds(&self, claim: &Claim) -> bool {
        self.claims.contains(&KeptClaim::new(claim))
    }

    /// Puts a claim in the place of what its source said before. `false` where that was newer: records come out of order.
    pub fn put(&mut self, claim: &Claim) -> bool {
        let kept = KeptClaim::new(claim);
        let place = self
            .claims
            .binary_search_by(|one| (&one.source, &one.id).cmp(&(&kept.source, &kept.id)));
        match place {
            Ok(place) => {
                let before = &self.claims[place];
                if (before.version, before.datestamp) > (kept.version, kept.datestamp) {
                    return false;
                }
                self.claims[place] = kept;
            }
            Err(place) => self.claims.insert(place, kept),
        }
        true
    }

    /// Notes that a source took the work back.
    pub fn take_back(&mut self, source: &str, withdrawn: &Withdrawn) {
        let kept = KeptWithdrawal {
            provider: name_of(withdrawn.provider).to_owned(),
            source: source.to_owned(),
            names: withdrawn.identifiers.iter().map(Identifier::to_string).collect(),
            datestamp: withdrawn.datestamp,
        };
        self.withdrawals.retain(|one| one.source != kept.source);
        self.withdrawals.push(kept);
    }

    /// What is left of the work by all that was said.
    pub fn standing(&self) -> Standing {
        let withdrawals: Vec<Withdrawn> = self.withdrawals.iter().filter_map(KeptWithdrawal::withdrawn).collect();
        merging::honour(&self.claims(), &withdrawals)
    }
}

impl KeptWithdrawal {
    fn withdrawn(&self) -> Option<Withdrawn> {
        Some(Withdrawn {
            provider: provider_of(&self.provider)?,
            identifiers: identifiers_of(&self.names),
            datestamp: self.datestamp,
        })
    }
}

fn name_of(provider: Provider) -> &'static str {
    PROVIDERS
        .iter()
        .find(|(one, _)| *one == provider)
        .map_or("submitter", |(_, name)| name)
}

/// `None` for one that only a newer release knows.
fn provider_of(name: &str) -> Option<Provider> {
    PROVIDERS
        .iter()
        .find(|(_, one)| *one == name)
        .map(|(provider, _)| *provider)
}

fn identifiers_of(names: &[String]) -> Identifiers {
    let mut identifiers = Identifiers::new();
    names
        .iter()
        .filter_map(|name| Identifier::parse(name))
        .for_each(|name| identifiers.insert(name));
    identifiers
}

const PROVIDERS: [(Provider, &str); 10] = [
    (Provider::Arxiv, "arxiv"),
    (Provider::Biorxiv, "biorxiv"),
    (Provider::Acl, "acl"),
    (Provider::Crossref, "crossref"),
    (Provider::OpenAlex, "openalex"),
    (Provider::SemanticScholar, "semantic_scholar"),
    (Provider::HuggingFace, "huggingface"),
    (Provider::Repository, "repository"),
    (Provider::Feed, "feed"),
    (Provider::Submitter, "submitter"),
];

const LINKS: [(LinkKind, &str); 3] = [
    (LinkKind::Abstract, "abstract"),
    (LinkKind::Pdf, "pdf"),
    (LinkKind::Code, "code"),
];

impl KeptClaim {
    fn new(claim: &Claim) -> Self {
        let said = &claim.submission;
        let link = |(kind, url): &(LinkKind, String)| {
            let name = LINKS
                .iter()
                .find(|(one, _)| one == kind)
                .map_or("abstract", |(_, name)| name);
            (name.to_owned(), url.clone())
        };
        Self {
            provider: name_of(claim.provider).to_owned(),
            source: said.source.clone(),
            id: said.id.clone(),
            title: said.title.clone(),
            abstract_text: said.abstract_text.clone(),
            authors: said.authors.clone(),
            categories: said.categories.clone(),
            published: said.published,
            updated: said.updated,
            links: said.links.iter().map(link).collect(),
            language: said.language.clone(),
            names: claim.identifiers.iter().map(Identifier::to_string).collect(),
            version: claim.version,
            datestamp: claim.datestamp,
        }
    }

    /// `None` for one of a provider that only a newer release knows.
    fn claim(&self) -> Option<Claim> {
        let provider = provider_of(&self.provider)?;
        let link = |(name, url): &(String, String)| {
            let (kind, _) = LINKS.iter().find(|(_, one)| one == name)?;
            Some((*kind, url.clone()))
        };
        Some(Claim {
            provider,
            submission: Submission {
                id: self.id.clone(),
                title: self.title.clone(),
                abstract_text: self.abstract_text.clone(),
                authors: self.authors.clone(),
                categories: self.categories.clone(),
                published: self.published,
                updated: self.updated,
                links: self.links.iter().filter_map(link).collect(),
                source: self.source.clone(),
                language: self.language.clone(),
            },
            identifiers: identifiers_of(&self.names),
            version: self.version,
            datestamp: self.datestamp,
        })
    }
}

/// Where works and names lie.
pub struct Claims {
    bucket: kv::Store,
}

impl Claims {
    /// In the bucket of the register.
    pub fn new(bucket: kv::Store) -> Self {
        Self { bucket }
    }

    /// What is said about a paper, and the entry it lies in.
    pub async fn of(&self, id: &PaperId) -> Result<(Work, u64), RegistryError> {
        match self.bucket.entry(work_key(id)).await.map_err(unanswered)? {
            Some(entry) if entry.operation == kv::Operation::Put => Ok((
                serde_json::from_slice(&entry.value).map_err(unanswered)?,
                entry.revision,
            )),
            Some(entry) => Ok((Work::default(), entry.revision)),
            None => Ok((Work::default(), 0)),
        }
    }

    /// Writes over what was read. `false` when another replica was faster.
    pub async fn write(&self, id: &PaperId, work: &Work, over: u64) -> Result<bool, RegistryError> {
        let value = serde_json::to_vec(work).map_err(unanswered)?.into();
        match self.bucket.update(work_key(id), value, over).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => Ok(false),
            Err(error) => Err(unanswered(error)),
        }
    }

    /// The paper that a name was given to.
    pub async fn paper_of(&self, name: &str) -> Result<Option<PaperId>, RegistryError> {
        let Some(value) = self.bucket.get(name_key(name)).await.map_err(unanswered)? else {
            return Ok(None);
        };
        let id = std::str::from_utf8(&value).map_err(unanswered)?;
        PaperId::parse(id).map(Some).map_err(unanswered)
    }

    /// Gives a name to a paper, unless another has it. The paper that has it now.
    pub async fn give(&self, name: &str, id: &PaperId) -> Result<PaperId, RegistryError> {
        let value = id.as_str().to_owned().into();
        match self.bucket.create(name_key(name), value).await {
            Ok(_) => Ok(id.clone()),
            Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => {
                Ok(self.paper_of(name).await?.unwrap_or_else(|| id.clone()))
            }
            Err(error) => Err(unanswered(error)),
        }
    }
}

fn work_key(id: &PaperId) -> String {
    format!("work.{}", hash_of(id.as_str()))
}

/// Bucket keys allow few characters, names allow many.
fn name_key(name: &str) -> String {
    format!("name.{}", hex(&Sha256::digest(name)))
}

#[cfg(test)]
mod tests {
    use domain::merging::Scheme;

    use super::*;

    fn claim(source: &str, provider: Provider, datestamp: &str) -> Claim {
        let mut identifiers = Identifiers::new();
        identifiers.insert_raw(Scheme::Doi, "10.1145/1").expect("a name");
        Claim {
            provider,
            submission: Submission {
                id: "doi:10.1145/1".to_owned(),
                title: format!("Said by {source} on {datestamp}"),
                links: vec![(LinkKind::Pdf, "https://example.org/1.pdf".to_owned())],
                source: source.to_owned(),
                ..Submission::default()
            },
            identifiers,
            version: None,
            datestamp: datestamp.parse().ok(),
        }
    }

    #[test]
    fn a_claim_is_kept_whole() {
        let mut work = Work::default();
        let one = claim("arxiv", Provider::Arxiv, "2026-01-01T00:00:00Z");
        assert!(work.put(&one) && work.holds(&one));
        let text = serde_json::to_string(&work).expect("JSON");
        let read: Work = serde_json::from_str(&text).expect("a work");
        assert_eq!(read.claims(), [one]);
        let strange = text.replace("\"arxiv\"", "\"gazette\"");
        assert_eq!(serde_json::from_str::<Work>(&strange).expect("a work").claims(), []);
    }

    #[test]
    fn the_newest_claim_of_a_source_holds_whatever_the_order() {
        let mut work = Work::default();
        let old = claim("arxiv", Provider::Arxiv, "2026-01-01T00:00:00Z");
        let new = claim("arxiv", Provider::Arxiv, "2026-02-01T00:00:00Z");
        assert!(work.put(&new) && !work.put(&old));
        let other = claim("crossref", Provider::Crossref, "2025-01-01T00:00:00Z");
        assert!(work.put(&other));
        assert_eq!(work.claims(), [new, other]);
    }

    #[test]
    fn who_gave_the_name_takes_the_work_back_and_brings_it_back() {
        let mut work = Work::default();
        work.put(&claim("crossref", Provider::Crossref, "2026-01-01T00:00:00Z"));
        work.put(&claim("openalex", Provider::OpenAlex, "2026-03-01T00:00:00Z"));
        let taken_back = |day: &str| Withdrawn {
            provider: Provider::Crossref,
            identifiers: claim("crossref", Provider::Crossref, day).identifiers,
            datestamp: day.parse().ok(),
        };
        work.take_back("crossref", &taken_back("2026-02-01T00:00:00Z"));
        let text = serde_json::to_string(&work).expect("JSON");
        let mut work: Work = serde_json::from_str(&text).expect("a work");
        assert_eq!(work.standing(), Standing::Withdrawn);
        work.put(&claim("crossref", Provider::Crossref, "2026-04-01T00:00:00Z"));
        assert!(matches!(work.standing(), Standing::Stands(claims) if claims.len() == 2));
    }
}
