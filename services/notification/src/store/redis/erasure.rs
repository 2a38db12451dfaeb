//! Takes what is left of deleted subscribers out of files: their earlier states out of those of the log, and their keys out of
//! the append-only file or snapshot of Redis.
//!
//! A deletion is in force when it is answered; this comes after it. The script that forgets a subscriber puts the id into a
//! set, so that nothing is lost with the process. From there it goes into a second set once the log is done, and out of that
//! once a file of Redis was written that was begun later. The sets hold no address, and an id stands for nobody any more.
//!
//! Redis writes its file anew for many deletions at once, at most every ten minutes, because that takes time and disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::clock::Clock;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::connection::RedisConnection;
use super::keys;
use super::log::SubscriberLog;
use crate::metrics::ERASURES_PENDING;
use crate::ports::StoreError;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(5);
/// Between two files of Redis.
const REWRITE_INTERVAL: Duration = Duration::from_mins(10);
/// Deletions that are erased together.
const MAX_BATCH: usize = 1_000;

/// Erases deleted subscribers from files.
pub struct FileErasure {
    log: SubscriberLog,
    clock: Clock,
}

/// A file that Redis is writing, and who is not in it any more.
struct RunningRewrite {
    kind: RedisFile,
    without: Vec<String>,
}

/// How Redis keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RedisFile {
    AppendOnly,
    Snapshot,
}

impl FileErasure {
    /// Beside a log.
    pub fn new(log: SubscriberLog, clock: Clock) -> Self {
        Self { log, clock }
    }

    fn connection(&self) -> &RedisConnection {
        &self.log.connection
    }

    /// Erases the entries of the log.
    pub async fn erase_from_log(&self) -> Result<(), StoreError> {
        for id in self.members(keys::TO_ERASE).await? {
            self.log.erase(&id).await?;
            let mut moved = redis::cmd("SMOVE");
            moved.arg(keys::TO_ERASE).arg(keys::TO_REWRITE).arg(&id);
            self.connection().ask::<()>(&moved).await?;
            debug!(subscriber = id, "a deleted subscriber is erased from the log");
        }
        Ok(())
    }

    /// Has Redis write its file anew; none where nobody is to be erased, or where Redis is writing one: that may have been
    /// begun before a deletion.
    async fn begin(&self) -> Result<Option<RunningRewrite>, StoreError> {
        let without = self.members(keys::TO_REWRITE).await?;
        if without.is_empty() {
            return Ok(None);
        }
        let state = self.persistence().await?;
        if state.is_writing() {
            return Ok(None);
        }
        let kind = if state.is("aof_enabled", "1") {
            RedisFile::AppendOnly
        } else {
            RedisFile::Snapshot
        };
        let command = match kind {
            RedisFile::AppendOnly => redis::cmd("BGREWRITEAOF"),
            RedisFile::Snapshot => redis::cmd("BGSAVE"),
        };
        self.connection().ask::<()>(&command).await?;
        Ok(Some(RunningRewrite { kind, without }))
    }

    /// Whether a file is written; then nobody of whom it is without is to be erased any more.
    async fn ended(&self, running: &RunningRewrite) -> Result<bool, StoreError> {
        let state = self.persistence().await?;
        if state.is_writing() {
            return Ok(false);
        }
        let outcome = match running.kind {
            RedisFile::AppendOnly => "aof_last_bgrewrite_status",
            RedisFile::Snapshot => "rdb_last_bgsave_status",
        };
        if !state.is(outcome, "ok") {
            warn!("redis could not write its file anew, so deleted subscribers may still lie in it; trying again");
            return Ok(true);
        }
        if running.kind == RedisFile::AppendOnly && self.keeps_snapshots().await {
            // Its own next snapshot would do, too, but nobody knows when that comes.
            let mut save = redis::cmd("BGSAVE");
            self.connection().ask::<()>(save.arg("SCHEDULE")).await?;
        }
        let mut done = redis::cmd("SREM");
        done.arg(keys::TO_REWRITE).arg(&running.without);
        self.connection().ask::<()>(&done).await?;
        info!(
            subscribers = running.without.len(),
            "deleted subscribers are erased from the files of redis"
        );
        Ok(true)
    }

    async fn keeps_snapshots(&self) -> bool {
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg("save");
        // A server that does not answer this keeps its snapshots itself.
        let answer: Result<HashMap<String, String>, StoreError> = self.connection().ask(&command).await;
        answer.is_ok_and(|answer| answer.get("save").is_some_and(|points| !points.is_empty()))
    }

    async fn persistence(&self) -> Result<PersistenceInfo, StoreError> {
        let info: String = self.connection().ask(redis::cmd("INFO").arg("persistence")).await?;
        let fields = info.lines().filter_map(|line| line.trim().split_once(':'));
        Ok(PersistenceInfo(
            fields
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        ))
    }

    async fn members(&self, key: &str) -> Result<Vec<String>, StoreError> {
        let mut command = redis::cmd("SRANDMEMBER");
        self.connection().ask(command.arg(key).arg(MAX_BATCH)).await
    }

    async fn count(&self) -> Result<i64, StoreError> {
        let mut count = 0;
        for key in [keys::TO_ERASE, keys::TO_REWRITE] {
            count += self.connection().ask::<i64>(redis::cmd("SCARD").arg(key)).await?;
        }
        Ok(count)
    }
}

/// What Redis says of its files.
struct PersistenceInfo(HashMap<String, String>);

impl PersistenceInfo {
    fn is(&self, name: &str, value: &str) -> bool {
        self.0.get(name).is_some_and(|known| known == value)
    }

    fn is_writing(&self) -> bool {
        let signs = [
            "aof_rewrite_in_progress",
            "aof_rewrite_scheduled",
            "rdb_bgsave_in_progress",
        ];
        signs.iter().any(|sign| self.is(sign, "1"))
    }
}

/// Runs until the stop.
pub async fn run(erasure: Arc<FileErasure>, stop: CancellationToken) {
    let clock = erasure.clock.clone();
    let mut running: Option<RunningRewrite> = None;
    let mut last: Option<Instant> = None;
    while !stop.is_cancelled() {
        if let Err(error) = look(&erasure, &mut running, &mut last).await {
            warn!(%error, "deleted subscribers are not erased from files yet, trying again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = clock.sleep(INTERVAL) => {}
        }
    }
}

async fn look(
    erasure: &FileErasure,
    running: &mut Option<RunningRewrite>,
    last: &mut Option<Instant>,
) -> Result<(), StoreError> {
    ERASURES_PENDING.set(erasure.count().await?);
    erasure.erase_from_log().await?;
    if let Some(rewrite) = running {
        if erasure.ended(rewrite).await? {
            *running = None;
        }
        return Ok(());
    }
    let now = erasure.clock.instant();
    if last.is_some_and(|last| now.saturating_duration_since(last) < REWRITE_INTERVAL) {
        return Ok(());
    }
    *running = erasure.begin().await?;
    if running.is_some() {
        *last = Some(now);
    }
    Ok(())
}
