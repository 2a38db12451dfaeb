//! The operator's port: `/metrics` for Prometheus, `/livez` and `/readyz` for probes.
//!
//! It never shows a paper or a subscriber.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::metrics::{BUS_CONNECTED, READY};

/// Whether the process can serve: each part holds a ticket until it is ready.
#[derive(Clone)]
pub struct Readiness {
    waiting: watch::Sender<usize>,
    stopping: CancellationToken,
}

/// Held by a part of the process until it is ready; dropping it says so.
pub struct NotReady(watch::Sender<usize>);

impl Readiness {
    /// Ready until `stopping` is cancelled, once no ticket is out.
    pub fn new(stopping: CancellationToken) -> Self {
        Self {
            waiting: watch::Sender::new(0),
            stopping,
        }
    }

    /// A part that is not ready yet.
    pub fn ticket(&self) -> NotReady {
        self.waiting.send_modify(|waiting| *waiting += 1);
        NotReady(self.waiting.clone())
    }

    /// Whether everything is ready and nothing is stopping.
    pub fn is_ready(&self) -> bool {
        *self.waiting.borrow() == 0 && !self.stopping.is_cancelled()
    }

    /// Returns when everything is ready, or something is stopping.
    pub async fn wait(&self) {
        let mut waiting = self.waiting.subscribe();
        tokio::select! {
            () = self.stopping.cancelled() => {}
            // Fails only when every sender is gone, and this one is not.
            _ = waiting.wait_for(|waiting| *waiting == 0) => {}
        }
    }
}

impl Drop for NotReady {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

/// The routes of the operator's port.
pub fn router(readiness: Readiness, bus: Option<Bus>) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state((readiness, bus))
}

/// A full stream is told, but takes no page down: only what needs room in it is refused.
async fn readyz(State((readiness, bus)): State<(Readiness, Option<Bus>)>) -> (StatusCode, String) {
    let (status, word) = if readiness.is_ready() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    let full = bus.map(|bus| bus.store().closed()).unwrap_or_default();
    let full = full.into_iter().map(|full| {
        let (stream, setting, percent) = (full.storage.stream, full.storage.setting, full.percent());
        format!("stream {stream} is full ({percent} % of {setting}): what is new to it is refused\n")
    });
    (status, format!("{word}\n{}", full.collect::<String>()))
}

async fn metrics(State((readiness, bus)): State<(Readiness, Option<Bus>)>) -> impl IntoResponse {
    READY.set(i64::from(readiness.is_ready()));
    // Without a bus the metric is not there: a zero would say that one is missed.
    if let Some(bus) = bus {
        BUS_CONNECTED.set(i64::from(bus.is_connected()));
    }
    let text = prometheus::TextEncoder::new().encode_to_string(&prometheus::gather());
    match text {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
