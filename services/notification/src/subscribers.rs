//! Subscribers and deliveries in Redis, and in the log beside it. Each change is one script over the version that was read,
//! so nobody ever sees half of it and no change undoes another.
//!
//! | key | what it holds |
//! |---|---|
//! | `broadsheet:subscriber:<id>` | hash: one subscriber, see [`record`] |
//! | `broadsheet:email:<key>` | the id that stands for an address; the first one stays |
//! | `broadsheet:due` | sorted set of the active ids that take mail, by the moment their next digest is due, in ms |
//! | `broadsheet:due:webhook` | the same for those that take editions by webhook, see [`channels`] |
//! | `broadsheet:paused` | sorted set of the paused ids whose pause ends by itself, by that moment, in ms |
//! | `broadsheet:suppressed` | hash: the word on each address that must get no mail, by its hash, see [`suppressions`] |
//! | `broadsheet:logged` | hash: how far the log is known to be in here, see [`keeper`] |
//! | `broadsheet:rate:<what>` | hash: a bucket of tokens, see [`rates`] |
//! | `broadsheet:delivery:<id>:<slot ms>` | hash: one edition, see [`deliveries`] |
//! | `broadsheet:deliveries:<id>` | sorted set of slots with a delivery |
//! | `broadsheet:call:<id>:<slot ms>`, `broadsheet:calls:<id>` | the same for the webhook |
//! | `broadsheet:seen:<id>` | string: the papers a subscriber was sent lately, see [`seen`] |
//! | `broadsheet:soft:<id>` | sorted set of slots whose mails came back softly, see [`bounces`] |
//! | `broadsheet:epoch` | the last fencing token, see [`claims`] |
//!
//! A change is answered when Redis and the log have it. An unsubscription is in force when the call returns: it waits for
//! the append-only file (`WAITAOF`, Redis 7.2), and where the server has no such command it is as durable as the server's
//! `appendfsync`; the log has it in any case, and has it alone while Redis does not answer. A mail that is already in the
//! mail server's hands at that moment cannot be called back.
//!
//! It sends nothing and composes nothing.

pub mod bounces;
pub mod changes;
pub mod channels;
pub mod claims;
pub mod deliveries;
pub mod failures;
mod groups;
pub mod keeper;
mod logging;
mod picks;
mod placing;
pub mod rates;
pub mod reading;
pub mod rebuild;
mod record;
pub mod seen;
pub mod suppressions;
mod vectors;
pub mod webhooks;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::bus::BusError;
use common::journal::Journal;
use domain::{EmailAddress, PaperId, Preferences};
use jiff::{SignedDuration, Timestamp};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, IntoConnectionInfo as _, RedisError, Script};
use tokio::sync::Notify;
use tracing::{debug, warn};

pub use channels::Channel;
pub use record::{subscriber, write_consent};
use webhooks::Webhook;

/// Where a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits for confirmation.
    Pending,
    /// Gets digests.
    Active,
    /// Gets nothing for a while.
    Paused,
    /// Ended by the reader.
    Unsubscribed,
    /// Ended because the address takes no mail, or must not get any.
    Suppressed,
}

/// A subscriber.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscriber {
    /// Opaque id.
    pub id: String,
    /// Address, normalised.
    pub email: String,
    /// Where the subscription stands.
    pub state: State,
    /// What the reader wants.
    pub preferences: Preferences,
    /// Papers that a reader without interests wants nothing like.
    pub unwanted: Vec<PaperId>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was confirmed.
    pub confirmed: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// When a pause ends by itself.
    pub paused_until: Option<Timestamp>,
    /// When a confirmation was last mailed.
    pub asked: Option<Timestamp>,
    /// Since when its slots count: its confirmation, the end of its last pause, or the last change of its schedule.
    pub due_since: Option<Timestamp>,
    /// How consent was given; none while pending.
    pub consent: Option<Consent>,
    /// Takes editions where the preferences say so, and it has agreed.
    pub webhook: Option<Webhook>,
    /// Why the platform paused the subscription; empty where it did not.
    pub pause_reason: String,
    /// Grows with every change.
    pub version: u64,
}

/// How consent was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// In which way.
    pub opting: Opting,
    /// Where it comes from, in the operator's words; empty where the reader confirmed by mail.
    pub source: String,
    /// When.
    pub time: Timestamp,
}

/// In which way consent is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opting {
    /// By a mail that the reader confirms.
    Ask,
    /// The operator has it. Ends an unsubscription or a bounce, too.
    OnRecord,
}

