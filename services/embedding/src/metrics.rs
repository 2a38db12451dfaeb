//! The figures this service shows: every metric of `embedding` is declared here and exists before the first request.
//!
//! It never decides what is slow or wrong; alerts do. Tokens per second are the rate of `tokens_total`.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use encoder::TextKind;

/// The metrics of this process, in the default registry.
static REGISTERED: LazyLock<Arc<Metrics>> = LazyLock::new(|| Arc::new(Metrics::new(prometheus::default_registry())));

const KINDS: [TextKind; 2] = [TextKind::Query, TextKind::Document];

/// All of them.
#[derive(Debug)]
pub struct Metrics {
    texts: IntCounterVec,
    tokens: IntCounter,
    truncated: IntCounter,
    unknown: IntCounter,
    dropped: IntCounterVec,
    refused: IntCounterVec,
    expired: IntCounterVec,
    failed: IntCounterVec,
    queue_tokens: IntGaugeVec,
    queue_seconds: HistogramVec,
    batch_texts: Histogram,
    batch_tokens: Histogram,
    batch_seconds: Histogram,
    cache_hits: IntCounter,
    cache_misses: IntCounter,
    model: IntGaugeVec,
}

/// The metrics of this process; every one of them exists after the first call.
pub fn registered() -> Arc<Metrics> {
    Arc::clone(&REGISTERED)
}

impl Metrics {
    /// Metrics in a registry that has none of them yet.
    pub fn new(registry: &Registry) -> Self {
        let add = Adder(registry);
        let metrics = Self {
            texts: add.by_kind("texts_total", "Texts encoded, by kind."),
            tokens: add.counter("tokens_total", "Tokens the encoder read."),
            truncated: add.counter(
                "truncated_texts_total",
                "Texts whose end was left out because they were longer than the encoder reads.",
            ),
            unknown: add.counter(
                "unknown_texts_total",
                "Texts without any token the encoder knows; their dense vector is zero.",
            ),
            dropped: add.by_kind(
                "dropped_texts_total",
                "Texts not computed because their caller had gone away, by kind.",
            ),
            refused: add.by_kind(
                "refused_texts_total",
                "Texts refused because the queue was full, by kind.",
            ),
            expired: add.by_kind(
                "expired_texts_total",
                "Texts not computed because their deadline had passed, by kind.",
            ),
            failed: add.by_kind("failed_texts_total", "Texts the encoder could not embed, by kind."),
            queue_tokens: add.gauges("queue_tokens", "Tokens that wait for the encoder, by kind.", &["kind"]),
            queue_seconds: add.histograms_by_kind(
                "queue_seconds",
                "Time from the arrival of a text until the encoder took it, by kind.",
                seconds(),
            ),
            batch_texts: add.histogram("batch_texts", "Texts encoded at once.", powers_of_two(1.0, 9)),
            batch_tokens: add.histogram("batch_tokens", "Tokens encoded at once.", powers_of_two(4.0, 10)),
            batch_seconds: add.histogram("batch_seconds", "Time to encode one batch.", seconds()),
            cache_hits: add.counter("query_cache_hits_total", "Queries whose vectors were remembered."),
            cache_misses: add.counter("query_cache_misses_total", "Queries whose vectors were not remembered."),
            model: add.gauges(
                "model_info",
                "1 for the model that is loaded, by its id, revision, architecture and type of numbers.",
                &["encoder_id", "revision", "architecture", "dtype"],
            ),
        };
        metrics.begin_at_zero();
        metrics
    }

    /// Vectors have a series only for labels that were asked for once.
    fn begin_at_zero(&self) {
        let counters = [&self.texts, &self.dropped, &self.refused, &self.expired, &self.failed];
        for kind in KINDS.map(label) {
            for vector in counters {
                vector.with_label_values(&[kind]);
            }
            self.queue_tokens.with_label_values(&[kind]);
            self.queue_seconds.with_label_values(&[kind]);
        }
    }

    /// Metrics that nobody sees, for tests and tools.
    pub fn unregistered() -> Arc<Self> {
        Arc::new(Self::new(&Registry::new()))
    }

    /// Shows which model is loaded.
    pub fn show_model(&self, encoder_id: &str, revision: &str, architecture: &str, dtype: &str) {
        self.model.reset();
        let labels = [encoder_id, revision, architecture, dtype];
        self.model.with_label_values(&labels).set(1);
    }

    /// The gauges of what waits: queries, then documents.
    pub fn queue_gauges(&self) -> [IntGauge; 2] {
        KINDS.map(|kind| self.queue_tokens.with_label_values(&[label(kind)]))
    }

    /// One batch was encoded.
    pub fn batch(&self, texts: usize, tokens: usize, took: Duration) {
        self.batch_texts.observe(texts as f64);
        self.batch_tokens.observe(tokens as f64);
        self.batch_seconds.observe(took.as_secs_f64());
    }

    /// One text of a batch was encoded after it had waited.
    pub fn encoded(&self, kind: TextKind, tokens: u32, waited: Duration, traits: TextTraits) {
        self.texts.with_label_values(&[label(kind)]).inc();
        self.tokens.inc_by(u64::from(tokens));
        self.truncated.inc_by(u64::from(traits.truncated));
        self.unknown.inc_by(u64::from(traits.unknown));
        self.queue_seconds
            .with_label_values(&[label(kind)])
            .observe(waited.as_secs_f64());
    }

