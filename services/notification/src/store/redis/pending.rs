//! [`PendingStore`] over Redis and the log: requests to subscribe, each for a week and all of them within a budget of bytes.

use std::sync::LazyLock;

use async_trait::async_trait;
use domain::EmailAddress;
use jiff::Timestamp;
use prost::Message as _;
use proto::convert::{from_wire_time, to_wire_time};
use proto::subscriptions::v1::{self as wire, PendingLogged};
use redis::Script;

use super::connection::{RedisConnection, corrupt, parse};
use super::log::SubscriberLog;
use super::{keys, records};
use crate::ports::{PendingStore, StoreError};
use crate::subscribers::pending::{ConfirmedRequest, PendingState, PendingSubscription, WAITING_TIME};

static KEEP: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("keep_pending.lua")));
static END: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("end_pending.lua")));

/// Requests in Redis.
pub struct RedisPending {
    log: SubscriberLog,
}

impl RedisPending {
    /// Beside a log.
    pub fn new(log: SubscriberLog) -> Self {
        Self { log }
    }

    async fn end(&self, pending: &PendingSubscription, mark: Vec<u8>, now: Timestamp) -> Result<(), StoreError> {
        // The log first: should the process end in between, Redis forgets it by itself.
        self.log.forget_pending(&pending.id).await?;
        let left = (pending.ends().as_millisecond() - now.as_millisecond()).max(1);
        let mut arguments = head(pending);
        arguments.extend([left.to_string().into_bytes(), mark]);
        self.log.connection.script(&END, &keys_of(pending), &arguments).await
    }
}

#[async_trait]
impl PendingStore for RedisPending {
    async fn keep(&self, pending: &PendingSubscription, budget: u64, now: Timestamp) -> Result<u64, StoreError> {
        let (used, forgotten) = keep(&self.log.connection, pending, budget, now).await?;
        for id in forgotten {
            self.log.forget_pending(&id).await?;
        }
        if let Err(error) = self.log.add_pending(to_log(pending)).await {
            self.end(pending, Vec::new(), now).await?;
            return Err(error);
        }
        Ok(used)
    }

    async fn pending(&self, id: &str, now: Timestamp) -> Result<Option<PendingState>, StoreError> {
        let key = keys::pending(id);
        let bytes: Option<Vec<u8>> = self.log.connection.ask(redis::cmd("GET").arg(&key)).await?;
        bytes.map_or(Ok(None), |bytes| read(&key, &bytes, now))
    }

    async fn pending_of(&self, mailbox_hash: &str, now: Timestamp) -> Result<Vec<PendingState>, StoreError> {
        let mut command = redis::cmd("SMEMBERS");
        let ids: Vec<String> = self
            .log
            .connection
            .ask(command.arg(keys::pending_of(mailbox_hash)))
            .await?;
        let mut reading = redis::pipe();
        for id in &ids {
            reading.cmd("GET").arg(keys::pending(id));
        }
        let mut found = Vec::with_capacity(ids.len());
        let answers = self.log.connection.read_all(&mut reading).await?;
        for (id, answer) in ids.iter().zip(answers) {
            // Their times end one by one, that of the set with the last.
            if let Some(bytes) = parse::<Option<Vec<u8>>>(answer)? {
                found.extend(read(&keys::pending(id), &bytes, now)?);
            }
        }
        Ok(found)
    }

    async fn mark_confirmed(
        &self,
        pending: &PendingSubscription,
        confirmed: &ConfirmedRequest,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mark = PendingLogged {
            request_id: pending.id.clone(),
            requested_time: Some(to_wire_time(pending.requested)),
            subscriber_id: confirmed.subscriber_id.clone(),
            link_epoch: confirmed.link_epoch,
            ..PendingLogged::default()
        };
        self.end(pending, mark.encode_to_vec(), now).await
    }

