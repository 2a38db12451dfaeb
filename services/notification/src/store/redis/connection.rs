//! The connection to Redis: commands and scripts that do the same when they are done twice are tried again once when it
//! broke under them.

use std::fmt::Display;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use common::clock::Clock;
use common::tasks::Tasks;
use common::tls::{ClientTls, PemContents};

use jiff::{SignedDuration, Timestamp};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo as _,
    Pipeline, RedisError, Script, ScriptInvocation, TlsCertificates, Value,
};
use tracing::{debug, info, warn};

use super::keys;
use crate::ports::StoreError;

/// An answer of Redis may wait for its disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an unsubscription waits for the disk; `everysec` takes a second at most.
const DISK_TIMEOUT_MS: i64 = 3_000;
/// A subscriber with the vector of an interest inside stays in the compact form of a hash up to this length of a value.
const COMPACT_BYTES: &str = "2048";
/// Between two tries to connect with new certificates.
const RETRY: Duration = Duration::from_secs(5);

/// A connection that many share; it is made anew when it breaks, and when its certificates change.
#[derive(Clone)]
pub struct RedisConnection {
    url: Arc<str>,
    current: Arc<RwLock<Connected>>,
}

#[derive(Clone)]
struct Connected {
    client: Client,
    manager: ConnectionManager,
}

impl RedisConnection {
    /// Connects, with TLS where the address says so, and asks Redis to keep hashes compact.
    pub async fn connect(url: &str, tls: &ClientTls) -> Result<Self, StoreError> {
        let this = Self {
            url: url.into(),
            current: Arc::new(RwLock::new(Connected::make(url, &tls.pem()).await?)),
        };
        this.ask_for_compact_hashes().await;
        Ok(this)
    }

    /// Connects anew whenever the certificates have changed, until the stop. What was asked before is answered over the old
    /// connection.
    pub fn follow_certificates(&self, tls: ClientTls, clock: Clock, tasks: &Tasks) {
        let (this, stop) = (self.clone(), tasks.stop().clone());
        tasks.run_infallible("certificates of redis", async move {
            let mut used = tls.pem();
            while stop.run_until_cancelled(tls.changed_from(&used)).await.is_some() {
                let pem = tls.pem();
                match Connected::make(&this.url, &pem).await {
                    Ok(connected) => {
                        *this.current.write().unwrap_or_else(PoisonError::into_inner) = connected;
                        used = pem;
                        info!("redis is connected to with new certificates");
                    }
                    Err(error) => {
                        warn!(%error, "redis cannot be connected to with new certificates");
                        stop.run_until_cancelled(clock.sleep(RETRY)).await;
                    }
                }
            }
        });
    }

    fn manager(&self) -> ConnectionManager {
        self.connected().manager
    }

    fn connected(&self) -> Connected {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The answer to a command that does the same when it is done twice.
    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        match command.query_async(&mut self.manager()).await {
            Err(error) if is_broken(&error) => Ok(command.query_async(&mut self.manager()).await?),
            answer => Ok(answer?),
        }
    }

