//! What is counted elsewhere, as counts that are reported now and then.
//!
//! What a set of reports makes of a paper is a function of that set alone, so neither their order nor repeats matter. Heat is
//! computed when it is asked for: a series has a few reports a day, at most.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::f64::consts::LN_2;

use jiff::Timestamp;

use super::Window;
use super::heat::{Added, half_lives};
use crate::PaperId;

/// Hours of which the newest report of a series is kept, counted from midnight UTC.
pub const SIGNAL_HOURS: i64 = 6;
/// What one provider may add to the heat of a paper: less than two votes of known readers.
pub const PROVIDER_ROOM: f64 = 12.0;
/// What all of them may add to the heat of a paper that no known reader looked at: four votes.
pub const SIGNALS_FLOOR: f64 = 24.0;
/// What they may add beyond that, for each unit of heat from known readers.
pub const SIGNALS_SHARE: f64 = 0.5;

const SLOT_MS: i64 = SIGNAL_HOURS * 3_600_000;
/// Below this part of a half-life an increase came at once.
const AT_ONCE: f64 = 1e-6;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Up-votes of the paper on another site.
    Upvotes,
    /// Stars of its code repository.
    Stars,
    /// Works that cite it.
    Citations,
    /// Posts and pages that mention it.
    Mentions,
}

impl Signal {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Upvotes, Self::Stars, Self::Citations, Self::Mentions];

    /// What one more adds to the heat at the moment it is counted. The more it costs whoever gives it, the more.
    pub const fn weight(self) -> f64 {
        match self {
            Self::Stars => 0.25,
            Self::Upvotes => 0.5,
            Self::Mentions => 1.0,
            Self::Citations => 4.0,
        }
    }

    /// Its part of a score.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upvotes => "upvotes",
            Self::Stars => "stars",
            Self::Citations => "citations",
            Self::Mentions => "mentions",
        }
    }

    const fn place(self) -> usize {
        self as usize
    }
}

/// How high a count was at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Of which paper.
    pub paper: PaperId,
    /// What was counted.
    pub kind: Signal,
    /// Who counted, such as `github`.
    pub provider: String,
    /// How many there were, all in all.
    pub count: u64,
    /// When.
    pub at: Timestamp,
    /// Since when there was something to count, such as when the repository was made.
    pub since: Option<Timestamp>,
}

/// All reports that are remembered.
#[derive(Debug, Default, Clone)]
pub(super) struct Signals {
    /// The series of each paper by provider and kind.
    papers: HashMap<PaperId, Vec<Series>>,
    reports: usize,
}

/// The reports of one provider on one count, in the order of time, at most one for each slot of time.
#[derive(Debug, Clone)]
struct Series {
    provider: Box<str>,
    kind: Signal,
    counted: Vec<Counted>,
}

/// In the order of time, and of equal times the highest last. Times are in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Counted {
    at: i64,
    count: u64,
    since: Option<i64>,
}

/// What signals make of a paper.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    /// Warmth by kind, each provider held within its room.
    pub warmth: [f64; 4],
    /// The newest count of each kind.
    pub newest: [u64; 4],
}

impl Signals {
    /// Takes a report in.
    pub fn add(&mut self, report: &Report) -> Added {
        let at = report.at.as_millisecond();
        let counted = Counted {
            at,
            count: report.count,
            since: report.since.map(Timestamp::as_millisecond).filter(|since| *since < at),
        };
        if !self.papers.contains_key(&report.paper) {
            self.papers.insert(report.paper.clone(), Vec::new());
        }
        let Some(all) = self.papers.get_mut(&report.paper) else {
            return Added::Unchanged;
        };
        let place = all.binary_search_by(|series| series.order(&report.provider, report.kind));
        let series = match place {
            Ok(place) => &mut all[place],
            Err(place) => {
                all.insert(place, Series::new(&report.provider, report.kind));
                &mut all[place]
            }
        };
        let before = series.counted.len();
        let added = series.add(counted);
        self.reports += series.counted.len() - before;
        added
    }

