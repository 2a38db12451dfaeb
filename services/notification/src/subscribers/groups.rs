//! What is asked at about the same time is asked together: while one group is being answered the next one gathers. Nothing
//! waits for a clock, and under load a round trip, a script call and a write of the append-only file serve many editions.
//!
//! It does not know what is asked. Each question has an answer of its own.

use std::sync::Arc;

use redis::aio::ConnectionManager;
use redis::{FromRedisValue, RedisError, Script, Value};
use tokio::sync::{mpsc, oneshot};

use super::{SubscribersError, call, corrupt};

/// Redis does nothing else while it works on a group: a millisecond or so. What goes out for it stays below the 64 kB from
/// which the allocator tidies up whenever memory is given back.
const MOST: usize = 32;

/// Where questions gather. Clones share it; the last one ends it.
pub(super) struct Group<Q, A> {
    ask: mpsc::UnboundedSender<(Q, oneshot::Sender<A>)>,
}

impl<Q, A> Clone for Group<Q, A> {
    fn clone(&self) -> Self {
        Self { ask: self.ask.clone() }
    }
}

impl<Q: Send + 'static, A: Send + 'static> Group<Q, A> {
    /// Has groups answered, one after the other, each with as many answers as questions.
    pub fn start<F>(answer: impl Fn(Vec<Q>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Vec<A>> + Send,
    {
        let (ask, mut asked) = mpsc::unbounded_channel::<(Q, oneshot::Sender<A>)>();
        tokio::spawn(async move {
            let mut waiting = Vec::with_capacity(MOST);
            while asked.recv_many(&mut waiting, MOST).await > 0 {
                let (questions, askers): (Vec<Q>, Vec<oneshot::Sender<A>>) = waiting.drain(..).unzip();
                for (asker, answer) in askers.into_iter().zip(answer(questions).await) {
                    // Who asked may have been cut off.
                    let _ = asker.send(answer);
                }
            }
        });
        Self { ask }
    }

    /// The answer; none where the process is ending.
    pub async fn ask(&self, question: Q) -> Option<A> {
        let (answer, answered) = oneshot::channel();
        self.ask.send((question, answer)).ok()?;
        answered.await.ok()
    }
}

/// What a script is given for one thing; it is called for many of the same shape.
#[derive(Debug)]
pub(super) struct Call {
    /// Its keys.
    pub keys: Vec<String>,
    /// Its arguments.
    pub arguments: Vec<Vec<u8>>,
}

/// A script's answers to the calls that gather.
pub(super) type Calls<A> = Group<Call, Result<A, SubscribersError>>;

/// Gathers the calls of a script.
pub(super) fn calls<A>(redis: &ConnectionManager, script: &'static Script) -> Calls<A>
where
    A: FromRedisValue + Send + 'static,
{
    let redis = redis.clone();
    Group::start(move |calls: Vec<Call>| {
        let redis = redis.clone();
        async move {
            let count = calls.len();
            match call_all(&redis, script, calls).await {
                Ok(answers) => answers,
                Err(error) => {
                    let error = Arc::new(error);
                    let shared = |_| Err(SubscribersError::Together(Arc::clone(&error)));
                    (0..count).map(shared).collect()
                }
            }
        }
    })
}

/// Calls a script for any number of things; answers in their order. One that fails takes no other along.
pub(super) async fn call_in_groups<A: FromRedisValue>(
    redis: &ConnectionManager,
    script: &Script,
    calls: Vec<Call>,
) -> Result<Vec<Result<A, SubscribersError>>, SubscribersError> {
    let mut answers = Vec::with_capacity(calls.len());
    let mut calls = calls.into_iter();
    loop {
        let group: Vec<Call> = calls.by_ref().take(MOST).collect();
        if group.is_empty() {
            return Ok(answers);
        }
        answers.extend(call_all(redis, script, group).await?);
    }
}

async fn call_all<A: FromRedisValue>(
    redis: &ConnectionManager,
    script: &Script,
    calls: Vec<Call>,
) -> Result<Vec<Result<A, SubscribersError>>, SubscribersError> {
    let count = calls.len();
    let (mut keys, mut arguments) = (Vec::new(), Vec::new());
    for one in calls {
        keys.extend(one.keys);
        arguments.extend(one.arguments);
    }
    let each = keys.len() / count.max(1);
    let answers: Vec<Value> = call(redis, script, &keys, &arguments).await?;
    let first_keys = keys.iter().step_by(each.max(1));
    Ok(first_keys.zip(answers).map(|(key, answer)| read(key, answer)).collect())
}

/// One of the answers. An error among them would be taken for the answer to all, so the scripts put it into words.
fn read<A: FromRedisValue>(key: &str, answer: Value) -> Result<A, SubscribersError> {
    if let Value::BulkString(text) = &answer
        && let Some(problem) = text.strip_prefix(b"failed: ")
    {
        return Err(corrupt(key, &String::from_utf8_lossy(problem)));
    }
    Ok(A::from_redis_value(answer).map_err(RedisError::from)?)
}

#[cfg(test)]
mod tests {
    use crate::subscribers::Channel;
    use crate::subscribers::deliveries::{Attempt, Begin, Claim, Intention, Pick, Record, Stage};
    use crate::subscribers::reading::seen_key;
    use crate::testing::House;

    #[tokio::test]
    async fn many_are_answered_in_their_order_and_one_that_fails_takes_no_other_along() {
        let house = House::build().await;
        let (store, slot) = (&house.subscribers, house.now);
        let ids: Vec<String> = (0..150).map(|number| format!("r{number}@example.org")).collect();
        for id in &ids {
            house.reader(id, &[]).await;
        }
        let broken = 70;
        let client = redis::Client::open(house.redis.url.as_str()).expect("a url");
        let mut redis = client.get_multiplexed_async_connection().await.expect("redis answers");
        let mut command = redis::cmd("SET");
        command
            .arg(Channel::Mail.delivery_key(&ids[broken], slot))
            .arg("no hash");
        let () = command.query_async(&mut redis).await.expect("redis answers");

        let fence = store.fence().await.expect("a fence");
        let attempt = |id| Attempt {
            fence: &fence,
            channel: Channel::Mail,
            id,
            slot,
        };
        let intention = |id| Intention {
            attempt: attempt(id),
            papers: &[],
            message_id: id,
        };
        let intentions: Vec<Intention<'_>> = ids.iter().map(|id| intention(id)).collect();
        let claims = store.intend(&intentions, house.now).await.expect("redis answers");
        house
            .subscribers
            .unsubscribe(&ids[3], house.now)
            .await
            .expect("unsubscribed");
        let looks = ids.iter().map(|id| store.begin(attempt(id), house.now));
        let looks = futures::future::join_all(looks).await;
        assert_eq!((claims.len(), looks.len()), (ids.len(), ids.len()));
        for (at, (claim, look)) in claims.into_iter().zip(looks).enumerate() {
            match at {
                3 => assert_eq!(look.expect("answered"), Begin::Ended),
                _ if at == broken => assert!(claim.is_err() && look.is_err()),
                _ => {
                    assert_eq!(claim.expect("answered"), Claim::Go(None));
                    assert_eq!(look.expect("answered"), Begin::Go);
                }
            }
        }
    }

    #[tokio::test]
    async fn in_one_group_both_ways_have_the_same_papers_which_are_remembered_once() {
        let house = House::build().await;
        let (store, slot) = (&house.subscribers, house.now);
        let id = house.reader("ada@example.org", &[]).await.id;
        let fence = store.fence().await.expect("a fence");
        let [first, second] = ["x:a", "x:b"].map(|id| vec![Pick::known_only(id)]);
        let attempt = |channel| Attempt {
            fence: &fence,
            channel,
            id: &id,
            slot,
        };
        let intentions = [(Channel::Webhook, &first), (Channel::Mail, &second)].map(|(channel, papers)| Intention {
            attempt: attempt(channel),
            papers,
            message_id: channel.name(),
        });
        let claims = store.intend(&intentions, house.now).await.expect("redis answers");
        let claims: Vec<Claim> = claims.into_iter().map(|claim| claim.expect("answered")).collect();
        assert_eq!(claims, [Claim::Go(None), Claim::Go(Some(first.clone()))]);

        for channel in Channel::ALL {
            let record = Record {
                stage: Stage::Sent,
                picks: first.clone(),
                fixed: true,
                message_id: channel.name().to_owned(),
                at: house.now,
                ..Record::default()
            };
            let sent = store.sent(attempt(channel), &record, house.later(60)).await;
            assert!(sent.expect("redis answers"));
            let record = store.record(channel, &id, slot).await.expect("redis answers");
            assert_eq!(
                (record.stage, record.picks, record.message_id.as_str()),
                (Stage::Sent, first.clone(), channel.name())
            );
        }
        let length: u64 = store
            .ask(redis::cmd("STRLEN").arg(seen_key(&id)))
            .await
            .expect("redis answers");
        assert_eq!(length, 12, "one entry of twelve bytes");
    }
}
