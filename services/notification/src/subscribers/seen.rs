//! Papers a subscriber was sent, packed: 12 bytes a paper, which is a quarter of what a set of ids takes.
//!
//! Per paper the first eight bytes of the SHA-256 of its id, then the slot of the digest in minutes since the epoch, both
//! big-endian, oldest first. Two of a million papers share their eight bytes with a probability below 10⁻⁷; one of them
//! would then be left out of a digest. What is older than the window and 35 days is forgotten (see `settle.lua`).

use std::collections::HashSet;

use domain::PaperId;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

const ENTRY: usize = 12;

/// What stands for a paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PaperKey([u8; 8]);

/// The papers that a subscriber was sent lately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenPapers {
    papers: HashSet<PaperKey>,
    /// Slot of the last digest that was sent, to the minute.
    pub last_slot: Option<Timestamp>,
}

impl PaperKey {
    /// Of a paper.
    pub fn of(id: &PaperId) -> Self {
        Self::of_text(id.as_str())
    }

    fn of_text(id: &str) -> Self {
        let hash = Sha256::digest(id.as_bytes());
        let mut key = [0; 8];
        key.copy_from_slice(&hash[..8]);
        Self(key)
    }
}

impl SeenPapers {
    /// Reads the packed form; what is left over at the end is not a paper.
    pub fn unpack(packed: &[u8]) -> Self {
        let (entries, _) = packed.as_chunks::<ENTRY>();
        let key = |entry: &[u8; ENTRY]| {
            let mut key = [0; 8];
            key.copy_from_slice(&entry[..8]);
            PaperKey(key)
        };
        let slot = |entry: &[u8; ENTRY]| u32::from_be_bytes([entry[8], entry[9], entry[10], entry[11]]);
        let last = entries.iter().map(slot).max();
        Self {
            papers: entries.iter().map(key).collect(),
            last_slot: last.and_then(|minutes| Timestamp::from_second(60 * i64::from(minutes)).ok()),
        }
    }

    /// Whether a paper was sent.
    #[cfg(test)]
    pub fn contains(&self, paper: PaperKey) -> bool {
        self.papers.contains(&paper)
    }

    /// What stands for each of the papers.
    pub fn papers(&self) -> impl Iterator<Item = PaperKey> {
        self.papers.iter().copied()
    }

    /// True before the first digest.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.papers.is_empty()
    }
}

/// The papers of one digest, packed.
pub fn pack<'a>(ids: impl Iterator<Item = &'a str>, slot: Timestamp) -> Vec<u8> {
    let minutes = minutes(slot).to_be_bytes();
    ids.flat_map(|id| PaperKey::of_text(id).0.into_iter().chain(minutes))
        .collect()
}

/// Drops the papers of digests before a moment from the packed form.
#[cfg(test)]
pub fn forget_before(packed: &mut Vec<u8>, moment: Timestamp) {
    let oldest = minutes(moment);
    let (entries, _) = packed.as_chunks::<ENTRY>();
    let slot = |entry: &[u8; ENTRY]| u32::from_be_bytes([entry[8], entry[9], entry[10], entry[11]]);
    let gone = entries.iter().take_while(|entry| slot(entry) < oldest).count();
    packed.drain(..gone * ENTRY);
}

/// Minutes since the epoch; 0 before it.
pub fn minutes(at: Timestamp) -> u32 {
    u32::try_from(at.as_second().div_euclid(60)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_found_again() {
        let slot: Timestamp = "2026-11-24T07:30:00Z".parse().expect("a timestamp");
        let mut packed = pack(["x:a", "x:b"].into_iter(), slot);
        assert_eq!(packed.len(), 2 * ENTRY);
        packed.extend(b"torn");
        let seen = SeenPapers::unpack(&packed);
        let key = |id: &str| PaperKey::of(&PaperId::parse(id).expect("an id"));
        assert!(seen.contains(key("x:a")) && seen.contains(key("x:b")) && !seen.contains(key("x:c")));
        assert_eq!(seen.last_slot, Some(slot));
        assert_eq!(SeenPapers::unpack(b""), SeenPapers::default());
    }
}
