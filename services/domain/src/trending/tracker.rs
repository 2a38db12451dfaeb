//! The attention that every paper got lately.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::reader::{KNOWN_DAYS, ReaderHistory, ReaderTrust, WeightedEvent};
use super::signals::{SIGNALS_FLOOR, SIGNALS_SHARE, SignalReport, SignalTotals, Signals};
use super::{AttentionEvent, DOUBTFUL_SHARE, MEMORY_DAYS, NEW_FLOOR, RecordOutcome, SEEN_FLOOR, TrendingWindow};
use crate::PaperId;

const DAY_SECONDS: i64 = 86_400;
/// Distance from the landmark, in half-lives, at which it is moved: well before a double overflows.
const MAX_HALF_LIVES: f64 = 400.0;
/// About what a reader takes: the entry, its rank, the id, and a node with room for eleven days.
const READER_BYTES: usize = 850;
/// About what a day of a reader takes, with room for three events and a share of a further node.
const DAY_BYTES: usize = 200;
/// About what an event takes.
const EVENT_BYTES: usize = 56;
/// About what a paper with events takes: its id and its sums.
const PAPER_BYTES: usize = 512;

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

/// Who is forgotten first where there is no more room: who was seen on the fewest days, and of those who was seen longest ago.
/// So no reader is forgotten for the sake of one who is less known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ReaderRank {
    days: usize,
    last_seen: i64,
    reader: Arc<str>,
}

impl ReaderRank {
    fn new(reader: &Arc<str>, history: &ReaderHistory) -> Self {
        Self {
            days: history.days().min(KNOWN_DAYS),
            last_seen: history.last_seen(),
            reader: Arc::clone(reader),
        }
    }
}

/// All attention events and signal reports that are remembered, and the attention score of each paper.
#[derive(Debug, Default, Clone)]
pub struct AttentionTracker {
    papers: HashMap<Arc<PaperId>, DecayedSums>,
    readers: HashMap<Arc<str>, ReaderHistory>,
    /// One for each reader.
    ranks: BTreeSet<ReaderRank>,
    signals: Signals,
    /// The moment the sums are relative to, in milliseconds since the epoch.
    landmark: i64,
    /// The first UTC day that is remembered.
    first_day: i64,
    /// Of all readers together.
    events: usize,
    /// The same.
    days: usize,
}

impl AttentionTracker {
    /// Records an event. The order of events makes no difference, as long as there is room for all of them.
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
        let (id, mut reader) = self.take_reader(&event.reader);
        let affected = reader.affected_days(&target, at, day);
        if let Some(days) = &affected {
            self.count(&reader.weighted(days), Sign::Minus);
            reader.add(target, at, day);
            self.count(&reader.weighted(days), Sign::Plus);
        }
        self.put_reader(id, reader);
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

    /// Forgets the oldest day of reports before today, to make room for others; false where there is none. Events stay.
    pub fn forget_oldest_reports(&mut self, now: Timestamp) -> bool {
        let oldest = self.signals.oldest().map(|at| at.div_euclid(DAY_SECONDS * 1_000));
        let Some(oldest) = oldest.filter(|oldest| *oldest < day_of(now)) else {
            return false;
        };
        self.signals.forget_before((oldest + 1) * DAY_SECONDS * 1_000);
        true
    }

    /// Forgets readers with all their events until the rest takes at most so many bytes: those who are least known first, and of
    /// equals who was seen longest ago. Returns how many.
    pub fn make_room(&mut self, bytes: usize) -> usize {
        let mut forgotten = 0;
        while self.bytes() > bytes
            && let Some(least) = self.ranks.pop_first()
        {
            self.ranks.insert(least.clone());
            let (_, reader) = self.take_reader(&least.reader);
            let events = reader.weighted(&reader.all_days());
            self.count(&events, Sign::Minus);
            for event in &events {
                if self
                    .papers
                    .get(&event.target.0)
                    .is_some_and(|sums| sums.readers == [0; 4])
                {
                    self.papers.remove(&event.target.0);
                }
            }
            forgotten += 1;
        }
        forgotten
    }

    /// Bytes that events and their readers take, as estimated; reports are apart.
    pub fn bytes(&self) -> usize {
        self.readers.len() * READER_BYTES
            + self.days * DAY_BYTES
            + self.events * EVENT_BYTES
            + self.papers.len() * PAPER_BYTES
    }

    /// Readers of whom an event is remembered.
    pub fn readers(&self) -> usize {
        self.readers.len()
    }

    /// A reader's history, taken out; empty for one who is not known. [`Self::put_reader`] puts it back.
    fn take_reader(&mut self, reader: &str) -> (Arc<str>, ReaderHistory) {
        let Some((id, history)) = self.readers.remove_entry(reader) else {
            return (Arc::from(reader), ReaderHistory::default());
        };
        self.ranks.remove(&ReaderRank::new(&id, &history));
        self.events -= history.events();
        self.days -= history.days();
        (id, history)
    }

    fn put_reader(&mut self, id: Arc<str>, history: ReaderHistory) {
        if history.is_empty() {
            return;
        }
        self.events += history.events();
        self.days += history.days();
        self.ranks.insert(ReaderRank::new(&id, &history));
        self.readers.insert(id, history);
    }

    fn forget_before(&mut self, day: i64) {
        if day <= self.first_day {
            return;
        }
        self.first_day = day;
        let readers = std::mem::take(&mut self.readers);
        self.ranks.clear();
        (self.events, self.days) = (0, 0);
        for (id, mut reader) in readers {
            while reader.oldest_day().is_some_and(|oldest| oldest < day) {
                let days = reader.oldest_days();
                self.count(&reader.weighted(&days), Sign::Minus);
                reader.forget_oldest();
                self.count(&reader.weighted(&days), Sign::Plus);
            }
            self.put_reader(id, reader);
        }
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

#[cfg(test)]
mod tests;
