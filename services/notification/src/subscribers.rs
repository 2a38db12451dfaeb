//! Subscribers and deliveries in Redis. Each change is one script, so nobody ever sees half of it.
//!
//! | key | what it holds |
//! |---|---|
//! | `broadsheet:subscriber:<id>` | hash: `email`, `state`, `interests` (JSON), `time`, `time_zone`, `paper_count`, `created`, `confirmed`, `unsubscribed`, `asked` (ms), `encoder` and `vectors` (f32, little-endian, one after the other) |
//! | `broadsheet:email:<key>` | the id that stands for an address; the first one stays |
//! | `broadsheet:due` | sorted set of active ids by the moment their next digest is due, in ms |
//! | `broadsheet:active` | set of active ids |
//! | `broadsheet:delivery:<id>:<slot ms>` | hash: one edition, see [`deliveries`] |
//! | `broadsheet:deliveries:<id>` | sorted set of slots with a delivery |
//! | `broadsheet:seen:<id>` | string: the papers a subscriber was sent lately, see [`seen`] |
//! | `broadsheet:epoch` | the last fencing token, see [`claims`] |
//!
//! An unsubscription is in force when the call returns: it waits for the append-only file (`WAITAOF`, Redis 7.2), and
//! where the server has no such command it is as durable as the server's `appendfsync`. A mail that is already in the
//! mail server's hands at that moment cannot be called back.
//!
//! It sends nothing and composes nothing.

pub mod claims;
pub mod deliveries;
pub mod reading;
pub mod seen;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use domain::schedule::Schedule;
use domain::{DenseVector, EmailAddress, EncoderId, Interest, Preferences};
use jiff::{SignedDuration, Timestamp};
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, IntoConnectionInfo as _, RedisError, Script};
use tokio::sync::Notify;
use tracing::{debug, warn};

/// Where a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits for confirmation.
    Pending,
    /// Gets digests.
    Active,
    /// Ended by the reader.
    Unsubscribed,
    /// Ended because the address takes no mail.
    Suppressed,
}

/// A subscriber.
#[derive(Debug, Clone)]
pub struct Subscriber {
    /// Opaque id.
    pub id: String,
    /// Address, normalised.
    pub email: String,
    /// Where the subscription stands.
    pub state: State,
    /// What the reader wants.
    pub preferences: Preferences,
    /// When it was created.
    pub created: Timestamp,
    /// When it was confirmed.
    pub confirmed: Option<Timestamp>,
}

/// How consent is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opting {
    /// By a mail that the reader confirms.
    Ask,
    /// The operator has it. Ends an unsubscription or a suppression, too.
    OnRecord,
}

/// What is to follow a wish to subscribe.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A confirmation is to be mailed to this subscriber.
    Ask(String),
    /// Nothing: active already, suppressed, or asked a moment ago.
    Quiet,
    /// Nothing: the subscription holds.
    Active,
}

/// Redis does not answer, or holds what it should not. Callers try again.
#[derive(Debug, thiserror::Error)]
pub enum SubscribersError {
    /// No answer.
    #[error("redis does not answer: {0}")]
    Redis(#[from] RedisError),
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

/// One confirmation mail per address and this long, against subscription bombing.
const CONFIRMATION_PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// An answer of Redis may wait for its disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an unsubscription waits for the disk; `everysec` takes a second at most.
const DISK_TIMEOUT_MS: i64 = 3_000;

const DUE: &str = "broadsheet:due";
const ACTIVE: &str = "broadsheet:active";

static SUBSCRIBE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("subscribers/subscribe.lua")));
static MOVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("subscribers/move.lua")));
static KEEP_VECTORS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("subscribers/keep_vectors.lua")));

/// The store; clones share one connection.
#[derive(Clone)]
pub struct Subscribers {
    client: redis::Client,
    redis: ConnectionManager,
    changed: Arc<Notify>,
    terms: Terms,
    /// Tells owners of leases apart that are of different processes.
    process: Arc<str>,
}