    /// The answers to many commands that only read, in one round trip; one that fails takes no other along.
    pub async fn read_all(&self, pipeline: &mut Pipeline) -> Result<Vec<Value>, StoreError> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        pipeline.ignore_errors();
        match pipeline.query_async(&mut self.manager()).await {
            Err(error) if is_broken(&error) => Ok(pipeline.query_async(&mut self.manager()).await?),
            answer => Ok(answer?),
        }
    }

    /// The answers to many commands in one round trip, which fail together and are not tried again.
    pub async fn pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, StoreError> {
        Ok(pipeline.query_async(&mut self.manager()).await?)
    }

    /// The answer of a script that does the same when it is done twice.
    pub async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[Vec<u8>],
    ) -> Result<T, StoreError> {
        let call = invocation(script, keys, arguments);
        match call.invoke_async(&mut self.manager()).await {
            Err(error) if is_broken(&error) => Ok(call.invoke_async(&mut self.manager()).await?),
            answer => Ok(answer?),
        }
    }

    /// The answer of a script that is not to be done twice.
    pub async fn script_once<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[Vec<u8>],
    ) -> Result<T, StoreError> {
        Ok(invocation(script, keys, arguments)
            .invoke_async(&mut self.manager())
            .await?)
    }

    /// Calls one script many times in one round trip; answers how often it said 1.
    pub async fn script_each(&self, script: &Script, calls: &[ScriptInvocation<'_>]) -> Result<u64, StoreError> {
        if calls.is_empty() {
            return Ok(0);
        }
        let mut pipeline = redis::pipe();
        pipeline.load_script(script).ignore();
        for call in calls {
            pipeline.invoke_script(call);
        }
        let answers: Vec<u64> = self.pipeline(&pipeline).await?;
        Ok(answers.into_iter().sum())
    }

    /// Returns when everything written before is on the disk of Redis, or says in the log why that is not known.
    pub async fn wait_for_disk(&self) {
        if let Err(error) = self.reach_disk().await {
            debug!(%error, "redis cannot say when it is on disk, relying on its appendfsync");
        }
    }

    async fn reach_disk(&self) -> Result<(), RedisError> {
        // A connection of its own: waiting for the disk holds up everything behind it on the same one. The command waits
        // for what this connection wrote, and the file is in the order of all writes.
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_TIMEOUT));
        let client = self.connected().client;
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let mut redis = connecting.await?;
        let mut mark = redis::cmd("HINCRBY");
        let _: i64 = mark
            .arg(keys::LOGGED)
            .arg("waits")
            .arg(1)
            .query_async(&mut redis)
            .await?;
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

impl Connected {
    async fn make(url: &str, pem: &PemContents) -> Result<Self, StoreError> {
        let info = url
            .into_connection_info()?
            .set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            let identity = pem.identity.clone();
            let certificates = TlsCertificates {
                client_tls: identity.map(|(client_cert, client_key)| ClientTlsConfig {
                    client_cert,
                    client_key,
                }),
                root_cert: pem.authorities.clone(),
            };
            Client::build_with_tls(info, certificates)?
        } else {
            Client::open(info)?
        };
        let config = ConnectionManagerConfig::new().set_response_timeout(Some(ANSWER_TIMEOUT));
        let manager = ConnectionManager::new_with_config(client.clone(), config).await?;
        Ok(Self { client, manager })
    }
}

/// A call of a script.
pub fn invocation<'a>(script: &'a Script, keys: &[String], arguments: &[Vec<u8>]) -> ScriptInvocation<'a> {
    let mut call = script.prepare_invoke();
    for key in keys {
        call.key(key);
    }
    for argument in arguments {
        call.arg(argument);
    }
    call
}

fn is_broken(error: &RedisError) -> bool {
    error.is_connection_dropped() || error.is_io_error()
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        let problem = format!("redis: {error}");
        if is_broken(&error) {
            Self::ConnectionLost(problem)
        } else {
            Self::Unavailable(problem)
        }
    }
}

/// One of several answers.
pub fn parse<T: FromRedisValue>(answer: Value) -> Result<T, StoreError> {
    let answer = answer.extract_error()?;
    Ok(T::from_redis_value(answer).map_err(RedisError::from)?)
}

/// A moment from the score of a sorted set.
#[expect(
    clippy::cast_possible_truncation,
    reason = "milliseconds since the epoch are whole and far below 2^53"
)]
pub fn from_score(score: f64) -> Option<Timestamp> {
    Timestamp::from_millisecond(score as i64).ok()
}

/// Milliseconds, as scripts count.
pub fn millis(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A field of a hash that has to be there and to parse.
pub fn corrupt(key: &str, problem: impl Display) -> StoreError {
    StoreError::corrupt(key, problem)
}
