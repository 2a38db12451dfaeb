//! Soft bounces: editions that came back although the address may be a good one. A few in a row say that it is not.
//!
//! Kept in Redis alone, by the slots of the editions: what is lost there begins anew.

use jiff::{SignedDuration, Timestamp};

use super::deliveries::Stage;
use super::{Channel, Subscribers, SubscribersError, millis};

/// When soft bounces end a subscription.
#[derive(Debug, Clone, Copy)]
pub struct SoftBounces {
    /// So many editions that came back in a row; 0 never does.
    pub most: usize,
    /// All of them within this time.
    pub within: SignedDuration,
}

impl Subscribers {
    /// Takes note that the edition of a slot came back softly; true where that is once too often.
    pub async fn soft_bounced(&self, id: &str, slot: Timestamp, limit: SoftBounces) -> Result<bool, SubscribersError> {
        let (key, at) = (soft_key(id), slot.as_millisecond());
        let (kept, retention) = (2 * millis(limit.within), millis(self.terms.retention));
        let mut noting = redis::pipe();
        noting.cmd("ZADD").arg(&key).arg(at).arg(at).ignore();
        noting
            .cmd("ZREMRANGEBYSCORE")
            .arg(&key)
            .arg("-inf")
            .arg(at - kept)
            .ignore();
        noting.cmd("PEXPIRE").arg(&key).arg(retention).ignore();
        noting.cmd("ZRANGE").arg(&key).arg(0).arg(-1);
        let (bounced,): (Vec<i64>,) = noting.query_async(&mut self.redis.clone()).await?;
        let sent = self.sent_between(id, at - kept, at + kept).await?;
        let sent: Vec<(i64, bool)> = sent.into_iter().map(|slot| (slot, bounced.contains(&slot))).collect();
        Ok(too_often(&sent, at, limit.most, millis(limit.within)))
    }

    /// Slots whose editions were mailed, oldest first, in milliseconds.
    async fn sent_between(&self, id: &str, from: i64, to: i64) -> Result<Vec<i64>, SubscribersError> {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(Channel::Mail.deliveries_key(id)).arg(from).arg(to);
        let slots: Vec<i64> = self.ask(&command).await?;
        let mut sent = Vec::with_capacity(slots.len());
        for slot in slots {
            let Ok(moment) = Timestamp::from_millisecond(slot) else {
                continue;
            };
            // A bounce may be faster than our record of the mail.
            let stage = self.record(Channel::Mail, id, moment).await?.stage;
            if matches!(stage, Stage::Sent | Stage::Sending) {
                sent.push(slot);
            }
        }
        Ok(sent)
    }
}

/// Whether so many editions in a row, one of them that of `slot`, came back within a time. `sent` has for each edition
/// whether it did, oldest first; one that did not ends a row.
fn too_often(sent: &[(i64, bool)], slot: i64, most: usize, within: i64) -> bool {
    if most == 0 {
        return false;
    }
    sent.windows(most).any(|row| {
        let [(first, _), ..] = row else { return false };
        let last = row.last().map_or(*first, |(last, _)| *last);
        row.iter().all(|(_, bounced)| *bounced) && (*first..=last).contains(&slot) && last - first <= within
    })
}

pub(super) fn soft_key(id: &str) -> String {
    format!("broadsheet:soft:{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_broken_by_an_edition_that_stayed_and_by_time() {
        let rows = |marks: &str| -> Vec<(i64, bool)> {
            let days = marks.chars().enumerate();
            days.filter(|(_, mark)| *mark != ' ')
                .map(|(day, mark)| (i64::try_from(day).expect("few"), mark == 'x'))
                .collect()
        };
        for (marks, slot, expected) in [
            ("xxx", 2, true),
            ("xxx", 0, true),
            ("x xx", 3, true),
            ("xx.x", 3, false),
            ("xxx.x", 4, false),
            ("xx", 1, false),
            ("x    xx", 6, false),
            (".xxx", 0, false),
            ("", 0, false),
        ] {
            assert_eq!(too_often(&rows(marks), slot, 3, 4), expected, "{marks:?} {slot}");
        }
        assert!(!too_often(&rows("xxx"), 0, 0, 4));
    }
}
