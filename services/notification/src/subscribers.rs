//! Subscribers and deliveries in Redis.
//!
//! `broadsheet:subscriber:<id>` hash, `broadsheet:email:<key>` id, `broadsheet:due` sorted set of ids by the moment of the
//! next digest, `broadsheet:active` set of ids, `broadsheet:delivery:<id>:<slot>` hash, `broadsheet:deliveries:<id>` sorted
//! set of slots, `broadsheet:sent:<id>` set of paper ids. Changes that belong together are one transaction or one script.
//! It sends nothing and composes nothing.

use std::collections::{HashMap, HashSet};

use domain::schedule::{Schedule, ScheduleError};
use domain::{EmailAddress, PaperId};
use jiff::Timestamp;
use redis::aio::ConnectionManager;
use redis::{AsyncCommands as _, Script};
use serde::{Deserialize, Serialize};

/// Where a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Subscriber {
    /// Opaque id.
    pub id: String,
    /// Address, normalised.
    pub email: String,
    /// Where the subscription stands.
    pub state: State,
    /// Interests in the reader's words.
    pub interests: Vec<String>,
    /// Local time of day of the digest.
    pub time: String,
    /// IANA time zone.
    pub time_zone: String,
    /// Papers per digest.
    pub paper_count: usize,
    /// When it was created.
    pub created: Timestamp,
    /// When it was confirmed.
    pub confirmed: Option<Timestamp>,
    /// When a confirmation was last mailed.
    pub asked: Option<Timestamp>,
}

impl Subscriber {
    /// The schedule.
    pub fn schedule(&self) -> Result<Schedule, ScheduleError> {
        Schedule::parse(&self.time, &self.time_zone)
    }
}

/// The record of sending one edition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// `sending`, `sent`, `failed`, `empty` or `deferred`; empty when there is none.
    pub state: String,
    /// The papers, fixed at the first attempt.
    pub papers: Vec<PaperId>,
    /// The same at every attempt.
    pub message_id: String,
    /// What happened, in words.
    pub detail: String,
    /// When the state was reached.
    pub at: Timestamp,
}

/// Whether an edition may be handed over now.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// Yes, for the first time or after a refusal.
    Go,
    /// Yes, and an earlier attempt ended without saying how.
    Again,
    /// Somebody else is doing it.
    Busy,
    /// It is done.
    Done,
}

/// Redis does not answer, or holds what it should not. Callers try again.
#[derive(Debug, thiserror::Error)]
pub enum SubscribersError {
    /// No answer.
    #[error("redis does not answer: {0}")]
    Redis(#[from] redis::RedisError),
    /// A value that does not parse.
    #[error("redis holds {key} that does not parse: {problem}")]
    Corrupt {
        /// Where.
        key: String,
        /// Why.
        problem: String,
    },
}

/// How long a claim holds when its owner falls silent.
const LEASE_MS: i64 = 60_000;

const CLAIM_DUE: &str = "
    local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
    for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], ARGV[2], id) end
    return ids";

const CLAIM_DELIVERY: &str = "
    local state = redis.call('HGET', KEYS[1], 'state')
    if state == 'sent' or state == 'failed' then return 'done' end
    local lease = tonumber(redis.call('HGET', KEYS[1], 'lease') or '0')
    if state == 'sending' and lease > tonumber(ARGV[1]) then return 'busy' end
    redis.call('HSETNX', KEYS[1], 'papers', ARGV[3])
    redis.call('HSET', KEYS[1], 'state', 'sending', 'lease', ARGV[2], 'message_id', ARGV[4], 'at', ARGV[1])
    if state == 'sending' then return 'again' end
    return 'go'";

/// The store; clones share one connection.
#[derive(Clone)]
pub struct Subscribers {
    redis: ConnectionManager,
}

impl Subscribers {
    /// Connects.
    pub async fn connect(url: &str) -> Result<Self, SubscribersError> {
        let client = redis::Client::open(url)?;
        Ok(Self {
            redis: ConnectionManager::new(client).await?,
        })
    }

    /// A subscriber by id.
    pub async fn get(&self, id: &str) -> Result<Option<Subscriber>, SubscribersError> {
        let key = subscriber_key(id);
        let data: Option<String> = self.redis.clone().hget(&key, "data").await?;
        data.map(|data| serde_json::from_str(&data).map_err(|error| corrupt(&key, &error)))
            .transpose()
    }

