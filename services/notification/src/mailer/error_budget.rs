//! Stops sending while most mails fail: a mail server that refuses everything must not end every subscription or fill the
//! log, and a sender that goes on regardless loses its reputation.
//!
//! After a pause a single mail is tried; its result decides for all.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::clock::Clock;

use super::SendError;
use crate::metrics::SENDING_PAUSED;

/// Attempts that are counted; fewer prove nothing.
const ATTEMPTS: usize = 100;
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// How many of the last attempts may fail.
pub struct ErrorBudget {
    /// Sending pauses at so many errors; never where there is no budget.
    max_errors: Option<usize>,
    clock: Clock,
    state: Mutex<BudgetState>,
}

struct BudgetState {
    /// Whether each of the last attempts failed.
    failed: VecDeque<bool>,
    /// The length of the next pause.
    pause: Duration,
    paused_until: Option<Instant>,
    /// True while the mail that ends the pause is being tried.
    trying_one: bool,
    reason: String,
}

/// Permission to try a mail. Given back when the attempt ends, however it ends.
pub struct SendPermit<'a>(Option<&'a ErrorBudget>);

/// What an attempt changed.
#[derive(Debug, PartialEq, Eq)]
pub enum BudgetChange {
    /// Nothing.
    None,
    /// Sending is paused, for this reason.
    Paused(String),
    /// The pause is over.
    Resumed,
}

impl ErrorBudget {
    /// Pauses when so many percent of the last attempts failed; 0 never does.
    pub fn new(percent: usize, clock: Clock) -> Self {
        let state = BudgetState {
            failed: VecDeque::with_capacity(ATTEMPTS),
            pause: FIRST_PAUSE,
            paused_until: None,
            trying_one: false,
            reason: String::new(),
        };
        Self {
            max_errors: (percent > 0).then_some(percent * ATTEMPTS / 100),
            clock,
            state: Mutex::new(state),
        }
    }

    /// Whether a mail may be tried now.
    pub fn admit(&self) -> Result<SendPermit<'_>, SendError> {
        let mut state = self.state();
        let Some(until) = state.paused_until else {
            return Ok(SendPermit(None));
        };
        let now = self.clock.instant();
        if until <= now && !state.trying_one {
            state.trying_one = true;
            return Ok(SendPermit(Some(self)));
        }
        let remaining = until.saturating_duration_since(now);
        let (seconds, reason) = (remaining.as_secs(), &state.reason);
        let problem = format!("sending is paused for {seconds} s: {reason}");
        Err(SendError::Paused { problem, remaining })
    }

    /// Counts an attempt.
    pub fn record(&self, error: Option<&SendError>) -> BudgetChange {
        let Some(max_errors) = self.max_errors else {
            return BudgetChange::None;
        };
        let mut state = self.state();
        if state.trying_one {
            return state.decide(error, self.clock.instant());
        }
        if state.paused_until.is_some() {
            // Begun before the pause.
            return BudgetChange::None;
        }
        state.failed.push_back(error.is_some());
        if state.failed.len() > ATTEMPTS {
            state.failed.pop_front();
        }
        let errors = state.failed.iter().filter(|failed| **failed).count();
        match error {
            Some(error) if state.failed.len() == ATTEMPTS && errors >= max_errors => {
                let reason = format!("{errors} of the last {ATTEMPTS} mails failed, the last one because {error}");
                state.start_pause(reason, self.clock.instant())
            }
            _ => BudgetChange::None,
        }
    }

    fn state(&self) -> MutexGuard<'_, BudgetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BudgetState {
    /// The result of the single mail ends the pause or begins a longer one.
    fn decide(&mut self, error: Option<&SendError>, now: Instant) -> BudgetChange {
        self.trying_one = false;
        if let Some(error) = error {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            return self.start_pause(format!("the mail after the last pause failed because {error}"), now);
        }
        self.paused_until = None;
        self.pause = FIRST_PAUSE;
        self.failed.clear();
        SENDING_PAUSED.set(0);
        BudgetChange::Resumed
    }

    fn start_pause(&mut self, reason: String, now: Instant) -> BudgetChange {
        self.paused_until = Some(now + self.pause);
        self.reason.clone_from(&reason);
        SENDING_PAUSED.set(1);
        BudgetChange::Paused(reason)
    }
}

impl Drop for SendPermit<'_> {
    fn drop(&mut self) {
        // An attempt that was cut off proves nothing; another mail is tried instead.
        if let Some(budget) = self.0 {
            budget.state().trying_one = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use common::clock::ManualClock;
    use jiff::Timestamp;

    use super::*;

    fn failure() -> SendError {
        SendError::Transient("451".to_owned())
    }

    /// A budget of half the mails that is used up.
    fn used_up() -> (ErrorBudget, ManualClock) {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let budget = ErrorBudget::new(50, clock);
        for _ in 0..50 {
            assert_eq!(budget.record(None), BudgetChange::None);
        }
        for _ in 0..49 {
            assert_eq!(budget.record(Some(&failure())), BudgetChange::None);
        }
        assert!(
            matches!(budget.record(Some(&failure())), BudgetChange::Paused(reason) if reason.contains("50 of the last 100"))
        );
        (budget, hand)
    }

    #[test]
    fn sending_pauses_and_then_one_mail_is_tried() {
        let (budget, hand) = used_up();
        hand.advance(Duration::from_secs(29));
        assert!(matches!(budget.admit(), Err(SendError::Paused { problem, .. }) if problem.contains("paused for 1 s")));
        hand.advance(Duration::from_secs(1));
        let permit = budget.admit().expect("one is tried");
        assert!(budget.admit().is_err(), "and no other");
        assert_eq!(budget.record(None), BudgetChange::Resumed);
        drop(permit);
        assert!(budget.admit().is_ok() && budget.admit().is_ok());
    }

    #[test]
    fn pauses_grow_while_nothing_gets_better() {
        let (budget, hand) = used_up();
        hand.advance(FIRST_PAUSE);
        for expected in [60, 120, 240, 480, 600, 600] {
            let permit = budget.admit().expect("one is tried");
            assert!(matches!(budget.record(Some(&failure())), BudgetChange::Paused(_)));
            drop(permit);
            hand.advance(Duration::from_secs(expected - 1));
            assert!(budget.admit().is_err(), "{expected}");
            hand.advance(Duration::from_secs(1));
        }
        drop(budget.admit().expect("one is tried"));
        assert!(budget.admit().is_ok(), "another is tried for the one that was cut off");
    }

    #[test]
    fn without_a_budget_nothing_pauses() {
        let budget = ErrorBudget::new(0, Clock::system());
        for _ in 0..1000 {
            assert_eq!(budget.record(Some(&failure())), BudgetChange::None);
        }
        assert!(budget.admit().is_ok());
    }
}
