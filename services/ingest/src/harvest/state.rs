//! What is stored of a source between two runs, as JSON in a bucket of the bus.
//!
//! It is changed by compare-and-swap alone ([`super::state_store`]), so a replica that lost its lease changes nothing any
//! more. A state that this release does not know is an error, never a default. It holds no papers.

use std::collections::{BTreeMap, VecDeque};

use domain::freshness::{self, DailyArrivals, SourceFreshness};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Quarantined records that are kept, newest first.
const MAX_QUARANTINED: usize = 50;
/// Characters of a location or a reason that are kept.
const MAX_QUARANTINE_CHARS: usize = 300;
/// Ended back-fills that are kept, newest first.
const MAX_ENDED_BACKFILLS: usize = 20;
/// Days whose tallies are kept: those that freshness looks at, and one more week.
const DAYS_KEPT: i64 = freshness::WEEKS * 7 + 7;

/// The state of a source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceState {
    /// The replica that reads it now.
    pub lease: Option<SourceLease>,
    /// Where the next page begins; absent before the first.
    pub cursor: Option<String>,
    /// When it is due; absent means now.
    pub due: Option<Timestamp>,
    /// True while an operator has paused it.
    pub paused: bool,
    /// Why it waits for an operator.
    pub stopped: Option<StopCause>,
    /// Why the last run failed.
    pub last_error: Option<String>,
    /// Failed runs since the last successful one.
    pub failures: u32,
    /// When the last run began.
    pub last_run: Option<Timestamp>,
    /// When a run last reached the end of what there was.
    pub last_success: Option<Timestamp>,
    /// When a new paper last came.
    pub newest: Option<Timestamp>,
    /// What became of its records.
    pub tally: RecordTally,
    /// What came on the last days on which it was read, by day.
    pub days: BTreeMap<Date, DayTally>,
    /// Quarantined records, newest first.
    pub quarantined: VecDeque<QuarantineEntry>,
    /// Back-fills, newest first.
    pub backfills: VecDeque<Backfill>,
}

/// The replica that reads a source, and a number that changes with every heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLease {
    /// The replica.
    pub owner: u64,
    /// Grows with every heartbeat.
    pub heartbeat: u64,
}

/// An error that does not pass by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopCause {
    /// What is wrong.
    pub reason: String,
    /// The fingerprint of the settings it failed under: other settings are worth another try.
    pub fingerprint: String,
}

/// What became of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordTally {
    /// Pages read to their end.
    pub pages: u64,
    /// New or changed papers.
    pub accepted: u64,
    /// Papers that were known with this content.
    pub unchanged: u64,
    /// Papers that were known under another id.
    pub duplicate: u64,
    /// Withdrawn papers.
    pub withdrawn: u64,
    /// Signals.
    pub signals: u64,
    /// Records that could not be used.
    pub quarantined: u64,
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
pub struct QuarantineEntry {
    /// Its id, or where it was on its page.
    pub location: String,
    /// What is wrong with it.
    pub reason: String,
    /// When it came.
    pub time: Timestamp,
}

/// A range of days that is read beside the schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backfill {
    /// Unique for the source.
    pub id: String,
    /// First day.
    pub first: Date,
    /// Last day.
    pub last: Date,
    /// Its state.
    pub state: BackfillState,
    /// Where its next page begins; absent before the first.
    pub cursor: Option<String>,
    /// When to go on; absent means at once.
    pub due: Option<Timestamp>,
    /// Records so far.
    pub records: u64,
    /// Records in all, if the source says so.
    pub total: Option<u64>,
    /// When it was requested.
    pub created: Timestamp,
    /// When a page was last read.
    pub progress: Timestamp,
    /// Failures since a page was last read.
    pub failures: u32,
    /// Why it failed.
    pub error: Option<String>,
}

/// The state of a back-fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackfillState {
    /// In progress.
    Running,
    /// Paused by an operator.
    Paused,
    /// Read to its end.
    Done,
    /// Ended by an operator.
    Cancelled,
    /// Ended by an error.
    Failed,
}

impl RecordTally {
    /// Adds those of a page.
    pub fn add(&mut self, other: &Self) {
        self.pages += other.pages;
        self.accepted += other.accepted;
        self.unchanged += other.unchanged;
        self.duplicate += other.duplicate;
        self.withdrawn += other.withdrawn;
        self.signals += other.signals;
        self.quarantined += other.quarantined;
    }

