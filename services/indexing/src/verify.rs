//! Compares the index with the registry of accepted papers, and repairs the differences.
//!
//! Ingest is asked to send again what is missing or outdated, and it takes the usual route through the platform; what was
//! withdrawn is taken out here. Papers that nobody accepted are reported and never changed.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use common::clock::Clock;
use common::grpc::ServiceChannel;
use domain::PaperId;
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use proto::ingest::v1::{AcceptedPaper, ListAcceptedPapersRequest, ResendOutcome, ResendPapersRequest};
use tonic::Status;

use crate::catalogue::OpenCollection;
use crate::store::{PaperRevision, StoreError};

/// Papers compared at once.
const PAGE: i32 = 1_000;
/// Papers that may still be on their route through the platform are checked again after this.
const SETTLING_TIME: Duration = Duration::from_secs(5);

/// What is wrong with a paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceKind {
    /// Accepted and not in the index.
    Missing,
    /// In the index at an older revision.
    Outdated,
    /// In the index and was withdrawn.
    Withdrawn,
    /// In the index and never accepted.
    Unknown,
}

/// A paper that the registry and the index disagree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The paper.
    pub id: PaperId,
    /// What is wrong.
    pub kind: DifferenceKind,
    /// The revision that was accepted; 0 for none.
    pub accepted: u64,
    /// The revision in the index; 0 for none.
    pub indexed: u64,
    /// Whether it was repaired, or sent again.
    pub repaired: bool,
}

/// A comparison that broke off.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The registry.
    #[error("the registry of papers does not answer: {0}")]
    Registry(#[from] Status),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An answer that makes no sense.
    #[error("the registry gave an unsound answer: {0}")]
    Unsound(String),
}

/// The registry of accepted papers, over gRPC.
pub struct RegistryClient {
    client: IngestServiceClient<ServiceChannel>,
    clock: Clock,
}

impl RegistryClient {
    /// Over a channel to ingest.
    pub fn new(channel: ServiceChannel, clock: Clock) -> Self {
        Self {
            client: IngestServiceClient::new(channel),
            clock,
        }
    }

    /// Compares everything. Calls `compared` with the number of papers compared so far.
    pub async fn compare(
        &self,
        index: &OpenCollection,
        compared: impl Fn(u64),
    ) -> Result<Vec<Difference>, VerifyError> {
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

    /// Repairs what can be repaired, and notes it in the differences.
    pub async fn repair(&self, index: &OpenCollection, differences: &mut [Difference]) -> Result<(), VerifyError> {
        let wanted = |one: &&Difference| matches!(one.kind, DifferenceKind::Missing | DifferenceKind::Outdated);
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
                DifferenceKind::Missing | DifferenceKind::Outdated => one.repaired = sent.contains(one.id.as_str()),
                DifferenceKind::Withdrawn => {
                    index.store.withdraw(&one.id, one.accepted).await?;
                    one.repaired = true;
                }
                DifferenceKind::Unknown => {}
            }
        }
        Ok(())
    }

    /// Papers accepted a moment ago are still on their route; only those that stay different count.
    async fn still_differing(
        &self,
        index: &OpenCollection,
        suspects: Vec<Difference>,
    ) -> Result<Vec<Difference>, VerifyError> {
        if suspects.is_empty() {
            return Ok(suspects);
        }
        self.clock.sleep(SETTLING_TIME).await;
        let again = suspects.into_iter().map(|one| AcceptedPaper {
            paper_id: one.id.to_string(),
            revision: one.accepted,
            withdrawn: one.kind == DifferenceKind::Withdrawn,
        });
        differing(index, again.collect()).await
    }
}

async fn differing(index: &OpenCollection, accepted: Vec<AcceptedPaper>) -> Result<Vec<Difference>, VerifyError> {
    let mut ids = Vec::with_capacity(accepted.len());
    for paper in &accepted {
        ids.push(PaperId::parse(&paper.paper_id).map_err(|error| VerifyError::Unsound(error.to_string()))?);
    }
    let revisions = index.store.revisions_of(&ids).await?;
    let revisions: HashMap<PaperId, PaperRevision> =
        revisions.into_iter().map(|held| (held.id.clone(), held)).collect();
    let compared = ids.into_iter().zip(accepted);
    let different = compared.filter_map(|(id, paper)| {
        let held = revisions.get(&id);
        let kind = kind(&paper, held)?;
        Some(Difference {
            id,
            kind,
            accepted: paper.revision,
            indexed: held.map_or(0, |held| held.revision),
            repaired: false,
        })
    });
    Ok(different.collect())
}

/// What is wrong with a paper, if anything. Nothing is, where a withdrawn paper was never in the index.
fn kind(accepted: &AcceptedPaper, indexed: Option<&PaperRevision>) -> Option<DifferenceKind> {
    match indexed {
        None => (!accepted.withdrawn).then_some(DifferenceKind::Missing),
        Some(held) if accepted.withdrawn => (!held.withdrawn).then_some(DifferenceKind::Withdrawn),
        Some(held) => (held.revision < accepted.revision).then_some(DifferenceKind::Outdated),
    }
}

async fn unknown(index: &OpenCollection, accepted: &HashSet<u64>) -> Result<Vec<Difference>, VerifyError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = index.store.revisions(after, PAGE.unsigned_abs() as usize).await?;
        let strangers = page
            .entries
            .into_iter()
            .filter(|held| !accepted.contains(&hashed(held.id.as_str())));
        found.extend(strangers.map(|held| Difference {
            id: held.id,
            kind: DifferenceKind::Unknown,
            accepted: 0,
            indexed: held.revision,
            repaired: false,
        }));
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// Eight bytes instead of an id, because millions of papers are compared.
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

    fn held(revision: u64, withdrawn: bool) -> PaperRevision {
        PaperRevision {
            id: PaperId::parse("x:a").expect("an id"),
            revision,
            withdrawn,
        }
    }

    #[test]
    fn each_difference_has_its_kind() {
        assert_eq!(kind(&accepted(1, false), None), Some(DifferenceKind::Missing));
        assert_eq!(kind(&accepted(1, true), None), None);
        assert_eq!(
            kind(&accepted(2, false), Some(&held(1, false))),
            Some(DifferenceKind::Outdated)
        );
        assert_eq!(kind(&accepted(2, false), Some(&held(2, false))), None);
        assert_eq!(
            kind(&accepted(2, true), Some(&held(1, false))),
            Some(DifferenceKind::Withdrawn)
        );
        assert_eq!(kind(&accepted(2, true), Some(&held(2, true))), None);
        // Accepted a moment later than the comparison read the registry.
        assert_eq!(kind(&accepted(1, false), Some(&held(2, false))), None);
    }
}