    /// Forgets reports from before a moment, in milliseconds since the epoch.
    pub fn forget_before(&mut self, first: i64) {
        let mut reports = 0;
        self.papers.retain(|_, all| {
            for series in &mut *all {
                let old = series.counted.partition_point(|one| one.at < first);
                series.counted.drain(..old);
            }
            all.retain(|series| !series.counted.is_empty());
            reports += all.iter().map(|series| series.counted.len()).sum::<usize>();
            !all.is_empty()
        });
        self.reports = reports;
    }

    /// When the oldest report was made, in milliseconds since the epoch.
    pub fn oldest(&self) -> Option<i64> {
        let all = self.papers.values().flatten();
        all.filter_map(|series| Some(series.counted.first()?.at)).min()
    }

    /// Whether there is no report.
    pub fn is_empty(&self) -> bool {
        self.papers.is_empty()
    }

    /// Reports that are kept.
    pub fn reports(&self) -> usize {
        self.reports
    }

    /// The papers there are reports of.
    pub fn papers(&self) -> impl Iterator<Item = &PaperId> {
        self.papers.keys()
    }

    /// What signals make of a paper at a moment, in milliseconds since the epoch.
    pub fn of(&self, paper: &PaperId, window: Window, now: i64) -> Counts {
        let Some(all) = self.papers.get(paper) else {
            return Counts::default();
        };
        let mut counts = Counts::default();
        for series in all.chunk_by(|a, b| a.provider == b.provider) {
            counts.add(series, window, now);
        }
        counts
    }
}

impl Counts {
    /// Adds what one provider says.
    fn add(&mut self, provider: &[Series], window: Window, now: i64) {
        let mut warmth = [0.0; 4];
        for series in provider {
            warmth[series.kind.place()] = series.warmth(window, now);
        }
        let let_in = PROVIDER_ROOM / (PROVIDER_ROOM + warmth.iter().sum::<f64>());
        for series in provider {
            let kind = series.kind.place();
            let warmth = warmth[kind] * let_in;
            let newest = series.counted.last().map_or(0, |one| one.count);
            if series.kind == Signal::Citations {
                self.warmth[kind] = self.warmth[kind].max(warmth);
                self.newest[kind] = self.newest[kind].max(newest);
            } else {
                self.warmth[kind] += warmth;
                self.newest[kind] = self.newest[kind].saturating_add(newest);
            }
        }
    }
}

impl Series {
    fn new(provider: &str, kind: Signal) -> Self {
        Self {
            provider: provider.into(),
            kind,
            counted: Vec::new(),
        }
    }

    fn order(&self, provider: &str, kind: Signal) -> Ordering {
        (*self.provider).cmp(provider).then(self.kind.cmp(&kind))
    }

    fn add(&mut self, new: Counted) -> Added {
        let slot = |one: &Counted| one.at.div_euclid(SLOT_MS);
        match self.counted.binary_search_by_key(&slot(&new), slot) {
            Ok(place) if self.counted[place] >= new => return Added::Unchanged,
            Ok(place) => self.counted[place] = new,
            Err(place) => self.counted.insert(place, new),
        }
        Added::Counted
    }

    /// What the increases between the reports give, before any bound.
    fn warmth(&self, window: Window, now: i64) -> f64 {
        let mut warmth = 0.0;
        // The report before, and the highest count so far.
        let mut before: Option<(i64, u64)> = None;
        for one in &self.counted {
            let from = before.or(one.since.map(|since| (since, 0)));
            if let Some((from, highest)) = from {
                let increase = one.count.saturating_sub(highest);
                if increase > 0 {
                    warmth += increase as f64 * mean_fading(window, now - from, now - one.at);
                }
            }
            let highest = before.map_or(0, |(_, highest)| highest);
            before = Some((one.at, one.count.max(highest)));
        }
        warmth * self.kind.weight()
    }
}

/// What is left on average of what came evenly between two ages, in milliseconds.
fn mean_fading(window: Window, oldest: i64, newest: i64) -> f64 {
    let (oldest, newest) = (half_lives(window, oldest), half_lives(window, newest));
    let span = oldest - newest;
    if span < AT_ONCE {
        return (-newest).exp2();
    }
    ((-newest).exp2() - (-oldest).exp2()) / (LN_2 * span)
}

#[cfg(test)]
mod tests;
