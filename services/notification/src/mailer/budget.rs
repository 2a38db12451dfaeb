//! Stops sending while most of it fails: a mail server that refuses everything must not end every subscription or fill the
//! log, and a sender that goes on all the same loses its name.
//!
//! After a pause one mail goes ahead; as it fares, so does the rest.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::SendError;
use crate::metrics::SENDING_PAUSED;

/// Attempts that are looked at; fewer than these prove nothing.
const ATTEMPTS: usize = 100;
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// What became of the last attempts.
pub struct Budget {
    /// Errors among the attempts that are too many; none where there is no budget.
    most: Option<usize>,
    state: Mutex<State>,
}

struct State {
    failed: VecDeque<bool>,
    pause: Duration,
    until: Option<Instant>,
    ahead: bool,
    reason: String,
}

/// Leave to try a mail. Given back when it ends, however it ends.
pub struct Admitted<'a>(Option<&'a Budget>);

/// What an attempt changed.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing.
    None,
    /// Sending is paused, because of this.
    Paused(String),
    /// Sending goes on.
    Resumed,
}

impl Budget {
    /// Pauses when this many of a hundred attempts failed; 0 never does.
    pub fn new(percent: usize) -> Self {
        let state = State {
            failed: VecDeque::with_capacity(ATTEMPTS),
            pause: FIRST_PAUSE,
            until: None,
            ahead: false,
            reason: String::new(),
        };
        Self {
            most: (percent > 0).then_some(percent * ATTEMPTS / 100),
            state: Mutex::new(state),
        }
    }

    /// Whether a mail may be tried now.
    pub fn admit(&self) -> Result<Admitted<'_>, SendError> {
        self.admit_at(Instant::now())
    }

    /// Takes note of how an attempt ended.
    pub fn note(&self, error: Option<&SendError>) -> Turn {
        self.note_at(error, Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Result<Admitted<'_>, SendError> {
        let mut state = self.state();
        let Some(until) = state.until else {
            return Ok(Admitted(None));
        };
        if until <= now && !state.ahead {
            state.ahead = true;
            return Ok(Admitted(Some(self)));
        }
        let remaining = until.saturating_duration_since(now);
        let (seconds, reason) = (remaining.as_secs(), &state.reason);
        let problem = format!("sending is paused for {seconds} s: {reason}");
        Err(SendError::Paused { problem, remaining })
    }

    fn note_at(&self, error: Option<&SendError>, now: Instant) -> Turn {
        let Some(most) = self.most else {
            return Turn::None;
        };
        let mut state = self.state();
        if state.ahead {
            return state.after_one(error, now);
        }
        if state.until.is_some() {
            // Begun before the pause.
            return Turn::None;
        }
        state.failed.push_back(error.is_some());
        if state.failed.len() > ATTEMPTS {
            state.failed.pop_front();
        }
        let errors = state.failed.iter().filter(|failed| **failed).count();
        match error {
            Some(error) if state.failed.len() == ATTEMPTS && errors >= most => {
                let reason = format!("{errors} of the last {ATTEMPTS} mails failed, the last one because {error}");
                state.hold(reason, now)
            }
            _ => Turn::None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How the mail that went ahead ended decides for all.
    fn after_one(&mut self, error: Option<&SendError>, now: Instant) -> Turn {
        self.ahead = false;
        if let Some(error) = error {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            return self.hold(format!("the mail that went ahead failed, because {error}"), now);
        }
        self.until = None;
        self.pause = FIRST_PAUSE;
        self.failed.clear();
        SENDING_PAUSED.set(0);
        Turn::Resumed
    }

    fn hold(&mut self, reason: String, now: Instant) -> Turn {
        self.until = Some(now + self.pause);
        self.reason.clone_from(&reason);
        SENDING_PAUSED.set(1);
        Turn::Paused(reason)
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        // An attempt that was cut off says nothing; the next one goes ahead instead.
        if let Some(budget) = self.0 {
            budget.state().ahead = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken() -> SendError {
        SendError::Transient("451".to_owned())
    }

    /// A budget that was used up at a moment.
    fn used_up(now: Instant) -> Budget {
        let budget = Budget::new(50);
        for _ in 0..50 {
            assert_eq!(budget.note_at(None, now), Turn::None);
        }
        for _ in 0..49 {
            assert_eq!(budget.note_at(Some(&broken()), now), Turn::None);
        }
        assert!(
            matches!(budget.note_at(Some(&broken()), now), Turn::Paused(reason) if reason.contains("50 of the last 100"))
        );
        budget
    }

    #[test]
    fn sending_pauses_and_one_mail_goes_ahead_afterwards() {
        let now = Instant::now();
        let budget = used_up(now);
        let (early, late) = (now + Duration::from_secs(29), now + Duration::from_secs(30));
        assert!(
            matches!(budget.admit_at(early), Err(SendError::Paused { problem, .. }) if problem.contains("paused for 1 s"))
        );
        let ahead = budget.admit_at(late).expect("one goes ahead");
        assert!(budget.admit_at(late).is_err(), "and no other");
        assert_eq!(budget.note_at(None, late), Turn::Resumed);
        drop(ahead);
        assert!(budget.admit_at(late).is_ok() && budget.admit_at(late).is_ok());
    }

    #[test]
    fn pauses_grow_while_nothing_gets_better() {
        let now = Instant::now();
        let budget = used_up(now);
        let mut at = now + FIRST_PAUSE;
        for expected in [60, 120, 240, 480, 600, 600] {
            let ahead = budget.admit_at(at).expect("one goes ahead");
            assert!(matches!(budget.note_at(Some(&broken()), at), Turn::Paused(_)));
            drop(ahead);
            assert!(
                budget.admit_at(at + Duration::from_secs(expected - 1)).is_err(),
                "{expected}"
            );
            at += Duration::from_secs(expected);
        }
        drop(budget.admit_at(at).expect("one goes ahead"));
        assert!(budget.admit_at(at).is_ok(), "the one that was cut off is made up for");
    }

    #[test]
    fn without_a_budget_nothing_pauses() {
        let budget = Budget::new(0);
        for _ in 0..1000 {
            assert_eq!(budget.note(Some(&broken())), Turn::None);
        }
        assert!(budget.admit().is_ok());
    }
}
