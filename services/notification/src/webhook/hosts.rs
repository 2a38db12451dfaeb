//! How many requests one host gets at a time: one that answers slowly must not hold up the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// From so many hosts on, those without a request are forgotten.
const MANY: usize = 1_024;

/// The hosts that have requests.
pub struct Hosts {
    at_once: usize,
    known: Mutex<HashMap<String, Weak<Semaphore>>>,
}

impl Hosts {
    /// With so many requests each.
    pub fn new(at_once: usize) -> Self {
        Self {
            at_once,
            known: Mutex::default(),
        }
    }

    /// Waits for leave to ask a host, which is given back when it is dropped.
    pub async fn leave(&self, host: &str) -> Option<OwnedSemaphorePermit> {
        let host = self.of(host);
        host.acquire_owned().await.ok()
    }

    fn of(&self, host: &str) -> Arc<Semaphore> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = known.get(host).and_then(Weak::upgrade) {
            return there;
        }
        if known.len() >= MANY {
            known.retain(|_, one| one.strong_count() > 0);
        }
        let fresh = Arc::new(Semaphore::new(self.at_once));
        known.insert(host.to_owned(), Arc::downgrade(&fresh));
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_has_so_many_requests_and_the_others_are_not_held_up() {
        let hosts = Hosts::new(1);
        let first = hosts.leave("a.example").await;
        assert_eq!(hosts.of("a.example").available_permits(), 0);
        assert!(hosts.leave("b.example").await.is_some());
        drop(first);
        assert!(hosts.leave("a.example").await.is_some());
        for number in 0..2 * MANY {
            hosts.of(&format!("{number}.example"));
        }
        assert!(hosts.known.lock().expect("unpoisoned").len() <= MANY);
    }
}
