//! Requests that come at about the same time are sent together: while one batch is being answered the next one gathers.
//! Nothing waits for a clock, and under load a round trip, a script call and a write of the append-only file serve many
//! digests.
//!
//! It does not know what is requested. Each request has an answer of its own.
//!
//! Last checks, log entries and outcomes of digests go this way. A mail is `sending` only while it has one of
//! `notification.connections`, and its connection is free again once its outcome is recorded. The log has an eighth of the
//! lease to answer; after that the digest is settled in Redis, and the log entry is retried.

use std::sync::Arc;

use common::tasks::{Tasks, contained};
use redis::{FromRedisValue, RedisError, Script, Value};
use tokio::sync::{mpsc, oneshot};

use super::connection::{RedisConnection, corrupt};
use crate::ports::{Each, StoreError};

/// Redis does nothing else while it works on a batch: a millisecond or so. What goes out for it stays below the 64 kB from
/// which the allocator tidies up whenever memory is given back.
const MOST: usize = 32;

/// Gathers requests into batches. Clones share it.
pub struct Batcher<Q, A> {
    requests: mpsc::UnboundedSender<(Q, oneshot::Sender<A>)>,
}

impl<Q, A> Clone for Batcher<Q, A> {
    fn clone(&self) -> Self {
        Self {
            requests: self.requests.clone(),
        }
    }
}

impl<Q: Send + 'static, A: Send + 'static> Batcher<Q, A> {
    /// Has batches answered, one after the other, each with as many answers as requests. A panic in answering ends those
    /// requests alone, without an answer. After the stop it goes on until all tasks that may ask have ended.
    pub fn start<F>(tasks: &Tasks, name: &'static str, answer: impl Fn(Vec<Q>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Vec<A>> + Send,
    {
        let (requests, mut received) = mpsc::unbounded_channel::<(Q, oneshot::Sender<A>)>();
        let stop = tasks.stop().clone();
        tasks.run_for_others(name, async move {
            let mut waiting = Vec::with_capacity(MOST);
            while received.recv_many(&mut waiting, MOST).await > 0 {
                let (requests, senders): (Vec<Q>, Vec<oneshot::Sender<A>>) = waiting.drain(..).unzip();
                let Some(answers) = contained(name, answer(requests)).await else {
                    continue;
                };
                for (sender, answer) in senders.into_iter().zip(answers) {
                    // Whoever asked may have been cut off.
                    let _ = sender.send(answer);
                }
            }
            // Whoever held the last handle is gone, which is as good as the stop.
            stop.cancelled().await;
        });
        Self { requests }
    }

    /// The answer; none where the process is ending, or answering panicked.
    pub async fn ask(&self, request: Q) -> Option<A> {
        let (sender, answer) = oneshot::channel();
        self.requests.send((request, sender)).ok()?;
        answer.await.ok()
    }
}

/// What a script is given for one thing; it is called for many of the same shape.
#[derive(Debug)]
pub struct ScriptCall {
    /// Its keys.
    pub keys: Vec<String>,
    /// Its arguments.
    pub arguments: Vec<Vec<u8>>,
}

/// A script whose calls gather.
pub type ScriptBatcher<A> = Batcher<ScriptCall, Result<A, StoreError>>;

/// Gathers the calls of a script.
pub fn script_batcher<A>(
    tasks: &Tasks,
    name: &'static str,
    connection: &RedisConnection,
    script: &'static Script,
) -> ScriptBatcher<A>
where
    A: FromRedisValue + Send + 'static,
{
    let connection = connection.clone();
    Batcher::start(tasks, name, move |calls: Vec<ScriptCall>| {
        let connection = connection.clone();
        async move {
            let count = calls.len();
            match call_together(&connection, script, calls).await {
                Ok(answers) => answers,
                Err(error) => {
                    let error = Arc::new(error);
                    let shared = |_| Err(StoreError::Shared(Arc::clone(&error)));
                    (0..count).map(shared).collect()
                }
            }
        }
    })
}

/// Calls a script for any number of things, in batches; answers in their order. One that fails takes no other along.
pub async fn call_in_batches<A: FromRedisValue>(
    connection: &RedisConnection,
    script: &Script,
    calls: Vec<ScriptCall>,
) -> Each<A> {
    let mut answers = Vec::with_capacity(calls.len());
    let mut calls = calls.into_iter();
    loop {
        let batch: Vec<ScriptCall> = calls.by_ref().take(MOST).collect();
        if batch.is_empty() {
            return Ok(answers);
        }
        answers.extend(call_together(connection, script, batch).await?);
    }
}

async fn call_together<A: FromRedisValue>(
    connection: &RedisConnection,
    script: &Script,
    calls: Vec<ScriptCall>,
) -> Each<A> {
    let count = calls.len();
    let (mut keys, mut arguments) = (Vec::new(), Vec::new());
    for one in calls {
        keys.extend(one.keys);
        arguments.extend(one.arguments);
    }
    let each = keys.len() / count.max(1);
    let answers: Vec<Value> = connection.script(script, &keys, &arguments).await?;
    let first_keys = keys.iter().step_by(each.max(1));
    Ok(first_keys.zip(answers).map(|(key, answer)| read(key, answer)).collect())
}

/// One of the answers. An error among them would be taken for the answer to all, so the scripts put it into words.
fn read<A: FromRedisValue>(key: &str, answer: Value) -> Result<A, StoreError> {
    if let Value::BulkString(text) = &answer
        && let Some(problem) = text.strip_prefix(b"failed: ")
    {
        return Err(corrupt(key, String::from_utf8_lossy(problem)));
    }
    Ok(A::from_redis_value(answer).map_err(RedisError::from)?)
}
