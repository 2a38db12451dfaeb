//! Notification: subscribers, their editions, and the mail.
//!
//! It owns subscriber state in Redis and the way to the mail server. It never touches the catalogue: papers come from the
//! bus.

mod editions;
mod feedback;
mod grpc;
mod interests;
mod mailer;
mod metrics;
mod pipeline;
mod scheduler;
mod subscribers;
#[cfg(test)]
mod testing;
mod tokens;
mod trending;
mod trust;
mod webhook;
mod window;

use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use common::config::{CommonConfig, Settings};
use common::journal::Journal;
use common::service::{Assembly, ServiceError};
use domain::schedule::Schedule;
use jiff::SignedDuration;
use proto::delivery::v1::delivery_service_server::DeliveryServiceServer;
use proto::subscriptions::v1::subscription_service_server::SubscriptionServiceServer;
use tracing::info;

use crate::editions::letters::Letters;
use crate::editions::{Editions, Parts};
use crate::feedback::Feedback;
use crate::grpc::Forwarded;
use crate::interests::{Catalogue, Embedding, Examples, Interests};
use crate::subscribers::bounces::SoftBounces;
use crate::subscribers::rates::Rates;
use crate::subscribers::rebuild::Reach;
use crate::subscribers::{Channel, Subscribers, Terms, keeper};
use crate::tokens::Tokens;
use crate::trending::Trending;
use crate::trust::Trust;
use crate::webhook::secrets::Secrets;
use crate::window::Window;

/// Name of the service.
pub const NAME: &str = "notification";
/// Its defaults.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Settings of the service.
#[derive(Debug, Clone)]
pub struct Config {
    redis_url: String,
    embedding_url: String,
    indexing_url: Option<String>,
    rates: Rates,
    token: Option<String>,
    mail: mailer::config::Config,
    webhooks: webhook::config::Config,
    soft_bounces: SoftBounces,
    templates: PathBuf,
    imprint: String,
    bounce_maildir: PathBuf,
    public_url: Option<String>,
    token_key: String,
    state_folder: PathBuf,
    defaults: Defaults,
    window: SignedDuration,
    first_pause: SignedDuration,
    trending: Duration,
    expire: SignedDuration,
    lease: Duration,
    chunk: usize,
    connections: usize,
}

/// What holds for who says nothing else.
#[derive(Debug, Clone)]
pub(crate) struct Defaults {
    pub time: String,
    pub time_zone: String,
    pub paper_count: usize,
}

impl Config {
    /// Reads the section.
    pub fn read(settings: &mut Settings, common: &CommonConfig) -> Self {
        let token_key = settings.get(
            "notification.token_key",
            "must be empty or have 32 characters at least",
            |value| {
                value
                    .as_str()
                    .filter(|key| key.is_empty() || key.len() >= 32)
                    .map(str::to_owned)
            },
        );
        let defaults = Defaults {
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
            paper_count: usize::try_from(settings.number("notification.paper_count", 1..=50)).unwrap_or(10),
        };
        let pause = i64::try_from(settings.number("notification.retry_seconds", 1..=3600)).unwrap_or(60);
        let days = i64::try_from(settings.number("notification.window_days", 1..=365)).unwrap_or(7);
        let mut count = |key: &str| u32::try_from(settings.number(key, 1..=1_000_000)).unwrap_or(u32::MAX);
        let rates = Rates {
            all: count("notification.subscribes_per_minute"),
            network: count("notification.subscribes_per_minute_per_network"),
        };
        let trust = Trust::read(settings);
        let connections = usize::try_from(settings.number("notification.connections", 1..=1000)).unwrap_or(32);
        Self {
            redis_url: settings.url("notification.redis_url", &["redis://", "rediss://"]),
            embedding_url: settings.url("notification.embedding_url", &["http://", "https://"]),
            indexing_url: settings.optional_url("notification.indexing_url", &["http://", "https://"]),
            rates,
            token: common.grpc.token.clone(),
            mail: mailer::config::Config::read(settings, connections, trust.clone()),
            webhooks: webhook::config::Config::read(settings, trust),
            soft_bounces: soft_bounces(settings),
            templates: PathBuf::from(settings.text("notification.templates")),
            imprint: settings.text("notification.imprint"),
            bounce_maildir: PathBuf::from(settings.text("notification.bounce_maildir")),
            public_url: settings.optional_url("notification.public_url", &["http://", "https://"]),
            token_key,
            state_folder: PathBuf::from(settings.text("notification.state_folder")),
            defaults,
            window: SignedDuration::from_hours(24 * days),
            first_pause: SignedDuration::from_secs(pause),
            trending: Duration::from_secs(settings.number("notification.trending_seconds", 1..=3600)),
            expire: SignedDuration::from_hours(
                i64::try_from(settings.number("notification.expire_hours", 1..=168)).unwrap_or(12),
            ),
            lease: Duration::from_secs(settings.number("notification.lease_seconds", 5..=600)),
            chunk: usize::try_from(settings.number("notification.chunk", 1..=4096)).unwrap_or(512),
            connections,
        }
    }

