//! What composing a chunk of editions reads, in one pipeline for subscribers and one for what they were sent before.
//!
//! One that does not parse takes nobody along: each has a result of its own.

use std::collections::HashMap;

use domain::preferences::Channels;
use domain::{EncoderId, Int8Vector};
use jiff::Timestamp;
use redis::{FromRedisValue, Pipeline, RedisError, Value};

use super::deliveries::{Record, record};
use super::seen::Seen;
use super::vectors::kept_vectors;
use super::{Channel, Subscriber, Subscribers, SubscribersError, broken, subscriber, subscriber_key};

/// A subscriber with the kept vectors of the interests.
#[derive(Debug)]
pub struct Standing {
    /// The subscriber.
    pub subscriber: Subscriber,
    /// Whose they are, and one per interest; none where they have to be made.
    pub vectors: Option<(EncoderId, Vec<Int8Vector>)>,
}

/// What happened before an attempt at an edition.
#[derive(Debug, Default)]
pub struct Past {
    /// The record of this edition.
    pub record: Record,
    /// The papers of earlier ones.
    pub seen: Seen,
}

impl Subscribers {
    /// Subscribers by id, in order; none where there is nobody.
    pub async fn standing(
        &self,
        ids: &[String],
    ) -> Result<Vec<Result<Option<Standing>, SubscribersError>>, SubscribersError> {
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.cmd("HGETALL").arg(subscriber_key(id));
        }
        let answers = self.ask_all(&mut pipeline).await?;
        let read = |(id, answer): (&String, Value)| standing(id, &parse(answer)?);
        Ok(ids.iter().zip(answers).map(read).collect())
    }

    /// What was sent to subscribers before, and what is known of these editions on a way, in order. Papers that the other
    /// way has fixed are those of an edition that has none yet.
    pub async fn pasts(
        &self,
        channel: Channel,
        editions: &[(&str, Timestamp, Channels)],
    ) -> Result<Vec<Result<Past, SubscribersError>>, SubscribersError> {
        let mut pipeline = redis::pipe();
        for (id, slot, channels) in editions {
            pipeline.cmd("HGETALL").arg(channel.delivery_key(id, *slot));
            pipeline.cmd("GET").arg(seen_key(id));
            if *channels == Channels::Both {
                pipeline.cmd("HGETALL").arg(channel.other().delivery_key(id, *slot));
            }
        }
        let mut answers = self.ask_all(&mut pipeline).await?.into_iter();
        let mut next = || answers.next().unwrap_or(Value::Nil);
        let read = |(id, slot, channels): &(&str, Timestamp, Channels)| {
            let (fields, packed) = (next(), next());
            let beside = (*channels == Channels::Both).then(&mut next);
            let packed: Option<Vec<u8>> = parse(packed)?;
            let mut past = Past {
                record: record(&channel.delivery_key(id, *slot), &parse(fields)?)?,
                seen: Seen::unpack(&packed.unwrap_or_default()),
            };
            if let Some(fields) = beside.filter(|_| past.record.picks.is_empty()) {
                let key = channel.other().delivery_key(id, *slot);
                past.record.picks = record(&key, &parse(fields)?)?.picks;
            }
            Ok(past)
        };
        Ok(editions.iter().map(read).collect())
    }

    /// Many commands that only read, in one round trip.
    async fn ask_all(&self, pipeline: &mut Pipeline) -> Result<Vec<Value>, SubscribersError> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        pipeline.ignore_errors();
        match pipeline.query_async(&mut self.redis.clone()).await {
            Err(error) if broken(&error) => Ok(pipeline.query_async(&mut self.redis.clone()).await?),
            answer => Ok(answer?),
        }
    }
}

fn parse<T: FromRedisValue>(answer: Value) -> Result<T, SubscribersError> {
    let answer = answer.extract_error()?;
    Ok(T::from_redis_value(answer).map_err(RedisError::from)?)
}

fn standing(id: &str, fields: &HashMap<String, Vec<u8>>) -> Result<Option<Standing>, SubscribersError> {
    if !fields.contains_key("state") {
        return Ok(None);
    }
    let subscriber = subscriber(id, fields)?;
    Ok(Some(Standing {
        vectors: kept_vectors(&subscriber, fields)?,
        subscriber,
    }))
}

pub(super) fn seen_key(id: &str) -> String {
    format!("broadsheet:seen:{id}")
}
