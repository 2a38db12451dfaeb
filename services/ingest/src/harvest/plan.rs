//! What to do with a source now: a pure function of its state, its settings and the time.
//!
//! Nothing here contacts a source or reads a clock.

use jiff::{SignedDuration, Timestamp};

use super::state::{BackfillState, SourceState};

/// The first pause after a failure is an eighth of the interval, and at most this; it doubles with each further one.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// The longest pause is four intervals, and at most this.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(2);
/// A source may ask for this pause at most, be it after a failure or between two runs.
const LONGEST_REQUEST: SignedDuration = SignedDuration::from_hours(24);

/// What to do with a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HarvestStep {
    /// Read on from the source's cursor.
    Run,
    /// Read on with this back-fill.
    Backfill(String),
    /// Nothing before this moment.
    WaitUntil(Timestamp),
    /// Nothing until an operator acts or the settings change.
    Idle,
}

/// When a source is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HarvestTiming {
    /// Between the end of a run and the next.
    pub interval: SignedDuration,
    /// The share of the interval that chance may add or subtract, 0 to 0.5.
    pub jitter: f64,
}

impl HarvestTiming {
    /// When the next run is due. `chance` is a random number from 0 to 1; `at_least` is the pause that the source asks for,
    /// kept up to a day.
    pub fn next(&self, now: Timestamp, at_least: SignedDuration, chance: f64) -> Timestamp {
        let factor = 1.0 + self.jitter * (2.0 * chance - 1.0);
        now + self.interval.mul_f64(factor).max(at_least.min(LONGEST_REQUEST))
    }

    /// The pause after so many failures in a row: half to all of an exponential back-off, by `chance` from 0 to 1. A longer
    /// pause that the source asks for is kept, up to a day.
    pub fn pause(&self, failures: u32, requested: Option<SignedDuration>, chance: f64) -> SignedDuration {
        let first = (self.interval / 8).min(FIRST_PAUSE);
        let doubled = first * 2_i32.pow(failures.saturating_sub(1).min(10));
        let longest = (self.interval * 4).min(LONGEST_PAUSE);
        doubled
            .min(longest)
            .mul_f64(0.5 + chance / 2.0)
            .max(requested.unwrap_or_default().min(LONGEST_REQUEST))
    }

    /// A due time beyond this cannot have been meant: a clock has jumped.
    fn far(&self, now: Timestamp) -> Timestamp {
        now + (self.interval * 2).max(LONGEST_REQUEST + LONGEST_PAUSE)
    }
}

/// What to do with a source whose settings have this fingerprint.
pub fn step(state: &SourceState, fingerprint: &str, timing: &HarvestTiming, now: Timestamp) -> HarvestStep {
    if state.paused {
        return HarvestStep::Idle;
    }
    let stopped = state
        .stopped
        .as_ref()
        .is_some_and(|cause| cause.fingerprint == fingerprint);
    let due = state.due.unwrap_or(now);
    if !stopped && (due <= now || due > timing.far(now)) {
        return HarvestStep::Run;
    }
    let backfill = state
        .backfills
        .iter()
        .find(|backfill| backfill.state == BackfillState::Running);
    let backfill_due = backfill.map(|backfill| backfill.due.unwrap_or(now));
    match (backfill, backfill_due) {
        (Some(backfill), Some(due)) if due <= now || due > timing.far(now) => {
            HarvestStep::Backfill(backfill.id.clone())
        }
        (_, Some(also)) if !stopped => HarvestStep::WaitUntil(due.min(also)),
        (_, Some(also)) => HarvestStep::WaitUntil(also),
        (_, None) if !stopped => HarvestStep::WaitUntil(due),
        (_, None) => HarvestStep::Idle,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::state::{Backfill, StopCause};
    use super::*;

    const TIMING: HarvestTiming = HarvestTiming {
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
        state.add_backfill(backfill);
        (state, id)
    }

    #[test]
    fn a_source_runs_when_it_is_due() {
        let wait = HarvestStep::WaitUntil(now() + SignedDuration::from_mins(5));
        assert_eq!(step(&SourceState::default(), "a", &TIMING, now()), HarvestStep::Run);
        assert_eq!(step(&due_in(0), "a", &TIMING, now()), HarvestStep::Run);
        assert_eq!(step(&due_in(5), "a", &TIMING, now()), wait);
    }

    #[test]
    fn a_clock_that_jumped_does_not_delay_a_source() {
        assert_eq!(step(&due_in(60 * 24 * 365), "a", &TIMING, now()), HarvestStep::Run);
    }

    #[test]
    fn a_pause_that_a_source_asks_for_is_no_clock_jump() {
        let day = SignedDuration::from_hours(24);
        for due in [
            TIMING.next(now(), day * 2, 0.5),
            now() + TIMING.pause(1, Some(day * 2), 0.5),
        ] {
            assert_eq!(due, now() + day);
            let state = SourceState {
                due: Some(due),
                ..SourceState::default()
            };
            assert_eq!(step(&state, "a", &TIMING, now()), HarvestStep::WaitUntil(due));
        }
    }

    #[test]
    fn a_back_fill_goes_on_between_runs_and_never_instead_of_them() {
        let (state, id) = with_backfill(due_in(5));
        assert_eq!(step(&state, "a", &TIMING, now()), HarvestStep::Backfill(id));
        let (state, _) = with_backfill(due_in(0));
        assert_eq!(step(&state, "a", &TIMING, now()), HarvestStep::Run);
        let (mut state, id) = with_backfill(due_in(5));
        state.backfill(&id).expect("a back-fill").due = Some(now() + SignedDuration::from_mins(1));
        assert_eq!(
            step(&state, "a", &TIMING, now()),
            HarvestStep::WaitUntil(now() + SignedDuration::from_mins(1))
        );
        state.paused = true;
        assert_eq!(step(&state, "a", &TIMING, now()), HarvestStep::Idle);
    }

    #[test]
    fn a_stopped_source_waits_for_an_operator_or_other_settings() {
        let stopped = StopCause {
            reason: "no key".to_owned(),
            fingerprint: "a".to_owned(),
        };
        let state = SourceState {
            stopped: Some(stopped),
            ..due_in(-5)
        };
        assert_eq!(step(&state, "a", &TIMING, now()), HarvestStep::Idle);
        assert_eq!(step(&state, "b", &TIMING, now()), HarvestStep::Run);
    }

    proptest! {
        #[test]
        fn pauses_are_bounded_and_keep_what_was_requested(
            failures in 0_u32..100, chance in 0.0_f64..1.0, requested in 0_i64..100_000,
        ) {
            let requested = SignedDuration::from_secs(requested);
            let kept = requested.min(LONGEST_REQUEST);
            let pause = TIMING.pause(failures, Some(requested), chance);
            prop_assert!(pause >= kept && pause <= LONGEST_PAUSE.max(kept));
            prop_assert!(pause >= FIRST_PAUSE / 2);
            let next = TIMING.next(now(), requested, chance);
            prop_assert!(next >= now() + kept && next >= now() + TIMING.interval.mul_f64(0.9));
        }
    }
}