    async fn drop_pending(&self, pending: &PendingSubscription) -> Result<(), StoreError> {
        self.end(pending, Vec::new(), pending.requested).await
    }
}

/// Takes a request from the log into Redis, where it waits still and Redis has lost it.
pub async fn restore(connection: &RedisConnection, logged: &PendingLogged, now: Timestamp) -> Result<bool, StoreError> {
    let key = keys::pending(&logged.request_id);
    let Some(PendingState::Waiting(pending)) = from_log(&key, logged, now)? else {
        return Ok(false);
    };
    let known: bool = connection.ask(redis::cmd("EXISTS").arg(&key)).await?;
    if !known {
        // The log is held to the same budget.
        keep(connection, &pending, u64::MAX >> 12, now).await?;
    }
    Ok(!known)
}

async fn keep(
    connection: &RedisConnection,
    pending: &PendingSubscription,
    budget: u64,
    now: Timestamp,
) -> Result<(u64, Vec<String>), StoreError> {
    let mut arguments = head(pending);
    let ends = pending.ends().as_millisecond().to_string();
    arguments.extend([ends, now.as_millisecond().to_string(), budget.to_string()].map(String::into_bytes));
    arguments.push(to_log(pending).encode_to_vec());
    arguments.extend([keys::PENDING_PREFIX, keys::PENDING_OF_PREFIX].map(|prefix| prefix.as_bytes().to_vec()));
    connection.script(&KEEP, &keys_of(pending), &arguments).await
}

fn keys_of(pending: &PendingSubscription) -> [String; 4] {
    [
        keys::PENDING_ENDS.to_owned(),
        keys::PENDING_BYTES.to_owned(),
        keys::pending(&pending.id),
        keys::pending_of(&pending.mailbox_hash()),
    ]
}

/// What both scripts are told first.
fn head(pending: &PendingSubscription) -> Vec<Vec<u8>> {
    let size = pending.size().to_string();
    [pending.id.clone(), pending.mailbox_hash(), size]
        .map(String::into_bytes)
        .into()
}

fn to_log(pending: &PendingSubscription) -> PendingLogged {
    PendingLogged {
        request_id: pending.id.clone(),
        email: pending.email.as_str().to_owned(),
        preferences: Some(wire::Preferences::from(&pending.preferences)),
        requested_time: Some(to_wire_time(pending.requested)),
        subscriber_id: String::new(),
        link_epoch: 0,
    }
}

fn read(key: &str, bytes: &[u8], now: Timestamp) -> Result<Option<PendingState>, StoreError> {
    let logged = PendingLogged::decode(bytes).map_err(|error| corrupt(key, error))?;
    from_log(key, &logged, now)
}

/// None where its time is up.
fn from_log(key: &str, logged: &PendingLogged, now: Timestamp) -> Result<Option<PendingState>, StoreError> {
    let missing = |field: &str| corrupt(key, format!("{field} is missing"));
    let requested = logged.requested_time.ok_or_else(|| missing("requested_time"))?;
    let requested = from_wire_time("requested_time", requested).map_err(|error| corrupt(key, error))?;
    if requested.saturating_add(WAITING_TIME).unwrap_or(Timestamp::MAX) <= now {
        return Ok(None);
    }
    if !logged.subscriber_id.is_empty() {
        return Ok(Some(PendingState::Confirmed(ConfirmedRequest {
            subscriber_id: logged.subscriber_id.clone(),
            link_epoch: logged.link_epoch,
        })));
    }
    let preferences = logged.preferences.as_ref().ok_or_else(|| missing("preferences"))?;
    let (preferences, _) = records::read_preferences(preferences).map_err(|problem| corrupt(key, problem))?;
    Ok(Some(PendingState::Waiting(Box::new(PendingSubscription {
        id: logged.request_id.clone(),
        email: EmailAddress::parse(&logged.email).map_err(|error| corrupt(key, error))?,
        preferences,
        requested,
    }))))
}
