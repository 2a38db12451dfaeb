//! [`RateLimiter`] over Redis: token buckets that all replicas share.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use redis::Script;

use super::connection::RedisConnection;
use super::keys;
use crate::ports::{RateLimiter, StoreError, TokenBucket};

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take.lua")));

/// Buckets in Redis.
pub struct RedisRateLimiter {
    connection: RedisConnection,
}

impl RedisRateLimiter {
    /// Over a connection.
    pub fn new(connection: RedisConnection) -> Self {
        Self { connection }
    }
}

#[async_trait]
impl RateLimiter for RedisRateLimiter {
    async fn take(&self, buckets: &[TokenBucket], now: Timestamp) -> Result<Option<Duration>, StoreError> {
        let mut keys = Vec::with_capacity(buckets.len());
        let mut arguments = vec![now.as_millisecond().to_string()];
        for bucket in buckets {
            keys.push(keys::rate(&bucket.name));
            arguments.extend([bucket.capacity.to_string(), bucket.filled_in.as_millis().to_string()]);
        }
        let arguments: Vec<Vec<u8>> = arguments.into_iter().map(String::into_bytes).collect();
        let wait: u64 = self.connection.script(&TAKE, &keys, &arguments).await?;
        Ok((wait > 0).then(|| Duration::from_millis(wait)))
    }
}
