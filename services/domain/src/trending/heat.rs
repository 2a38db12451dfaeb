//! The heat of every paper that anybody looked at lately.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::reader::{Counted, Reader, Standing};
use super::signals::{Counts, Report, SIGNALS_FLOOR, SIGNALS_SHARE, Signals};
use super::{Attention, DOUBTFUL_SHARE, MEMORY_DAYS, NEW_FLOOR, SEEN_FLOOR, Window};
use crate::PaperId;

const DAY_SECONDS: i64 = 86_400;
/// Half-lives behind the landmark after which it is moved, far from where a double overflows.
const FARTHEST: f64 = 400.0;

/// One act of attention.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    /// Opaque id of who did it.
    pub reader: String,
    /// To which paper.
    pub paper: PaperId,
    /// What.
    pub kind: Attention,
    /// When.
    pub at: Timestamp,
}

/// What became of an act or a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It counts.
    Counted,
    /// It is no newer than what is known of reader, paper and kind, or the reader did too much that day; or a newer report
    /// of the same count is known from about that time.
    Unchanged,
    /// It is older than what is remembered.
    TooOld,
}

/// Heat of one paper in one window.
#[derive(Debug, Clone, PartialEq)]
pub struct PaperHeat {
    /// The paper.
    pub id: PaperId,
    /// What each kind of attention gives, in the order of [`Attention::ALL`]; with the signals it adds up to the heat.
    pub kinds: [f64; 4],
    /// Readers behind each kind, over all that is remembered.
    pub readers: [u32; 4],
    /// What each kind of signal gives, in the order of [`super::Signal::ALL`].
    pub signals: [f64; 4],
    /// The newest count of each of them, over all providers.
    pub counts: [u64; 4],
}

impl PaperHeat {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.kinds.iter().chain(&self.signals).sum()
    }
}

/// Forward-decayed sums by window, standing of the readers and kind.
#[derive(Debug, Default, Clone)]
struct Sums {
    warmth: [[[f64; 4]; 3]; 3],
    readers: [u32; 4],
}

/// What all readers did and what was counted elsewhere, and what it makes of each paper.
#[derive(Debug, Default, Clone)]
pub struct Heat {
    papers: HashMap<Arc<PaperId>, Sums>,
    readers: HashMap<String, Reader>,
    signals: Signals,
    /// In milliseconds since the epoch: what sums are relative to.
    landmark: i64,
    /// The first UTC day that is remembered.
    first_day: i64,
    acts: usize,
}

impl Heat {
    /// Takes an act in. Whatever the order of acts, the heat is the same.
    pub fn add(&mut self, act: &Act) -> Added {
        let (at, day) = (act.at.as_millisecond(), day_of(act.at));
        if day < self.first_day {
            return Added::TooOld;
        }
        if self.papers.is_empty() {
            self.landmark = at;
        }
        self.renormalise(at);
        let known = self.papers.get_key_value(&act.paper).map(|(id, _)| Arc::clone(id));
        let target = (known.unwrap_or_else(|| Arc::new(act.paper.clone())), act.kind);
        let mut reader = self.readers.remove(&act.reader).unwrap_or_default();
        let touched = reader.touched(&target, at, day);
        if let Some(days) = &touched {
            self.acts -= reader.acts();
            self.count(&reader.counted(days), Sign::Minus);
            reader.add(target, at, day);
            self.count(&reader.counted(days), Sign::Plus);
            self.acts += reader.acts();
        }
        self.readers.insert(act.reader.clone(), reader);
        match touched {
            Some(_) => Added::Counted,
            None => Added::Unchanged,
        }
    }

    /// Takes a report in. Whatever the order of reports, the heat is the same.
    pub fn report(&mut self, report: &Report) -> Added {
        if day_of(report.at) < self.first_day {
            return Added::TooOld;
        }
        self.signals.add(report)
    }

    /// Forgets what lies further back than is remembered at this moment.
    pub fn forget(&mut self, now: Timestamp) {
        self.forget_before(day_of(now) - (MEMORY_DAYS - 1));
    }

