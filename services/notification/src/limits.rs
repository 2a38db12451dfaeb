//! How many requests to subscribe are taken: each network and all callers together have a bucket of tokens. And how many
//! confirmations are mailed: to one mailbox, to one domain, and in all.

use std::net::IpAddr;
use std::time::Duration;

use domain::EmailAddress;

use crate::ports::{SlidingWindow, TokenBucket};
use crate::subscribers::suppressions::mailbox_hash;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// Confirmations to one mailbox in an hour, and in a day.
const PER_MAILBOX: [u32; 2] = [1, 3];

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

/// Confirmations that are mailed, at most.
#[derive(Debug, Clone, Copy)]
pub struct ConfirmationLimits {
    /// In an hour to one domain.
    pub domain: u32,
    /// In an hour.
    pub hour: u32,
    /// In a day.
    pub day: u32,
}

impl ConfirmationLimits {
    /// The windows of a mailbox: who asks too often for one is answered as if a mail were sent.
    pub fn of_mailbox(email: &EmailAddress) -> Vec<SlidingWindow> {
        let mailbox = mailbox_hash(email);
        let window = |name: &str, length, most| SlidingWindow {
            name: format!("confirmations:{mailbox}:{name}"),
            most,
            length,
        };
        let [hour, day] = PER_MAILBOX;
        vec![window("hour", HOUR, hour), window("day", DAY, day)]
    }

    /// The windows that mails to an address share with those to others.
    pub fn shared(self, email: &EmailAddress) -> Vec<SlidingWindow> {
        let window = |name: String, length, most| SlidingWindow { name, most, length };
        vec![
            window(format!("confirmations:to:{}", email.domain()), HOUR, self.domain),
            window("confirmations:hour".to_owned(), HOUR, self.hour),
            window("confirmations:day".to_owned(), DAY, self.day),
        ]
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