    /// A subscriber by address.
    pub async fn by_email(&self, email: &EmailAddress) -> Result<Option<Subscriber>, SubscribersError> {
        let id: Option<String> = self.redis.clone().get(email_key(email)).await?;
        match id {
            Some(id) => self.get(&id).await,
            None => Ok(None),
        }
    }

    /// The id that stands for an address: the given one, or the one that was there first.
    pub async fn reserve(&self, email: &EmailAddress, id: &str) -> Result<String, SubscribersError> {
        let mut redis = self.redis.clone();
        let _: bool = redis.set_nx(email_key(email), id).await?;
        Ok(redis.get(email_key(email)).await?)
    }

    /// Writes a subscriber; an active one is due at the given moment, any other never.
    pub async fn put(&self, subscriber: &Subscriber, due: Option<Timestamp>) -> Result<(), SubscribersError> {
        let key = subscriber_key(&subscriber.id);
        let data = serde_json::to_string(subscriber).map_err(|error| corrupt(&key, &error))?;
        let mut pipe = redis::pipe();
        pipe.atomic().hset(&key, "data", data).ignore();
        match due {
            Some(due) if subscriber.state == State::Active => {
                pipe.zadd("broadsheet:due", &subscriber.id, due.as_millisecond())
                    .ignore();
                pipe.sadd("broadsheet:active", &subscriber.id).ignore();
            }
            _ => {
                pipe.zrem("broadsheet:due", &subscriber.id).ignore();
                pipe.srem("broadsheet:active", &subscriber.id).ignore();
            }
        }
        let () = pipe.query_async(&mut self.redis.clone()).await?;
        Ok(())
    }

    /// Ids of active subscribers, sorted.
    pub async fn active(&self) -> Result<Vec<String>, SubscribersError> {
        let mut ids: Vec<String> = self.redis.clone().smembers("broadsheet:active").await?;
        ids.sort();
        Ok(ids)
    }

    /// Takes up to `most` subscribers that are due; nobody else gets them for the length of the lease.
    pub async fn claim_due(&self, now: Timestamp, most: usize) -> Result<Vec<String>, SubscribersError> {
        let script = Script::new(CLAIM_DUE);
        let ids = script
            .key("broadsheet:due")
            .arg(now.as_millisecond())
            .arg(now.as_millisecond() + LEASE_MS)
            .arg(most)
            .invoke_async(&mut self.redis.clone())
            .await?;
        Ok(ids)
    }

    /// Sets when a subscriber is due next, unless the subscription ended meanwhile.
    pub async fn set_due(&self, id: &str, due: Timestamp) -> Result<(), SubscribersError> {
        let () = redis::cmd("ZADD")
            .arg("broadsheet:due")
            .arg("XX")
            .arg(due.as_millisecond())
            .arg(id)
            .query_async(&mut self.redis.clone())
            .await?;
        Ok(())
    }

