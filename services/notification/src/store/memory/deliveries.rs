//! Who is due, and what was delivered, in memory.

use async_trait::async_trait;
use domain::preferences::Channels;
use jiff::{SignedDuration, Timestamp};

use super::{MemoryStore, Tables, attempt_key, delivery_key};
use crate::ports::{DeliveryLedger, DueQueue, Each, StoreError};
use crate::subscribers::deliveries::{
    AttemptEffect, BeginOutcome, DeliveryAttempt, DeliveryHistory, DeliveryRecord, DeliveryStage, DueBatch,
    FencingToken, LeaseOutcome, LeaseRequest, Pick,
};
use crate::subscribers::seen::{self, SeenPapers};
use crate::subscribers::{Channel, SubscriberState};

#[async_trait]
impl DueQueue for MemoryStore {
    async fn claim(&self, channel: Channel, now: Timestamp, most: usize) -> Result<DueBatch, StoreError> {
        let mut tables = self.tables();
        let lease_end = now.saturating_add(self.times.lease).expect("in range");
        let mut due: Vec<(Timestamp, String)> = tables.due[channel as usize]
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(id, at)| (*at, id.clone()))
            .collect();
        due.sort();
        due.truncate(most);
        let ids: Vec<String> = due.into_iter().map(|(_, id)| id).collect();
        for id in &ids {
            tables.due[channel as usize].insert(id.clone(), lease_end);
        }
        if !ids.is_empty() {
            tables.epoch += 1;
        }
        Ok(DueBatch {
            token: token(if ids.is_empty() { 0 } else { tables.epoch }),
            ids,
        })
    }

    async fn token(&self) -> Result<FencingToken, StoreError> {
        let mut tables = self.tables();
        tables.epoch += 1;
        Ok(token(tables.epoch))
    }

    async fn reschedule(&self, channel: Channel, due: &[(&str, Timestamp)]) -> Result<(), StoreError> {
        let mut tables = self.tables();
        for (id, moment) in due {
            if let Some(known) = tables.due[channel as usize].get_mut(*id) {
                *known = *moment;
            }
        }
        Ok(())
    }

    async fn due(&self, id: &str) -> Result<Option<Timestamp>, StoreError> {
        let tables = self.tables();
        Ok(tables.due.iter().filter_map(|due| due.get(id).copied()).min())
    }

    async fn next_due(&self, channel: Channel) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.tables().due[channel as usize].values().min().copied())
    }

    async fn changed(&self, channel: Channel) {
        self.changed[channel as usize].notified().await;
    }
}

fn token(epoch: u64) -> FencingToken {
    FencingToken {
        epoch,
        owner: format!("{epoch}.memory"),
    }
}

impl Tables {
    fn lease(&mut self, request: &LeaseRequest<'_>, now: Timestamp, lease: SignedDuration) -> LeaseOutcome {
        let attempt = request.attempt;
        let other = delivery_key(attempt.channel.other(), attempt.id, attempt.slot);
        let fixed_on_other = self.deliveries.get(&other).filter(|other| other.papers_fixed);
        let fixed_on_other = fixed_on_other.map(|other| other.record.picks.clone());
        let kept = self.deliveries.entry(attempt_key(&attempt)).or_default();
        let stage = kept.record.stage;
        if stage.is_final() {
            return LeaseOutcome::Done;
        }
        let leased = matches!(stage, DeliveryStage::Intended | DeliveryStage::Sending);
        let held = leased && kept.owner.as_deref() != Some(attempt.token.owner.as_str());
        if kept.epoch > attempt.token.epoch || (held && kept.lease_end.is_some_and(|end| end > now)) {
            return LeaseOutcome::Busy;
        }
        let fixed = if kept.papers_fixed {
            Some(kept.record.picks.clone())
        } else {
            fixed_on_other
        };
        kept.unknown |= stage == DeliveryStage::Sending;
        kept.record.stage = DeliveryStage::Intended;
        kept.owner = Some(attempt.token.owner.clone());
        kept.epoch = attempt.token.epoch;
        kept.lease_end = now.saturating_add(lease).ok();
        request.message_id.clone_into(&mut kept.record.message_id);
        kept.record.at = now;
        kept.record.begun.get_or_insert(now);
        kept.record.picks = fixed.clone().unwrap_or_else(|| request.papers.to_vec());
        kept.papers_fixed = true;
        LeaseOutcome::Granted(fixed)
    }

