//! What entries take from others: `crossref` names the volume of an entry, `xdata` a set of fields.
//!
//! BibTeX wants the volume behind its entries, biblatex does not care. Entries wait for theirs, within bounds.

use std::collections::{HashMap, HashSet};

use super::fields::BibtexFields;
use crate::record::RecordLocation;

/// Entries that may be asked for later.
const MAX_KNOWN: usize = 100_000;
/// Bytes of those.
const MAX_KNOWN_BYTES: usize = 32 << 20;
/// Entries that wait.
const MAX_WAITING: usize = 10_000;
/// Bytes of those.
const MAX_WAITING_BYTES: usize = 32 << 20;

/// Entries that were read, and entries that wait for one.
#[derive(Debug, Default)]
pub struct Inheritance {
    known: HashMap<String, BibtexFields>,
    known_bytes: usize,
    waiting: Vec<WaitingEntry>,
    waiting_bytes: usize,
    wanted: HashSet<String>,
}

/// An entry with where it is in the file and how it begins.
#[derive(Debug)]
pub struct WaitingEntry {
    pub fields: BibtexFields,
    pub location: RecordLocation,
    pub excerpt: String,
}

impl Inheritance {
    /// Remembers what others may take from an entry.
    pub fn remember(&mut self, fields: &BibtexFields) {
        if fields.key.is_empty() || self.known.len() >= MAX_KNOWN || self.known_bytes > MAX_KNOWN_BYTES {
            return;
        }
        let is_set = fields.kind == "xdata";
        let heritage = fields.only(|name| is_set || is_inherited(name) || matches!(name, "crossref" | "xdata"));
        self.known_bytes += heritage.size() + fields.key.len();
        self.known.insert(fields.key.to_lowercase(), heritage);
    }

    /// Takes an entry; gives those that are complete now: that one, or others that waited for it.
    pub fn take(&mut self, entry: WaitingEntry) -> Vec<WaitingEntry> {
        let key = entry.fields.key.to_lowercase();
        let mut complete = Vec::new();
        let is_full = self.waiting.len() >= MAX_WAITING || self.waiting_bytes > MAX_WAITING_BYTES;
        if self.lacks_parent(&entry.fields) && !is_full {
            self.waiting_bytes += entry.fields.size();
            self.wanted.extend(parents(&entry.fields));
            self.waiting.push(entry);
        } else {
            complete.push(self.completed(entry));
        }
        if !self.wanted.remove(&key) {
            return complete;
        }
        let called: Vec<usize> = (0..self.waiting.len())
            .rev()
            .filter(|&at| parents(&self.waiting[at].fields).any(|parent| parent == key))
            .filter(|&at| !self.lacks_parent(&self.waiting[at].fields))
            .collect();
        for at in called {
            let entry = self.waiting.swap_remove(at);
            self.waiting_bytes -= entry.fields.size().min(self.waiting_bytes);
            complete.push(self.completed(entry));
        }
        complete
    }

    /// Whether an entry waits.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Gives up waiting.
    pub fn rest(&mut self) -> Vec<WaitingEntry> {
        self.waiting_bytes = 0;
        self.wanted.clear();
        let mut rest = std::mem::take(&mut self.waiting);
        rest.sort_by_key(|entry| entry.location.record);
        rest.into_iter().map(|entry| self.completed(entry)).collect()
    }

    fn lacks_parent(&self, fields: &BibtexFields) -> bool {
        parents(fields).any(|key| !self.known.contains_key(&key))
    }

    fn completed(&self, mut entry: WaitingEntry) -> WaitingEntry {
        let own: Vec<String> = parents(&entry.fields).collect();
        for key in own {
            let Some(parent) = self.known.get(&key) else { continue };
            let is_set = parent.kind == "xdata";
            entry.fields.inherit(parent, |name| is_set || is_inherited(name));
            // A volume may take from another in turn.
            for key in parents(parent) {
                if let Some(parent) = self.known.get(&key) {
                    let is_set = parent.kind == "xdata";
                    entry.fields.inherit(parent, |name| is_set || is_inherited(name));
                }
            }
        }
        entry
    }
}

/// The entries that an entry takes from.
fn parents(fields: &BibtexFields) -> impl Iterator<Item = String> {
    let sets = fields.all("xdata").flat_map(|keys| keys.split(','));
    let keys = sets.chain(fields.get("crossref"));
    keys.map(|key| key.trim().to_lowercase()).filter(|key| !key.is_empty())
}

/// What is true of every part of a volume. Its title, its DOI and its editors are its own.
fn is_inherited(name: &str) -> bool {
    matches!(name, "date" | "year" | "month" | "language" | "langid")
}
