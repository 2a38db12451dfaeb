//! What is trending: decayed attention to a paper, compared with what is usual for its topic.
//!
//! # The formula
//!
//! **An attention event** is a reader's click, read, save or vote on a paper. Its weight is [`AttentionKind::weight`]. Of equal
//! events (reader, paper, kind) only the newest counts, so a reader counts at most once per paper and kind, and a repeat only
//! makes the event new again. All events of a reader on one UTC day count at most [`DAY_BUDGET`]: above it each event of the day
//! is scaled by `DAY_BUDGET / Σ weight`. Events are remembered for [`MEMORY_DAYS`] days.
//!
//! **Decayed attention** falls by a half-life H, which depends on the window asked for ([`TrendingWindow::half_life`]):
//!
//! ```text
//! decayed(paper, kind) = Σ weight · share · 2^(−age / H)                over the events that count
//! ```
//!
//! It is kept as a forward-decayed sum (Cormode, Shkapenyuk, Srivastava and Xu, *Forward Decay*, ICDE 2009): `Σ weight · share ·
//! 2^((time − landmark) / H)`, which needs no work as time passes and is multiplied by one number when it is read.
//!
//! **Reader trust** depends on the number of days on which a reader was seen before the day of the event ([`ReaderTrust`]): a
//! reader is *known* from [`KNOWN_DAYS`] such days on, *seen* from [`SEEN_DAYS`] on, and *new* before. Events of known readers
//! count in full. Those of the others, however many they are, add at most a floor and a share of what better-known readers
//! gave:
//!
//! ```text
//! attention(readers) = known + limit(seen) · seen / (limit(seen) + seen) + limit(new) · new / (limit(new) + new)
//! limit(seen) = SEEN_FLOOR + DOUBTFUL_SHARE · known
//! limit(new)  = NEW_FLOOR  + DOUBTFUL_SHARE · (known + the part of seen that counts)
//! ```
//!
//! So any number of accounts made for a push, or a day before it, raise a paper's attention score from `a` to less than
//! `1.5 · a + 6`; accounts aged over two to four days raise it by less than `0.5 · known + 12`. Acting on the same papers as
//! others is no sign of trust here, because it costs only a click on the first paper of the list.
//!
//! **A signal** is a count from elsewhere: up-votes on other sites, stars of code repositories, citations, mentions
//! ([`Signal`]). Sites publish totals, so a [`SignalReport`] gives a total at a moment. Attention comes from the *increase*
//! between two reports of one provider, spread evenly over the time between them:
//!
//! ```text
//! decayed(paper, provider, kind) = Σ weight · increase · mean of 2^(−age / H) over the time of the increase
//! ```
//!
//! The first report gives no attention, unless it says since when there was something to count; then its increase is the whole
//! total over that whole time. So ten thousand citations of ten years are three a day and no burst. A total that falls gives
//! nothing, nor does its return to the earlier level. Of the reports of a series within [`SIGNAL_HOURS`] hours only the newest
//! is kept. Reports are remembered as long as events.
//!
//! Signals are hints, and they can be bought. What one provider reports of a paper adds less than [`PROVIDER_LIMIT`], and what
//! all providers report adds less than a floor and a share of what known readers gave:
//!
//! ```text
//! signals = Σ over providers: PROVIDER_LIMIT · decayed / (PROVIDER_LIMIT + decayed)
//! attention score = attention(readers) + limit · signals / (limit + signals)     limit = SIGNALS_FLOOR + SIGNALS_SHARE · known
//! ```
//!
//! Citations are the same ones wherever they are counted, so of several providers the one that gives most of them counts.
//!
//! **The trending score** compares the attention score with what is usual for the paper's topic, its primary category, on a
//! logarithmic scale:
//!
//! ```text
//! usual(papers) = Σ attention² / Σ attention             the mean attention score of a paper, weighted by attention
//! trending score = (1 + ABSOLUTE) · ln(1 + attention) − ln(1 + usual(topic))
//! ```
//!
//! `usual` is taken over the topic's other papers with an attention score of at least [`MIN_ATTENTION`], so a paper never
//! raises its own baseline. It is shrunk towards that of the archive (`cs` of `cs.CL`) as if the topic had
//! [`PRIOR_ATTENTION`] more attention, distributed as in the archive, and that of the archive likewise towards that of all
//! papers. A field with thousands of readers always has papers with high scores, and its `usual` is high; small fields are not
//! drowned out. The absolute term keeps a single click in a quiet field from being news.
//!
//! **The parts** of a trending score are one for each kind of attention and of signal, by its share of the attention score, and
//! one named `topic`, for what is usual. They add up to the score.
//!
//! Nothing here knows a clock, a bus or a store; callers pass the moment in.

