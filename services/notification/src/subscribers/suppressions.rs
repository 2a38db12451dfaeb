//! Addresses that must get no mail, known by a hash alone: they stay when everything else about a reader is forgotten.

use domain::EmailAddress;
use domain::identity::hex;
use jiff::Timestamp;
use proto::subscriptions::v1::SuppressionReason;
use sha2::{Digest as _, Sha256};

/// Why an address gets no mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuppressionCause {
    /// It takes no mail.
    Bounce,
    /// Its reader called our mail spam.
    Complaint,
    /// An operator said so.
    Manual,
    /// Its reader said that somebody else had asked for the digest. Holds for the whole mailbox, whatever the tag.
    Declined,
}

/// An address that gets no mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// SHA-256 of the address key, in hex.
    pub hash: String,
    /// Why.
    pub cause: SuppressionCause,
    /// Since when.
    pub since: Timestamp,
}

/// What is said of an address. A lifted suppression stays, so that an older word in the log never takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuppressionEntry {
    /// Grows with every change.
    pub version: u64,
    /// None where it was lifted.
    pub cause: Option<SuppressionCause>,
    /// Since when.
    pub since: Timestamp,
}

/// The hash that stands for an address.
pub fn address_hash(email: &EmailAddress) -> String {
    hex(&Sha256::digest(email.key()))
}

/// The hash that stands for the mailbox of an address, the same for every tag.
pub fn mailbox_hash(email: &EmailAddress) -> String {
    hex(&Sha256::digest(email.mailbox_key()))
}

impl SuppressionCause {
    /// Whether it takes the place of another one: what a reader said outweighs other causes, a complaint most, else the first
    /// one stays.
    pub fn outweighs(self, known: Option<Self>) -> bool {
        let weight = |cause| match cause {
            Self::Bounce | Self::Manual => 0,
            Self::Declined => 1,
            Self::Complaint => 2,
        };
        known.is_none_or(|known| weight(self) > weight(known))
    }

    /// The name in the store, and for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bounce => "bounce",
            Self::Complaint => "complaint",
            Self::Manual => "manual",
            Self::Declined => "declined",
        }
    }

    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        let reasons = [Self::Bounce, Self::Complaint, Self::Manual, Self::Declined];
        reasons.into_iter().find(|reason| reason.name() == name)
    }
}

impl From<SuppressionCause> for SuppressionReason {
    fn from(cause: SuppressionCause) -> Self {
        match cause {
            SuppressionCause::Bounce => Self::Bounce,
            SuppressionCause::Complaint => Self::Complaint,
            SuppressionCause::Manual => Self::Manual,
            SuppressionCause::Declined => Self::Declined,
        }
    }
}
