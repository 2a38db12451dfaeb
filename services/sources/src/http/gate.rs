//! Rate limits: how often each host may be asked, and over how many connections.
//!
//! The limits hold for this process. With several replicas, only one harvests a source at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::clock::Clock;
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore};

use super::config::{HostRule, HttpConfig};

/// What arXiv's terms of use ask for; no setting goes below it.
const ARXIV: &str = "arxiv.org";
const ARXIV_INTERVAL_MILLISECONDS: u64 = 3_000;

/// Admits requests at the rate of each host's rule.
pub struct HostGate {
    clock: Clock,
    rules: Vec<HostRule>,
    default: HostRule,
    hosts: Mutex<HashMap<String, Arc<HostAllowance>>>,
}

struct HostAllowance {
    connections: Arc<Semaphore>,
    interval: Duration,
    next: AsyncMutex<Instant>,
}

/// Held while a request and its response are under way.
#[derive(Debug)]
pub struct HostPermit(#[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>);

impl HostGate {
    /// By the settings.
    pub fn new(config: &HttpConfig, clock: Clock) -> Self {
        let mut rules = config.hosts.clone();
        rules.push(HostRule {
            host: ARXIV.into(),
            interval_milliseconds: ARXIV_INTERVAL_MILLISECONDS,
            connections: 1,
        });
        for rule in rules.iter_mut().filter(|rule| covers(ARXIV, &rule.host)) {
            rule.connections = 1;
            rule.interval_milliseconds = rule.interval_milliseconds.max(ARXIV_INTERVAL_MILLISECONDS);
            ARXIV.clone_into(&mut rule.host);
        }
        Self {
            clock,
            rules,
            default: config.default_host.clone(),
            hosts: Mutex::default(),
        }
    }

    /// Waits for a free connection and for the end of the pause after the last request.
    pub async fn enter(&self, name: &str) -> HostPermit {
        let host = self.host(name);
        let permit = Arc::clone(&host.connections).acquire_owned().await.ok();
        let mut next = host.next.lock().await;
        let pause = next.saturating_duration_since(self.clock.instant());
        if !pause.is_zero() {
            self.clock.sleep(pause).await;
        }
        *next = self.clock.instant() + host.interval;
        HostPermit(permit)
    }

    /// Admits no request to a host for a while, as it asked for.
    pub async fn hold_off(&self, name: &str, pause: Duration) {
        let host = self.host(name);
        let mut next = host.next.lock().await;
        *next = (*next).max(self.clock.instant() + pause);
    }

    fn host(&self, name: &str) -> Arc<HostAllowance> {
        let rule = self
            .rules
            .iter()
            .filter(|rule| covers(&rule.host, name))
            .max_by_key(|rule| (rule.host.len(), rule.interval_milliseconds));
        let (key, rule) = rule.map_or((name, &self.default), |rule| (rule.host.as_str(), rule));
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = hosts.entry(key.to_owned()).or_insert_with(|| {
            Arc::new(HostAllowance {
                connections: Arc::new(Semaphore::new(rule.connections.max(1) as usize)),
                interval: Duration::from_millis(rule.interval_milliseconds),
                next: AsyncMutex::new(self.clock.instant()),
            })
        });
        Arc::clone(host)
    }
}

/// Whether `name` is `suffix` or a subdomain of it.
fn covers(suffix: &str, name: &str) -> bool {
    let Some(rest) = name.strip_suffix(suffix) else {
        return false;
    };
    !suffix.is_empty() && (rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use common::clock::ManualClock;
    use jiff::Timestamp;

    use super::*;

    fn gate(hosts: Vec<HostRule>) -> (HostGate, ManualClock) {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let config = HttpConfig {
            hosts,
            ..HttpConfig::default()
        };
        (HostGate::new(&config, clock), hand)
    }

    /// Whether a future is ready without the clock moving.
    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn arxiv_is_asked_once_in_three_seconds_whatever_is_set() {
        let (gate, hand) = gate(vec![HostRule {
            host: "export.arxiv.org".into(),
            interval_milliseconds: 1,
            connections: 9,
        }]);
        drop(gate.enter("export.arxiv.org").await);
        let mut second = pin!(gate.enter("rss.arxiv.org"));
        assert!(poll(second.as_mut()).is_pending());
        hand.advance(Duration::from_millis(ARXIV_INTERVAL_MILLISECONDS - 1));
        assert!(poll(second.as_mut()).is_pending());
        hand.advance(Duration::from_millis(1));
        let permit = second.await;
        let mut third = pin!(gate.enter("oaipmh.arxiv.org"));
        hand.advance(Duration::from_mins(1));
        assert!(poll(third.as_mut()).is_pending(), "only one connection");
        drop(permit);
        third.await;
    }

    #[tokio::test]
    async fn a_host_that_asks_for_a_pause_has_it_and_others_do_not_wait() {
        let (gate, hand) = gate(Vec::new());
        gate.hold_off("a.org", Duration::from_hours(2)).await;
        gate.enter("b.org").await;
        let mut held = pin!(gate.enter("a.org"));
        hand.advance(Duration::from_mins(119));
        assert!(poll(held.as_mut()).is_pending());
        hand.advance(Duration::from_mins(1));
        held.await;
    }

    #[test]
    fn a_suffix_covers_whole_labels_only() {
        assert!(covers("arxiv.org", "arxiv.org") && covers("arxiv.org", "export.arxiv.org"));
        assert!(!covers("arxiv.org", "notarxiv.org") && !covers("", "a.org"));
    }
}