    fn begin(&mut self, attempt: &DeliveryAttempt<'_>, now: Timestamp, lease: SignedDuration) -> BeginOutcome {
        let wanted = self.subscribers.get(attempt.id).is_some_and(|kept| {
            kept.subscriber.state == SubscriberState::Active && kept.subscriber.takes(attempt.channel)
        });
        let Some(kept) = self.deliveries.get_mut(&attempt_key(attempt)) else {
            return BeginOutcome::LeaseLost;
        };
        let stage = kept.record.stage;
        let leased = matches!(stage, DeliveryStage::Intended | DeliveryStage::Sending);
        if !leased || kept.owner.as_deref() != Some(attempt.token.owner.as_str()) {
            return BeginOutcome::LeaseLost;
        }
        if !wanted {
            return BeginOutcome::NotWanted;
        }
        kept.record.stage = DeliveryStage::Sending;
        kept.record.at = now;
        kept.lease_end = now.saturating_add(lease).ok();
        if !kept.unknown {
            return BeginOutcome::Begun;
        }
        // The same owner only asks twice when the answer was lost.
        kept.record.resent += u32::from(stage == DeliveryStage::Intended);
        BeginOutcome::BegunAgain
    }

    fn settle(
        &mut self,
        attempt: &DeliveryAttempt<'_>,
        record: &DeliveryRecord,
        due: Timestamp,
        effect: AttemptEffect,
        retention: SignedDuration,
    ) -> bool {
        let other = delivery_key(attempt.channel.other(), attempt.id, attempt.slot);
        let sent_on_other = self
            .deliveries
            .get(&other)
            .is_some_and(|other| other.record.stage == DeliveryStage::Sent);
        let kept = self.deliveries.entry(attempt_key(attempt)).or_default();
        let owner = Some(attempt.token.owner.as_str());
        if kept.record.stage == record.stage && kept.record.at == record.at && kept.settler.as_deref() == owner {
            return true;
        }
        let leased = matches!(kept.record.stage, DeliveryStage::Intended | DeliveryStage::Sending);
        let foreign = (leased && kept.owner.as_deref() != owner) || kept.epoch > attempt.token.epoch;
        let sent = record.stage == DeliveryStage::Sent;
        if kept.record.stage == DeliveryStage::Sent || (foreign && !sent) {
            return false;
        }
        let (attempts, resent) = (kept.record.attempts, kept.record.resent);
        let put_off = record.stage == DeliveryStage::Deferred && effect != AttemptEffect::NotTried;
        let picks = std::mem::take(&mut kept.record.picks);
        kept.record = DeliveryRecord {
            attempts: attempts + u32::from(put_off),
            resent,
            begun: kept.record.begun,
            picks,
            fixed: false,
            ..record.clone()
        };
        if record.stage == DeliveryStage::Deferred {
            kept.record.begun.get_or_insert(record.at);
        }
        if sent && !record.fixed {
            kept.record.picks.clone_from(&record.picks);
            kept.papers_fixed = true;
        }
        if record.stage == DeliveryStage::Empty {
            kept.record.picks.clear();
            kept.papers_fixed = false;
        }
        kept.owner = None;
        kept.lease_end = None;
        kept.settler = Some(attempt.token.owner.clone());
        kept.epoch = kept.epoch.max(attempt.token.epoch);
        kept.unknown |= effect == AttemptEffect::Unknown;
        if let Some(known) = self.due[attempt.channel as usize].get_mut(attempt.id) {
            *known = due;
        }
        let oldest = attempt.slot.saturating_sub(retention).unwrap_or_default();
        let channel = attempt.channel as usize;
        self.deliveries
            .retain(|(of, id, slot), _| *of != channel || id != attempt.id || *slot >= oldest);
        if sent && !sent_on_other {
            let packed = seen::pack(record.picks.iter().map(|pick: &Pick| pick.id.as_str()), attempt.slot);
            let seen = self.seen.entry(attempt.id.to_owned()).or_default();
            seen.extend(packed);
            seen::forget_before(seen, oldest);
        }
        true
    }
}

