//! Subscribers and deliveries in Redis, and in the log beside it. Each change is one script over the version that was read,
//! so nobody ever sees half of it and no change undoes another.
//!
//! | key | what it holds |
//! |---|---|
//! | `broadsheet:subscriber:<id>` | hash: one subscriber, see [`records`] |
//! | `broadsheet:email:<key>` | the id that stands for an address; the first one stays |
//! | `broadsheet:due` | sorted set of the active ids that take mail, by the moment their next digest is due, in ms |
//! | `broadsheet:due:webhook` | the same for those that take digests by webhook |
//! | `broadsheet:paused` | sorted set of the paused ids whose pause ends by itself, by that moment, in ms |
//! | `broadsheet:suppressed` | hash: what is said of each address that must get no mail, by its hash, see [`suppressions`] |
//! | `broadsheet:logged` | hash: how far the log is known to be in here, see [`recovery`] |
//! | `broadsheet:pending:<id>` | string: a request to subscribe, or whose subscription it became; for a week, see [`pending`] |
//! | `broadsheet:pending_of:<hash>` | set: the requests of a mailbox |
//! | `broadsheet:pending_ends`, `broadsheet:pending_bytes` | sorted set of the requests by their ends, in ms; bytes they take |
//! | `broadsheet:rate:<name>` | hash: a bucket of tokens |
//! | `broadsheet:window:<name>` | list: the last events of a window, the newest first |
//! | `broadsheet:delivery:<id>:<slot ms>` | hash: one digest, see [`ledger`] |
//! | `broadsheet:deliveries:<id>` | sorted set of slots with a delivery |
//! | `broadsheet:call:<id>:<slot ms>`, `broadsheet:calls:<id>` | the same for the webhook |
//! | `broadsheet:seen:<id>` | string: the papers a subscriber was sent lately, see [`seen`](crate::subscribers::seen) |
//! | `broadsheet:soft:<id>` | sorted set of slots whose mails came back softly |
//! | `broadsheet:to_erase`, `broadsheet:to_rewrite` | sets of deleted ids that may still lie in files, see [`erasure`] |
//! | `broadsheet:epoch` | the last fencing token |
//!
//! A change is answered when Redis and the log have it. An unsubscription is in force when the call returns: it waits for
//! the append-only file (`WAITAOF`, Redis 7.2), and where the server has no such command it is as durable as the server's
//! `appendfsync`; the log has it in any case, and has it alone while Redis does not answer. A mail that is already being
//! handed to the mail server at that moment cannot be called back.

mod batches;
mod connection;
mod due_queue;
pub mod erasure;
mod keys;
mod ledger;
mod log;
mod pending;
mod rate_limiter;
pub mod reconciler;
mod records;
mod recovery;
mod subscribers;
mod suppressions;

use std::sync::Arc;

use common::clock::Clock;
use common::journal::Journal;
use common::tasks::Tasks;
use common::tls::{self, ClientTls};

pub use self::connection::RedisConnection;
pub use self::due_queue::RedisDueQueue;
pub use self::ledger::RedisLedger;
pub use self::pending::RedisPending;
pub use self::rate_limiter::RedisRateLimiter;
pub use self::recovery::RedisRecovery;
pub use self::subscribers::RedisSubscribers;

use self::due_queue::Wakeups;
use self::erasure::FileErasure;
use self::log::SubscriberLog;
use crate::ports::{StoreError, StoreTimes};

/// Everything that Redis keeps for this service, over one connection.
#[derive(Clone)]
pub struct RedisStore {
    /// Subscribers and suppressions.
    pub subscribers: Arc<RedisSubscribers>,
    /// Requests to subscribe.
    pub pending: Arc<RedisPending>,
    /// Deliveries.
    pub ledger: Arc<RedisLedger>,
    /// Who is due.
    pub due_queue: Arc<RedisDueQueue>,
    /// How fast things may come.
    pub rate_limiter: Arc<RedisRateLimiter>,
    /// Brings Redis up to the log.
    pub recovery: Arc<RedisRecovery>,
    /// Erases deleted subscribers from files.
    pub erasure: Arc<FileErasure>,
}

impl RedisStore {
    /// Over a connection, with every change in a log, too, where there is one.
    pub fn new(
        connection: &RedisConnection,
        log: Option<Journal>,
        times: StoreTimes,
        clock: Clock,
        tasks: &Tasks,
    ) -> Self {
        let wakeups = Wakeups::default();
        let log = SubscriberLog::new(connection.clone(), log, clock.clone());
        let recovery = Arc::new(RedisRecovery::new(log.clone(), wakeups.clone(), clock.clone()));
        let erasure = Arc::new(FileErasure::new(log.clone(), clock));
        Self {
            subscribers: Arc::new(RedisSubscribers::new(
                log.clone(),
                wakeups.clone(),
                Arc::clone(&recovery),
            )),
            pending: Arc::new(RedisPending::new(log.clone())),
            ledger: Arc::new(RedisLedger::new(log.clone(), wakeups.clone(), times, tasks)),
            due_queue: Arc::new(RedisDueQueue::new(log, wakeups, times)),
            rate_limiter: Arc::new(RedisRateLimiter::new(connection.clone())),
            recovery,
            erasure,
        }
    }

    /// Connects to a server, and follows its certificates until the stop.
    ///
    /// # Errors
    /// The address is none, or nobody answers there.
    pub async fn connect(
        url: &str,
        certificates: &ClientTls,
        log: Option<Journal>,
        times: StoreTimes,
        clock: Clock,
        tasks: &Tasks,
    ) -> Result<Self, StoreError> {
        let connection = RedisConnection::connect(url, certificates).await?;
        tls::follow_client(certificates, "redis", clock.clone(), tasks);
        connection.follow_certificates(certificates.clone(), clock.clone(), tasks);
        Ok(Self::new(&connection, log, times, clock, tasks))
    }
}

#[cfg(test)]
mod tests;
