//! Metrics of the flow: what became of the messages of each consumer, how many wait, and how many dead letters there are.
//! And of any process: whether it can serve, and whether it reaches the bus.
//!
//! Series exist from the start, so that a dashboard shows zeros rather than gaps. It acknowledges and moves nothing.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::{
    HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, register_histogram_vec, register_int_counter_vec,
    register_int_gauge, register_int_gauge_vec,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::bus::{Bus, BusError, request};
use crate::dead_letters;
use crate::flow::{self, FLOW, Reading};
use crate::streams::WorkConsumer;

/// Between two looks at what waits.
const INTERVAL: Duration = Duration::from_secs(5);

/// Messages by consumer and by what became of them: `done`, `retried` or `discarded`.
pub(crate) static MESSAGES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "broadsheet_flow_messages_total",
        "Messages handled, by consumer and by what became of them.",
        &["consumer", "outcome"]
    )
    .expect("the only metric of this name")
});

/// Time to handle a batch, without publishing and acknowledging.
pub(crate) static HANDLING_SECONDS: LazyLock<HistogramVec> = LazyLock::new(|| {
    register_histogram_vec!(
        "broadsheet_flow_handling_seconds",
        "Time in which a batch of messages was handled, by consumer.",
        &["consumer"]
    )
    .expect("the only metric of this name")
});

/// 1 while the process can serve; as `/readyz` says. Set when the metrics are read.
pub(crate) static READY: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "broadsheet_process_ready",
        "1 while the process can serve, as /readyz says."
    )
    .expect("the only metric of this name")
});

/// 1 while there is a connection to the bus. Set when the metrics are read.
pub(crate) static BUS_CONNECTED: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "broadsheet_process_bus_connected",
        "1 while the process is connected to the bus (NATS)."
    )
    .expect("the only metric of this name")
});

static PENDING: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    register_int_gauge_vec!(
        "broadsheet_flow_pending_messages",
        "Messages that wait to be delivered to a consumer.",
        &["consumer"]
    )
    .expect("the only metric of this name")
});

static DEAD_LETTERS: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "broadsheet_flow_dead_letters",
        "Dead letters that wait for an operator, of all services together."
    )
    .expect("the only metric of this name")
});

/// Keeps the gauges of a service's consumers up to date until the stop.
pub(crate) async fn watch(bus: Bus, service: &str, stop: CancellationToken) {
    let consumers = consumers_of(service);
    for consumer in &consumers {
        for outcome in ["done", "retried", "discarded"] {
            MESSAGES.with_label_values(&[consumer, outcome]);
        }
        HANDLING_SECONDS.with_label_values(&[consumer]);
        PENDING.with_label_values(&[consumer]);
    }
    let mut beat = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        if let Err(error) = look(&bus, &consumers).await {
            debug!(%error, "what waits could not be counted");
        }
    }
}

/// Durable consumers of a service, from the flow table.
pub(crate) fn consumers_of(service: &str) -> Vec<&'static str> {
    let of_service = FLOW.iter().filter(|hop| hop.to == service);
    of_service
        .filter_map(|hop| match hop.reading {
            Reading::Work { consumer, .. } => Some(consumer),
            Reading::Window => None,
        })
        .collect()
}

async fn look(bus: &Bus, consumers: &[&str]) -> Result<(), BusError> {
    DEAD_LETTERS.set(as_gauge(dead_letters::count(bus).await?));
    let stream = bus.context.get_stream(flow::STREAM).await.map_err(request)?;
    for name in consumers {
        // A consumer exists once its service has run for the first time.
        if let Ok(mut consumer) = stream.get_consumer(name).await as Result<WorkConsumer, _> {
            let pending = consumer.info().await.map_err(request)?.num_pending;
            PENDING.with_label_values(&[name]).set(as_gauge(pending));
        }
    }
    Ok(())
}

fn as_gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
