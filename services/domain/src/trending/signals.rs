//! Signals: totals on other sites, reported from time to time.
//!
//! The result is a function of the set of reports alone, so neither their order nor repeats matter. It is computed on request:
//! a series has a few reports a day at most.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::f64::consts::LN_2;

use jiff::Timestamp;

use super::{RecordOutcome, TrendingWindow};
use crate::PaperId;

/// Length in hours, from midnight UTC, of the time slots of which a series keeps only the newest report.
pub const SIGNAL_HOURS: i64 = 6;
/// What one provider may add to a paper: less than two votes of known readers.
pub const PROVIDER_LIMIT: f64 = 12.0;
/// What all providers may add to a paper that no known reader looked at: four votes.
pub const SIGNALS_FLOOR: f64 = 24.0;
/// What they may add beyond that, per unit of attention from known readers.
pub const SIGNALS_SHARE: f64 = 0.5;

const SLOT_MS: i64 = SIGNAL_HOURS * 3_600_000;
/// An increase over less than this part of a half-life is taken as instantaneous.
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

    /// What an increase by one adds at the moment it is counted: the more it costs whoever gives it, the more.
    pub const fn weight(self) -> f64 {
        match self {
            Self::Stars => 0.25,
            Self::Upvotes => 0.5,
            Self::Mentions => 1.0,
            Self::Citations => 4.0,
        }
    }

    /// Name of its part of a score.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upvotes => "upvotes",
            Self::Stars => "stars",
            Self::Citations => "citations",
            Self::Mentions => "mentions",
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// A provider's total at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalReport {
    /// The paper.
    pub paper: PaperId,
    /// What was counted.
    pub kind: Signal,
    /// The provider, such as `github`.
    pub provider: String,
    /// The total.
    pub count: u64,
    /// When it was counted.
    pub at: Timestamp,
    /// Since when there was something to count, such as when the repository was made.
    pub since: Option<Timestamp>,
}

/// All reports that are remembered.
#[derive(Debug, Default, Clone)]
pub(super) struct Signals {
    /// The series of each paper by provider and kind.
    papers: HashMap<PaperId, Vec<CountSeries>>,
    reports: usize,
}

/// The reports of one provider on one kind of signal, by time, at most one per time slot.
#[derive(Debug, Clone)]
struct CountSeries {
    provider: Box<str>,
    kind: Signal,
    samples: Vec<CountSample>,
}

/// Ordered by time, then by count. Times are in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct CountSample {
    at: i64,
    count: u64,
    since: Option<i64>,
}

/// What signals add to a paper.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct SignalTotals {
    /// Decayed increases by kind, each provider limited to [`PROVIDER_LIMIT`].
    pub decayed: [f64; 4],
    /// The newest total of each kind.
    pub newest: [u64; 4],
}

impl Signals {
    /// Records a report.
    pub fn add(&mut self, report: &SignalReport) -> RecordOutcome {
        let at = report.at.as_millisecond();
        let sample = CountSample {
            at,
            count: report.count,
            since: report.since.map(Timestamp::as_millisecond).filter(|since| *since < at),
        };
        if !self.papers.contains_key(&report.paper) {
            self.papers.insert(report.paper.clone(), Vec::new());
        }
        let Some(all) = self.papers.get_mut(&report.paper) else {
            return RecordOutcome::Unchanged;
        };
        let position = all.binary_search_by(|series| series.order(&report.provider, report.kind));
        let series = match position {
            Ok(at) => &mut all[at],
            Err(at) => {
                all.insert(at, CountSeries::new(&report.provider, report.kind));
                &mut all[at]
            }
        };
        let before = series.samples.len();
        let added = series.add(sample);
        self.reports += series.samples.len() - before;
        added
    }

    /// Forgets reports from before a moment, in milliseconds since the epoch.
    pub fn forget_before(&mut self, first: i64) {
        let mut reports = 0;
        self.papers.retain(|_, all| {
            for series in &mut *all {
                let old = series.samples.partition_point(|one| one.at < first);
                series.samples.drain(..old);
            }
            all.retain(|series| !series.samples.is_empty());
            reports += all.iter().map(|series| series.samples.len()).sum::<usize>();
            !all.is_empty()
        });
        self.reports = reports;
    }