    /// When a subscriber is due next.
    pub async fn due(&self, id: &str) -> Result<Option<Timestamp>, SubscribersError> {
        let score: Option<f64> = self.redis.clone().zscore("broadsheet:due", id).await?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "milliseconds since the epoch are whole and far below 2^53"
        )]
        let due = score.and_then(|score| Timestamp::from_millisecond(score as i64).ok());
        Ok(due)
    }

    /// When the next digest of anybody is due.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, SubscribersError> {
        let first: Vec<(String, f64)> = self.redis.clone().zrange_withscores("broadsheet:due", 0, 0).await?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "milliseconds since the epoch are whole and far below 2^53"
        )]
        let due = first
            .first()
            .and_then(|(_, score)| Timestamp::from_millisecond(*score as i64).ok());
        Ok(due)
    }

    /// Papers a subscriber was sent before.
    pub async fn sent_papers(&self, id: &str) -> Result<HashSet<PaperId>, SubscribersError> {
        let ids: Vec<String> = self.redis.clone().smembers(sent_key(id)).await?;
        Ok(ids.iter().filter_map(|id| PaperId::parse(id).ok()).collect())
    }

    /// The record of an edition.
    pub async fn record(&self, id: &str, slot: Timestamp) -> Result<Option<Record>, SubscribersError> {
        let key = delivery_key(id, slot);
        let fields: HashMap<String, String> = self.redis.clone().hgetall(&key).await?;
        if fields.is_empty() {
            return Ok(None);
        }
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let papers: Vec<String> = match fields.get("papers") {
            Some(papers) => serde_json::from_str(papers).map_err(|error| corrupt(&key, &error))?,
            None => Vec::new(),
        };
        Ok(Some(Record {
            state: field("state"),
            papers: papers.iter().filter_map(|id| PaperId::parse(id).ok()).collect(),
            message_id: field("message_id"),
            detail: field("detail"),
            at: field("at")
                .parse()
                .ok()
                .and_then(|at| Timestamp::from_millisecond(at).ok())
                .unwrap_or_default(),
        }))
    }

    /// Claims an edition for handing over, and fixes its papers.
    pub async fn claim(
        &self,
        id: &str,
        slot: Timestamp,
        papers: &[PaperId],
        message_id: &str,
        now: Timestamp,
    ) -> Result<Claim, SubscribersError> {
        let key = delivery_key(id, slot);
        let papers: Vec<&str> = papers.iter().map(PaperId::as_str).collect();
        let papers = serde_json::to_string(&papers).map_err(|error| corrupt(&key, &error))?;
        let script = Script::new(CLAIM_DELIVERY);
        let answer: String = script
            .key(&key)
            .arg(now.as_millisecond())
            .arg(now.as_millisecond() + LEASE_MS)
            .arg(papers)
            .arg(message_id)
            .invoke_async(&mut self.redis.clone())
            .await?;
        Ok(match answer.as_str() {
            "go" => Claim::Go,
            "again" => Claim::Again,
            "busy" => Claim::Busy,
            _ => Claim::Done,
        })
    }

    /// Records how an edition ended. With `sent` the papers count as sent from now on.
    pub async fn settle(&self, id: &str, slot: Timestamp, record: &Record) -> Result<(), SubscribersError> {
        let key = delivery_key(id, slot);
        let mut pipe = redis::pipe();
        let at = record.at.as_millisecond();
        pipe.atomic();
        pipe.hset(&key, "state", &record.state).ignore();
        pipe.hset(&key, "detail", &record.detail).ignore();
        pipe.hset(&key, "at", at).ignore();
        pipe.zadd(deliveries_key(id), slot.as_millisecond(), slot.as_millisecond())
            .ignore();
        if record.state == "sent" {
            let papers: Vec<&str> = record.papers.iter().map(PaperId::as_str).collect();
            pipe.sadd(sent_key(id), papers).ignore();
        }
        let () = pipe.query_async(&mut self.redis.clone()).await?;
        Ok(())
    }

    /// Slots with a record, newest first, older than a given one.
    pub async fn slots(
        &self,
        id: &str,
        before: Option<Timestamp>,
        most: usize,
    ) -> Result<Vec<Timestamp>, SubscribersError> {
        let from = before.map_or("+inf".to_owned(), |before| format!("({}", before.as_millisecond()));
        let slots: Vec<i64> = redis::cmd("ZREVRANGEBYSCORE")
            .arg(deliveries_key(id))
            .arg(from)
            .arg("-inf")
            .arg("LIMIT")
            .arg(0)
            .arg(most)
            .query_async(&mut self.redis.clone())
            .await?;
        Ok(slots
            .into_iter()
            .filter_map(|slot| Timestamp::from_millisecond(slot).ok())
            .collect())
    }
}

fn subscriber_key(id: &str) -> String {
    format!("broadsheet:subscriber:{id}")
}

fn email_key(email: &EmailAddress) -> String {
    format!("broadsheet:email:{}", email.key())
}

fn delivery_key(id: &str, slot: Timestamp) -> String {
    format!("broadsheet:delivery:{id}:{}", slot.as_millisecond())
}

fn deliveries_key(id: &str) -> String {
    format!("broadsheet:deliveries:{id}")
}

fn sent_key(id: &str) -> String {
    format!("broadsheet:sent:{id}")
}

fn corrupt(key: &str, problem: &dyn std::fmt::Display) -> SubscribersError {
    SubscribersError::Corrupt {
        key: key.to_owned(),
        problem: problem.to_string(),
    }
}