/// Redis or the log does not answer, or holds what it should not. Callers try again.
#[derive(Debug, thiserror::Error)]
pub enum SubscribersError {
    /// No answer.
    #[error("redis does not answer: {0}")]
    Redis(#[from] RedisError),
    /// The log does not have it.
    #[error("the log of subscribers does not answer: {0}")]
    Log(#[from] BusError),
    /// What was asked together failed together.
    #[error("{0}")]
    Together(Arc<SubscribersError>),
    /// The process is ending.
    #[error("nobody answers any more")]
    CutOff,
    /// Somebody else was faster every time.
    #[error("{0} is changed by others again and again")]
    Contended(String),
    /// A value that does not parse.
    #[error("redis holds {key} that does not parse: {problem}")]
    Corrupt {
        /// Where.
        key: String,
        /// Why.
        problem: String,
    },
}

/// How long things hold.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// A claim whose owner falls silent. Longer than any attempt to send.
    pub lease: SignedDuration,
    /// Records of deliveries and the papers in them; longer than papers can be chosen for editions.
    pub retention: SignedDuration,
}

impl Terms {
    /// Records outlive the window of papers by this much: a paper that comes back in a new revision is still known.
    const BEYOND_WINDOW: SignedDuration = SignedDuration::from_hours(24 * 35);

    /// For a window of papers of this length.
    pub fn new(lease: SignedDuration, window: SignedDuration) -> Self {
        Self {
            lease,
            retention: window.saturating_add(Self::BEYOND_WINDOW),
        }
    }
}

/// An answer of Redis may wait for its disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an unsubscription waits for the disk; `everysec` takes a second at most.
const DISK_TIMEOUT_MS: i64 = 3_000;
/// A subscriber with the vector of an interest inside stays in the compact form of a hash up to this length of a value.
const COMPACT_BYTES: &str = "2048";

/// What the key of an address begins with.
const EMAIL_KEY: &str = "broadsheet:email:";
const LOGGED: &str = "broadsheet:logged";
const PAUSED: &str = "broadsheet:paused";

/// The store; clones share one connection.
#[derive(Clone)]
pub struct Subscribers {
    client: redis::Client,
    redis: ConnectionManager,
    changed: Arc<[Notify; 2]>,
    log: Option<Journal>,
    terms: Terms,
    /// Tells owners of leases apart that are of different processes.
    process: Arc<str>,
    /// Ended in the log while Redis did not answer.
    owed: Arc<Mutex<Vec<Subscriber>>>,
    /// What gathers of editions, see [`groups`].
    editions: deliveries::Gathered,
}

impl Subscribers {
    /// Connects. Nothing is logged yet, see [`Self::logging_to`].
    pub async fn connect(url: &str, terms: Terms) -> Result<Self, SubscribersError> {
        let info = url.into_connection_info()?;
        let client = redis::Client::open(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))?;
        let config = ConnectionManagerConfig::new().set_response_timeout(Some(ANSWER_TIMEOUT));
        let redis = ConnectionManager::new_with_config(client.clone(), config).await?;
        let this = Self {
            editions: deliveries::Gathered::start(&redis),
            redis,
            client,
            changed: Arc::default(),
            log: None,
            terms,
            process: uuid::Uuid::new_v4().simple().to_string().into(),
            owed: Arc::default(),
        };
        this.ask_for_compact_hashes().await;
        Ok(this)
    }

    /// With every change in a log, too.
    #[must_use]
    pub fn logging_to(mut self, log: Journal) -> Self {
        self.editions.log_to(&log);
        self.log = Some(log);
        self
    }

    /// Returns when a subscriber was made active here since the last time; the scheduler of a channel looks for what is due.
    pub async fn changed(&self, channel: Channel) {
        self.changed[channel as usize].notified().await;
    }

    /// Wakes the schedulers.
    fn wake(&self) {
        for changed in self.changed.iter() {
            changed.notify_one();
        }
    }

    /// A subscriber by id.
    pub async fn get(&self, id: &str) -> Result<Option<Subscriber>, SubscribersError> {
        let key = subscriber_key(id);
        let fields: HashMap<String, Vec<u8>> = self.ask(redis::cmd("HGETALL").arg(&key)).await?;
        if !fields.contains_key("state") {
            return Ok(None);
        }
        subscriber(id, &fields).map(Some)
    }

    /// A subscriber by address.
    pub async fn by_email(&self, email: &EmailAddress) -> Result<Option<Subscriber>, SubscribersError> {
        let id: Option<String> = self.ask(redis::cmd("GET").arg(email_key(&email.key()))).await?;
        match id {
            Some(id) => self.get(&id).await,
            None => Ok(None),
        }
    }

    /// One page of the active ids of a channel, and where to go on; 0 at the end. An id may come twice.
    pub async fn active(&self, channel: Channel, cursor: u64) -> Result<(u64, Vec<String>), SubscribersError> {
        let mut command = redis::cmd("ZSCAN");
        command.arg(channel.due_key()).arg(cursor).arg("COUNT").arg(500);
        let (next, due): (u64, Vec<(String, f64)>) = self.ask(&command).await?;
        Ok((next, due.into_iter().map(|(id, _)| id).collect()))
    }

