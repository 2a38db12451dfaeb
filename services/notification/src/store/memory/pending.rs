//! [`PendingStore`] and the windows of [`RateLimiter`](crate::ports::RateLimiter) over memory.

use std::collections::{BTreeMap, HashMap, VecDeque};

use async_trait::async_trait;
use jiff::Timestamp;

use super::MemoryStore;
use crate::ports::{FullWindow, PendingStore, SlidingWindow, StoreError};
use crate::subscribers::pending::{ConfirmedRequest, PendingState, PendingSubscription};

/// Requests by id, with whose subscription they became.
pub type PendingTable = BTreeMap<String, (PendingSubscription, Option<ConfirmedRequest>)>;
/// Events in windows, the newest first.
pub type WindowTable = HashMap<String, VecDeque<(Timestamp, String)>>;

fn waiting(table: &PendingTable) -> impl Iterator<Item = &PendingSubscription> {
    let unconfirmed = table.values().filter(|(_, confirmed)| confirmed.is_none());
    unconfirmed.map(|(pending, _)| pending)
}

fn bytes(table: &PendingTable) -> u64 {
    waiting(table).map(PendingSubscription::size).sum()
}

fn state(
    (pending, confirmed): &(PendingSubscription, Option<ConfirmedRequest>),
    now: Timestamp,
) -> Option<PendingState> {
    (pending.ends() > now).then(|| match confirmed {
        Some(confirmed) => PendingState::Confirmed(confirmed.clone()),
        None => PendingState::Waiting(Box::new(pending.clone())),
    })
}

#[async_trait]
impl PendingStore for MemoryStore {
    async fn keep(&self, pending: &PendingSubscription, budget: u64, now: Timestamp) -> Result<u64, StoreError> {
        let table = &mut self.tables().pending;
        table.retain(|_, (known, _)| known.ends() > now);
        while bytes(table) + pending.size() > budget {
            let oldest = waiting(table)
                .min_by_key(|known| known.requested)
                .map(|known| known.id.clone());
            let Some(oldest) = oldest else { break };
            table.remove(&oldest);
        }
        table.insert(pending.id.clone(), (pending.clone(), None));
        Ok(bytes(table))
    }

    async fn pending(&self, id: &str, now: Timestamp) -> Result<Option<PendingState>, StoreError> {
        let tables = self.tables();
        Ok(tables.pending.get(id).and_then(|known| state(known, now)))
    }

    async fn pending_of(&self, mailbox_hash: &str, now: Timestamp) -> Result<Vec<PendingState>, StoreError> {
        let tables = self.tables();
        let all = tables.pending.values();
        let of_mailbox = all.filter(|(pending, _)| pending.mailbox_hash() == mailbox_hash);
        Ok(of_mailbox.filter_map(|known| state(known, now)).collect())
    }

    async fn mark_confirmed(
        &self,
        pending: &PendingSubscription,
        confirmed: &ConfirmedRequest,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some((_, known)) = self.tables().pending.get_mut(&pending.id) {
            *known = Some(confirmed.clone());
        }
        Ok(())
    }

    async fn drop_pending(&self, pending: &PendingSubscription) -> Result<(), StoreError> {
        self.tables().pending.remove(&pending.id);
        Ok(())
    }
}

/// The first window that is full.
pub fn full(table: &WindowTable, windows: &[SlidingWindow], now: Timestamp) -> Option<FullWindow> {
    windows.iter().enumerate().find_map(|(index, window)| {
        let last = table.get(&window.name)?.get(window.most as usize - 1)?.0;
        let wait = window.length.checked_sub(now.duration_since(last).unsigned_abs())?;
        (!wait.is_zero()).then_some(FullWindow { index, wait })
    })
}

/// Counts an event in each window.
pub fn count(table: &mut WindowTable, windows: &[SlidingWindow], event: &str, now: Timestamp) {
    for window in windows {
        let events = table.entry(window.name.clone()).or_default();
        events.push_front((now, event.to_owned()));
        events.truncate(window.most as usize);
    }
}

/// Whether an event is the newest of the first window.
pub fn is_counted(table: &WindowTable, windows: &[SlidingWindow], event: &str) -> bool {
    let events = windows.first().and_then(|first| table.get(&first.name));
    events
        .and_then(VecDeque::front)
        .is_some_and(|(_, known)| known == event)
}

/// Takes an event out of each window.
pub fn uncount(table: &mut WindowTable, windows: &[SlidingWindow], event: &str, counted: Timestamp) {
    for window in windows {
        if let Some(events) = table.get_mut(&window.name) {
            events.retain(|(at, known)| (*at, known.as_str()) != (counted, event));
        }
    }
}
