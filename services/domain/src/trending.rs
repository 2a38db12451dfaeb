//! What is trending: decayed attention to a paper, compared with what is usual for its topic.
//!
//! # The formula
//!
//! **An act of attention** is a reader's click, read, save or vote on a paper. Its weight is [`Attention::weight`]. Of equal acts
//! (reader, paper, kind) only the newest counts, so a reader counts at most once per paper and kind, and a repeat does no more
//! than make it new again. All a reader does on one UTC day counts at most [`DAY_BUDGET`]: above it every act of the day is
//! scaled by `DAY_BUDGET / Σ weight`. Acts are remembered for [`MEMORY_DAYS`] days.
//!
//! **Heat** decays by a half-life H of the window that is asked for ([`Window::half_life`]):
//!
//! ```text
//! warmth(paper, kind) = Σ weight · share · 2^(−age / H)                over the acts that count
//! ```
//!
//! It is kept as a forward-decayed sum (Cormode, Shkapenyuk, Srivastava and Xu, *Forward Decay*, ICDE 2009): `Σ weight · share ·
//! 2^((time − landmark) / H)`, which needs no work as time goes by and is multiplied by one number when it is read.
//!
//! **Trust** is what the days say on which a reader was seen before the day of the act ([`Standing`]): a reader is *known* from
//! [`KNOWN_DAYS`] such days on, *seen* from [`SEEN_DAYS`] on, and *new* before. What known readers do counts in full. What the
//! others do on a paper, however many they are, adds at most a floor and a share of what better known readers gave it:
//!
//! ```text
//! heat(readers) = known + room(seen) · seen / (room(seen) + seen) + room(new) · new / (room(new) + new)
//! room(seen) = SEEN_FLOOR + DOUBTFUL_SHARE · known
//! room(new)  = NEW_FLOOR  + DOUBTFUL_SHARE · (known + what of seen is let in)
//! ```
//!
//! So any number of accounts that were made for a push, or a day before it, lift the heat of a paper from `h` to less than
//! `1.5 · h + 6`; accounts that were aged over two to four days lift it by less than `0.5 · known + 12`. That a reader acts on
//! what others act on, too, is no sign of trust here: it costs a click on the first paper of the list.
//!
//! **A signal** is what is counted elsewhere: up-votes on other sites, stars of code repositories, citations, mentions
//! ([`Signal`]). Sites publish counts, so a [`Report`] says how high a count was at a moment. Heat is made of the *increase*
//! between two reports of one provider, as if it had come evenly over the time between them:
//!
//! ```text
//! warmth(paper, provider, kind) = Σ weight · increase · mean of 2^(−age / H) over the time of the increase
//! ```
//!
//! The first report says where a count stands and gives no heat, unless it says since when there was something to count; then
//! its increase is the whole count over that whole time. So ten thousand citations of ten years are three a day and no burst.
//! A count that falls gives nothing, nor does its return to where it was. Of the reports of a series within
//! [`SIGNAL_HOURS`] hours only the newest is kept. Reports are remembered as long as acts.
//!
//! Signals are hints, and they can be bought. What one provider reports of a paper adds less than [`PROVIDER_ROOM`], and what
//! all of them report less than a floor and a share of what known readers gave it:
//!
//! ```text
//! signals = Σ over providers: PROVIDER_ROOM · warmth / (PROVIDER_ROOM + warmth)
//! heat = heat(readers) + room · signals / (room + signals)          room = SIGNALS_FLOOR + SIGNALS_SHARE · known
//! ```
//!
//! Citations are the same ones wherever they are counted: of several providers the one that gives most of them counts.
//!
//! **The score** compares heat with what is usual for the paper's topic, its primary category, on a logarithmic scale:
//!
//! ```text
//! usual(papers) = Σ heat² / Σ heat             the heat at which an act of attention finds its paper, on average
//! score = (1 + ABSOLUTE) · ln(1 + heat) − ln(1 + usual(topic))
//! ```
//!
//! `usual` is taken over the topic's other papers that are warm now (heat of at least [`COLD`]), so a paper never makes itself
//! usual. It is shrunk towards that of the archive (`cs` of `cs.CL`) as if the topic had [`PRIOR_HEAT`] more of heat that is
//! spread as it is there, and that of the archive likewise towards that of all papers. A field of thousands of readers has papers
//! of great heat every day, and its `usual` is great; a small field is not drowned by it. The absolute part keeps a single click
//! in a silent field from being news.
//!
//! **The parts** of a score are one for each kind of attention and of signal, its share of what the heat adds, and one named
//! `topic`, what is usual. They add up to the score.
//!
//! Nothing here knows a clock, a bus or a store; callers pass the moment in.

mod heat;
mod reader;
mod score;
mod signals;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::heat::{Act, Added, Heat, PaperHeat};
pub use self::reader::{DAY_BUDGET, KNOWN_DAYS, MOST_ACTS_PER_DAY, SEEN_DAYS, Standing};
pub use self::score::{ABSOLUTE, PRIOR_HEAT, Scored, TopicHeat, rank};
pub use self::signals::{PROVIDER_ROOM, Report, SIGNAL_HOURS, SIGNALS_FLOOR, SIGNALS_SHARE, Signal};

/// UTC days for which acts and reports are remembered, today among them.
pub const MEMORY_DAYS: i64 = 30;
/// What new readers may add to the heat of a paper that nobody better known looked at: a vote.
pub const NEW_FLOOR: f64 = 6.0;
/// The same for readers who were seen on a few days: two votes.
pub const SEEN_FLOOR: f64 = 12.0;
/// What either may add beyond that, for each unit of heat from better known readers.
pub const DOUBTFUL_SHARE: f64 = 0.5;
/// Below this heat a paper is in no list, and does not count for what is usual: a click two half-lives ago.
pub const COLD: f64 = 0.25;

/// What a reader did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attention {
    /// Followed a link to the paper.
    Click,
    /// Opened the paper's page.
    Read,
    /// Kept the paper.
    Save,
    /// Voted for the paper.
    Vote,
}

impl Attention {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Click, Self::Read, Self::Save, Self::Vote];

    /// What one act of this kind adds to the heat at the moment it is done. The more it costs the reader, the more.
    pub const fn weight(self) -> f64 {
        match self {
            Self::Click => 1.0,
            Self::Read => 2.0,
            Self::Save => 4.0,
            Self::Vote => 6.0,
        }
    }

    /// Its part of a score.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Click => "clicks",
            Self::Read => "reads",
            Self::Save => "saves",
            Self::Vote => "votes",
        }
    }

    const fn place(self) -> usize {
        self as usize
    }
}

/// Over how long a time attention counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// What is talked about today.
    Day,
    /// This week.
    Week,
    /// This month.
    Month,
}

impl Window {
    /// Every window.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// After this time an act counts half: 12 hours, 3 days, 12 days.
    pub const fn half_life(self) -> Duration {
        Duration::from_hours(match self {
            Self::Day => 12,
            Self::Week => 72,
            Self::Month => 288,
        })
    }

    const fn place(self) -> usize {
        self as usize
    }
}
