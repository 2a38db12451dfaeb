//! The attention that every paper got lately.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::reader::{ReaderHistory, ReaderTrust, WeightedEvent};
use super::signals::{SIGNALS_FLOOR, SIGNALS_SHARE, SignalReport, SignalTotals, Signals};
use super::{AttentionEvent, DOUBTFUL_SHARE, MEMORY_DAYS, NEW_FLOOR, RecordOutcome, SEEN_FLOOR, TrendingWindow};
use crate::PaperId;

const DAY_SECONDS: i64 = 86_400;
/// Distance from the landmark, in half-lives, at which it is moved: well before a double overflows.
const MAX_HALF_LIVES: f64 = 400.0;

/// Attention to one paper in one window.
#[derive(Debug, Clone, PartialEq)]
pub struct PaperAttention {
    /// The paper.
    pub id: PaperId,
    /// What each kind of attention adds, in the order of [`super::AttentionKind::ALL`]; with the signals the sum is the score.
    pub kinds: [f64; 4],
    /// Readers behind each kind, over everything that is remembered.
    pub readers: [u32; 4],
    /// What each kind of signal adds, in the order of [`super::Signal::ALL`].
    pub signals: [f64; 4],
    /// The newest total of each kind of signal, over all providers.
    pub counts: [u64; 4],
}

impl PaperAttention {
    /// The attention score.
    pub fn score(&self) -> f64 {
        self.kinds.iter().chain(&self.signals).sum()
    }
}

/// Forward-decayed sums by window, reader trust and kind.
#[derive(Debug, Default, Clone)]
struct DecayedSums {
    decayed: [[[f64; 4]; 3]; 3],
    readers: [u32; 4],
}

/// All attention events and signal reports that are remembered, and the attention score of each paper.
#[derive(Debug, Default, Clone)]
pub struct AttentionTracker {
    papers: HashMap<Arc<PaperId>, DecayedSums>,
    readers: HashMap<String, ReaderHistory>,
    signals: Signals,
    /// The moment the sums are relative to, in milliseconds since the epoch.
    landmark: i64,
    /// The first UTC day that is remembered.
    first_day: i64,
    events: usize,
}

impl AttentionTracker {
    /// Records an event. The order of events makes no difference.
    pub fn add(&mut self, event: &AttentionEvent) -> RecordOutcome {
        let (at, day) = (event.at.as_millisecond(), day_of(event.at));
        if day < self.first_day {
            return RecordOutcome::TooOld;
        }
        if self.papers.is_empty() {
            self.landmark = at;
        }
        self.renormalise(at);
        let known = self.papers.get_key_value(&event.paper).map(|(id, _)| Arc::clone(id));
        let target = (known.unwrap_or_else(|| Arc::new(event.paper.clone())), event.kind);
        let mut reader = self.readers.remove(&event.reader).unwrap_or_default();
        let affected = reader.affected_days(&target, at, day);
        if let Some(days) = &affected {
            self.events -= reader.events();
            self.count(&reader.weighted(days), Sign::Minus);
            reader.add(target, at, day);
            self.count(&reader.weighted(days), Sign::Plus);
            self.events += reader.events();
        }
        self.readers.insert(event.reader.clone(), reader);
        match affected {
            Some(_) => RecordOutcome::Counted,
            None => RecordOutcome::Unchanged,
        }
    }

    /// Records a report. The order of reports makes no difference.
    pub fn add_report(&mut self, report: &SignalReport) -> RecordOutcome {
        if day_of(report.at) < self.first_day {
            return RecordOutcome::TooOld;
        }
        self.signals.add(report)
    }

    /// Forgets what is older than [`MEMORY_DAYS`] at this moment.
    pub fn forget(&mut self, now: Timestamp) {
        self.forget_before(day_of(now) - (MEMORY_DAYS - 1));
    }

    /// Forgets the oldest day before today, to make room; false where there is none.
    pub fn forget_oldest_day(&mut self, now: Timestamp) -> bool {
        let of_reports = self.signals.oldest().map(|at| at.div_euclid(DAY_SECONDS * 1_000));
        let of_acts = self.readers.values().filter_map(ReaderHistory::oldest_day).min();
        match of_reports.into_iter().chain(of_acts).min() {
            Some(oldest) if oldest < day_of(now) => {
                self.forget_before(oldest + 1);
                true
            }
            _ => false,
        }
    }

    fn forget_before(&mut self, day: i64) {
        if day <= self.first_day {
            return;
        }
        self.first_day = day;
        let mut readers = std::mem::take(&mut self.readers);
        for reader in readers.values_mut() {
            self.events -= reader.events();
            while reader.oldest_day().is_some_and(|oldest| oldest < day) {
                let days = reader.oldest_days();
                self.count(&reader.weighted(&days), Sign::Minus);
                reader.forget_oldest();
                self.count(&reader.weighted(&days), Sign::Plus);
            }
            self.events += reader.events();
        }
        readers.retain(|_, reader| !reader.is_empty());
        self.readers = readers;
        self.papers.retain(|_, sums| sums.readers != [0; 4]);
        self.signals.forget_before(day * DAY_SECONDS * 1_000);
    }

