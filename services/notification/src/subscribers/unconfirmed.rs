//! Subscribers that an earlier version kept as pending until they confirmed: they are forgotten when their time is up, in the
//! store and in the log. Requests to subscribe wait elsewhere now, see [`pending`](super::pending).

use std::sync::Arc;
use std::time::Duration;

use common::clock::Clock;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::pending::WAITING_TIME;
use super::{Subscriber, SubscriberState};
use crate::ports::{StoreError, SubscriberStore};

/// Between two looks while some are left whose time is not up.
const INTERVAL: Duration = Duration::from_hours(24);
/// Until the next look where the last one failed.
const AFTER_FAILURE: Duration = Duration::from_mins(1);
/// Subscribers that are read together.
const PAGE: usize = 500;

/// Runs until the stop.
pub async fn run(store: Arc<dyn SubscriberStore>, clock: Clock, stop: CancellationToken) {
    loop {
        let pause = match forget(store.as_ref(), clock.now()).await {
            Ok(0) => break,
            Ok(left) => {
                info!(left, "subscribers of an earlier version are not confirmed yet");
                INTERVAL
            }
            Err(error) => {
                warn!(%error, "subscribers that never confirmed are not forgotten yet, trying again");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(pause) => {}
        }
    }
    stop.cancelled().await;
}

/// Forgets those whose time is up; answers how many are left.
async fn forget(store: &dyn SubscriberStore, now: Timestamp) -> Result<usize, StoreError> {
    let (mut after, mut left) = (0, 0);
    loop {
        let (page, next) = store.page(after, PAGE).await?;
        for one in page.iter().filter(|one| one.state == SubscriberState::Pending) {
            if !is_over(one, now) {
                left += 1;
            } else if store
                .get(&one.id)
                .await?
                .is_none_or(|known| known.version == one.version)
            {
                store.forget(one).await?;
            }
        }
        match next {
            Some(next) => after = next,
            None => return Ok(left),
        }
    }
}

fn is_over(of: &Subscriber, now: Timestamp) -> bool {
    let asked = of.asked.unwrap_or(of.created);
    asked.saturating_add(WAITING_TIME).unwrap_or(Timestamp::MAX) <= now
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::ports::{NextDue, Placement};
    use crate::testing::{TestStore, start_of_tests, subscriber};

    #[tokio::test]
    async fn who_never_confirmed_is_forgotten_after_a_week() {
        let store = TestStore::memory().store;
        let never = Placement {
            due: [NextDue::Never; 2],
            vectors_hold: false,
        };
        for (id, state, days) in [
            ("old@example.org", SubscriberState::Pending, 7_i64),
            ("new@example.org", SubscriberState::Pending, 6),
            ("reader@example.org", SubscriberState::Active, 99),
        ] {
            let asked = start_of_tests() - SignedDuration::from_hours(24 * days);
            let one = Subscriber {
                state,
                asked: Some(asked),
                ..subscriber(id)
            };
            assert!(store.replace(&one, never).await.expect("an answer"));
        }
        let later = |days: i64| start_of_tests() + SignedDuration::from_hours(24 * days);
        assert_eq!(forget(store.as_ref(), later(0)).await.expect("an answer"), 1);
        assert_eq!(store.get("old@example.org").await.expect("an answer"), None);
        assert_eq!(forget(store.as_ref(), later(1)).await.expect("an answer"), 0);
        assert_eq!(store.get("new@example.org").await.expect("an answer"), None);
        assert!(store.get("reader@example.org").await.expect("an answer").is_some());
    }
}
