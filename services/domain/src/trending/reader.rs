//! One reader: which of their events count, and how much.
//!
//! A reader's influence is a function of the set of their events alone, so it is the same in whatever order they come in.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::PaperId;

use super::AttentionKind;

/// The most that a reader's events of one day may weigh together: ten votes.
pub const DAY_BUDGET: f64 = 60.0;
/// Events of a reader on one day that are kept; further ones are dropped, which bounds the memory a reader can take.
pub const MAX_EVENTS_PER_DAY: usize = 256;

/// Earlier days on which a reader must have been seen to be known.
pub const KNOWN_DAYS: usize = 5;
/// Earlier days on which a reader must have been seen not to be new.
pub const SEEN_DAYS: usize = 2;

/// How far a reader is trusted, by the days on which they were seen before the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReaderTrust {
    /// Seen before on [`KNOWN_DAYS`] days or more.
    Known,
    /// Seen before on [`SEEN_DAYS`] days or more.
    Seen,
    /// Seen on fewer days, perhaps created today.
    New,
}

impl ReaderTrust {
    /// The trust in a reader who was seen before on this many days.
    pub const fn after(days: usize) -> Self {
        match days {
            KNOWN_DAYS.. => Self::Known,
            SEEN_DAYS.. => Self::Seen,
            _ => Self::New,
        }
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// The paper and the kind of attention.
pub(super) type Target = (Arc<PaperId>, AttentionKind);

/// An event that counts, with its weight before decay.
pub(super) struct WeightedEvent<'a> {
    pub target: &'a Target,
    /// In milliseconds since the epoch.
    pub at: i64,
    pub weight: f64,
    pub trust: ReaderTrust,
}

/// The events of one reader by UTC day, each on the day of its newest repeat. A day stays even if all of its events were
/// repeated later, because it makes the reader better known.
#[derive(Debug, Default, Clone)]
pub(super) struct ReaderHistory {
    days: BTreeMap<i64, HashMap<Target, i64>>,
}

impl ReaderHistory {
    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// Events that are kept.
    pub fn events(&self) -> usize {
        self.days.values().map(HashMap::len).sum()
    }

    /// Days on which the reader was seen.
    pub fn days(&self) -> usize {
        self.days.len()
    }

    /// Each of them.
    pub fn all_days(&self) -> Vec<i64> {
        self.days.keys().copied().collect()
    }

    /// When the reader was seen last, in milliseconds since the epoch: the newest event, or the last day where all of its
    /// events were repeated later.
    pub fn last_seen(&self) -> i64 {
        let last = self.days.last_key_value();
        last.map_or(i64::MIN, |(day, events)| {
            events.values().copied().max().unwrap_or(day * 86_400_000)
        })
    }

    /// The days whose weights may change when this event is added: its own, that of the event it repeats, and, where its day is
    /// new, the days after it, because the reader is better known on them. `None` where the event changes nothing.
    pub fn affected_days(&self, target: &Target, at: i64, day: i64) -> Option<Vec<i64>> {
        let new_day = !self.days.contains_key(&day);
        let repeated = self.newest(target);
        let is_full = self
            .days
            .get(&day)
            .is_some_and(|events| events.len() >= MAX_EVENTS_PER_DAY);
        match repeated {
            Some((_, newest)) if newest >= at && !new_day => return None,
            Some((old_day, _)) if old_day == day => {}
            _ if is_full => return None,
            _ => {}
        }
        let mut days = vec![day];
        days.extend(repeated.map(|(day, _)| day));
        if new_day {
            days.extend(self.days.range(day..).take(KNOWN_DAYS).map(|(day, _)| *day));
        }
        days.sort_unstable();
        days.dedup();
        Some(days)
    }

    /// Adds an event that [`ReaderHistory::affected_days`] accepts.
    pub fn add(&mut self, target: Target, at: i64, day: i64) {
        if let Some((old_day, newest)) = self.newest(&target) {
            if newest >= at {
                self.days.entry(day).or_default();
                return;
            }
            if let Some(events) = self.days.get_mut(&old_day) {
                events.remove(&target);
            }
        }
        self.days.entry(day).or_default().insert(target, at);
    }

    fn newest(&self, target: &Target) -> Option<(i64, i64)> {
        self.days
            .iter()
            .find_map(|(day, events)| Some((*day, *events.get(target)?)))
    }

    /// The oldest day.
    pub fn oldest_day(&self) -> Option<i64> {
        self.days.keys().next().copied()
    }

    /// The oldest day, and the days after it whose weights change once it is forgotten.
    pub fn oldest_days(&self) -> Vec<i64> {
        self.days.keys().take(1 + KNOWN_DAYS).copied().collect()
    }

    /// Forgets the oldest day.
    pub fn forget_oldest(&mut self) {
        self.days.pop_first();
    }

    /// The events of some days with their weights.
    pub fn weighted(&self, days: &[i64]) -> Vec<WeightedEvent<'_>> {
        let mut weighted = Vec::new();
        for day in days {
            let Some(events) = self.days.get(day) else { continue };
            let seen_before = self.days.range(..day).take(KNOWN_DAYS).count();
            let total: f64 = events.keys().map(|(_, kind)| kind.weight()).sum();
            let share = (DAY_BUDGET / total).min(1.0);
            weighted.extend(events.iter().map(|(target, at)| WeightedEvent {
                target,
                at: *at,
                weight: target.1.weight() * share,
                trust: ReaderTrust::after(seen_before),
            }));
        }
        weighted
    }
}
