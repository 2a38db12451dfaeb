//! What goes into the log of subscribers and of deliveries, see [`common::journal`].

use common::flow;
use common::journal::Added;
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use proto::convert::{from_wire_time, to_wire_time};
use proto::subscriptions::v1::{DeliveryLogged, SubscriberLogged};
use tracing::debug;

use super::deliveries::Stage;
use super::{Channel, State, Subscriber, Subscribers, SubscribersError, record};

/// How many changes Redis may have had and not logged while it did not answer; what is decided without it counts as newer.
const ROOM: u64 = 1_000;

impl Subscribers {
    /// Puts the newest state of a subscriber into the log, where that has an older one.
    pub(super) async fn log(&self, id: &str) -> Result<(), SubscribersError> {
        let Some(log) = &self.log else {
            return Ok(());
        };
        let newest = |logged: Option<SubscriberLogged>| {
            let reading = async move {
                let Some(known) = self.get(id).await? else {
                    return Ok::<_, SubscribersError>(None);
                };
                let there = logged.is_some_and(|logged| logged.version >= known.version);
                Ok((!there).then(|| record::to_log(&known)))
            };
            reading.boxed()
        };
        log.put(id, newest).await.map(drop)
    }

    /// Puts how an edition ended into the log, so that no loss of Redis sends it again.
    #[cfg(test)]
    pub async fn journal_delivery(
        &self,
        channel: Channel,
        (id, slot): (&str, Timestamp),
        state: Stage,
        paper_ids: &[String],
        message_id: &str,
    ) -> Result<(), SubscribersError> {
        let Some(log) = &self.log else {
            return Ok(());
        };
        let entry = delivery_entry((channel, id, slot), state, paper_ids.to_vec(), message_id);
        for added in log.add_all(vec![entry]).await {
            added?;
        }
        Ok(())
    }

    /// So many subscribers at most of the log, in the order of their last changes, from where an earlier page ended; and
    /// where to go on.
    pub async fn page(&self, after: u64, size: usize) -> Result<(Vec<Subscriber>, Option<u64>), SubscribersError> {
        let mut found = Vec::new();
        let Some(log) = &self.log else {
            return Ok((found, None));
        };
        let mut entries = log.read(flow::SUBSCRIBERS, after).await?.take(size);
        let mut next = None;
        while let Some(entry) = entries.next().await {
            next = (entry.waiting > 0).then_some(entry.place);
            let logged = entry.message::<SubscriberLogged>().filter(|logged| !logged.forgotten);
            if let Some(Ok(one)) = logged.map(|logged| record::from_log(&logged)) {
                found.push(one);
            }
        }
        Ok((found, next))
    }

    /// Ends a subscription in the log alone.
    pub(super) async fn end_in_log(&self, id: &str, now: Timestamp) -> Result<Option<Subscriber>, SubscribersError> {
        let Some(log) = &self.log else {
            return Ok(None);
        };
        let end = |logged: Option<SubscriberLogged>| {
            let logged = logged.and_then(|logged| ended(&logged, now));
            futures::future::ready(Ok::<_, SubscribersError>(logged)).boxed()
        };
        let logged = log.put(id, end).await?;
        let ended = logged.and_then(|logged| record::from_log(&logged).ok());
        if let (Some(ended), Ok(mut owed)) = (&ended, self.owed.lock()) {
            owed.push(ended.clone());
        }
        Ok(ended)
    }

    /// Ends in Redis what was ended in the log while Redis did not answer. To be done before anything is sent.
    pub(super) async fn pay_what_is_owed(&self) -> Result<(), SubscribersError> {
        loop {
            let Some(ended) = self.owed.lock().ok().and_then(|owed| owed.last().cloned()) else {
                return Ok(());
            };
            let restored = self.restore(&ended, [None, None]).await?;
            debug!(subscriber = ended.id, restored, "ended in redis, too");
            if let Ok(mut owed) = self.owed.lock() {
                owed.retain(|one| one.id != ended.id);
            }
        }
    }

    /// Leaves no more of a subscriber in the log than that there was one of this id.
    pub(super) async fn forget_in_log(&self, id: &str, version: u64) -> Result<(), SubscribersError> {
        let Some(log) = &self.log else {
            return Ok(());
        };
        let forgotten = |_| {
            let entry = SubscriberLogged {
                subscriber_id: id.to_owned(),
                version,
                forgotten: true,
                ..SubscriberLogged::default()
            };
            futures::future::ready(Ok::<_, SubscribersError>(Some(entry))).boxed()
        };
        log.put(id, forgotten).await?;
        Ok(log.forget::<DeliveryLogged>(id).await?)
    }
}

/// What a subscriber in the log becomes when the subscription ends; none where it has ended.
fn ended(logged: &SubscriberLogged, now: Timestamp) -> Option<SubscriberLogged> {
    let over = [State::Unsubscribed, State::Suppressed].map(State::name);
    if logged.forgotten || over.contains(&logged.state.as_str()) {
        return None;
    }
    Some(SubscriberLogged {
        state: State::Unsubscribed.name().to_owned(),
        ended_time: Some(to_wire_time(now)),
        paused_until_time: None,
        version: logged.version + ROOM,
        ..logged.clone()
    })
}

/// How an edition ended, as it goes into the log.
pub(super) fn delivery_entry(
    (channel, id, slot): (Channel, &str, Timestamp),
    state: Stage,
    paper_ids: Vec<String>,
    message_id: &str,
) -> Added<DeliveryLogged> {
    let (slot_name, state) = (slot.as_millisecond(), state.name());
    // Mail has no name in the log.
    let (channel, once) = match channel {
        Channel::Mail => (String::new(), format!("{id}.{slot_name}.{state}")),
        Channel::Webhook => {
            let name = channel.name();
            (name.to_owned(), format!("{id}.{slot_name}.{name}.{state}"))
        }
    };
    Added {
        key: id.to_owned(),
        id: once,
        message: DeliveryLogged {
            subscriber_id: id.to_owned(),
            slot_time: Some(to_wire_time(slot)),
            state: state.to_owned(),
            paper_ids,
            message_id: message_id.to_owned(),
            time: Some(to_wire_time(Timestamp::now())),
            channel,
        },
    }
}

/// The slot of a delivery in the log.
pub(super) fn slot_of(logged: &DeliveryLogged) -> Option<Timestamp> {
    from_wire_time("slot_time", logged.slot_time?).ok()
}
