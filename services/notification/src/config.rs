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
use crate::signing_keys::SigningKeys;
use crate::trust::TrustStore;
use crate::{mailer, webhooks};

/// The files of certificates for Redis.
const REDIS_TLS: TlsKeys = TlsKeys {
    authorities: "notification.redis_ca",
    certificate: "notification.redis_client_certificate",
    key: "notification.redis_client_key",
};

/// Settings of the service. Not to be printed: some are secrets.
#[derive(Clone)]
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
    token_keys: Vec<String>,
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
        let mail = mailer::config::MailerConfig::read(settings, connections, trust.clone());
        let bounce_maildir = folder(settings, "notification.bounce_maildir");
        if bounce_maildir.is_some() && !mail.has_bounce_address() {
            let expected =
                "must be set, because notification.bounce_maildir is: only reports to return paths are believed";
            settings.problem("notification.bounce_address", expected);
        }
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
            mail,
            webhooks: webhooks::config::WebhooksConfig::read(settings, trust),
            soft_bounces: SoftBounceLimit {
                max_in_row: settings.integer("notification.soft_bounces", 0..=100),
                within: hours(24 * settings.integer::<i64>("notification.soft_bounce_days", 1..=365)),
            },
            templates: folder(settings, "notification.templates"),
            imprint: settings.text("notification.imprint"),
            bounce_maildir,
            public_url: settings.optional_url("notification.public_url", &["http://", "https://"]),
            token_keys: token_keys(settings),
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

    /// The keys that sign links and requests: the configured ones, or one that is made once and kept.
    ///
    /// # Errors
    /// There is none and nowhere to keep one, or the one that is kept cannot be used.
    pub(crate) fn signing_keys(&self) -> Result<SigningKeys, String> {
        if let Some(keys) = SigningKeys::new(&self.token_keys) {
            return Ok(keys);
        }
        if self.state_folder.as_os_str().is_empty() {
            return Err("notification.token_key is empty; make one with openssl rand -hex 32".to_owned());
        }
        let kept = kept_secret::read_or_make(&self.state_folder.join("token.key"))?;
        Ok(SigningKeys::single(&kept))
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

/// Most keys; each link of a forger is checked with all of them.
const MAX_TOKEN_KEYS: usize = 8;

fn token_keys(settings: &mut Settings) -> Vec<String> {
    let expected = "must be empty, or 1 to 8 keys of 32 characters at least: a list, or text with commas between them";
    settings.get("notification.token_key", expected, |value| {
        let keys: Vec<&str> = match value {
            toml::Value::String(text) if text.is_empty() => Vec::new(),
            toml::Value::String(text) => text.split(',').map(str::trim).collect(),
            toml::Value::Array(list) => list.iter().map(toml::Value::as_str).collect::<Option<_>>()?,
            _ => return None,
        };
        let sound = keys.len() <= MAX_TOKEN_KEYS && keys.iter().all(|key| key.len() >= 32);
        sound.then(|| keys.into_iter().map(str::to_owned).collect())
    })
}
