//! Fields of records that nothing was made of: counted by name, and named at the end.

use std::collections::BTreeMap;
use std::fmt;

/// Names that are kept apart; further ones are counted together.
const MAX_NAMES: usize = 256;
/// Names that are shown.
const SHOWN: usize = 12;
/// Longest name in bytes.
const MAX_NAME_BYTES: usize = 64;

/// How often each field was not understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnreadFields {
    counts: BTreeMap<String, u64>,
    others: u64,
}

impl UnreadFields {
    /// Counts a field.
    pub fn add(&mut self, name: &str) {
        let name = &name[..name.floor_char_boundary(MAX_NAME_BYTES)];
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
        } else if self.counts.len() < MAX_NAMES {
            self.counts.insert(name.to_owned(), 1);
        } else {
            self.others += 1;
        }
    }

    /// Whether everything was understood.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The fields with their counts, the most frequent first.
    pub fn by_count(&self) -> Vec<(&str, u64)> {
        let mut fields: Vec<(&str, u64)> = self
            .counts
            .iter()
            .map(|(name, count)| (name.as_str(), *count))
            .collect();
        fields.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        fields
    }
}

/// `journal 1200×, pages 3×`; at most a dozen names.
impl fmt::Display for UnreadFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.by_count();
        for (index, (name, count)) in fields.iter().take(SHOWN).enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name} {count}×")?;
        }
        match fields.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} other fields"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_fields_are_named() {
        let mut unread = UnreadFields::default();
        assert!(unread.is_empty());
        for name in ["pages", "journal", "journal"] {
            unread.add(name);
        }
        assert_eq!(unread.to_string(), "journal 2×, pages 1×");
        for number in 0..1_000 {
            unread.add(&format!("column {number}"));
        }
        assert_eq!(unread.by_count().len(), MAX_NAMES);
        assert!(unread.to_string().ends_with("and 244 other fields"), "{unread}");
        unread.add(&"é".repeat(100));
    }
}
