//! How many wishes to subscribe are taken: each network and all callers together have a bucket of tokens, so that nobody's
//! form floods strangers with confirmation mails.

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

impl Subscribers {
    /// Takes one wish; the answer is after how long to try again where there are too many.
    pub async fn admit(
        &self,
        rates: Rates,
        from: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Option<Duration>, SubscribersError> {
        let mut keys = vec!["broadsheet:rate:all".to_owned()];
        let mut arguments = vec![now.as_millisecond().to_string(), rates.all.to_string()];
        if let Some(address) = from {
            keys.push(format!("broadsheet:rate:{}", network(address)));
            arguments.push(rates.network.to_string());
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
}