#[async_trait]
impl DeliveryLedger for MemoryStore {
    async fn record(&self, channel: Channel, id: &str, slot: Timestamp) -> Result<DeliveryRecord, StoreError> {
        let tables = self.tables();
        let kept = tables.deliveries.get(&delivery_key(channel, id, slot));
        Ok(kept.map(|kept| kept.record.clone()).unwrap_or_default())
    }

    async fn histories(&self, channel: Channel, digests: &[(&str, Timestamp, Channels)]) -> Each<DeliveryHistory> {
        let mut histories = Vec::with_capacity(digests.len());
        for (id, slot, channels) in digests {
            let mut record = self.record(channel, id, *slot).await?;
            if *channels == Channels::Both && record.picks.is_empty() {
                record.picks = self.record(channel.other(), id, *slot).await?.picks;
            }
            let packed = self.tables().seen.get(*id).cloned().unwrap_or_default();
            histories.push(Ok(DeliveryHistory {
                record,
                seen: SeenPapers::unpack(&packed),
            }));
        }
        Ok(histories)
    }

    async fn lease(&self, requests: &[LeaseRequest<'_>], now: Timestamp) -> Each<LeaseOutcome> {
        let mut tables = self.tables();
        let lease = self.times.lease;
        Ok(requests
            .iter()
            .map(|request| Ok(tables.lease(request, now, lease)))
            .collect())
    }

    async fn begin(&self, attempt: DeliveryAttempt<'_>, now: Timestamp) -> Result<BeginOutcome, StoreError> {
        Ok(self.tables().begin(&attempt, now, self.times.lease))
    }

    async fn settle(
        &self,
        attempt: DeliveryAttempt<'_>,
        record: &DeliveryRecord,
        due: Timestamp,
        effect: AttemptEffect,
    ) -> Result<bool, StoreError> {
        let settled = self
            .tables()
            .settle(&attempt, record, due, effect, self.times.retention);
        if record.stage == DeliveryStage::Deferred {
            self.wake();
        }
        Ok(settled)
    }

    async fn slots(&self, id: &str, before: Option<Timestamp>, most: usize) -> Result<Vec<Timestamp>, StoreError> {
        let tables = self.tables();
        let mut slots: Vec<Timestamp> = tables
            .deliveries
            .keys()
            .filter(|(_, of, slot)| of == id && before.is_none_or(|before| *slot < before))
            .map(|(_, _, slot)| *slot)
            .collect();
        slots.sort_unstable();
        slots.dedup();
        slots.reverse();
        slots.truncate(most);
        Ok(slots)
    }

    async fn record_soft_bounce(
        &self,
        id: &str,
        slot: Timestamp,
        within: SignedDuration,
    ) -> Result<Vec<(Timestamp, bool)>, StoreError> {
        let mut tables = self.tables();
        let bounced = tables.soft_bounces.entry(id.to_owned()).or_default();
        bounced.insert(slot);
        let bounced = bounced.clone();
        let near = |at: &Timestamp| at.duration_since(slot).abs() <= within.saturating_mul(2);
        let mailed = tables.deliveries.iter().filter(|((channel, of, at), kept)| {
            let sent = matches!(kept.record.stage, DeliveryStage::Sent | DeliveryStage::Sending);
            *channel == Channel::Mail as usize && of == id && near(at) && sent
        });
        Ok(mailed.map(|((_, _, at), _)| (*at, bounced.contains(at))).collect())
    }
}
