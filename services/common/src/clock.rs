//! The one clock: what time it is, how long something took, and waiting until a moment.
//!
//! A process has one, made at its start and handed to whoever asks for the time, so that a test can move it by hours
//! without waiting. `clippy.toml` forbids every other reading of the wall clock.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// Tells the time. Clones tell the same time.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(Arc<watch::Sender<ManualTime>>),
}

#[derive(Clone, Copy)]
struct ManualTime {
    now: Timestamp,
    instant: Instant,
}

/// The hand that moves a clock: only tests hold one.
pub struct ManualClock(Arc<watch::Sender<ManualTime>>);

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at a moment until it is moved.
    pub fn manual(now: Timestamp) -> (Self, ManualClock) {
        let time = ManualTime {
            now,
            instant: Instant::now(),
        };
        let sender = Arc::new(watch::Sender::new(time));
        (Self(Source::Manual(Arc::clone(&sender))), ManualClock(sender))
    }

    /// The wall clock's time. May step back when the machine's clock is set.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the wall clock"
    )]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp::now(),
            Source::Manual(time) => time.borrow().now,
        }
    }

    /// A moment of the monotonic clock, for leases and back-offs: never steps back, means nothing to another process.
    pub fn instant(&self) -> Instant {
        match &self.0 {
            Source::System => Instant::now(),
            Source::Manual(time) => time.borrow().instant,
        }
    }

    /// How long ago a moment of [`Self::instant`] was.
    pub fn elapsed(&self, since: Instant) -> Duration {
        self.instant().saturating_duration_since(since)
    }

    /// Returns after so long.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Source::System => tokio::time::sleep(duration).await,
            Source::Manual(time) => {
                let until = time.borrow().instant + duration;
                let mut moved = time.subscribe();
                // Fails only when every sender is gone, and `time` is one.
                let _ = moved.wait_for(|time| time.instant >= until).await;
            }
        }
    }

    /// Returns when the wall clock reaches a moment, at once when it is past.
    pub async fn sleep_until(&self, moment: Timestamp) {
        let left = Duration::try_from(moment.duration_since(self.now())).unwrap_or(Duration::ZERO);
        self.sleep(left).await;
    }

    /// The result, or nothing when it takes longer than so long.
    pub async fn timeout<F: Future>(&self, limit: Duration, work: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = work => Some(output),
            () = self.sleep(limit) => None,
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0 {
            Source::System => "system",
            Source::Manual(_) => "manual",
        };
        write!(f, "Clock({kind})")
    }
}

impl ManualClock {
    /// Moves the clock forward; whoever sleeps until then wakes.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|time| {
            time.instant += by;
            time.now = time
                .now
                .saturating_add(SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX))
                .unwrap_or(Timestamp::MAX);
        });
    }

    /// Sets the wall clock alone, forward or back, as an operator or a time server does.
    pub fn set(&self, now: Timestamp) {
        self.0.send_modify(|time| time.now = now);
    }

    /// How many sleep on this clock now.
    pub fn sleepers(&self) -> usize {
        self.0.receiver_count()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn sleepers_wake_when_the_clock_is_moved() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let begun = clock.instant();
        let mut sleep = pin!(clock.sleep(Duration::from_hours(3)));
        assert_eq!(sleep.as_mut().now_or_never(), None);
        hand.advance(Duration::from_hours(2));
        assert_eq!(sleep.as_mut().now_or_never(), None);
        assert_eq!(hand.sleepers(), 1);
        hand.advance(Duration::from_hours(1));
        sleep.await;
        assert_eq!(clock.elapsed(begun), Duration::from_hours(3));
        assert_eq!(clock.now().as_second(), 3 * 3600);
    }

    #[tokio::test]
    async fn setting_the_wall_clock_moves_no_stopwatch() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let begun = clock.instant();
        hand.set(Timestamp::from_second(-60).expect("in range"));
        assert_eq!(clock.now().as_second(), -60);
        assert_eq!(clock.elapsed(begun), Duration::ZERO);
        clock.sleep_until(Timestamp::from_second(-61).expect("in range")).await;
    }

    #[tokio::test]
    async fn a_timeout_ends_what_takes_too_long() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let (work, ()) = tokio::join!(
            clock.timeout(Duration::from_secs(5), std::future::pending::<()>()),
            async { hand.advance(Duration::from_secs(5)) }
        );
        assert_eq!(work, None);
        assert_eq!(clock.timeout(Duration::ZERO, async { 7 }).await, Some(7));
    }
}
