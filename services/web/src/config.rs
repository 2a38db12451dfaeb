//! Settings of the service, read once at the start.

use std::net::SocketAddr;
use std::time::Duration;

use common::config::{CallerConfig, CommonConfig, Settings};

use crate::caching::CacheSettings;
use crate::caller::{self, Network, SiteSettings, TrustedProxies};
use crate::limits::RateLimits;
use crate::reader_ids::ReaderIdSettings;

/// Settings of the service.
#[derive(Debug, Clone)]
pub struct WebConfig {
    /// Address and port of the pages.
    pub listen: SocketAddr,
    /// Connections at a time.
    pub connections: usize,
    /// gRPC address of indexing.
    pub search_url: String,
    /// gRPC address of notification.
    pub subscriptions_url: String,
    /// gRPC address of ingest.
    pub attention_url: String,
    /// How these services are called.
    pub caller: CallerConfig,
    /// How readers reach this site, and through which proxies.
    pub site: SiteSettings,
    /// How long answers and pages are cached, and how many.
    pub cache: CacheSettings,
    /// How many requests one client may make.
    pub rates: RateLimits,
    /// Who counts as a reader.
    pub reader_ids: ReaderIdSettings,
    /// Days for which backups may hold what readers delete; 0 without backups.
    pub backup_days: u32,
}

impl WebConfig {
    /// Reads the section.
    pub fn read(settings: &mut Settings, common: &CommonConfig) -> Self {
        Self {
            listen: settings.address("web.listen"),
            connections: settings.integer("web.connections", 16..=1_000_000),
            search_url: settings.grpc_url("web.search_url"),
            subscriptions_url: settings.grpc_url("web.subscriptions_url"),
            attention_url: settings.grpc_url("web.attention_url"),
            caller: common.caller.clone(),
            site: read_site(settings),
            reader_ids: ReaderIdSettings::read(settings),
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
                text: settings.integer("web.text_tokens_per_minute", 0..=100_000_000),
                concurrent: settings.integer("web.searches_at_a_time", 0..=100_000),
                clients: settings.integer("web.known_clients", 100..=10_000_000),
            },
            backup_days: settings.integer("web.backup_days", 0..=3_650),
        }
    }
}

/// Shorter secrets of a proxy are refused.
const SHORTEST_PROXY_SECRET: usize = 16;

fn read_site(settings: &mut Settings) -> SiteSettings {
    let public_url = settings.optional_url("web.public_url", &["http://", "https://"]);
    SiteSettings {
        public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
        trusted_proxies: read_proxies(settings),
        call_timeout: Duration::from_secs(settings.integer("web.call_timeout_seconds", 1..=60)),
    }
}

fn read_proxies(settings: &mut Settings) -> TrustedProxies {
    let expected = "must be networks separated by commas, such as 192.0.2.7, 2001:db8::/64; or empty for none";
    let networks = settings.get("web.trusted_proxies", expected, |value| {
        caller::networks(value.as_str()?).ok()
    });
    let secret = Some(settings.text("web.proxy_secret")).filter(|secret| !secret.is_empty());
    match &secret {
        None if networks.iter().any(Network::is_wide) => settings.problem(
            "web.trusted_proxies",
            "holds a whole private network, in which any machine or container could name any client; list the addresses of \
             the proxies themselves (at most a /17, or a /49 of IPv6), or set web.proxy_secret, which the proxy then has to send",
        ),
        Some(secret) if secret.len() < SHORTEST_PROXY_SECRET || !secret.bytes().all(|byte| byte.is_ascii_graphic()) => {
            settings.problem(
                "web.proxy_secret",
                "must be at least 16 letters, digits and signs without spaces; make one with openssl rand -hex 32",
            );
        }
        _ => {}
    }
    TrustedProxies::new(networks, secret)
}

#[cfg(test)]
mod tests {
    use common::config::COMMON_DEFAULTS;

    use super::*;

    fn problems(environment: &[(&str, &str)]) -> String {
        let environment = environment.iter().map(|(key, value)| {
            let key = format!("BROADSHEET_WEB__{key}");
            (key, (*value).to_owned())
        });
        let mut settings = Settings::load(&[COMMON_DEFAULTS, crate::DEFAULTS], None, environment);
        let common = CommonConfig::read(&mut settings);
        WebConfig::read(&mut settings, &common);
        settings
            .finish()
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn a_whole_private_network_is_trusted_only_with_a_secret() {
        assert_eq!(problems(&[]), "");
        let refusal = problems(&[("TRUSTED_PROXIES", "192.0.2.7, 10.0.0.0/8")]);
        assert!(
            refusal.contains("web.trusted_proxies") && refusal.contains("web.proxy_secret"),
            "{refusal}"
        );
        let secret = ("PROXY_SECRET", "0123456789abcdef");
        assert_eq!(problems(&[("TRUSTED_PROXIES", "10.0.0.0/8"), secret]), "");
        let refusal = problems(&[("PROXY_SECRET", "too short")]);
        assert!(refusal.contains("web.proxy_secret = (not shown)"), "{refusal}");
    }
}
