//! No more mails a second than an operator allows, in all and to one domain.
//!
//! Each mail takes the next free place in time (generic cell rate algorithm, ITU-T I.371). Whose place is far off is told so
//! instead of waiting for it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::SendError;

/// A longer wait is not worth holding up who sends.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Places that went unused may be made up for, as many as fit into this.
const BURST: Duration = Duration::from_secs(1);
/// Domains remembered before those without a place ahead are forgotten.
const DOMAINS: usize = 10_000;

/// The rates; 0 is none.
pub struct Pace {
    all: Option<Duration>,
    domain: Option<Duration>,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    all: Option<Instant>,
    domains: HashMap<String, Instant>,
}

impl Pace {
    /// Mails a second in all, and to one domain.
    pub fn new(all: u32, domain: u32) -> Self {
        let gap = |rate: u32| (rate > 0).then(|| Duration::from_secs(1) / rate.max(1));
        Self {
            all: gap(all),
            domain: gap(domain),
            places: Mutex::default(),
        }
    }

    /// Returns when a mail to a domain may go.
    pub async fn wait(&self, domain: &str) -> Result<(), SendError> {
        if self.all.is_none() && self.domain.is_none() {
            return Ok(());
        }
        let wait = self.place(domain, Instant::now())?;
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Takes a place, or none at all.
    fn place(&self, domain: &str, now: Instant) -> Result<Duration, SendError> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let next = |taken: Option<Instant>, gap: Option<Duration>| {
            gap.map(|gap| taken.map_or(earliest, |taken| taken.max(earliest)) + gap)
        };
        let in_all = next(places.all, self.all);
        let in_domain = next(places.domains.get(domain).copied(), self.domain);
        let wait = |place: Option<Instant>| place.map_or(Duration::ZERO, |place| place.saturating_duration_since(now));
        for (place, what) in [
            (in_all, "notification.mails_per_second"),
            (in_domain, "notification.domain_mails_per_second"),
        ] {
            let seconds = wait(place).as_secs();
            if wait(place) > LONGEST_WAIT {
                return Err(SendError::Transient(format!(
                    "{what} is used up for the next {seconds} s"
                )));
            }
        }
        places.all = in_all;
        if let Some(place) = in_domain {
            if places.domains.len() >= DOMAINS {
                places.domains.retain(|_, place| *place > now);
            }
            places.domains.insert(domain.to_owned(), place);
        }
        Ok(wait(in_all).max(wait(in_domain)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_a_gap_apart_and_one_that_is_far_off_is_not_taken() {
        let (pace, now) = (Pace::new(10, 0), Instant::now());
        let wait = |now| pace.place("example.org", now).map(|wait| wait.as_millis());
        for _ in 0..10 {
            assert!(matches!(wait(now), Ok(0)), "a burst of a second");
        }
        for expected in [100, 200, 300] {
            assert!(matches!(wait(now), Ok(waited) if waited == expected));
        }
        for _ in 0..47 {
            assert!(wait(now).is_ok());
        }
        for _ in 0..2 {
            assert!(matches!(wait(now), Err(SendError::Transient(problem)) if problem.contains("mails_per_second")));
        }
        assert!(
            matches!(wait(now + Duration::from_millis(100)), Ok(5000)),
            "refusals took no place"
        );
    }

    #[test]
    fn a_slow_domain_holds_up_no_other() {
        let (pace, now) = (Pace::new(0, 1), Instant::now());
        let mut refused = 0;
        for _ in 0..20 {
            refused += usize::from(pace.place("slow.example", now).is_err());
        }
        assert_eq!(refused, 14, "one at once, five that wait, the rest later");
        assert!(matches!(pace.place("other.example", now), Ok(Duration::ZERO)));
    }
}