    /// With links that begin like this, where the configuration names nothing.
    #[must_use]
    pub fn with_default_public_url(mut self, url: &str) -> Self {
        self.public_url.get_or_insert_with(|| url.to_owned());
        self
    }
}

/// Adds the service to a process. It becomes ready once it has read the window.
pub async fn start(config: Config, assembly: &mut Assembly) -> Result<(), ServiceError> {
    metrics::touch();
    let failed = |problem: String| ServiceError::start(NAME, problem);
    let lease = SignedDuration::try_from(config.lease).map_err(|error| failed(error.to_string()))?;
    let terms = Terms::new(lease, config.window);
    let log = Journal::open(&assembly.bus, terms.retention.unsigned_abs()).await?;
    let subscribers = Subscribers::connect(&config.redis_url, terms).await;
    let subscribers = subscribers.map_err(|error| failed(error.to_string()))?.logging_to(log);
    // Before anything is sent or answered: whom a lost Redis has forgotten must not be mailed, or subscribed, anew.
    let rebuilt = Box::pin(subscribers.rebuild(Reach::SinceMark, |_| {})).await;
    let rebuilt = rebuilt.map_err(|error| failed(error.to_string()))?;
    info!(?rebuilt, "redis is up to the log of subscribers");
    let trending = trending(&config).map_err(failed)?;
    let key = secret(&config).map_err(failed)?;
    let (tokens, secrets) = (Arc::new(Tokens::new(&key)), Arc::new(Secrets::new(&key)));
    let window = Arc::new(RwLock::new(Window::default()));
    let interests = Arc::new(interests(&config, &subscribers, &window).map_err(failed)?);
    let public_url = config.public_url.clone();
    let public_url = public_url
        .ok_or_else(|| failed("notification.public_url is empty; set it to where readers find the pages".to_owned()))?;
    let editions = Arc::new(Editions::new(Parts {
        subscribers: subscribers.clone(),
        window: Arc::clone(&window),
        interests: Arc::clone(&interests),
        transport: config.mail.transport().map_err(failed)?,
        letters: Arc::new(letters(&config).map_err(failed)?),
        caller: config.webhooks.caller().map_err(failed)?,
        calls_at_once: config.webhooks.at_once,
        patience: config.webhooks.patience,
        tokens: Arc::clone(&tokens),
        secrets: Arc::clone(&secrets),
        public_url: public_url.trim_end_matches('/').to_owned(),
        mail_domain: config.mail.domain().to_owned(),
        first_pause: config.first_pause,
        expire: config.expire,
        connections: config.connections,
        send_timeout: config.lease * 3 / 4,
    }));
    let feedback = Feedback::new(subscribers.clone(), config.mail.domain(), config.soft_bounces);
    let service = grpc::Notification {
        subscribers: subscribers.clone(),
        editions: Arc::clone(&editions),
        interests,
        tokens,
        secrets,
        schemes: config.webhooks.schemes,
        allowed: config.webhooks.allowed.clone(),
        feedback: feedback.clone(),
        defaults: Arc::new(config.defaults),
        rates: config.rates,
        // Without a token only this machine can call, see `grpc.listen`.
        forwarded: if config.token.is_some() {
            Forwarded::ByAll
        } else {
            Forwarded::ByLoopback
        },
    };
    if !config.bounce_maildir.as_os_str().is_empty() {
        let reading = feedback::maildir::run(config.bounce_maildir, feedback, assembly.stop.clone());
        assembly.task(async move {
            reading.await;
            Ok(())
        });
    }
    assembly.add_grpc(SubscriptionServiceServer::new(service.clone()));
    assembly.add_grpc(DeliveryServiceServer::new(service));
    let following = trending::follow(trending, Arc::clone(&window), config.trending, assembly.stop.clone());
    assembly.task(async move {
        following.await;
        Ok(())
    });
    let filling = pipeline::fill(
        assembly.bus.clone(),
        window,
        config.window,
        assembly.readiness.ticket(),
        assembly.stop.clone(),
    );
    assembly.task(async move { Ok(filling.await?) });
    let (kept, stop) = (subscribers.clone(), assembly.stop.clone());
    assembly.task(async move {
        keeper::run(kept, stop).await;
        Ok(())
    });
    for channel in Channel::ALL {
        let pace = scheduler::Pace::new(config.lease, config.chunk);
        let (subscribers, editions) = (subscribers.clone(), Arc::clone(&editions));
        let (readiness, stop) = (assembly.readiness.clone(), assembly.stop.clone());
        assembly.task(async move {
            // An edition made before the window is read would be an empty one.
            readiness.wait().await;
            scheduler::run(channel, subscribers, editions, pace, stop).await;
            Ok(())
        });
    }
    Ok(())
}