    /// The earliest moment that still counts now.
    pub fn remembered_since(now: Timestamp) -> Timestamp {
        let first = (day_of(now) - (MEMORY_DAYS - 1)) * DAY_SECONDS;
        Timestamp::from_second(first).unwrap_or(Timestamp::MIN)
    }

    /// Papers with at least one event.
    pub fn len(&self) -> usize {
        self.papers.len()
    }

    /// Whether there is neither an event nor a report.
    pub fn is_empty(&self) -> bool {
        self.papers.is_empty() && self.signals.is_empty()
    }

    /// Events that are remembered, without repeats.
    pub fn events(&self) -> usize {
        self.events
    }

    /// Reports that are remembered.
    pub fn reports(&self) -> usize {
        self.signals.reports()
    }

    /// The attention to every paper at a moment, in no particular order.
    pub fn papers(&self, window: TrendingWindow, now: Timestamp) -> impl Iterator<Item = PaperAttention> {
        let now = now.as_millisecond();
        let decay = self.growth(window, now).recip();
        let with_events = self.papers.iter().map(move |(id, sums)| {
            let counts = self.signals.of(id, window, now);
            sums.attention(PaperId::clone(id), window, decay, counts)
        });
        let with_signals_only = self.signals.papers().filter(|id| !self.papers.contains_key(*id));
        let with_signals_only = with_signals_only.map(move |id| {
            let counts = self.signals.of(id, window, now);
            DecayedSums::default().attention(id.clone(), window, decay, counts)
        });
        with_events.chain(with_signals_only)
    }

    fn growth(&self, window: TrendingWindow, at: i64) -> f64 {
        window.half_lives(at - self.landmark).exp2()
    }

    fn count(&mut self, events: &[WeightedEvent<'_>], sign: Sign) {
        for event in events {
            let growth = TrendingWindow::ALL.map(|window| self.growth(window, event.at));
            let kind = event.target.1.index();
            if !self.papers.contains_key(&event.target.0) {
                self.papers.insert(Arc::clone(&event.target.0), DecayedSums::default());
            }
            let Some(sums) = self.papers.get_mut(&event.target.0) else {
                continue;
            };
            for (decayed, growth) in sums.decayed.iter_mut().zip(growth) {
                decayed[event.trust.index()][kind] += sign.of(event.weight * growth);
            }
            match sign {
                Sign::Plus => sums.readers[kind] += 1,
                Sign::Minus => sums.readers[kind] -= 1,
            }
            if sums.readers[kind] == 0 {
                // What is left is rounding.
                sums.decayed.iter_mut().flatten().for_each(|group| group[kind] = 0.0);
            }
        }
    }

    /// Moves the landmark before the sums of the shortest half-life overflow a double.
    fn renormalise(&mut self, at: i64) {
        if TrendingWindow::Day.half_lives(at - self.landmark) < MAX_HALF_LIVES {
            return;
        }
        let decay = TrendingWindow::ALL.map(|window| self.growth(window, at).recip());
        for sums in self.papers.values_mut() {
            for (decayed, decay) in sums.decayed.iter_mut().zip(decay) {
                decayed.iter_mut().flatten().for_each(|sum| *sum *= decay);
            }
        }
        self.landmark = at;
    }
}

#[derive(Clone, Copy)]
enum Sign {
    Plus,
    Minus,
}

impl Sign {
    fn of(self, value: f64) -> f64 {
        match self {
            Self::Plus => value,
            Self::Minus => -value,
        }
    }
}

impl DecayedSums {
    /// The attention that is left, signals included.
    fn attention(&self, id: PaperId, window: TrendingWindow, decay: f64, counts: SignalTotals) -> PaperAttention {
        let decayed = &self.decayed[window.index()];
        let sum = |trust: ReaderTrust| (decayed[trust.index()].iter().sum::<f64>() * decay).max(0.0);
        let known = sum(ReaderTrust::Known);
        let mut shares = [1.0; 3];
        let mut attention = known;
        for (trust, floor) in [(ReaderTrust::Seen, SEEN_FLOOR), (ReaderTrust::New, NEW_FLOOR)] {
            let limit = floor + DOUBTFUL_SHARE * attention;
            let share = limit / (limit + sum(trust));
            shares[trust.index()] = share;
            attention += sum(trust) * share;
        }
        let limit = SIGNALS_FLOOR + SIGNALS_SHARE * known;
        let signals = limit / (limit + counts.decayed.iter().sum::<f64>());
        let of_kind = |kind: usize| {
            decayed
                .iter()
                .zip(shares)
                .map(|(kinds, share)| kinds[kind] * share)
                .sum::<f64>()
        };
        PaperAttention {
            id,
            kinds: std::array::from_fn(|kind| (of_kind(kind) * decay).max(0.0)),
            readers: self.readers,
            signals: counts.decayed.map(|decayed| decayed * signals),
            counts: counts.newest,
        }
    }
}

fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(DAY_SECONDS)
}