    /// When a subscriber is due next, on any channel.
    pub async fn due(&self, id: &str) -> Result<Option<Timestamp>, SubscribersError> {
        let mut due = None;
        for channel in Channel::ALL {
            let score: Option<f64> = self.ask(redis::cmd("ZSCORE").arg(channel.due_key()).arg(id)).await?;
            let on_this = score.and_then(from_score);
            due = [due, on_this].into_iter().flatten().min();
        }
        Ok(due)
    }

    /// When the next digest of anybody is due on a channel.
    pub async fn next_due(&self, channel: Channel) -> Result<Option<Timestamp>, SubscribersError> {
        let mut command = redis::cmd("ZRANGE");
        command.arg(channel.due_key()).arg(0).arg(0).arg("WITHSCORES");
        let first: Vec<(String, f64)> = self.ask(&command).await?;
        Ok(first.first().and_then(|(_, score)| from_score(*score)))
    }

    /// One command that does the same when it is done twice; tried again once when the connection broke under it.
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, SubscribersError> {
        match command.query_async(&mut self.redis.clone()).await {
            Err(error) if broken(&error) => Ok(command.query_async(&mut self.redis.clone()).await?),
            answer => Ok(answer?),
        }
    }

    /// The same for a script.
    async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[Vec<u8>],
    ) -> Result<T, SubscribersError> {
        call(&self.redis, script, keys, arguments).await
    }

    /// Returns when everything written before is on the disk of Redis, or says in the log why that is not known.
    async fn wait_for_disk(&self) {
        if let Err(error) = self.reach_disk().await {
            debug!(%error, "redis cannot say when it is on disk, relying on its appendfsync");
        }
    }

    async fn reach_disk(&self) -> Result<(), RedisError> {
        // A connection of its own: waiting for the disk holds up everything behind it on the same one. The command waits
        // for what this connection wrote, and the file is in the order of all writes.
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_TIMEOUT));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut redis = connecting.await?;
        let mut mark = redis::cmd("HINCRBY");
        let _: i64 = mark.arg(LOGGED).arg("waits").arg(1).query_async(&mut redis).await?;
        let mut command = redis::cmd("WAITAOF");
        let answer: (i64, i64) = command
            .arg(1)
            .arg(0)
            .arg(DISK_TIMEOUT_MS)
            .query_async(&mut redis)
            .await?;
        if answer.0 == 0 {
            warn!("unsubscription is in force but not on the disk of redis yet");
        }
        Ok(())
    }

    async fn ask_for_compact_hashes(&self) {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg("hash-max-listpack-value").arg(COMPACT_BYTES);
        if let Err(error) = self.ask::<()>(&command).await {
            warn!(%error, "redis does not let its hash-max-listpack-value be set; start it with {COMPACT_BYTES}, or subscribers take twice the memory");
        }
    }
}

/// A script that does the same when it is done twice; tried again once when the connection broke under it.
async fn call<T: FromRedisValue>(
    redis: &ConnectionManager,
    script: &Script,
    keys: &[String],
    arguments: &[Vec<u8>],
) -> Result<T, SubscribersError> {
    let call = invocation(script, keys, arguments);
    match call.invoke_async(&mut redis.clone()).await {
        Err(error) if broken(&error) => Ok(call.invoke_async(&mut redis.clone()).await?),
        answer => Ok(answer?),
    }
}

fn invocation<'a>(script: &'a Script, keys: &[String], arguments: &[Vec<u8>]) -> redis::ScriptInvocation<'a> {
    let mut call = script.prepare_invoke();
    for key in keys {
        call.key(key);
    }
    for argument in arguments {
        call.arg(argument);
    }
    call
}

fn broken(error: &RedisError) -> bool {
    error.is_connection_dropped() || error.is_io_error()
}

impl State {
    /// The name in Redis and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Unsubscribed => "unsubscribed",
            Self::Suppressed => "suppressed",
        }
    }

    fn parse(state: &str) -> Option<Self> {
        Some(match state {
            "pending" => Self::Pending,
            "active" => Self::Active,
            "paused" => Self::Paused,
            "unsubscribed" => Self::Unsubscribed,
            "suppressed" => Self::Suppressed,
            _ => return None,
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "milliseconds since the epoch are whole and far below 2^53"
)]
fn from_score(score: f64) -> Option<Timestamp> {
    Timestamp::from_millisecond(score as i64).ok()
}

fn millis(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn subscriber_key(id: &str) -> String {
    format!("broadsheet:subscriber:{id}")
}

fn email_key(key: &str) -> String {
    format!("{EMAIL_KEY}{key}")
}

fn corrupt(key: &str, problem: &dyn std::fmt::Display) -> SubscribersError {
    SubscribersError::Corrupt {
        key: key.to_owned(),
        problem: problem.to_string(),
    }
}

#[cfg(test)]
mod tests;
