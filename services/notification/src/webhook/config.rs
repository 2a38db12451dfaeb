//! Settings of the way to webhooks, and the way that they describe.

use std::sync::Arc;
use std::time::Duration;

use common::config::Settings;
use jiff::SignedDuration;
use rustls::ClientConfig;

use super::Caller;
use super::addresses::Allowed;
use super::requests::Http;
use super::urls::Schemes;
use crate::subscribers::failures::Patience;
use crate::trust::Trust;

/// The settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which addresses may be connected to.
    pub allowed: Allowed,
    /// Which schemes are taken.
    pub schemes: Schemes,
    /// How long one may fail before it is out of use.
    pub patience: Patience,
    /// Requests at a time.
    pub at_once: usize,
    at_once_per_host: usize,
    timeout: Duration,
    trust: Trust,
}

impl Config {
    /// Reads them.
    pub fn read(settings: &mut Settings, trust: Trust) -> Self {
        let mut count = |key: &str, most| usize::try_from(settings.number(key, 1..=most)).unwrap_or(1);
        let at_once = count("notification.webhooks_at_once", 10_000);
        let at_once_per_host = count("notification.webhooks_at_once_per_host", 10_000);
        Self {
            at_once,
            at_once_per_host,
            allowed: settings.get(
                "notification.webhook_networks",
                "must be empty or networks such as 10.0.0.0/8, fd00::/8",
                |value| Allowed::parse(value.as_str()?),
            ),
            schemes: settings.get("notification.webhook_http", "must be true or false", |value| {
                Some(if value.as_bool()? {
                    Schemes::HttpToo
                } else {
                    Schemes::Https
                })
            }),
            timeout: Duration::from_secs(settings.number("notification.webhook_timeout_seconds", 1..=60)),
            patience: patience(settings.number("notification.webhook_failing_seconds", 0..=31_536_000)),
            trust,
        }
    }

    /// The way to webhooks.
    pub fn caller(&self) -> Result<Arc<dyn Caller>, String> {
        let tls = self.tls()?;
        Ok(Arc::new(Http::new(
            self.allowed.clone(),
            tls,
            self.timeout,
            self.at_once_per_host,
        )))
    }

    fn tls(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?;
        Ok(builder
            .with_root_certificates(self.trust.roots()?)
            .with_no_client_auth())
    }
}

fn patience(seconds: u64) -> Patience {
    match i64::try_from(seconds) {
        Ok(0) | Err(_) => Patience::Endless,
        Ok(seconds) => Patience::For(SignedDuration::from_secs(seconds)),
    }
}
