//! How many wishes to subscribe are taken: each network and all callers together have a bucket of tokens, so that nobody's
//! form floods strangers with confirmation mails. And how often a subscription has webhooks asked whether they agree: the
//! URL is one that its reader chose, and may be anybody's.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use redis::Script;

use super::{Subscribers, SubscribersError};

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take.lua")));

/// Wishes to subscribe in a minute, at most; that many may also come at once.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// From everywhere.
    pub all: u32,
    /// From one network: a /24 of IPv4, a /48 of IPv6.
    pub network: u32,
}

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
/// Challenges that one subscription has sent in an hour, at most; that many may also come at once.
const CHALLENGES: u32 = 10;

/// A bucket of tokens.
struct Bucket {
    key: String,
    holds: u32,
    filled_in: Duration,
}

impl Subscribers {
    /// Takes one wish; the answer is after how long to try again where there are too many.
    pub async fn admit(
        &self,
        rates: Rates,
        from: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Option<Duration>, SubscribersError> {
        let by_minute = |name: &str, holds| Bucket {
            key: format!("broadsheet:rate:{name}"),
            holds,
            filled_in: MINUTE,
        };
        let mut buckets = vec![by_minute("all", rates.all)];
        buckets.extend(from.map(|address| by_minute(&network(address), rates.network)));
        self.take(buckets, now).await
    }

    /// Takes one challenge for a subscription; the answer is after how long to try again where there were too many.
    pub async fn admit_challenge(&self, id: &str, now: Timestamp) -> Result<Option<Duration>, SubscribersError> {
        let bucket = Bucket {
            key: format!("broadsheet:rate:challenges:{id}"),
            holds: CHALLENGES,
            filled_in: HOUR,
        };
        self.take(vec![bucket], now).await
    }

    /// Takes a token from each bucket, or none from any.
    async fn take(&self, buckets: Vec<Bucket>, now: Timestamp) -> Result<Option<Duration>, SubscribersError> {
        let mut keys = Vec::with_capacity(buckets.len());
        let mut arguments = vec![now.as_millisecond().to_string()];
        for bucket in buckets {
            keys.push(bucket.key);
            arguments.extend([bucket.holds.to_string(), bucket.filled_in.as_millis().to_string()]);
        }
        let arguments: Vec<Vec<u8>> = arguments.into_iter().map(String::into_bytes).collect();
        let wait: u64 = self.script(&TAKE, &keys, &arguments).await?;
        Ok((wait > 0).then(|| Duration::from_millis(wait)))
    }
}

/// The network of an address, as text.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::House;

    #[tokio::test]
    async fn a_network_is_held_back_before_the_others() {
        let house = House::build().await;
        let rates = Rates { all: 5, network: 2 };
        let admit = async |from: &str, seconds: i64| {
            let now = house.now.saturating_add(jiff::SignedDuration::from_secs(seconds));
            let from = Some(from.parse().expect("an address"));
            let admitted = house.subscribers.admit(rates, from, now.expect("a moment"));
            admitted.await.expect("redis answers")
        };
        assert_eq!(admit("192.0.2.1", 0).await, None);
        assert_eq!(admit("192.0.2.77", 0).await, None);
        assert_eq!(admit("192.0.2.3", 0).await, Some(Duration::from_secs(30)));
        assert_eq!(admit("2001:db8:1:2::3", 0).await, None, "another network");
        assert_eq!(admit("192.0.2.3", 30).await, None, "a token is back");
        // 5 + 2.5 - 4 = 3.5 of all are left.
        for last in ["198.51.100.1", "203.0.113.1", "233.252.0.1"] {
            assert_eq!(admit(last, 30).await, None);
        }
        assert_eq!(
            admit("240.0.0.1", 30).await,
            Some(Duration::from_secs(6)),
            "all together"
        );
    }

    #[tokio::test]
    async fn a_subscription_has_so_many_challenges_in_an_hour() {
        let house = House::build().await;
        let admit = async |id: &str, minutes: i64| {
            let admitted = house.subscribers.admit_challenge(id, house.later(minutes));
            admitted.await.expect("redis answers")
        };
        for _ in 0..CHALLENGES {
            assert_eq!(admit("ada", 0).await, None);
        }
        assert_eq!(admit("ada", 0).await, Some(Duration::from_mins(6)));
        assert_eq!(admit("bob", 0).await, None, "another subscription");
        assert_eq!(admit("ada", 6).await, None, "a token is back");
        assert!(admit("ada", 6).await.is_some());
    }
}
