//! What a source's withdrawal does to a work.
//!
//! A source can always withdraw its own record. The registrar of an identifier can withdraw the work: arXiv its papers,
//! publishers (through Crossref) and bioRxiv works with their DOI, the ACL Anthology its own. An aggregator cannot: its
//! record is dropped and the others remain. A newer record from the same source reinstates the work.

mod wording;

pub use wording::withdrawal_notice;

use jiff::Timestamp;

use super::{Identifiers, Provider, Scheme, SourceRecord};

/// A source withdrew a work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceWithdrawal {
    /// Its provider.
    pub provider: Provider,
    /// The identifiers it had for the work.
    pub identifiers: Identifiers,
    /// When, by its own clock.
    pub datestamp: Option<Timestamp>,
}

/// State of a work after withdrawals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkState {
    /// Available, with the records that remain.
    Current(Vec<SourceRecord>),
    /// Withdrawn.
    Withdrawn,
}

/// Applies withdrawals to the records of a work. The order of either makes no difference.
pub fn apply_withdrawals(records: &[SourceRecord], withdrawals: &[SourceWithdrawal]) -> WorkState {
    let reinstated = |withdrawal: &SourceWithdrawal| records.iter().any(|record| reinstates(record, withdrawal));
    let valid: Vec<&SourceWithdrawal> = withdrawals
        .iter()
        .filter(|withdrawal| !reinstated(withdrawal))
        .collect();
    let about =
        |withdrawal: &SourceWithdrawal, record: &SourceRecord| shares(&withdrawal.identifiers, &record.identifiers);
    let ended = valid
        .iter()
        .any(|withdrawal| has_authority(withdrawal) && records.iter().any(|record| about(withdrawal, record)));
    let left: Vec<SourceRecord> = records
        .iter()
        .filter(|record| {
            !valid
                .iter()
                .any(|withdrawal| withdrawal.provider == record.provider && about(withdrawal, record))
        })
        .cloned()
        .collect();
    if ended || (left.is_empty() && !records.is_empty()) {
        return WorkState::Withdrawn;
    }
    WorkState::Current(left)
}

/// Whether a record of the same source is newer than the withdrawal.
fn reinstates(record: &SourceRecord, withdrawal: &SourceWithdrawal) -> bool {
    record.provider == withdrawal.provider
        && shares(&withdrawal.identifiers, &record.identifiers)
        && matches!((record.datestamp, withdrawal.datestamp), (Some(said), Some(taken)) if said > taken)
}

fn shares(one: &Identifiers, two: &Identifiers) -> bool {
    one.iter().any(|name| two.iter().any(|other| name == other))
}

fn has_authority(withdrawal: &SourceWithdrawal) -> bool {
    let names = |scheme| withdrawal.identifiers.of(scheme).next().is_some();
    match withdrawal.provider {
        Provider::Arxiv => names(Scheme::Arxiv),
        Provider::Crossref | Provider::Biorxiv => names(Scheme::Doi),
        Provider::Acl => names(Scheme::Acl),
        _ => false,
    }
}
