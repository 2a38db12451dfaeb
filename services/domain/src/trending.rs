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
//! **Trust** grows with the days on which a reader was seen before the day of the act: `trust = min(1, days / TRUST_DAYS)`, see
//! [`TRUST_DAYS`]. An invented reader has none. Of each act the part `trust` is trusted and the rest is doubtful, and all that is
//! doubtful about a paper adds at most [`DOUBTFUL_FLOOR`] and a [`DOUBTFUL_SHARE`] of what is trusted:
//!
//! ```text
//! heat = trusted + room · doubtful / (room + doubtful)          room = DOUBTFUL_FLOOR + DOUBTFUL_SHARE · trusted
//! ```
//!
//! So any number of new accounts lifts a paper's heat to less than `1.5 · trusted + 6`.
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
//! **The parts** of a score are one for each kind of attention, its share of what the heat adds, and one named `topic`, what is
//! usual. They add up to the score.
//!
//! Nothing here knows a clock, a bus or a store; callers pass the moment in.

mod heat;
mod reader;
mod score;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::heat::{Act, Added, Heat, PaperHeat};
pub use self::reader::{DAY_BUDGET, MOST_ACTS_PER_DAY, TRUST_DAYS};
pub use self::score::{ABSOLUTE, PRIOR_HEAT, Scored, TopicHeat, rank};

/// UTC days for which acts are remembered, today among them.
pub const MEMORY_DAYS: i64 = 30;
/// What doubtful attention may add to the heat of a paper that no trusted reader looked at: a vote.
pub const DOUBTFUL_FLOOR: f64 = 6.0;
/// What it may add beyond that, for each unit of trusted heat.
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
