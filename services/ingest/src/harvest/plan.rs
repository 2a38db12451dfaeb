//! What is to be done with a source now: a pure function of its state, and what the state becomes.
//!
//! Nothing here asks a source or reads a clock.

use jiff::{SignedDuration, Timestamp};

use super::state::{BackfillState, SourceState};

/// The first pause after a failure is an eighth of the interval, and at most this; it doubles with each further one.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// The longest pause is four intervals, and at most this.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(2);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Read on from the source's cursor.
    Run,
    /// Read on with a back-fill.
    Backfill(String),
    /// Nothing before this moment.
    WaitUntil(Timestamp),
    /// Nothing until somebody says so.
    Rest,
}

/// How a source is scheduled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// Between the end of a run and the next.
    pub interval: SignedDuration,
    /// How much of the interval chance may add or take, 0 to 0.5.
    pub jitter: f64,
}

impl Timing {
    /// When the next run is due, where `chance` lies between 0 and 1. `at_least` is what the source asks for.
    pub fn next(&self, now: Timestamp, at_least: SignedDuration, chance: f64) -> Timestamp {
        let factor = 1.0 + self.jitter * (2.0 * chance - 1.0);
        now + self.interval.mul_f64(factor).max(at_least)
    }

    /// The pause after so many failures in a row, where `chance` lies between 0 and 1: half to all of an exponential back-off.
    /// What the source asks for is kept where it is longer.
    pub fn pause(&self, failures: u32, asked: Option<SignedDuration>, chance: f64) -> SignedDuration {
        let first = (self.interval / 8).min(FIRST_PAUSE);
        let doubled = first * 2_i32.pow(failures.saturating_sub(1).min(10));
        let longest = (self.interval * 4).min(LONGEST_PAUSE);
        doubled
            .min(longest)
            .mul_f64(0.5 + chance / 2.0)
            .max(asked.unwrap_or_default())
    }

    /// A moment far behind what can have been meant: a clock has jumped.
    fn far(&self, now: Timestamp) -> Timestamp {
        now + (self.interval * 2).max(LONGEST_PAUSE * 2)
    }
}

/// What is to be done with a source whose settings are known as `settings`.
pub fn step(state: &SourceState, settings: &str, timing: &Timing, now: Timestamp) -> Step {
    if state.paused {
        return Step::Rest;
    }
    let stopped = state
        .stopped
        .as_ref()
        .is_some_and(|stopped| stopped.settings == settings);
    let due = state.due.unwrap_or(now);
    if !stopped && (due <= now || due > timing.far(now)) {
        return Step::Run;
    }
    let backfill = state.backfills.iter().find(|one| one.state == BackfillState::Running);
    let backfill_due = backfill.map(|one| one.due.unwrap_or(now));
    match (backfill, backfill_due) {
        (Some(backfill), Some(due)) if due <= now || due > timing.far(now) => Step::Backfill(backfill.id.clone()),
        (_, Some(also)) if !stopped => Step::WaitUntil(due.min(also)),
        (_, Some(also)) => Step::WaitUntil(also),
        (_, None) if !stopped => Step::WaitUntil(due),
        (_, None) => Step::Rest,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::state::{Backfill, Stopped};
    use super::*;

    const TIMING: Timing = Timing {
        interval: SignedDuration::from_hours(1),
        jitter: 0.1,
    };

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().expect("a timestamp")
    }

    fn due_in(minutes: i64) -> SourceState {
        let due = Some(now() + SignedDuration::from_mins(minutes));
        SourceState {
            due,
            ..SourceState::default()
        }
    }

    fn with_backfill(mut state: SourceState) -> (SourceState, String) {
        let backfill = Backfill::new(
            "2026-01-01".parse().expect("a date"),
            "2026-01-02".parse().expect("a date"),
            now(),
        );
        let id = backfill.id.clone();
        state.keep_backfill(backfill);
        (state, id)
    }

    #[test]
    fn a_source_runs_when_it_is_due() {
        let wait = Step::WaitUntil(now() + SignedDuration::from_mins(5));
        assert_eq!(step(&SourceState::default(), "a", &TIMING, now()), Step::Run);
        assert_eq!(step(&due_in(0), "a", &TIMING, now()), Step::Run);
        assert_eq!(step(&due_in(5), "a", &TIMING, now()), wait);
    }

    #[test]
    fn a_clock_that_jumped_does_not_put_a_source_to_sleep() {
        assert_eq!(step(&due_in(60 * 24 * 365), "a", &TIMING, now()), Step::Run);
    }

    #[test]
    fn a_back_fill_goes_on_between_runs_and_never_instead_of_them() {
        let (state, id) = with_backfill(due_in(5));
        assert_eq!(step(&state, "a", &TIMING, now()), Step::Backfill(id));
        let (state, _) = with_backfill(due_in(0));
        assert_eq!(step(&state, "a", &TIMING, now()), Step::Run);
        let (mut state, id) = with_backfill(due_in(5));
        state.backfill(&id).expect("a back-fill").due = Some(now() + SignedDuration::from_mins(1));
        assert_eq!(
            step(&state, "a", &TIMING, now()),
            Step::WaitUntil(now() + SignedDuration::from_mins(1))
        );
        state.paused = true;
        assert_eq!(step(&state, "a", &TIMING, now()), Step::Rest);
    }

    #[test]
    fn a_stopped_source_waits_for_an_operator_or_other_settings() {
        let stopped = Stopped {
            reason: "no key".to_owned(),
            settings: "a".to_owned(),
        };
        let state = SourceState {
            stopped: Some(stopped),
            ..due_in(-5)
        };
        assert_eq!(step(&state, "a", &TIMING, now()), Step::Rest);
        assert_eq!(step(&state, "b", &TIMING, now()), Step::Run);
    }

    proptest! {
        #[test]
        fn pauses_grow_have_an_end_and_keep_what_was_asked_for(
            failures in 0_u32..100, chance in 0.0_f64..1.0, asked in 0_i64..100_000,
        ) {
            let asked = SignedDuration::from_secs(asked);
            let pause = TIMING.pause(failures, Some(asked), chance);
            prop_assert!(pause >= asked && pause <= LONGEST_PAUSE.max(asked));
            prop_assert!(pause >= FIRST_PAUSE / 2);
            let next = TIMING.next(now(), asked, chance);
            prop_assert!(next >= now() + asked && next >= now() + TIMING.interval.mul_f64(0.9));
        }
    }
}
