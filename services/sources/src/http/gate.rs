//! How often each host may be asked, and by how many at once.
//!
//! The allowance is that of this process: where several replicas run, one of them harvests a source at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::config::{HostRule, HttpConfig};

/// What arXiv's terms of use ask for; no setting goes below it.
const ARXIV: &str = "arxiv.org";
const ARXIV_INTERVAL_MILLISECONDS: u64 = 3_000;

/// Whom to let through when.
pub struct Gate {
    rules: Vec<HostRule>,
    default: HostRule,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

struct Host {
    connections: Arc<Semaphore>,
    interval: Duration,
    next: Turn<Instant>,
}

/// Held while a request and its answer are under way.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>);

impl Gate {
    /// By the settings.
    pub fn new(config: &HttpConfig) -> Self {
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
            rules,
            default: config.default_host.clone(),
            hosts: Mutex::default(),
        }
    }

    /// Waits for a connection that is free and for the pause after the last request.
    pub async fn enter(&self, name: &str) -> Permit {
        let host = self.host(name);
        let permit = Arc::clone(&host.connections).acquire_owned().await.ok();
        let mut next = host.next.lock().await;
        tokio::time::sleep_until(*next).await;
        *next = Instant::now() + host.interval;
        Permit(permit)
    }

    /// Lets nobody ask a host for a while, as it wishes.
    pub async fn hold_off(&self, name: &str, pause: Duration) {
        let host = self.host(name);
        let mut next = host.next.lock().await;
        *next = (*next).max(Instant::now() + pause);
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let rule = self
            .rules
            .iter()
            .filter(|rule| covers(&rule.host, name))
            .max_by_key(|rule| (rule.host.len(), rule.interval_milliseconds));
        let (key, rule) = rule.map_or((name, &self.default), |rule| (rule.host.as_str(), rule));
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = hosts.entry(key.to_owned()).or_insert_with(|| {
            Arc::new(Host {
                connections: Arc::new(Semaphore::new(rule.connections.max(1) as usize)),
                interval: Duration::from_millis(rule.interval_milliseconds),
                next: Turn::new(Instant::now()),
            })
        });
        Arc::clone(host)
    }
}

/// Whether `name` is `suffix` or lies below it.
fn covers(suffix: &str, name: &str) -> bool {
    let Some(rest) = name.strip_suffix(suffix) else {
        return false;
    };
    !suffix.is_empty() && (rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(hosts: Vec<HostRule>) -> Gate {
        Gate::new(&HttpConfig {
            hosts,
            ..HttpConfig::default()
        })
    }

    #[tokio::test]
    async fn arxiv_is_asked_once_in_three_seconds_over_one_connection_whatever_is_set() {
        let gate = gate(vec![HostRule {
            host: "export.arxiv.org".into(),
            interval_milliseconds: 1,
            connections: 9,
        }]);
        let begun = Instant::now();
        drop(gate.enter("export.arxiv.org").await);
        let second = gate.enter("rss.arxiv.org").await;
        assert!(begun.elapsed() >= Duration::from_millis(ARXIV_INTERVAL_MILLISECONDS));
        let third = tokio::time::timeout(Duration::from_millis(3_500), gate.enter("oaipmh.arxiv.org"));
        assert!(third.await.is_err(), "only one connection");
        drop(second);
        gate.enter("arxiv.org").await;
    }

    #[tokio::test]
    async fn a_host_that_asks_for_a_pause_has_it_and_others_do_not_wait() {
        let gate = gate(Vec::new());
        let pause = Duration::from_millis(600);
        let begun = Instant::now();
        gate.hold_off("a.org", pause).await;
        gate.enter("b.org").await;
        assert!(begun.elapsed() < pause);
        gate.enter("a.org").await;
        assert!(begun.elapsed() >= pause);
    }

    #[test]
    fn a_suffix_covers_whole_labels_only() {
        assert!(covers("arxiv.org", "arxiv.org") && covers("arxiv.org", "export.arxiv.org"));
        assert!(!covers("arxiv.org", "notarxiv.org") && !covers("", "a.org"));
    }
}