impl Subscribers {
    /// Connects.
    pub async fn connect(url: &str, terms: Terms) -> Result<Self, SubscribersError> {
        let info = url.into_connection_info()?;
        let client = redis::Client::open(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))?;
        let config = ConnectionManagerConfig::new().set_response_timeout(Some(ANSWER_TIMEOUT));
        Ok(Self {
            redis: ConnectionManager::new_with_config(client.clone(), config).await?,
            client,
            changed: Arc::new(Notify::new()),
            terms,
            process: uuid::Uuid::new_v4().simple().to_string().into(),
        })
    }

    /// Returns when a subscriber was made active here since the last time; the scheduler looks for what is due.
    pub async fn changed(&self) {
        self.changed.notified().await;
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
        let id: Option<String> = self.ask(redis::cmd("GET").arg(email_key(email))).await?;
        match id {
            Some(id) => self.get(&id).await,
            None => Ok(None),
        }
    }

    /// Takes a wish to subscribe. `fresh` becomes the id of an address that was not known.
    pub async fn subscribe(
        &self,
        email: &EmailAddress,
        fresh: &str,
        wishes: &Preferences,
        opting: Opting,
        now: Timestamp,
    ) -> Result<Next, SubscribersError> {
        let address = email_key(email);
        let _: Option<String> = self.ask(redis::cmd("SET").arg(&address).arg(fresh).arg("NX")).await?;
        let id: String = self.ask(redis::cmd("GET").arg(&address)).await?;
        let interests = serde_json::to_string(&words(wishes)).map_err(|error| corrupt("interests", &error))?;
        let mut call = SUBSCRIBE.key(subscriber_key(&id));
        call.key(DUE).key(ACTIVE).arg(&id);
        call.arg(if opting == Opting::Ask { "ask" } else { "on_record" });
        call.arg(now.as_millisecond())
            .arg(millis(CONFIRMATION_PAUSE))
            .arg(wishes.schedule.next_slot(now).as_millisecond())
            .arg(&["email", email.as_str(), "interests", &interests])
            .arg(&["time", &wishes.schedule.time(), "time_zone", wishes.schedule.zone()])
            .arg("paper_count")
            .arg(wishes.paper_count);
        // Not tried twice: the second try would say that the reader was asked a moment ago, and nobody would ask.
        let next: String = call.invoke_async(&mut self.redis.clone()).await?;
        Ok(match next.as_str() {
            "ask" => Next::Ask(id),
            "active" => {
                self.changed.notify_one();
                Next::Active
            }
            _ => Next::Quiet,
        })
    }

    /// Forgets that a confirmation was mailed, because it was not; the next wish to subscribe mails one at once.
    pub async fn not_asked(&self, id: &str) -> Result<(), SubscribersError> {
        self.ask(redis::cmd("HDEL").arg(subscriber_key(id)).arg("asked")).await
    }

    /// Confirms a pending subscription, due at the given moment. Changes nothing in any other state, which is answered.
    pub async fn confirm(&self, id: &str, due: Timestamp, now: Timestamp) -> Result<Option<State>, SubscribersError> {
        let due = due.as_millisecond().to_string();
        let to = [
            "pending",
            "active",
            "confirmed",
            &now.as_millisecond().to_string(),
            &due,
        ];
        let state = self.script(&MOVE, &move_keys(id), &move_arguments(id, to)).await?;
        self.changed.notify_one();
        parse_state(id, state)
    }

    /// Ends a subscription. When it returns nothing more is sent, whatever crashes.
    pub async fn unsubscribe(&self, id: &str, now: Timestamp) -> Result<Option<State>, SubscribersError> {
        let to = [
            "pending active",
            "unsubscribed",
            "unsubscribed",
            &now.as_millisecond().to_string(),
            "",
        ];
        // A connection of its own: waiting for the disk holds up everything behind it on the same one.
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_TIMEOUT));
        let mut redis = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let state = invocation(&MOVE, &move_keys(id), &move_arguments(id, to))
            .invoke_async(&mut redis)
            .await?;
        wait_for_disk(&mut redis).await;
        parse_state(id, state)
    }

    /// Sends nothing more to an address that takes no mail.
    pub async fn suppress(&self, id: &str, now: Timestamp) -> Result<(), SubscribersError> {
        let to = [
            "pending active",
            "suppressed",
            "suppressed",
            &now.as_millisecond().to_string(),
            "",
        ];
        let _: Option<String> = self.script(&MOVE, &move_keys(id), &move_arguments(id, to)).await?;
        Ok(())
    }

    /// Keeps the vectors of a subscriber's interests, unless the interests changed meanwhile.
    pub async fn keep_vectors(
        &self,
        of: &Subscriber,
        encoder: &EncoderId,
        vectors: &[DenseVector],
    ) -> Result<(), SubscribersError> {
        let interests = serde_json::to_string(&words(&of.preferences)).map_err(|error| corrupt(&of.id, &error))?;
        let values = vectors.iter().flat_map(DenseVector::as_slice);
        let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
        let arguments = [interests.into_bytes(), encoder.as_str().as_bytes().to_vec(), bytes];
        self.script(&KEEP_VECTORS, &[subscriber_key(&of.id)], &arguments).await
    }

    /// One page of active ids, and where to go on; 0 at the end. An id may come twice.
    pub async fn active(&self, cursor: u64) -> Result<(u64, Vec<String>), SubscribersError> {
        let mut command = redis::cmd("SSCAN");
        self.ask(command.arg(ACTIVE).arg(cursor).arg("COUNT").arg(500)).await
    }

    /// When a subscriber is due next.
    pub async fn due(&self, id: &str) -> Result<Option<Timestamp>, SubscribersError> {
        let score: Option<f64> = self.ask(redis::cmd("ZSCORE").arg(DUE).arg(id)).await?;
        Ok(score.and_then(from_score))
    }

    /// When the next digest of anybody is due.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, SubscribersError> {
        let mut command = redis::cmd("ZRANGE");
        let first: Vec<(String, f64)> = self.ask(command.arg(DUE).arg(0).arg(0).arg("WITHSCORES")).await?;
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
        let call = invocation(script, keys, arguments);
        match call.invoke_async(&mut self.redis.clone()).await {
            Err(error) if broken(&error) => Ok(call.invoke_async(&mut self.redis.clone()).await?),
            answer => Ok(answer?),
        }
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

