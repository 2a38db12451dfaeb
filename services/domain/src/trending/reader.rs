//! One reader: what of their acts counts, and how much.
//!
//! A reader's influence is a function of the set of their acts alone, so it is the same in whatever order they come in.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::PaperId;

use super::Attention;

/// What all a reader does on one day may weigh: ten votes.
pub const DAY_BUDGET: f64 = 60.0;
/// Acts of a reader on one day that are kept; further ones are passed over, so that no reader costs more than this.
pub const MOST_ACTS_PER_DAY: usize = 256;

/// Earlier days on which a reader must have been seen to be known.
pub const KNOWN_DAYS: usize = 5;
/// Earlier days on which a reader must have been seen not to be new.
pub const SEEN_DAYS: usize = 2;

/// How well a reader was known on the day of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Seen before on [`KNOWN_DAYS`] days or more.
    Known,
    /// Seen before on [`SEEN_DAYS`] days or more.
    Seen,
    /// Somebody who may have been invented today.
    New,
}

impl Standing {
    /// Of a reader who was seen before on so many days.
    pub const fn after(days: usize) -> Self {
        match days {
            KNOWN_DAYS.. => Self::Known,
            SEEN_DAYS.. => Self::Seen,
            _ => Self::New,
        }
    }

    pub(super) const fn place(self) -> usize {
        self as usize
    }
}

/// What an act is about.
pub(super) type Target = (Arc<PaperId>, Attention);

/// An act that counts, with what it weighs before it decays.
pub(super) struct Counted<'a> {
    pub target: &'a Target,
    /// In milliseconds since the epoch.
    pub at: i64,
    pub weight: f64,
    pub standing: Standing,
}

/// The acts of one reader by UTC day, each in the day of its newest repeat. A day on which something was done stays, even if
/// all of it was repeated later: it makes the reader better known.
#[derive(Debug, Default, Clone)]
pub(super) struct Reader {
    days: BTreeMap<i64, HashMap<Target, i64>>,
}

impl Reader {
    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// Acts that are kept.
    pub fn acts(&self) -> usize {
        self.days.values().map(HashMap::len).sum()
    }

    /// The days whose acts may weigh something else once this act is added: its own, that of the act it repeats, and where its
    /// day is new those after it, on which the reader is better known then. None where the act changes nothing.
    pub fn touched(&self, target: &Target, at: i64, day: i64) -> Option<Vec<i64>> {
        let new_day = !self.days.contains_key(&day);
        let repeated = self.newest(target);
        let is_full = self.days.get(&day).is_some_and(|acts| acts.len() >= MOST_ACTS_PER_DAY);
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

    /// Adds an act that [`Reader::touched`] lets pass.
    pub fn add(&mut self, target: Target, at: i64, day: i64) {
        if let Some((old_day, newest)) = self.newest(&target) {
            if newest >= at {
                self.days.entry(day).or_default();
                return;
            }
            if let Some(acts) = self.days.get_mut(&old_day) {
                acts.remove(&target);
            }
        }
        self.days.entry(day).or_default().insert(target, at);
    }

    fn newest(&self, target: &Target) -> Option<(i64, i64)> {
        self.days
            .iter()
            .find_map(|(day, acts)| Some((*day, *acts.get(target)?)))
    }

    /// The oldest day.
    pub fn oldest_day(&self) -> Option<i64> {
        self.days.keys().next().copied()
    }

    /// The oldest day, and those after it whose acts weigh something else once it is forgotten.
    pub fn oldest_days(&self) -> Vec<i64> {
        self.days.keys().take(1 + KNOWN_DAYS).copied().collect()
    }

    /// Forgets the oldest day.
    pub fn forget_oldest(&mut self) {
        self.days.pop_first();
    }

    /// What the acts of some days weigh.
    pub fn counted(&self, days: &[i64]) -> Vec<Counted<'_>> {
        let mut counted = Vec::new();
        for day in days {
            let Some(acts) = self.days.get(day) else { continue };
            let seen_before = self.days.range(..day).take(KNOWN_DAYS).count();
            let total: f64 = acts.keys().map(|(_, kind)| kind.weight()).sum();
            let share = (DAY_BUDGET / total).min(1.0);
            counted.extend(acts.iter().map(|(target, at)| Counted {
                target,
                at: *at,
                weight: target.1.weight() * share,
                standing: Standing::after(seen_before),
            }));
        }
        counted
    }
}
