//! How many requests of one client are answered at a time, of those that have text embedded: what one client waits for is all
//! that it makes others wait for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::connections::client_key;

/// Counts what is being answered.
#[derive(Debug)]
pub struct ConcurrencyLimiter {
    most: usize,
    open: Mutex<HashMap<u128, usize>>,
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub struct AnsweredRequest {
    limiter: Arc<ConcurrencyLimiter>,
    client: u128,
}

impl ConcurrencyLimiter {
    /// For so many requests of each client; 0 means no limit.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            open: Mutex::default(),
        })
    }

    /// Begins a request of a client; `None` where as many are being answered as may be.
    pub fn begin(self: &Arc<Self>, address: IpAddr) -> Option<AnsweredRequest> {
        let client = client_key(address);
        let mut open = self.lock();
        let count = open.entry(client).or_default();
        if self.most > 0 && *count >= self.most {
            return None;
        }
        *count += 1;
        Some(AnsweredRequest {
            limiter: Arc::clone(self),
            client,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u128, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AnsweredRequest {
    fn drop(&mut self) {
        let mut open = self.limiter.lock();
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_requests_at_a_time_and_no_more() {
        let limiter = ConcurrencyLimiter::new(2);
        let begin = |address: &str| limiter.begin(address.parse().expect("an address"));
        let (first, second) = (begin("192.0.2.1"), begin("192.0.2.1"));
        assert!(first.is_some() && second.is_some() && begin("192.0.2.1").is_none());
        let other = begin("192.0.2.2");
        assert!(other.is_some());
        drop(first);
        let again = begin("192.0.2.1");
        assert!(again.is_some());
        drop((second, other, again));
        assert!(limiter.lock().is_empty());
    }
}
