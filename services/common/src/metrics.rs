//! Metrics: how they are declared, and those of the flow and of any process. What became of the messages of each consumer,
//! how many wait, how many dead letters there are; whether the process can serve, whether it reaches the bus, and what
//! panicked.
//!
//! Series exist from the start, so that a dashboard shows zeros rather than gaps. It acknowledges and moves nothing.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::bus::{Bus, BusError, request};
use crate::dead_letters;
use crate::flow;
use crate::streams::WorkConsumer;

/// Between two looks at what waits.
const INTERVAL: Duration = Duration::from_secs(5);

fn registered<C: Collector + Clone + 'static>(metric: prometheus::Result<C>) -> C {
    let metric = metric.expect("a sound name and sound labels");
    prometheus::register(Box::new(metric.clone())).expect("the only metric of this name");
    metric
}

/// A counter.
///
/// # Panics
/// These panic when the name is taken or unsound: a mistake in this program that its first test run shows.
pub fn counter(name: &str, help: &str) -> IntCounter {
    registered(IntCounter::new(name, help))
}

/// Counters by label.
pub fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(IntCounterVec::new(Opts::new(name, help), labels))
}

/// A gauge of whole numbers.
pub fn gauge(name: &str, help: &str) -> IntGauge {
    registered(IntGauge::new(name, help))
}

/// Gauges of whole numbers by label.
pub fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    registered(IntGaugeVec::new(Opts::new(name, help), labels))
}

/// A gauge of any numbers.
pub fn float_gauge(name: &str, help: &str) -> Gauge {
    registered(Gauge::new(name, help))
}

/// Gauges of any numbers by label.
pub fn float_gauges(name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    registered(GaugeVec::new(Opts::new(name, help), labels))
}

/// A histogram with upper bounds of its buckets.
pub fn histogram(name: &str, help: &str, buckets: &[f64]) -> Histogram {
    registered(Histogram::with_opts(
        HistogramOpts::new(name, help).buckets(buckets.to_vec()),
    ))
}

/// Histograms by label, with upper bounds of their buckets.
pub fn histograms(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
    registered(HistogramVec::new(
        HistogramOpts::new(name, help).buckets(buckets.to_vec()),
        labels,
    ))
}

/// Bounds from a millisecond to ten seconds, where nothing more telling is known.
pub const DEFAULT_BUCKETS: &[f64] = prometheus::DEFAULT_BUCKETS;

/// Messages by consumer and by what became of them: `done`, `retried` or `discarded`.
pub(crate) static MESSAGES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_flow_messages_total",
        "Messages handled, by consumer and by what became of them.",
        &["consumer", "outcome"],
    )
});

/// Time to handle a batch, without publishing and acknowledging.
pub(crate) static HANDLING_SECONDS: LazyLock<HistogramVec> = LazyLock::new(|| {
    histograms(
        "broadsheet_flow_handling_seconds",
        "Time in which a batch of messages was handled, by consumer.",
        &["consumer"],
        DEFAULT_BUCKETS,
    )
});

/// 1 while the process can serve; as `/readyz` says. Set when the metrics are read.
pub(crate) static READY: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "broadsheet_process_ready",
        "1 while the process can serve, as /readyz says.",
    )
});

/// 1 while there is a connection to the bus. Set when the metrics are read.
pub(crate) static BUS_CONNECTED: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "broadsheet_process_bus_connected",
        "1 while the process is connected to the bus (NATS).",
    )
});

/// Panics by the name of the task: of a part of the process, which they end, or of a job, which goes without a result.
pub(crate) static TASK_PANICS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "broadsheet_process_task_panics_total",
        "Panics by task. One that should run until the stop ends the process; a job ends alone.",
        &["task"],
    )
});

static PENDING: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauges(
        "broadsheet_flow_pending_messages",
        "Messages that wait to be delivered to a consumer.",
        &["consumer"],
    )
});

static DEAD_LETTERS: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "broadsheet_flow_dead_letters",
        "Dead letters that wait for an operator, of all services together.",
    )
});

/// Keeps the gauges of a service's consumers up to date until the stop.
pub(crate) async fn watch(bus: Bus, service: &str, stop: CancellationToken) {
    let consumers = flow::consumers_of(service);
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
            debug!(%error, "waiting messages could not be counted");
        }
    }
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

/// A count as the value of a gauge.
pub(crate) fn as_gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
