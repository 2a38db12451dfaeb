//! Compares the index with the register of accepted papers, and mends what differs.
//!
//! What is missing or old is asked for again from ingest and takes the ordinary way through the platform; what was withdrawn
//! is taken out here. Papers that nobody accepted are told of and never touched.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use common::grpc::ServiceChannel;
use domain::PaperId;
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use proto::ingest::v1::{AcceptedPaper, ListAcceptedPapersRequest, ResendOutcome, ResendPapersRequest};
use tonic::Status;

use crate::catalogue::Index;
use crate::store::{Mark, StoreError};

/// Papers compared at once.
const PAGE: i32 = 1_000;
/// What is on its way through the platform is looked at again after this.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is wrong with a paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Accepted and not in the index.
    Missing,
    /// In the index at an older revision.
    Outdated,
    /// In the index and was withdrawn.
    Withdrawn,
    /// In the index and never accepted.
    Unknown,
}

/// One paper that both disagree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The paper.
    pub id: PaperId,
    /// What is wrong.
    pub kind: Kind,
    /// The revision that was accepted; 0 for none.
    pub accepted: u64,
    /// The revision in the index; 0 for none.
    pub indexed: u64,
    /// Whether it was mended or is on its way again.
    pub repaired: bool,
}

/// A comparison that broke off.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The register.
    #[error("the register of papers does not answer: {0}")]
    Register(#[from] Status),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An answer that makes no sense.
    #[error("the register gave an unsound answer: {0}")]
    Unsound(String),
}

/// The register, over gRPC.
#[derive(Clone)]
pub struct Register {
    client: IngestServiceClient<ServiceChannel>,
}

impl Register {
    /// Over a channel to ingest.
    pub fn new(channel: ServiceChannel) -> Self {
        Self {
            client: IngestServiceClient::new(channel),
        }
    }

