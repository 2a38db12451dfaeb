//! [`RateLimiter`] over Redis: token buckets and windows that all replicas share.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use redis::Script;

use super::connection::RedisConnection;
use super::keys;
use crate::ports::{FullWindow, RateLimiter, SlidingWindow, StoreError, TokenBucket};

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take.lua")));
static COUNT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("count.lua")));

/// Buckets in Redis.
pub struct RedisRateLimiter {
    connection: RedisConnection,
}

impl RedisRateLimiter {
    /// Over a connection.
    pub fn new(connection: RedisConnection) -> Self {
        Self { connection }
    }

    async fn ask(
        &self,
        windows: &[SlidingWindow],
        event: &str,
        now: Timestamp,
    ) -> Result<Option<FullWindow>, StoreError> {
        let mut arguments = vec![now.as_millisecond().to_string(), event.to_owned()];
        let mut keys = Vec::with_capacity(windows.len());
        for window in windows {
            keys.push(keys::window(&window.name));
            arguments.extend([window.most.to_string(), window.length.as_millis().to_string()]);
        }
        let arguments: Vec<Vec<u8>> = arguments.into_iter().map(String::into_bytes).collect();
        let (place, wait): (usize, u64) = self.connection.script(&COUNT, &keys, &arguments).await?;
        Ok(place.checked_sub(1).map(|index| FullWindow {
            index,
            wait: Duration::from_millis(wait),
        }))
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

    async fn count(
        &self,
        windows: &[SlidingWindow],
        event: &str,
        now: Timestamp,
    ) -> Result<Option<FullWindow>, StoreError> {
        self.ask(windows, event, now).await
    }

    async fn full_window(&self, windows: &[SlidingWindow], now: Timestamp) -> Result<Option<FullWindow>, StoreError> {
        self.ask(windows, "", now).await
    }

    async fn uncount(&self, windows: &[SlidingWindow], event: &str, counted: Timestamp) -> Result<(), StoreError> {
        let mut removing = redis::pipe();
        for window in windows {
            let entry = format!("{} {event}", counted.as_millisecond());
            removing
                .cmd("LREM")
                .arg(keys::window(&window.name))
                .arg(1)
                .arg(entry)
                .ignore();
        }
        self.connection.pipeline(&removing).await
    }
}