    /// A text's caller had gone away.
    pub fn dropped(&self, kind: TextKind) {
        self.dropped.with_label_values(&[label(kind)]).inc();
    }

    /// Texts found the queue full.
    pub fn refused(&self, kind: TextKind, texts: usize) {
        self.refused.with_label_values(&[label(kind)]).inc_by(texts as u64);
    }

    /// A text's deadline had passed.
    pub fn expired(&self, kind: TextKind) {
        self.expired.with_label_values(&[label(kind)]).inc();
    }

    /// A text could not be embedded.
    pub fn failed(&self, kind: TextKind) {
        self.failed.with_label_values(&[label(kind)]).inc();
    }

    /// A query was looked up in the memory of recent ones.
    pub fn looked_up(&self, lookup: Lookup) {
        match lookup {
            Lookup::Hit => self.cache_hits.inc(),
            Lookup::Miss => self.cache_misses.inc(),
        }
    }
}

/// What is worth counting about an encoded text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextTraits {
    /// Its end was left out.
    pub truncated: bool,
    /// The encoder knew none of its tokens.
    pub unknown: bool,
}

/// Whether something was remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// It was.
    Hit,
    /// It was not.
    Miss,
}

struct Adder<'a>(&'a Registry);

impl Adder<'_> {
    fn counter(&self, noun: &str, help: &str) -> IntCounter {
        self.add(IntCounter::with_opts(opts(noun, help)))
    }

    fn by_kind(&self, noun: &str, help: &str) -> IntCounterVec {
        self.add(IntCounterVec::new(opts(noun, help), &["kind"]))
    }

    fn gauges(&self, noun: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(opts(noun, help), labels))
    }

    fn histogram(&self, noun: &str, help: &str, buckets: Vec<f64>) -> Histogram {
        self.add(Histogram::with_opts(
            HistogramOpts::from(opts(noun, help)).buckets(buckets),
        ))
    }

    fn histograms_by_kind(&self, noun: &str, help: &str, buckets: Vec<f64>) -> HistogramVec {
        let opts = HistogramOpts::from(opts(noun, help)).buckets(buckets);
        self.add(HistogramVec::new(opts, &["kind"]))
    }

    fn add<C: Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        const UNIQUE: &str = "metric names of this file are sound and distinct";
        let metric = metric.expect(UNIQUE);
        self.0.register(Box::new(metric.clone())).expect(UNIQUE);
        metric
    }
}

fn opts(noun: &str, help: &str) -> Opts {
    Opts::new(format!("broadsheet_embedding_{noun}"), help)
}

fn seconds() -> Vec<f64> {
    vec![
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ]
}

fn powers_of_two(first: f64, count: usize) -> Vec<f64> {
    std::iter::successors(Some(first), |bound| Some(bound * 2.0))
        .take(count)
        .collect()
}

fn label(kind: TextKind) -> &'static str {
    match kind {
        TextKind::Query => "query",
        TextKind::Document => "document",
    }
}

#[cfg(test)]
pub mod reading {
    //! Reads counters back.

    use super::{Metrics, TextKind, label};

    impl Metrics {
        /// Dropped, refused, expired and failed texts of a kind.
        pub fn not_computed(&self, kind: TextKind) -> [u64; 4] {
            [&self.dropped, &self.refused, &self.expired, &self.failed]
                .map(|vector| vector.with_label_values(&[label(kind)]).get())
        }

        /// Hits and misses.
        pub fn lookups(&self) -> (u64, u64) {
            (self.cache_hits.get(), self.cache_misses.get())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_exists_before_the_first_request() {
        let registry = Registry::new();
        Metrics::new(&registry).show_model("potion@123", "123456", "static", "f32");
        let families = registry.gather();
        let names: Vec<&str> = families.iter().map(prometheus::proto::MetricFamily::name).collect();
        for noun in [
            "texts_total",
            "tokens_total",
            "truncated_texts_total",
            "unknown_texts_total",
            "dropped_texts_total",
            "refused_texts_total",
            "expired_texts_total",
            "failed_texts_total",
            "queue_tokens",
            "queue_seconds",
            "batch_texts",
            "batch_tokens",
            "batch_seconds",
            "query_cache_hits_total",
            "query_cache_misses_total",
            "model_info",
        ] {
            let name = format!("broadsheet_embedding_{noun}");
            assert!(names.contains(&name.as_str()), "{name} is missing from {names:?}");
        }
        let by_kind = families.iter().filter(|family| {
            let labels = family.get_metric()[0].get_label();
            labels.iter().any(|label| label.name() == "kind")
        });
        for family in by_kind {
            assert_eq!(family.get_metric().len(), 2, "{}", family.name());
        }
    }

    #[test]
    fn a_model_takes_the_place_of_the_one_before() {
        let metrics = Metrics::unregistered();
        metrics.show_model("a@1", "1", "static", "f32");
        metrics.show_model("b@2", "2", "bert", "i16");
        let families = metrics.model.collect();
        assert_eq!(families[0].get_metric().len(), 1);
    }
}
