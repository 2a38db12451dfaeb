//! What composing a chunk of editions reads, in one pipeline for subscribers and one for what they were sent before.
//!
//! One that does not parse takes nobody along: each has a result of its own.

use std::collections::HashMap;

use domain::{EncoderId, Int8Vector};
use jiff::Timestamp;
use redis::{FromRedisValue, Pipeline, RedisError, Value};

use super::deliveries::{Record, delivery_key, record};
use super::seen::Seen;
use super::vectors::kept_vectors;
use super::{Subscriber, Subscribers, SubscribersError, broken, subscriber, subscriber_key};

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

    /// What was sent to subscribers before, and what is known of these editions, in order.
    pub async fn pasts(
        &self,
        editions: &[(&str, Timestamp)],
    ) -> Result<Vec<Result<Past, SubscribersError>>, SubscribersError> {
        let mut pipeline = redis::pipe();
        for (id, slot) in editions {
            pipeline.cmd("HGETALL").arg(delivery_key(id, *slot));
            pipeline.cmd("GET").arg(seen_key(id));
        }
        let mut answers = self.ask_all(&mut pipeline).await?.into_iter();
        let read = |(id, slot): &(&str, Timestamp)| {
            let (fields, packed) = (answers.next(), answers.next());
            let packed: Option<Vec<u8>> = parse(packed.unwrap_or(Value::Nil))?;
            Ok(Past {
                record: record(&delivery_key(id, *slot), &parse(fields.unwrap_or(Value::Nil))?)?,
                seen: Seen::unpack(&packed.unwrap_or_default()),
            })
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
