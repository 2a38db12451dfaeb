//! What is kept of a source between two runs, as JSON in a bucket of the bus.
//!
//! Whoever changes it does so by compare-and-swap ([`super::shelf`]), so a holder that was taken for dead changes nothing
//! any more. It holds no papers.

use std::collections::{BTreeMap, VecDeque};

use domain::freshness::{self, Day, Freshness};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Records that were set aside, of which the newest are kept.
const ASIDE_KEPT: usize = 50;
/// Characters of a place or a reason that are kept.
const ASIDE_CHARS: usize = 300;
/// Back-fills that have ended, of which the newest are kept.
const BACKFILLS_KEPT: usize = 20;
/// Days whose tallies are kept: what freshness looks at, and the weekday before.
const DAYS_KEPT: i64 = freshness::WEEKS * 7 + 7;

/// A source as it stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceState {
    /// Who reads it now.
    pub holder: Option<Holder>,
    /// Where the next page begins; absent before the first.
    pub cursor: Option<String>,
    /// When it is due; absent means now.
    pub due: Option<Timestamp>,
    /// True while an operator lets it rest.
    pub paused: bool,
    /// Why it waits for an operator.
    pub stopped: Option<Stopped>,
    /// Why the last run failed.
    pub last_error: Option<String>,
    /// Runs that failed since one that did not.
    pub failures: u32,
    /// When the last run began.
    pub last_run: Option<Timestamp>,
    /// When a run last came to the end of what there was.
    pub last_success: Option<Timestamp>,
    /// When a new paper last came.
    pub newest: Option<Timestamp>,
    /// What came of its records.
    pub tallies: Tallies,
    /// What came on the last days on which it was watched, by day.
    pub days: BTreeMap<Date, DayTally>,
    /// Records set aside, newest first.
    pub aside: VecDeque<Aside>,
    /// Back-fills, newest first.
    pub backfills: VecDeque<Backfill>,
}

/// Who reads a source, and a number that changes with every sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The replica.
    pub owner: u64,
    /// Grows with every sign of life.
    pub beat: u64,
}

/// An error that does not pass by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// What is wrong.
    pub reason: String,
    /// The settings it failed under: others are worth another try.
    pub settings: String,
}

/// What came of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tallies {
    /// Pages read to their end.
    pub pages: u64,
    /// New or changed papers.
    pub accepted: u64,
    /// Papers known as they are.
    pub unchanged: u64,
    /// Papers known under another id.
    pub duplicate: u64,
    /// Withdrawn papers.
    pub withdrawn: u64,
    /// Signals.
    pub signals: u64,
    /// Records that could not be used.
    pub set_aside: u64,
}

/// What came on one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayTally {
    /// New papers.
    pub papers: u64,
    /// When the first came.
    pub first: Option<Timestamp>,
}

/// A record that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// Its id, or where it stood.
    pub place: String,
    /// What is wrong with it.
    pub reason: String,
    /// When it came.
    pub time: Timestamp,
}

/// A range that is read beside the schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backfill {
    /// Unique for the source.
    pub id: String,
    /// First day.
    pub first: Date,
    /// Last day.
    pub last: Date,
    /// What it is doing.
    pub state: BackfillState,
    /// Where its next page begins; absent before the first.
    pub cursor: Option<String>,
    /// When to go on; absent means at once.
    pub due: Option<Timestamp>,
    /// Records so far.
    pub records: u64,
    /// Records in all, where the source says so.
    pub total: Option<u64>,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it got on last.
    pub progress: Timestamp,
    /// Failures since it last got on.
    pub failures: u32,
    /// Why it failed.
    pub error: Option<String>,
}

/// What a back-fill is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackfillState {
    /// Under way.
    Running,
    /// Resting.
    Paused,
    /// Read to its end.
    Done,
    /// Ended by an operator.
    Cancelled,
    /// Ended by an error.
    Failed,
}

impl Tallies {
    /// Adds those of a page.
    pub fn add(&mut self, other: &Self) {
        self.pages += other.pages;
        self.accepted += other.accepted;
        self.unchanged += other.unchanged;
        self.duplicate += other.duplicate;
        self.withdrawn += other.withdrawn;
        self.signals += other.signals;
        self.set_aside += other.set_aside;
    }