mod reader;
mod score;
mod signals;

#[cfg(test)]
mod tests;
mod tracker;

use std::time::Duration;

use jiff::Timestamp;

use crate::PaperId;

pub use self::reader::{DAY_BUDGET, KNOWN_DAYS, MAX_EVENTS_PER_DAY, ReaderTrust, SEEN_DAYS};
pub use self::score::{ABSOLUTE, PRIOR_ATTENTION, TopicAttention, TrendingScore, rank};
pub use self::signals::{PROVIDER_LIMIT, SIGNAL_HOURS, SIGNALS_FLOOR, SIGNALS_SHARE, Signal, SignalReport};
pub use self::tracker::{AttentionTracker, PaperAttention};

/// UTC days for which events and reports are remembered, including today.
pub const MEMORY_DAYS: i64 = 30;
/// What new readers may add to a paper that no better-known reader looked at: a vote.
pub const NEW_FLOOR: f64 = 6.0;
/// The same for readers seen on a few days: two votes.
pub const SEEN_FLOOR: f64 = 12.0;
/// What either may add beyond that, per unit of attention from better-known readers.
pub const DOUBTFUL_SHARE: f64 = 0.5;
/// A paper below this attention score is in no list and does not count for what is usual: a click two half-lives ago.
pub const MIN_ATTENTION: f64 = 0.25;

/// One reader's attention to one paper at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionEvent {
    /// Opaque id of the reader.
    pub reader: String,
    /// The paper.
    pub paper: PaperId,
    /// What the reader did.
    pub kind: AttentionKind,
    /// When.
    pub at: Timestamp,
}

/// What recording an event or a report did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordOutcome {
    /// It counts.
    Counted,
    /// It is no newer than what is known for this reader, paper and kind; the reader's events of that day are full; or a newer
    /// report of the same series exists for that time slot.
    Unchanged,
    /// It is older than what is remembered.
    TooOld,
}

/// What a reader did with a paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AttentionKind {
    /// Followed a link to the paper.
    Click,
    /// Opened the paper's page.
    Read,
    /// Kept the paper.
    Save,
    /// Voted for the paper.
    Vote,
}

impl AttentionKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Click, Self::Read, Self::Save, Self::Vote];

    /// What one event of this kind adds at the moment it happens: the more it costs the reader, the more.
    pub const fn weight(self) -> f64 {
        match self {
            Self::Click => 1.0,
            Self::Read => 2.0,
            Self::Save => 4.0,
            Self::Vote => 6.0,
        }
    }

    /// Name of its part of a score.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Click => "clicks",
            Self::Read => "reads",
            Self::Save => "saves",
            Self::Vote => "votes",
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// The period over which attention counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrendingWindow {
    /// Today.
    Day,
    /// This week.
    Week,
    /// This month.
    Month,
}

impl TrendingWindow {
    /// Every window.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// The time after which an event counts half: 12 hours, 3 days, 12 days.
    pub const fn half_life(self) -> Duration {
        Duration::from_hours(match self {
            Self::Day => 12,
            Self::Week => 72,
            Self::Month => 288,
        })
    }

    const fn index(self) -> usize {
        self as usize
    }

    /// A time span in half-lives of this window.
    fn half_lives(self, milliseconds: i64) -> f64 {
        milliseconds as f64 / self.half_life().as_millis() as f64
    }
}