    /// When the oldest report was made, in milliseconds since the epoch.
    pub fn oldest(&self) -> Option<i64> {
        let all = self.papers.values().flatten();
        all.filter_map(|series| Some(series.samples.first()?.at)).min()
    }

    /// Whether there is no report.
    pub fn is_empty(&self) -> bool {
        self.papers.is_empty()
    }

    /// Reports that are kept.
    pub fn reports(&self) -> usize {
        self.reports
    }

    /// The papers with reports.
    pub fn papers(&self) -> impl Iterator<Item = &PaperId> {
        self.papers.keys()
    }

    /// What signals add to a paper at a moment, in milliseconds since the epoch.
    pub fn of(&self, paper: &PaperId, window: TrendingWindow, now: i64) -> SignalTotals {
        let Some(all) = self.papers.get(paper) else {
            return SignalTotals::default();
        };
        let mut totals = SignalTotals::default();
        for series in all.chunk_by(|a, b| a.provider == b.provider) {
            totals.add(series, window, now);
        }
        totals
    }
}

impl SignalTotals {
    /// Adds the series of one provider.
    fn add(&mut self, provider: &[CountSeries], window: TrendingWindow, now: i64) {
        let mut decayed = [0.0; 4];
        for series in provider {
            decayed[series.kind.index()] = series.decayed(window, now);
        }
        let share = PROVIDER_LIMIT / (PROVIDER_LIMIT + decayed.iter().sum::<f64>());
        for series in provider {
            let kind = series.kind.index();
            let decayed = decayed[kind] * share;
            let newest = series.samples.last().map_or(0, |one| one.count);
            if series.kind == Signal::Citations {
                self.decayed[kind] = self.decayed[kind].max(decayed);
                self.newest[kind] = self.newest[kind].max(newest);
            } else {
                self.decayed[kind] += decayed;
                self.newest[kind] = self.newest[kind].saturating_add(newest);
            }
        }
    }
}

impl CountSeries {
    fn new(provider: &str, kind: Signal) -> Self {
        Self {
            provider: provider.into(),
            kind,
            samples: Vec::new(),
        }
    }

    fn order(&self, provider: &str, kind: Signal) -> Ordering {
        (*self.provider).cmp(provider).then(self.kind.cmp(&kind))
    }

    fn add(&mut self, new: CountSample) -> RecordOutcome {
        let slot = |one: &CountSample| one.at.div_euclid(SLOT_MS);
        match self.samples.binary_search_by_key(&slot(&new), slot) {
            Ok(at) if self.samples[at] >= new => return RecordOutcome::Unchanged,
            Ok(at) => self.samples[at] = new,
            Err(at) => self.samples.insert(at, new),
        }
        RecordOutcome::Counted
    }

    /// The decayed increases between the reports, before any limit.
    fn decayed(&self, window: TrendingWindow, now: i64) -> f64 {
        let mut decayed = 0.0;
        // The report before, and the highest count so far.
        let mut before: Option<(i64, u64)> = None;
        for one in &self.samples {
            let from = before.or(one.since.map(|since| (since, 0)));
            if let Some((from, highest)) = from {
                let increase = one.count.saturating_sub(highest);
                if increase > 0 {
                    decayed += increase as f64 * mean_decay(window, now - from, now - one.at);
                }
            }
            let highest = before.map_or(0, |(_, highest)| highest);
            before = Some((one.at, one.count.max(highest)));
        }
        decayed * self.kind.weight()
    }
}

/// Mean decay factor of increases spread evenly between two ages, in milliseconds.
fn mean_decay(window: TrendingWindow, oldest: i64, newest: i64) -> f64 {
    let (oldest, newest) = (window.half_lives(oldest), window.half_lives(newest));
    let span = oldest - newest;
    if span < AT_ONCE {
        return (-newest).exp2();
    }
    ((-newest).exp2() - (-oldest).exp2()) / (LN_2 * span)
}

#[cfg(test)]
mod tests;
