//! What becomes of a work when a source takes it back.
//!
//! A source can always take back its own word. Whoever gave a work one of its names can take back the work: arXiv its
//! papers, publishers (through Crossref) and bioRxiv what has their DOI, the anthology its own. A catalogue that gathers
//! from others cannot; what it says is dropped and the others stand. A source that speaks of a work again later has brought
//! it back.

use jiff::Timestamp;

use super::{Claim, Identifiers, Provider, Scheme};

/// A source has taken a work back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// Who.
    pub provider: Provider,
    /// The names it had for the work.
    pub identifiers: Identifiers,
    /// When, by its own clock.
    pub datestamp: Option<Timestamp>,
}

/// What is left of a work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It stands, by these claims.
    Stands(Vec<Claim>),
    /// It was taken back.
    Withdrawn,
}

/// Takes withdrawals into account. Their order, and that of the claims, makes no difference.
pub fn honour(claims: &[Claim], withdrawals: &[Withdrawn]) -> Standing {
    let answered = |withdrawal: &Withdrawn| claims.iter().any(|claim| brings_back(claim, withdrawal));
    let valid: Vec<&Withdrawn> = withdrawals.iter().filter(|withdrawal| !answered(withdrawal)).collect();
    let about = |withdrawal: &Withdrawn, claim: &Claim| shares(&withdrawal.identifiers, &claim.identifiers);
    let ended = valid
        .iter()
        .any(|withdrawal| has_authority(withdrawal) && claims.iter().any(|claim| about(withdrawal, claim)));
    let left: Vec<Claim> = claims
        .iter()
        .filter(|claim| {
            !valid
                .iter()
                .any(|withdrawal| withdrawal.provider == claim.provider && about(withdrawal, claim))
        })
        .cloned()
        .collect();
    if ended || (left.is_empty() && !claims.is_empty()) {
        return Standing::Withdrawn;
    }
    Standing::Stands(left)
}

/// A claim of the same source that is newer than the withdrawal.
fn brings_back(claim: &Claim, withdrawal: &Withdrawn) -> bool {
    claim.provider == withdrawal.provider
        && shares(&withdrawal.identifiers, &claim.identifiers)
        && matches!((claim.datestamp, withdrawal.datestamp), (Some(said), Some(taken)) if said > taken)
}

fn shares(one: &Identifiers, two: &Identifiers) -> bool {
    one.iter().any(|name| two.iter().any(|other| name == other))
}

fn has_authority(withdrawal: &Withdrawn) -> bool {
    let names = |scheme| withdrawal.identifiers.of(scheme).next().is_some();
    match withdrawal.provider {
        Provider::Arxiv => names(Scheme::Arxiv),
        Provider::Crossref | Provider::Biorxiv => names(Scheme::Doi),
        Provider::Acl => names(Scheme::Acl),
        _ => false,
    }
}