fn soft_bounces(settings: &mut Settings) -> SoftBounces {
    let most = settings.number("notification.soft_bounces", 0..=100);
    let days = settings.number("notification.soft_bounce_days", 1..=365);
    SoftBounces {
        most: usize::try_from(most).unwrap_or(0),
        within: SignedDuration::from_hours(24 * i64::try_from(days).unwrap_or(14)),
    }
}

fn letters(config: &Config) -> Result<Letters, String> {
    let folder = Some(config.templates.as_path()).filter(|folder| !folder.as_os_str().is_empty());
    Letters::new(folder, &config.imprint)
}

fn trending(config: &Config) -> Result<Arc<dyn Trending>, String> {
    Ok(match &config.indexing_url {
        Some(url) => Arc::new(trending::Index::new(url, config.token.as_deref())?),
        None => Arc::new(trending::Nothing),
    })
}

fn interests(config: &Config, subscribers: &Subscribers, window: &Arc<RwLock<Window>>) -> Result<Interests, String> {
    let token = config.token.as_deref();
    let examples = match &config.indexing_url {
        Some(url) => Some(Arc::new(Catalogue::new(url, &config.embedding_url, token)?) as Arc<dyn Examples>),
        None => None,
    };
    Ok(Interests {
        subscribers: subscribers.clone(),
        window: Arc::clone(window),
        encoder: Arc::new(Embedding::new(&config.embedding_url, token)?),
        examples,
    })
}

/// The configured secret, or one that is made once and kept.
fn secret(config: &Config) -> Result<Vec<u8>, String> {
    if !config.token_key.is_empty() {
        return Ok(config.token_key.clone().into_bytes());
    }
    if config.state_folder.as_os_str().is_empty() {
        return Err("notification.token_key is empty; make one with openssl rand -hex 32".to_owned());
    }
    let path = config.state_folder.join("token.key");
    let problem = |error: std::io::Error| format!("{}: {error}", path.display());
    match std::fs::read(&path) {
        Ok(key) if key.len() >= 32 => return Ok(key),
        Ok(_) => {
            return Err(format!(
                "{} is shorter than 32 bytes; remove it to have a new one made",
                path.display()
            ));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(problem(error)),
    }
    let key: [u8; 32] = rand::random();
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, key)
        .and_then(|()| std::fs::rename(&fresh, &path))
        .map_err(problem)?;
    Ok(key.to_vec())
}
