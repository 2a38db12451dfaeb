//! The settings of webhooks, and the client that they describe.

use std::sync::Arc;
use std::time::Duration;

use common::clock::Clock;
use common::config::Settings;
use jiff::SignedDuration;
use rustls::ClientConfig;

use super::WebhookClient;
use super::http::HttpWebhookClient;
use super::urls::AllowedSchemes;
use crate::subscribers::webhook::FailureTolerance;
use crate::trust::TrustStore;
use common::addresses::AllowedAddresses;

/// The settings.
#[derive(Debug, Clone)]
pub struct WebhooksConfig {
    /// Which addresses may be connected to.
    pub allowed_addresses: AllowedAddresses,
    /// Which schemes URLs may have.
    pub allowed_schemes: AllowedSchemes,
    /// How long one may fail before it is disabled.
    pub tolerance: FailureTolerance,
    /// Requests at a time.
    pub concurrency: usize,
    concurrency_per_host: usize,
    timeout: Duration,
    trust: TrustStore,
}

impl WebhooksConfig {
    /// Reads them.
    pub fn read(settings: &mut Settings, trust: TrustStore) -> Self {
        Self {
            concurrency: settings.integer("notification.webhooks_at_once", 1..=10_000),
            concurrency_per_host: settings.integer("notification.webhooks_at_once_per_host", 1..=10_000),
            allowed_addresses: settings.get(
                "notification.webhook_networks",
                "must be empty or networks such as 10.0.0.0/8, fd00::/8",
                |value| AllowedAddresses::parse(value.as_str()?),
            ),
            allowed_schemes: settings.get("notification.webhook_http", "must be true or false", |value| {
                Some(if value.as_bool()? {
                    AllowedSchemes::HttpAndHttps
                } else {
                    AllowedSchemes::HttpsOnly
                })
            }),
            timeout: Duration::from_secs(settings.number("notification.webhook_timeout_seconds", 1..=60)),
            tolerance: tolerance(settings.integer("notification.webhook_failing_seconds", 0..=31_536_000)),
            trust,
        }
    }

    /// The client.
    pub fn client(&self, clock: Clock) -> Result<Arc<dyn WebhookClient>, String> {
        let tls = self.tls()?;
        Ok(Arc::new(HttpWebhookClient::new(
            self.allowed_addresses.clone(),
            tls,
            self.timeout,
            self.concurrency_per_host,
            clock,
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

fn tolerance(seconds: i64) -> FailureTolerance {
    match seconds {
        0 => FailureTolerance::Unlimited,
        seconds => FailureTolerance::For(SignedDuration::from_secs(seconds)),
    }
}