    /// Records of all sorts.
    pub fn records(&self) -> u64 {
        self.accepted + self.unchanged + self.duplicate + self.withdrawn + self.set_aside
    }
}

impl Backfill {
    /// One that begins now.
    pub fn new(first: Date, last: Date, now: Timestamp) -> Self {
        Self {
            id: Uuid::now_v7().simple().to_string(),
            first,
            last,
            state: BackfillState::Running,
            cursor: None,
            due: None,
            records: 0,
            total: None,
            created: now,
            progress: now,
            failures: 0,
            error: None,
        }
    }

    /// Whether it may go on some day.
    pub fn is_open(&self) -> bool {
        matches!(self.state, BackfillState::Running | BackfillState::Paused)
    }
}

impl SourceState {
    /// A back-fill.
    pub fn backfill(&mut self, id: &str) -> Option<&mut Backfill> {
        self.backfills.iter_mut().find(|one| one.id == id)
    }

    /// Keeps a back-fill, and of those that have ended only the newest.
    pub fn keep_backfill(&mut self, backfill: Backfill) {
        self.backfills.push_front(backfill);
        let mut ended = 0;
        self.backfills.retain(|one| {
            ended += usize::from(!one.is_open());
            one.is_open() || ended <= BACKFILLS_KEPT
        });
    }

    /// Notes that the source was watched, and how many new papers came just now.
    pub fn watched(&mut self, papers: u64, now: Timestamp) {
        let today = freshness::date_of(now);
        let day = self.days.entry(today).or_default();
        day.papers += papers;
        if papers > 0 {
            day.first.get_or_insert(now);
            self.newest = Some(now);
        }
        let oldest = today.saturating_sub(DAYS_KEPT.days());
        self.days.retain(|date, _| (oldest..=today).contains(date));
    }

    /// Whether it is unusual that nothing has come.
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        let day = |(date, tally): (&Date, &DayTally)| Day {
            date: *date,
            papers: tally.papers,
            first: tally.first,
        };
        let days: Vec<Day> = self.days.iter().map(day).collect();
        freshness::judge(&days, now)
    }

    /// Keeps the newest records that were set aside.
    pub fn set_aside(&mut self, records: impl IntoIterator<Item = Aside>) {
        for mut aside in records {
            for text in [&mut aside.place, &mut aside.reason] {
                if let Some((end, _)) = text.char_indices().nth(ASIDE_CHARS) {
                    text.truncate(end);
                }
            }
            self.aside.push_front(aside);
        }
        self.aside.truncate(ASIDE_KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[test]
    fn states_of_other_releases_are_read() {
        let state: SourceState = serde_json::from_str(r#"{"paused":true,"unheard_of":1}"#).expect("a state");
        assert!(state.paused && state.cursor.is_none());
        let text = serde_json::to_string(&state).expect("JSON");
        assert_eq!(serde_json::from_str::<SourceState>(&text).expect("a state"), state);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut state = SourceState::default();
        for number in 0..200 {
            let time = at("2026-01-01T00:00:00Z") + jiff::SignedDuration::from_hours(24 * number);
            state.watched(1, time);
            let place = format!("{number}:{}", "ä".repeat(1_000));
            state.set_aside([Aside {
                place,
                reason: String::new(),
                time,
            }]);
            let mut ended = Backfill::new(Date::MIN, Date::MIN, time);
            ended.state = BackfillState::Done;
            state.keep_backfill(ended);
        }
        assert_eq!(state.days.len(), 64);
        assert_eq!((state.aside.len(), state.backfills.len()), (ASIDE_KEPT, BACKFILLS_KEPT));
        assert!(state.aside[0].place.starts_with("199:"));
        assert_eq!(state.aside[0].place.chars().count(), ASIDE_CHARS);
    }

    #[test]
    fn an_open_back_fill_is_never_forgotten() {
        let mut state = SourceState::default();
        let now = at("2026-01-01T00:00:00Z");
        let open = Backfill::new(Date::MIN, Date::MIN, now);
        let id = open.id.clone();
        state.keep_backfill(open);
        for _ in 0..50 {
            let mut ended = Backfill::new(Date::MIN, Date::MIN, now);
            ended.state = BackfillState::Cancelled;
            state.keep_backfill(ended);
        }
        assert!(state.backfill(&id).is_some());
    }
}
