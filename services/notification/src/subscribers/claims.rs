//! Who may act for whom: due subscribers are taken in chunks, under a lease and a fencing token.
//!
//! The token is a number that only grows. Every later script of the attempt brings it along, and none of them lets an
//! owner act on an edition that a later owner has had in hand, however long the earlier one was paused.

use std::sync::LazyLock;

use jiff::Timestamp;
use redis::Script;

use super::{Channel, Subscribers, SubscribersError, millis};

const EPOCH: &str = "broadsheet:epoch";

static CLAIM_DUE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("claim_due.lua")));

/// The right to act, of one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// Grows with every claim.
    pub epoch: u64,
    /// Unique: the epoch and the process, in case Redis forgot an epoch that it gave.
    pub owner: String,
}

/// A chunk of subscribers that are due.
#[derive(Debug)]
pub struct Claimed {
    /// Under what they are held.
    pub fence: Fence,
    /// Their ids, the longest due first.
    pub ids: Vec<String>,
}

impl Subscribers {
    /// Takes up to `most` subscribers that are due on a channel; nobody else gets them for the length of the lease.
    pub async fn claim_due(&self, channel: Channel, now: Timestamp, most: usize) -> Result<Claimed, SubscribersError> {
        self.pay_what_is_owed().await?;
        let now = now.as_millisecond();
        let arguments = [
            now.to_string(),
            (now + millis(self.terms.lease)).to_string(),
            most.to_string(),
        ];
        let keys = [channel.due_key().to_owned(), EPOCH.to_owned()];
        let (epoch, ids) = self
            .script(&CLAIM_DUE, &keys, &arguments.map(String::into_bytes))
            .await?;
        Ok(Claimed {
            fence: self.fence_of(epoch),
            ids,
        })
    }

    /// A fence for an attempt that nothing is due for, such as an operator's.
    pub async fn fence(&self) -> Result<Fence, SubscribersError> {
        let epoch = self.ask(redis::cmd("INCR").arg(EPOCH)).await?;
        Ok(self.fence_of(epoch))
    }

    /// Sets when subscribers are due next on a channel, unless their subscriptions ended meanwhile.
    pub async fn set_all_due(&self, channel: Channel, due: &[(&str, Timestamp)]) -> Result<(), SubscribersError> {
        if due.is_empty() {
            return Ok(());
        }
        let mut command = redis::cmd("ZADD");
        command.arg(channel.due_key()).arg("XX");
        for (id, due) in due {
            command.arg(due.as_millisecond()).arg(*id);
        }
        self.ask(&command).await
    }

    fn fence_of(&self, epoch: u64) -> Fence {
        Fence {
            epoch,
            owner: format!("{epoch}.{}", self.process),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::subscribers::Channel;
    use crate::subscribers::deliveries::{Attempt, Begin, Certainty, Claim, Intention, Pick, Record, Stage};
    use crate::testing::House;

    const ADA: &str = "ada@example.org";

    #[tokio::test]
    async fn due_subscribers_are_claimed_by_one_and_again_after_the_lease() {
        let house = House::build().await;
        house.reader(ADA, &[]).await;
        house.set_due(ADA, 0).await;
        let claim = async |minutes| {
            let claimed = house.subscribers.claim_due(Channel::Mail, house.later(minutes), 10);
            claimed.await.expect("redis answers")
        };
        let (left, right) = tokio::join!(claim(0), claim(0));
        assert_eq!(left.ids.len() + right.ids.len(), 1);
        assert!(claim(0).await.ids.is_empty());
        let again = claim(2).await;
        assert_eq!(again.ids, [ADA]);
        assert!(again.fence.epoch > left.fence.epoch.max(right.fence.epoch));
    }

    #[tokio::test]
    async fn an_owner_who_was_overtaken_can_do_nothing_any_more() {
        let house = House::build().await;
        let slot = house.now;
        house.reader(ADA, &[]).await;
        let store = &house.subscribers;
        let (early, late) = (
            store.fence().await.expect("a fence"),
            store.fence().await.expect("a fence"),
        );
        let attempt = |fence| Attempt {
            fence,
            channel: Channel::Mail,
            id: ADA,
            slot,
        };
        let papers = [Pick {
            id: "x:a".to_owned(),
            score: 1.0,
            reason: String::new(),
            trending: 0.25,
            interest: Some(2),
        }];
        let intend = async |fence, minutes| {
            let intention = Intention {
                attempt: attempt(fence),
                papers: &papers,
                message_id: "<m>",
            };
            let claims = store.intend(&[intention], house.later(minutes)).await;
            claims.expect("redis answers").remove(0).expect("papers that parse")
        };
        assert!(matches!(intend(&early, 0).await, Claim::Go(_)));
        assert_eq!(intend(&late, 0).await, Claim::Busy, "the lease holds");
        assert!(matches!(intend(&late, 2).await, Claim::Go(_)));
        // The early owner slept; neither it nor the record's coming free lets it act.
        assert_eq!(
            store.begin(attempt(&early), house.later(2)).await.expect("answered"),
            Begin::Lost
        );
        let deferred = Record {
            stage: Stage::Deferred,
            at: house.later(2),
            ..Record::default()
        };
        let put_off = async |fence| {
            let settled = store
                .settle(attempt(fence), &deferred, house.later(60), Certainty::Untaken)
                .await;
            settled.expect("redis answers")
        };
        assert!(!put_off(&early).await);
        assert!(put_off(&late).await);
        assert!(put_off(&late).await, "a second try of the same answer is one");
        assert_eq!(
            store
                .record(Channel::Mail, ADA, slot)
                .await
                .expect("redis answers")
                .attempts,
            1
        );
        assert_eq!(intend(&early, 30).await, Claim::Busy, "free, but not for the past");
        assert!(!put_off(&early).await);
        // But a mail that is out is out, whoever says so.
        let sent = Record {
            stage: Stage::Sent,
            picks: papers.to_vec(),
            at: house.later(3),
            ..Record::default()
        };
        assert!(
            store
                .sent(attempt(&early), &sent, house.later(60))
                .await
                .expect("answered")
        );
        let newest = store.fence().await.expect("a fence");
        assert_eq!(intend(&newest, 30).await, Claim::Done);
    }
}
