//! Settings of the service, read once at the start.

use std::net::SocketAddr;
use std::time::Duration;

use common::config::{CommonConfig, Settings};

use crate::caching::CacheSettings;
use crate::caller::{self, SiteSettings};
use crate::limits::RateLimits;

/// Settings of the service.
#[derive(Debug, Clone)]
pub struct WebConfig {
    /// Address and port of the pages.
    pub listen: SocketAddr,
    /// gRPC address of indexing.
    pub search_url: String,
    /// gRPC address of notification.
    pub subscriptions_url: String,
    /// gRPC address of ingest.
    pub attention_url: String,
    /// Token for calls to these services.
    pub token: Option<String>,
    /// How readers reach this site, and through which proxies.
    pub site: SiteSettings,
    /// How long answers and pages are cached, and how many.
    pub cache: CacheSettings,
    /// How many requests one client may make.
    pub rates: RateLimits,
    /// Days for which backups may hold what readers delete; 0 without backups.
    pub backup_days: u32,
}

impl WebConfig {
    /// Reads the section.
    pub fn read(settings: &mut Settings, common: &CommonConfig) -> Self {
        Self {
            listen: settings.address("web.listen"),
            search_url: settings.url("web.search_url", &["http://", "https://"]),
            subscriptions_url: settings.url("web.subscriptions_url", &["http://", "https://"]),
            attention_url: settings.url("web.attention_url", &["http://", "https://"]),
            token: common.grpc.token.clone(),
            site: read_site(settings),
            cache: CacheSettings {
                fresh: Duration::from_millis(settings.integer("web.fresh_milliseconds", 0..=60_000)),
                stale: Duration::from_secs(settings.integer("web.stale_seconds", 0..=86_400)),
                page_bytes: settings.integer::<usize>("web.page_cache_mb", 1..=4_096) << 20,
            },
            rates: RateLimits {
                pages: settings.integer("web.pages_per_minute", 0..=1_000_000),
                search: settings.integer("web.searches_per_minute", 0..=1_000_000),
                api: settings.integer("web.api_per_minute", 0..=1_000_000),
                posts: settings.integer("web.posts_per_minute", 0..=1_000_000),
                clients: settings.integer("web.known_clients", 100..=10_000_000),
            },
            backup_days: settings.integer("web.backup_days", 0..=3_650),
        }
    }
}

fn read_site(settings: &mut Settings) -> SiteSettings {
    let public_url = settings.optional_url("web.public_url", &["http://", "https://"]);
    let expected = "must be networks separated by commas, such as 10.0.0.0/8, 2001:db8::/32; or empty for none";
    SiteSettings {
        public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
        trusted_proxies: settings.get("web.trusted_proxies", expected, |value| {
            caller::networks(value.as_str()?).ok()
        }),
        call_timeout: Duration::from_secs(settings.integer("web.call_timeout_seconds", 1..=60)),
    }
}