    /// Compares everything. `compared` is told how many papers were looked at so far.
    pub async fn compare(&self, index: &Index, compared: impl Fn(u64)) -> Result<Vec<Difference>, VerifyError> {
        let (mut suspects, mut accepted_ids) = (Vec::new(), HashSet::new());
        let (mut page_token, mut count) = (String::new(), 0);
        loop {
            let request = ListAcceptedPapersRequest {
                page_size: PAGE,
                page_token,
            };
            let page = self.client.clone().list_accepted_papers(request).await?.into_inner();
            count += page.papers.len() as u64;
            accepted_ids.extend(page.papers.iter().map(|paper| hashed(&paper.paper_id)));
            suspects.extend(differing(index, page.papers).await?);
            compared(count);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let mut differences = self.still_differing(index, suspects).await?;
        differences.extend(unknown(index, &accepted_ids).await?);
        Ok(differences)
    }

    /// Mends what can be mended, and says so in the differences.
    pub async fn repair(&self, index: &Index, differences: &mut [Difference]) -> Result<(), VerifyError> {
        let wanted = |one: &&Difference| matches!(one.kind, Kind::Missing | Kind::Outdated);
        let ids: Vec<String> = differences
            .iter()
            .filter(wanted)
            .map(|one| one.id.to_string())
            .collect();
        let mut sent = HashSet::new();
        for some in ids.chunks(PAGE.unsigned_abs() as usize) {
            let request = ResendPapersRequest {
                paper_ids: some.to_vec(),
            };
            let answer = self.client.clone().resend_papers(request).await?.into_inner();
            let there = answer
                .results
                .into_iter()
                .filter(|one| one.outcome() == ResendOutcome::Sent);
            sent.extend(there.map(|one| one.paper_id));
        }
        for one in differences {
            match one.kind {
                Kind::Missing | Kind::Outdated => one.repaired = sent.contains(one.id.as_str()),
                Kind::Withdrawn => {
                    index.store.withdraw(&one.id, one.accepted).await?;
                    one.repaired = true;
                }
                Kind::Unknown => {}
            }
        }
        Ok(())
    }

    /// Papers accepted a moment ago are on their way; only those that stay different count.
    async fn still_differing(&self, index: &Index, suspects: Vec<Difference>) -> Result<Vec<Difference>, VerifyError> {
        if suspects.is_empty() {
            return Ok(suspects);
        }
        tokio::time::sleep(PATIENCE).await;
        let again = suspects.into_iter().map(|one| AcceptedPaper {
            paper_id: one.id.to_string(),
            revision: one.accepted,
            withdrawn: one.kind == Kind::Withdrawn,
        });
        differing(index, again.collect()).await
    }
}

async fn differing(index: &Index, accepted: Vec<AcceptedPaper>) -> Result<Vec<Difference>, VerifyError> {
    let mut ids = Vec::with_capacity(accepted.len());
    for paper in &accepted {
        ids.push(PaperId::parse(&paper.paper_id).map_err(|error| VerifyError::Unsound(error.to_string()))?);
    }
    let marks = index.store.marks_of(&ids).await?;
    let marks: HashMap<PaperId, Mark> = marks.into_iter().map(|mark| (mark.id.clone(), mark)).collect();
    let compared = ids.into_iter().zip(accepted);
    let different = compared.filter_map(|(id, paper)| {
        let mark = marks.get(&id);
        let kind = kind(&paper, mark)?;
        Some(Difference {
            id,
            kind,
            accepted: paper.revision,
            indexed: mark.map_or(0, |mark| mark.revision),
            repaired: false,
        })
    });
    Ok(different.collect())
}

/// What is wrong with a paper, if anything. A withdrawn paper that never came into the index is none the worse.
fn kind(accepted: &AcceptedPaper, indexed: Option<&Mark>) -> Option<Kind> {
    match indexed {
        None => (!accepted.withdrawn).then_some(Kind::Missing),
        Some(mark) if accepted.withdrawn => (!mark.withdrawn).then_some(Kind::Withdrawn),
        Some(mark) => (mark.revision < accepted.revision).then_some(Kind::Outdated),
    }
}

async fn unknown(index: &Index, accepted: &HashSet<u64>) -> Result<Vec<Difference>, VerifyError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let part = index.store.marks(after, PAGE.unsigned_abs() as usize).await?;
        let strangers = part
            .entries
            .into_iter()
            .filter(|mark| !accepted.contains(&hashed(mark.id.as_str())));
        found.extend(strangers.map(|mark| Difference {
            id: mark.id,
            kind: Kind::Unknown,
            accepted: 0,
            indexed: mark.revision,
            repaired: false,
        }));
        after = part.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// Eight bytes instead of an id: millions of papers are compared.
fn hashed(id: &str) -> u64 {
    crate::search::pages::fingerprint(id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(revision: u64, withdrawn: bool) -> AcceptedPaper {
        AcceptedPaper {
            paper_id: "x:a".into(),
            revision,
            withdrawn,
        }
    }

    fn mark(revision: u64, withdrawn: bool) -> Mark {
        Mark {
            id: PaperId::parse("x:a").expect("an id"),
            revision,
            withdrawn,
        }
    }

    #[test]
    fn every_way_to_differ_has_a_name() {
        assert_eq!(kind(&accepted(1, false), None), Some(Kind::Missing));
        assert_eq!(kind(&accepted(1, true), None), None);
        assert_eq!(kind(&accepted(2, false), Some(&mark(1, false))), Some(Kind::Outdated));
        assert_eq!(kind(&accepted(2, false), Some(&mark(2, false))), None);
        assert_eq!(kind(&accepted(2, true), Some(&mark(1, false))), Some(Kind::Withdrawn));
        assert_eq!(kind(&accepted(2, true), Some(&mark(2, true))), None);
        // Accepted a moment later than the comparison read the register.
        assert_eq!(kind(&accepted(1, false), Some(&mark(2, false))), None);
    }
}
