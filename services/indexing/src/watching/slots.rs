//! How many watch: in all, and for one client. It knows no paper.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::connections::client_key;

/// The most watchers at a time.
#[derive(Debug, Clone, Copy)]
pub struct WatcherLimits {
    /// In this process.
    pub all: usize,
    /// Of one client.
    pub per_client: usize,
}

/// A limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WatcherLimit {
    /// Of this process.
    #[error("{0} watches are open, and no more may be")]
    All(usize),
    /// Of one client.
    #[error("{0} watches are open from your address, and no more may be")]
    Client(usize),
}

/// Counts who watches.
#[derive(Debug)]
pub struct WatcherSlots {
    limits: WatcherLimits,
    open: Mutex<OpenWatches>,
}

#[derive(Debug, Default)]
struct OpenWatches {
    all: usize,
    by_client: HashMap<u128, usize>,
}

/// A place among the watchers, given back when it is dropped.
#[derive(Debug)]
pub struct WatcherSlot {
    slots: Arc<WatcherSlots>,
    client: Option<u128>,
}

impl WatcherSlots {
    /// With nobody watching.
    pub fn new(limits: WatcherLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            open: Mutex::default(),
        })
    }

    /// A place for a client; one that is not known has no limit of its own.
    pub fn take(self: &Arc<Self>, client: Option<IpAddr>) -> Result<WatcherSlot, WatcherLimit> {
        let client = client.map(client_key);
        let mut open = self.lock();
        if open.all >= self.limits.all {
            return Err(WatcherLimit::All(self.limits.all));
        }
        if let Some(client) = client {
            let count = open.by_client.get(&client).copied().unwrap_or_default();
            if count >= self.limits.per_client {
                return Err(WatcherLimit::Client(self.limits.per_client));
            }
            open.by_client.insert(client, count + 1);
        }
        open.all += 1;
        Ok(WatcherSlot {
            slots: Arc::clone(self),
            client,
        })
    }

    fn lock(&self) -> MutexGuard<'_, OpenWatches> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WatcherSlot {
    fn drop(&mut self) {
        let mut open = self.slots.lock();
        open.all -= 1;
        if let Some(client) = self.client
            && let Some(count) = open.by_client.get_mut(&client)
        {
            *count -= 1;
            if *count == 0 {
                open.by_client.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn clients_and_all_together_have_limits_until_watches_end() {
        let slots = WatcherSlots::new(WatcherLimits { all: 3, per_client: 2 });
        let first = slots.take(Some(address("2001:db8::1"))).expect("a place");
        let _second = slots.take(Some(address("2001:db8::2"))).expect("a place");
        let refused = slots.take(Some(address("2001:db8::3"))).expect_err("one household");
        assert_eq!(refused, WatcherLimit::Client(2));
        let _other = slots.take(Some(address("192.0.2.1"))).expect("a place");
        assert_eq!(slots.take(None).expect_err("full"), WatcherLimit::All(3));
        drop(first);
        let again = slots.take(Some(address("2001:db8::3"))).expect("a place again");
        drop(again);
        let _here = slots.take(None).expect("a place");
        assert_eq!(slots.lock().by_client.len(), 2);
    }
}
