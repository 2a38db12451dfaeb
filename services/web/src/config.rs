//! Settings of the service, read once at the start.

use std::net::SocketAddr;
use std::time::Duration;

use common::config::{CommonConfig, Settings};

use crate::caching::Freshness;
use crate::client::{self, Frontage};
use crate::limits::Rates;

/// Settings of the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address and port of the pages.
    pub listen: SocketAddr,
    /// gRPC address of indexing.
    pub search_url: String,
    /// gRPC address of notification.
    pub subscriptions_url: String,
    /// gRPC address of ingest.
    pub attention_url: String,
    /// Token for all of them.
    pub token: Option<String>,
    /// How callers reach this site, and through whom.
    pub frontage: Frontage,
    /// What is kept for a moment.
    pub freshness: Freshness,
    /// How much one client may ask for.
    pub rates: Rates,
}

impl Config {
    /// Reads the section.
    pub fn read(settings: &mut Settings, common: &CommonConfig) -> Self {
        Self {
            listen: settings.address("web.listen"),
            search_url: settings.url("web.search_url", &["http://", "https://"]),
            subscriptions_url: settings.url("web.subscriptions_url", &["http://", "https://"]),
            attention_url: settings.url("web.attention_url", &["http://", "https://"]),
            token: common.grpc.token.clone(),
            frontage: read_frontage(settings),
            freshness: Freshness {
                fresh: Duration::from_millis(settings.number("web.fresh_milliseconds", 0..=60_000)),
                stale: Duration::from_secs(settings.number("web.stale_seconds", 0..=86_400)),
                page_bytes: whole(settings.number("web.kept_pages_mb", 1..=4_096)) << 20,
            },
            rates: read_rates(settings),
        }
    }
}

fn read_rates(settings: &mut Settings) -> Rates {
    let mut rate = |key: &str| u32::try_from(settings.number(key, 0..=1_000_000)).unwrap_or(0);
    Rates {
        pages: rate("web.pages_per_minute"),
        search: rate("web.searches_per_minute"),
        api: rate("web.api_per_minute"),
        posts: rate("web.posts_per_minute"),
        clients: whole(settings.number("web.known_clients", 100..=10_000_000)),
    }
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn read_frontage(settings: &mut Settings) -> Frontage {
    let public_url = settings.optional_url("web.public_url", &["http://", "https://"]);
    let expected = "must be networks with commas between, such as 10.0.0.0/8, 2001:db8::/32; or empty for none";
    Frontage {
        public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
        trusted_proxies: settings.get("web.trusted_proxies", expected, |value| {
            client::networks(value.as_str()?).ok()
        }),
        call_timeout: Duration::from_secs(settings.number("web.call_timeout_seconds", 1..=60)),
    }
}