    /// Records of all kinds.
    pub fn records(&self) -> u64 {
        self.accepted + self.unchanged + self.duplicate + self.withdrawn + self.quarantined
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

    /// Whether it may still go on.
    pub fn is_open(&self) -> bool {
        matches!(self.state, BackfillState::Running | BackfillState::Paused)
    }
}

impl SourceState {
    /// A back-fill.
    pub fn backfill(&mut self, id: &str) -> Option<&mut Backfill> {
        self.backfills.iter_mut().find(|backfill| backfill.id == id)
    }

    /// Adds a back-fill, and drops the oldest of those that have ended.
    pub fn add_backfill(&mut self, backfill: Backfill) {
        self.backfills.push_front(backfill);
        let mut ended = 0;
        self.backfills.retain(|backfill| {
            ended += usize::from(!backfill.is_open());
            backfill.is_open() || ended <= MAX_ENDED_BACKFILLS
        });
    }

    /// Records that the source was read just now, and how many new papers came.
    pub fn record_arrivals(&mut self, papers: u64, now: Timestamp) {
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
    pub fn freshness(&self, now: Timestamp) -> SourceFreshness {
        let day = |(date, tally): (&Date, &DayTally)| DailyArrivals {
            date: *date,
            papers: tally.papers,
            first: tally.first,
        };
        let days: Vec<DailyArrivals> = self.days.iter().map(day).collect();
        freshness::judge(&days, now)
    }

    /// Adds quarantined records, and drops the oldest.
    pub fn quarantine(&mut self, records: impl IntoIterator<Item = QuarantineEntry>) {
        for mut record in records {
            for text in [&mut record.location, &mut record.reason] {
                if let Some((end, _)) = text.char_indices().nth(MAX_QUARANTINE_CHARS) {
                    text.truncate(end);
                }
            }
            self.quarantined.push_front(record);
        }
        self.quarantined.truncate(MAX_QUARANTINED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[test]
    fn a_state_of_another_release_is_refused() {
        let mut state = SourceState::default();
        state.add_backfill(Backfill::new(Date::MIN, Date::MIN, at("2026-01-01T00:00:00Z")));
        let text = serde_json::to_string(&state).expect("JSON");
        assert_eq!(serde_json::from_str::<SourceState>(&text).expect("a state"), state);
        for strange in [
            text.replace("\"running\"", "\"simmering\""),
            text.replace("\"paused\":false", "\"paused\":false,\"unheard_of\":1"),
            text.replace("\"paused\":false,", ""),
        ] {
            assert_ne!(strange, text);
            assert!(serde_json::from_str::<SourceState>(&strange).is_err(), "{strange}");
        }
    }

    #[test]
    fn a_state_is_bounded() {
        let mut state = SourceState::default();
        for number in 0..200 {
            let time = at("2026-01-01T00:00:00Z") + jiff::SignedDuration::from_hours(24 * number);
            state.record_arrivals(1, time);
            let location = format!("{number}:{}", "ä".repeat(1_000));
            state.quarantine([QuarantineEntry {
                location,
                reason: String::new(),
                time,
            }]);
            let mut ended = Backfill::new(Date::MIN, Date::MIN, time);
            ended.state = BackfillState::Done;
            state.add_backfill(ended);
        }
        assert_eq!(state.days.len(), 64);
        assert_eq!(
            (state.quarantined.len(), state.backfills.len()),
            (MAX_QUARANTINED, MAX_ENDED_BACKFILLS)
        );
        assert!(state.quarantined[0].location.starts_with("199:"));
        assert_eq!(state.quarantined[0].location.chars().count(), MAX_QUARANTINE_CHARS);
    }

    #[test]
    fn an_open_back_fill_is_never_dropped() {
        let mut state = SourceState::default();
        let now = at("2026-01-01T00:00:00Z");
        let open = Backfill::new(Date::MIN, Date::MIN, now);
        let id = open.id.clone();
        state.add_backfill(open);
        for _ in 0..50 {
            let mut ended = Backfill::new(Date::MIN, Date::MIN, now);
            ended.state = BackfillState::Cancelled;
            state.add_backfill(ended);
        }
        assert!(state.backfill(&id).is_some());
    }
}