async fn wait_for_disk(redis: &mut MultiplexedConnection) {
    let mut command = redis::cmd("WAITAOF");
    let answer: Result<(i64, i64), RedisError> = command.arg(1).arg(0).arg(DISK_TIMEOUT_MS).query_async(redis).await;
    match answer {
        Ok((0, _)) => warn!("unsubscription is in force but not on the disk of redis yet"),
        Ok(_) => {}
        Err(error) => debug!(%error, "redis cannot say when it is on disk, relying on its appendfsync"),
    }
}

fn move_keys(id: &str) -> [String; 3] {
    [subscriber_key(id), DUE.to_owned(), ACTIVE.to_owned()]
}

fn move_arguments(id: &str, to: [&str; 5]) -> Vec<Vec<u8>> {
    std::iter::once(id)
        .chain(to)
        .map(|argument| argument.as_bytes().to_vec())
        .collect()
}

fn parse_state(id: &str, state: Option<String>) -> Result<Option<State>, SubscribersError> {
    state
        .map(|state| State::parse(&state).ok_or_else(|| corrupt(&subscriber_key(id), &state)))
        .transpose()
}

impl State {
    fn parse(state: &str) -> Option<Self> {
        Some(match state {
            "pending" => Self::Pending,
            "active" => Self::Active,
            "unsubscribed" => Self::Unsubscribed,
            "suppressed" => Self::Suppressed,
            _ => return None,
        })
    }
}

fn words(preferences: &Preferences) -> Vec<&str> {
    preferences
        .interests
        .iter()
        .map(|interest| interest.words.as_str())
        .collect()
}

fn subscriber(id: &str, fields: &HashMap<String, Vec<u8>>) -> Result<Subscriber, SubscribersError> {
    let key = subscriber_key(id);
    let text = |name: &str| {
        fields
            .get(name)
            .and_then(|bytes| String::from_utf8(bytes.clone()).ok())
            .ok_or_else(|| corrupt(&key, &name))
    };
    let time = |name: &str| {
        let ms = text(name).ok()?.parse().ok()?;
        Timestamp::from_millisecond(ms).ok()
    };
    let interests: Vec<String> = serde_json::from_str(&text("interests")?).map_err(|error| corrupt(&key, &error))?;
    let schedule = Schedule::parse(&text("time")?, &text("time_zone")?).map_err(|error| corrupt(&key, &error))?;
    let paper_count = text("paper_count")?.parse().map_err(|error| corrupt(&key, &error))?;
    Ok(Subscriber {
        id: id.to_owned(),
        email: text("email")?,
        state: State::parse(&text("state")?).ok_or_else(|| corrupt(&key, &"state"))?,
        preferences: Preferences {
            interests: interests.iter().map(|words| Interest::in_words(words)).collect(),
            ..Preferences::plain(schedule, paper_count)
        },
        created: time("created").ok_or_else(|| corrupt(&key, &"created"))?,
        confirmed: time("confirmed"),
    })
}

/// The kept vectors of a subscriber's interests, and whose they are.
fn kept_vectors(
    of: &Subscriber,
    fields: &HashMap<String, Vec<u8>>,
) -> Result<Option<(EncoderId, Vec<DenseVector>)>, SubscribersError> {
    let (Some(encoder), Some(bytes)) = (fields.get("encoder"), fields.get("vectors")) else {
        return Ok(None);
    };
    let wrong = |problem: &dyn std::fmt::Display| corrupt(&subscriber_key(&of.id), problem);
    let encoder = EncoderId::parse(&String::from_utf8_lossy(encoder)).map_err(|error| wrong(&error))?;
    let length = bytes.len() / of.preferences.interests.len().max(1);
    if length == 0 || !length.is_multiple_of(4) {
        return Err(wrong(&"vectors do not fit the interests"));
    }
    let vectors = bytes.chunks(length).map(|vector| {
        let (values, _) = vector.as_chunks::<4>();
        DenseVector::new(values.iter().map(|value| f32::from_le_bytes(*value)).collect())
    });
    let vectors: Result<Vec<DenseVector>, _> = vectors.collect();
    Ok(Some((encoder, vectors.map_err(|error| wrong(&error))?)))
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

fn email_key(email: &EmailAddress) -> String {
    format!("broadsheet:email:{}", email.key())
}

fn corrupt(key: &str, problem: &dyn std::fmt::Display) -> SubscribersError {
    SubscribersError::Corrupt {
        key: key.to_owned(),
        problem: problem.to_string(),
    }
}

#[cfg(test)]
mod tests;
