//! Limits how many requests one host gets at a time: a slow host must not hold up the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// At so many hosts, those without a request are forgotten.
const MAX_HOSTS: usize = 1_024;

/// The hosts that have requests.
pub struct HostLimiter {
    concurrency: usize,
    semaphores: Mutex<HashMap<String, Weak<Semaphore>>>,
}

impl HostLimiter {
    /// With so many requests to each host at a time.
    pub fn new(concurrency: usize) -> Self {
        Self {
            concurrency,
            semaphores: Mutex::default(),
        }
    }

    /// Waits until a host may be called.
    pub async fn acquire(&self, host: &str) -> Option<OwnedSemaphorePermit> {
        self.semaphore(host).acquire_owned().await.ok()
    }

    fn semaphore(&self, host: &str) -> Arc<Semaphore> {
        let mut semaphores = self.semaphores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(semaphore) = semaphores.get(host).and_then(Weak::upgrade) {
            return semaphore;
        }
        if semaphores.len() >= MAX_HOSTS {
            semaphores.retain(|_, semaphore| semaphore.strong_count() > 0);
        }
        let semaphore = Arc::new(Semaphore::new(self.concurrency));
        semaphores.insert(host.to_owned(), Arc::downgrade(&semaphore));
        semaphore
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_host_holds_up_no_other() {
        let limiter = HostLimiter::new(1);
        let first = limiter.acquire("a.example").await;
        assert_eq!(limiter.semaphore("a.example").available_permits(), 0);
        assert!(limiter.acquire("b.example").await.is_some());
        drop(first);
        assert!(limiter.acquire("a.example").await.is_some());
        for number in 0..2 * MAX_HOSTS {
            limiter.semaphore(&format!("{number}.example"));
        }
        assert!(limiter.semaphores.lock().expect("unpoisoned").len() <= MAX_HOSTS);
    }
}
