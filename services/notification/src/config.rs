//! The settings of the service.

use std::path::PathBuf;
use std::time::Duration;

use common::config::{CallerConfig, CommonConfig, Settings, TlsKeys};
use common::kept_secret;
use common::tls::ClientTls;
use domain::schedule::Schedule;
use jiff::SignedDuration;

use crate::feedback::soft_bounces::SoftBounceLimit;
use crate::limits::{ConfirmationLimits, SubscribeLimits};
use crate::trust::TrustStore;
use crate::{mailer, webhooks};

/// The files of certificates for Redis.
const REDIS_TLS: TlsKeys = TlsKeys {
    authorities: "notification.redis_ca",
    certificate: "notification.redis_client_certificate",
    key: "notification.redis_client_key",
};

/// Settings of the service.
#[derive(Debug, Clone)]
pub struct NotificationConfig {
    pub(crate) redis_url: String,
    pub(crate) redis_tls: ClientTls,
    pub(crate) embedding_url: String,
    pub(crate) indexing_url: Option<String>,
    pub(crate) limits: SubscribeLimits,
    pub(crate) confirmations: ConfirmationLimits,
    pub(crate) caller: CallerConfig,
    /// Whether callers have to present a key.
    pub(crate) requires_key: bool,
    pub(crate) mail: mailer::config::MailerConfig,
    pub(crate) webhooks: webhooks::config::WebhooksConfig,
    pub(crate) soft_bounces: SoftBounceLimit,
    /// Folder of templates that replace ours.
    pub(crate) templates: Option<PathBuf>,
    pub(crate) imprint: String,
    pub(crate) bounce_maildir: Option<PathBuf>,
    pub(crate) public_url: Option<String>,
    token_key: String,
    state_folder: PathBuf,
    pub(crate) defaults: SubscriptionDefaults,
    /// Papers that are older than this are in no digest.
    pub(crate) window: SignedDuration,
    pub(crate) first_pause: SignedDuration,
    /// Between two looks at what is trending.
    pub(crate) trending: Duration,
    pub(crate) expire: SignedDuration,
    pub(crate) lease: SignedDuration,
    /// Most subscribers that are claimed together.
    pub(crate) chunk: usize,
    pub(crate) connections: usize,
}

/// What holds for who says nothing else.
#[derive(Debug, Clone)]
pub struct SubscriptionDefaults {
    /// Time of day.
    pub time: String,
    /// IANA time zone.
    pub time_zone: String,
    /// Papers of a digest.
    pub paper_count: usize,
}

impl NotificationConfig {
    /// Reads the section.
    pub fn read(settings: &mut Settings, common: &CommonConfig) -> Self {
        let trust = TrustStore::read(settings);
        let connections = settings.integer("notification.connections", 1..=1000);
        Self {
            redis_url: settings.url("notification.redis_url", &["redis://", "rediss://"]),
            redis_tls: settings.store_tls(&REDIS_TLS, "notification.redis_url", "rediss://"),
            embedding_url: settings.grpc_url("notification.embedding_url"),
            indexing_url: settings.optional_grpc_url("notification.indexing_url"),
            limits: SubscribeLimits {
                all: settings.integer("notification.subscribes_per_minute", 1..=1_000_000),
                network: settings.integer("notification.subscribes_per_minute_per_network", 1..=1_000_000),
            },
            confirmations: ConfirmationLimits {
                domain: settings.integer("notification.confirmations_per_hour_per_domain", 1..=1_000_000),
                hour: settings.integer("notification.confirmations_per_hour", 1..=1_000_000),
                day: settings.integer("notification.confirmations_per_day", 1..=1_000_000),
            },
            caller: common.caller.clone(),
            requires_key: common.grpc.keys.is_some(),
            mail: mailer::config::MailerConfig::read(settings, connections, trust.clone()),
            webhooks: webhooks::config::WebhooksConfig::read(settings, trust),
            soft_bounces: SoftBounceLimit {
                max_in_row: settings.integer("notification.soft_bounces", 0..=100),
                within: hours(24 * settings.integer::<i64>("notification.soft_bounce_days", 1..=365)),
            },
            templates: folder(settings, "notification.templates"),
            imprint: settings.text("notification.imprint"),
            bounce_maildir: folder(settings, "notification.bounce_maildir"),
            public_url: settings.optional_url("notification.public_url", &["http://", "https://"]),
            token_key: token_key(settings),
            state_folder: PathBuf::from(settings.text("notification.state_folder")),
            defaults: SubscriptionDefaults::read(settings),
            window: hours(24 * settings.integer::<i64>("notification.window_days", 1..=365)),
            first_pause: SignedDuration::from_secs(settings.integer("notification.retry_seconds", 1..=3600)),
            trending: Duration::from_secs(settings.number("notification.trending_seconds", 1..=3600)),
            expire: hours(settings.integer("notification.expire_hours", 1..=168)),
            lease: SignedDuration::from_secs(settings.integer("notification.lease_seconds", 5..=600)),
            chunk: settings.integer("notification.chunk", 1..=4096),
            connections,
        }
    }

    /// With links that begin like this, where the configuration names nothing.
    #[must_use]
    pub fn with_default_public_url(mut self, url: &str) -> Self {
        self.public_url.get_or_insert_with(|| url.to_owned());
        self
    }

    /// The secret that signs links and requests: the configured one, or one that is made once and kept.
    ///
    /// # Errors
    /// There is none and nowhere to keep one, or the one that is kept cannot be used.
    pub(crate) fn secret(&self) -> Result<Vec<u8>, String> {
        if !self.token_key.is_empty() {
            return Ok(self.token_key.clone().into_bytes());
        }
        if self.state_folder.as_os_str().is_empty() {
            return Err("notification.token_key is empty; make one with openssl rand -hex 32".to_owned());
        }
        kept_secret::read_or_make(&self.state_folder.join("token.key"))
    }
}

impl SubscriptionDefaults {
    fn read(settings: &mut Settings) -> Self {
        Self {
            time: settings.get("notification.time", "must be a time of day such as 07:00", |value| {
                value
                    .as_str()
                    .filter(|time| Schedule::parse(time, "UTC").is_ok())
                    .map(str::to_owned)
            }),
            time_zone: settings.get(
                "notification.time_zone",
                "must be an IANA time zone such as Europe/Berlin",
                |value| {
                    value
                        .as_str()
                        .filter(|zone| Schedule::parse("00:00", zone).is_ok())
                        .map(str::to_owned)
                },
            ),
            paper_count: settings.integer("notification.paper_count", 1..=50),
        }
    }
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

fn folder(settings: &mut Settings, key: &str) -> Option<PathBuf> {
    Some(settings.text(key))
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

fn token_key(settings: &mut Settings) -> String {
    let expected = "must be empty or have 32 characters at least";
    settings.get("notification.token_key", expected, |value| {
        value
            .as_str()
            .filter(|key| key.is_empty() || key.len() >= 32)
            .map(str::to_owned)
    })
}