    /// Forgets the oldest day before this moment's, for want of room; false where there is none.
    pub fn forget_oldest_day(&mut self, now: Timestamp) -> bool {
        let of_reports = self.signals.oldest().map(|at| at.div_euclid(DAY_SECONDS * 1_000));
        let of_acts = self.readers.values().filter_map(Reader::oldest_day).min();
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
            self.acts -= reader.acts();
            while reader.oldest_day().is_some_and(|oldest| oldest < day) {
                let days = reader.oldest_days();
                self.count(&reader.counted(&days), Sign::Minus);
                reader.forget_oldest();
                self.count(&reader.counted(&days), Sign::Plus);
            }
            self.acts += reader.acts();
        }
        readers.retain(|_, reader| !reader.is_empty());
        self.readers = readers;
        self.papers.retain(|_, sums| sums.readers != [0; 4]);
        self.signals.forget_before(day * DAY_SECONDS * 1_000);
    }

    /// The first moment that is remembered at this one; what lies before it changes nothing.
    pub fn remembered_since(now: Timestamp) -> Timestamp {
        let first = (day_of(now) - (MEMORY_DAYS - 1)) * DAY_SECONDS;
        Timestamp::from_second(first).unwrap_or(Timestamp::MIN)
    }

    /// Papers that somebody looked at.
    pub fn len(&self) -> usize {
        self.papers.len()
    }

    /// Whether there is none, and none that is counted elsewhere either.
    pub fn is_empty(&self) -> bool {
        self.papers.is_empty() && self.signals.is_empty()
    }

    /// Acts that are remembered, repeats not counted.
    pub fn acts(&self) -> usize {
        self.acts
    }

    /// Reports that are remembered.
    pub fn reports(&self) -> usize {
        self.signals.reports()
    }

    /// The heat of every paper at a moment, in no order.
    pub fn papers(&self, window: Window, now: Timestamp) -> impl Iterator<Item = PaperHeat> {
        let now = now.as_millisecond();
        let fading = self.growth(window, now).recip();
        let looked_at = self.papers.iter().map(move |(id, sums)| {
            let counts = self.signals.of(id, window, now);
            sums.heat(PaperId::clone(id), window, fading, counts)
        });
        let only_counted = self.signals.papers().filter(|id| !self.papers.contains_key(*id));
        let only_counted = only_counted.map(move |id| {
            let counts = self.signals.of(id, window, now);
            Sums::default().heat(id.clone(), window, fading, counts)
        });
        looked_at.chain(only_counted)
    }

    fn growth(&self, window: Window, at: i64) -> f64 {
        half_lives(window, at - self.landmark).exp2()
    }

    fn count(&mut self, acts: &[Counted<'_>], sign: Sign) {
        for act in acts {
            let growth = Window::ALL.map(|window| self.growth(window, act.at));
            let kind = act.target.1.place();
            if !self.papers.contains_key(&act.target.0) {
                self.papers.insert(Arc::clone(&act.target.0), Sums::default());
            }
            let Some(sums) = self.papers.get_mut(&act.target.0) else {
                continue;
            };
            for (warmth, growth) in sums.warmth.iter_mut().zip(growth) {
                warmth[act.standing.place()][kind] += sign.of(act.weight * growth);
            }
            match sign {
                Sign::Plus => sums.readers[kind] += 1,
                Sign::Minus => sums.readers[kind] -= 1,
            }
            if sums.readers[kind] == 0 {
                // What is left is rounding.
                sums.warmth.iter_mut().flatten().for_each(|group| group[kind] = 0.0);
            }
        }
    }

    /// Moves the landmark on before the sums of the shortest half-life outgrow a double.
    fn renormalise(&mut self, at: i64) {
        if half_lives(Window::Day, at - self.landmark) < FARTHEST {
            return;
        }
        let fading = Window::ALL.map(|window| self.growth(window, at).recip());
        for sums in self.papers.values_mut() {
            for (warmth, fading) in sums.warmth.iter_mut().zip(fading) {
                warmth.iter_mut().flatten().for_each(|sum| *sum *= fading);
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

impl Sums {
    /// The heat that is left, with what is counted elsewhere.
    fn heat(&self, id: PaperId, window: Window, fading: f64, counts: Counts) -> PaperHeat {
        let warmth = &self.warmth[window.place()];
        let sum = |standing: Standing| (warmth[standing.place()].iter().sum::<f64>() * fading).max(0.0);
        let known = sum(Standing::Known);
        let mut let_in = [1.0; 3];
        let mut heat = known;
        for (standing, floor) in [(Standing::Seen, SEEN_FLOOR), (Standing::New, NEW_FLOOR)] {
            let room = floor + DOUBTFUL_SHARE * heat;
            let share = room / (room + sum(standing));
            let_in[standing.place()] = share;
            heat += sum(standing) * share;
        }
        let room = SIGNALS_FLOOR + SIGNALS_SHARE * known;
        let signals = room / (room + counts.warmth.iter().sum::<f64>());
        let of_kind = |kind: usize| {
            warmth
                .iter()
                .zip(let_in)
                .map(|(kinds, share)| kinds[kind] * share)
                .sum::<f64>()
        };
        PaperHeat {
            id,
            kinds: std::array::from_fn(|kind| (of_kind(kind) * fading).max(0.0)),
            readers: self.readers,
            signals: counts.warmth.map(|warmth| warmth * signals),
            counts: counts.newest,
        }
    }
}

pub(super) fn half_lives(window: Window, milliseconds: i64) -> f64 {
    milliseconds as f64 / window.half_life().as_millis() as f64
}

fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(DAY_SECONDS)
}
