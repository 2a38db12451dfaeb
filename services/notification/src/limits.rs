//! How many requests to subscribe are taken: each network and all callers together have a bucket of tokens.

use std::net::IpAddr;
use std::time::Duration;

use crate::ports::TokenBucket;

/// Requests to subscribe in a minute, at most; that many may also come at once. Nobody's form floods strangers with
/// confirmation mails.
#[derive(Debug, Clone, Copy)]
pub struct SubscribeLimits {
    /// From everywhere.
    pub all: u32,
    /// From one network: a /24 of IPv4, a /48 of IPv6.
    pub network: u32,
}

impl SubscribeLimits {
    /// The buckets that a request from an address takes tokens from.
    pub fn buckets(self, from: Option<IpAddr>) -> Vec<TokenBucket> {
        let by_minute = |name: String, capacity| TokenBucket {
            name,
            capacity,
            filled_in: Duration::from_mins(1),
        };
        let mut buckets = vec![by_minute("all".to_owned(), self.all)];
        buckets.extend(from.map(|address| by_minute(network(address), self.network)));
        buckets
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
