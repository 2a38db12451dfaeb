//! Looks at the files of certificates again and again, and tells when one expires or cannot be used.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::IntGaugeVec;
use tracing::{info, warn};

use super::client::ClientTls;
use super::current::{CurrentTls, TlsLook};
use super::server::ServerTls;
use crate::clock::Clock;
use crate::metrics;
use crate::tasks::{self, Tasks};

/// Between two looks. Reading a few kilobytes is cheap, and knows a change that a time stamp hides.
const INTERVAL: Duration = Duration::from_secs(2);

/// What certificates are for. Series of each exist from the start.
const PURPOSES: [&str; 4] = ["grpc_server", "grpc_client", "redis", "qdrant"];

static EXPIRY: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    metrics::gauges(
        "broadsheet_tls_certificate_expiry_seconds",
        "When the certificate in use expires, in seconds since 1970, by what it is for; 0 where there is none.",
        &["use"],
    )
});

static RELOAD_FAILED: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    metrics::gauges(
        "broadsheet_tls_reload_failed",
        "1 while the files of certificates cannot be used and the last good ones are, by what they are for.",
        &["use"],
    )
});

/// Has the metrics show zeros before anything is followed.
pub fn register_metrics() {
    for purpose in PURPOSES {
        EXPIRY.with_label_values(&[purpose]);
        RELOAD_FAILED.with_label_values(&[purpose]);
    }
    super::incoming::register_metrics();
}

/// Follows the certificate of a server until the stop.
pub fn follow_server(tls: &ServerTls, purpose: &'static str, clock: Clock, tasks: &Tasks) {
    follow(tls.0.clone(), purpose, clock, tasks);
}

/// Follows the authorities and the certificate of a client until the stop. Does nothing where no file is named.
pub fn follow_client(tls: &ClientTls, purpose: &'static str, clock: Clock, tasks: &Tasks) {
    if tls.has_files() {
        follow(tls.current.clone(), purpose, clock, tasks);
    }
}

fn follow<T: Clone + Send + Sync + 'static>(
    current: CurrentTls<T>,
    purpose: &'static str,
    clock: Clock,
    tasks: &Tasks,
) {
    let stop = tasks.stop().clone();
    tasks.run_infallible("reload of certificates", async move {
        show(&current, purpose, false);
        let mut last = TlsLook::Same;
        while stop.run_until_cancelled(clock.sleep(INTERVAL)).await.is_some() {
            let (looking, now) = (current.clone(), clock.now());
            let look = tasks::blocking(move || looking.look(now)).await;
            match &look {
                TlsLook::New => info!(purpose, "new certificates are in use"),
                TlsLook::Bad(error) if look != last => {
                    warn!(purpose, %error, "certificates cannot be used, the last good ones stay");
                }
                TlsLook::Bad(_) | TlsLook::Same => {}
            }
            show(&current, purpose, matches!(look, TlsLook::Bad(_)));
            last = look;
        }
    });
}

fn show<T: Clone>(current: &CurrentTls<T>, purpose: &str, failed: bool) {
    RELOAD_FAILED.with_label_values(&[purpose]).set(failed.into());
    if let Some(expires) = current.expires() {
        EXPIRY.with_label_values(&[purpose]).set(expires.as_second());
    }
}
