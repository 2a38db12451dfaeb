//! No more mails a second than the operator allows, in all and to one domain.
//!
//! Each mail takes the next free slot (generic cell rate algorithm, ITU-T I.371). A mail whose slot is far off is refused
//! instead of held up. The `governor` crate has the algorithm, but neither books a slot ahead nor takes one from two limits at
//! once, so a mail that one limit refuses would use up the other.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::clock::Clock;

use super::SendError;

/// A longer wait is not worth holding up who sends.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// Unused slots of this long may be made up for.
const BURST: Duration = Duration::from_secs(1);
/// Domains that are tracked before those without a slot ahead are forgotten.
const MAX_DOMAINS: usize = 10_000;

/// Makes mails wait for their slots.
pub struct SendRateLimiter {
    /// Between two slots in all, and to one domain; none where there is no limit.
    interval: Option<Duration>,
    domain_interval: Option<Duration>,
    booked: Mutex<BookedSlots>,
    clock: Clock,
}

/// The last slot that was booked, in all and for each domain.
#[derive(Default)]
struct BookedSlots {
    all: Option<Instant>,
    domains: HashMap<String, Instant>,
}

impl SendRateLimiter {
    /// So many mails a second in all, and to one domain; 0 is no limit.
    pub fn new(per_second: u32, per_second_and_domain: u32, clock: Clock) -> Self {
        let interval = |rate: u32| (rate > 0).then(|| Duration::from_secs(1) / rate.max(1));
        Self {
            interval: interval(per_second),
            domain_interval: interval(per_second_and_domain),
            booked: Mutex::default(),
            clock,
        }
    }

    /// Returns when a mail to a domain may be sent.
    pub async fn wait(&self, domain: &str) -> Result<(), SendError> {
        if self.interval.is_none() && self.domain_interval.is_none() {
            return Ok(());
        }
        let wait = self.book(domain)?;
        self.clock.sleep(wait).await;
        Ok(())
    }

    /// Books a slot in both limits, or none at all, and says how far off it is.
    fn book(&self, domain: &str) -> Result<Duration, SendError> {
        let now = self.clock.instant();
        let mut booked = self.booked.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let next = |last: Option<Instant>, interval: Option<Duration>| {
            interval.map(|interval| last.map_or(earliest, |last| last.max(earliest)) + interval)
        };
        let in_all = next(booked.all, self.interval);
        let in_domain = next(booked.domains.get(domain).copied(), self.domain_interval);
        let wait = |slot: Option<Instant>| slot.map_or(Duration::ZERO, |slot| slot.saturating_duration_since(now));
        for (slot, setting) in [
            (in_all, "notification.mails_per_second"),
            (in_domain, "notification.domain_mails_per_second"),
        ] {
            if wait(slot) > MAX_WAIT {
                let seconds = wait(slot).as_secs();
                let problem = format!("{setting} is used up for the next {seconds} s");
                return Err(SendError::Transient(problem));
            }
        }
        booked.all = in_all;
        if let Some(slot) = in_domain {
            if booked.domains.len() >= MAX_DOMAINS {
                booked.domains.retain(|_, slot| *slot > now);
            }
            booked.domains.insert(domain.to_owned(), slot);
        }
        Ok(wait(in_all).max(wait(in_domain)))
    }
}

#[cfg(test)]
mod tests {
    use common::clock::ManualClock;
    use futures::FutureExt as _;
    use jiff::Timestamp;

    use super::*;

    fn limiter(per_second: u32, per_second_and_domain: u32) -> (SendRateLimiter, ManualClock) {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        (SendRateLimiter::new(per_second, per_second_and_domain, clock), hand)
    }

    #[test]
    fn slots_keep_their_distance_and_one_far_off_is_refused() {
        let (limiter, hand) = limiter(10, 0);
        let book = || limiter.book("example.org").map(|wait| wait.as_millis());
        for _ in 0..10 {
            assert!(matches!(book(), Ok(0)), "a burst of a second");
        }
        for expected in [100, 200, 300] {
            assert!(matches!(book(), Ok(wait) if wait == expected));
        }
        for _ in 0..47 {
            assert!(book().is_ok());
        }
        for _ in 0..2 {
            assert!(matches!(book(), Err(SendError::Transient(problem)) if problem.contains("mails_per_second")));
        }
        hand.advance(Duration::from_millis(100));
        assert!(matches!(book(), Ok(5000)), "refused mails booked no slot");
    }

    #[test]
    fn a_slow_domain_holds_up_no_other() {
        let (limiter, _hand) = limiter(0, 1);
        let refused = (0..20).filter(|_| limiter.book("slow.example").is_err()).count();
        assert_eq!(refused, 14, "one at once, five that wait, the others later");
        assert!(matches!(limiter.book("other.example"), Ok(Duration::ZERO)));
    }

    #[tokio::test]
    async fn a_mail_waits_for_its_slot() {
        let (limiter, hand) = limiter(1, 0);
        limiter.wait("example.org").await.expect("a slot");
        let mut second = std::pin::pin!(limiter.wait("example.org"));
        assert!(second.as_mut().now_or_never().is_none());
        hand.advance(Duration::from_millis(999));
        assert!(second.as_mut().now_or_never().is_none());
        hand.advance(Duration::from_millis(1));
        second.await.expect("a slot");
    }
}
