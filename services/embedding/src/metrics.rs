//! The metrics of this service. Each is declared here, has one series per encoder, and exists before the first request.
//!
//! Nothing here decides what is slow or wrong; the alerts do. Tokens per second are the rate of `tokens_total`.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::priority::{ByPriority, Priority};

/// The metrics of this process, in the default registry.
static REGISTERED: LazyLock<MetricFamilies> = LazyLock::new(|| MetricFamilies::new(prometheus::default_registry()));

/// All metrics of the service, each with a series per encoder.
#[derive(Debug)]
pub struct MetricFamilies {
    texts: IntCounterVec,
    tokens: IntCounterVec,
    truncated: IntCounterVec,
    unknown: IntCounterVec,
    dropped: IntCounterVec,
    refused: IntCounterVec,
    expired: IntCounterVec,
    failed: IntCounterVec,
    queue_tokens: IntGaugeVec,
    queue_seconds: HistogramVec,
    batch_texts: HistogramVec,
    batch_tokens: HistogramVec,
    batch_seconds: HistogramVec,
    cache_hits: IntCounterVec,
    cache_misses: IntCounterVec,
    model: IntGaugeVec,
}

/// The metrics of one encoder.
#[derive(Debug)]
pub struct EncoderMetrics {
    texts: ByPriority<IntCounter>,
    tokens: IntCounter,
    truncated: IntCounter,
    unknown: IntCounter,
    dropped: ByPriority<IntCounter>,
    refused: ByPriority<IntCounter>,
    expired: ByPriority<IntCounter>,
    failed: ByPriority<IntCounter>,
    queue_tokens: ByPriority<IntGauge>,
    queue_seconds: ByPriority<Histogram>,
    batch_texts: Histogram,
    batch_tokens: Histogram,
    batch_seconds: Histogram,
    cache_hits: IntCounter,
    cache_misses: IntCounter,
}

/// The metrics of this process. The series of an encoder exist once its engine has started.
pub fn registered() -> &'static MetricFamilies {
    &REGISTERED
}

impl MetricFamilies {
    /// Adds the metrics to a registry that has none of them yet.
    pub fn new(registry: &Registry) -> Self {
        let add = Registrar(registry);
        Self {
            texts: add.counters_by_priority("texts_total", "Texts embedded, by priority."),
            tokens: add.counters("tokens_total", "Tokens embedded."),
            truncated: add.counters(
                "truncated_texts_total",
                "Texts truncated because they had more tokens than the encoder reads.",
            ),
            unknown: add.counters(
                "unknown_texts_total",
                "Texts that the encoder cannot read, as in a script it was not trained on; their dense vector is zero.",
            ),
            dropped: add.counters_by_priority(
                "dropped_texts_total",
                "Texts not embedded because their caller was gone, by priority.",
            ),
            refused: add.counters_by_priority(
                "refused_texts_total",
                "Texts refused because the queue was full or they would have been late, by priority.",
            ),
            expired: add.counters_by_priority(
                "expired_texts_total",
                "Texts not embedded because their deadline had passed, by priority.",
            ),
            failed: add.counters_by_priority(
                "failed_texts_total",
                "Texts that the encoder failed to embed, by priority.",
            ),
            queue_tokens: add.gauges(
                "queue_tokens",
                "Tokens waiting for the encoder, by priority.",
                &["encoder_id", "priority"],
            ),
            queue_seconds: add.histograms_by_priority(
                "queue_seconds",
                "Time that texts waited for the encoder, by priority.",
                seconds(),
            ),
            batch_texts: add.histograms("batch_texts", "Texts per batch.", powers_of_two(1.0, 9)),
            batch_tokens: add.histograms("batch_tokens", "Tokens per batch.", powers_of_two(4.0, 10)),
            batch_seconds: add.histograms("batch_seconds", "Time to compute a batch.", seconds()),
            cache_hits: add.counters("query_cache_hits_total", "Queries answered from the cache."),
            cache_misses: add.counters("query_cache_misses_total", "Queries not found in the cache."),
            model: add.gauges(
                "model_info",
                "1 for each loaded model, by encoder id, revision, architecture and number format.",
                &["encoder_id", "revision", "architecture", "dtype"],
            ),
        }
    }

    /// Metrics in a registry of their own, for tests and tools.
    pub fn unregistered() -> Self {
        Self::new(&Registry::new())
    }

    /// Records that a model is loaded.
    pub fn show_model(&self, encoder_id: &str, revision: &str, architecture: &str, dtype: &str) {
        let labels = [encoder_id, revision, architecture, dtype];
        self.model.with_label_values(&labels).set(1);
    }

    /// The metrics of one encoder; their series exist from now on.
    pub fn of(&self, encoder_id: &str) -> Arc<EncoderMetrics> {
        let one = |counters: &IntCounterVec| counters.with_label_values(&[encoder_id]);
        let histogram = |histograms: &HistogramVec| histograms.with_label_values(&[encoder_id]);
        let by_priority = |counters: &IntCounterVec| {
            ByPriority::new(|priority| counters.with_label_values(&[encoder_id, priority.name()]))
        };
        Arc::new(EncoderMetrics {
            texts: by_priority(&self.texts),
            tokens: one(&self.tokens),
            truncated: one(&self.truncated),
            unknown: one(&self.unknown),
            dropped: by_priority(&self.dropped),
            refused: by_priority(&self.refused),
            expired: by_priority(&self.expired),
            failed: by_priority(&self.failed),
            queue_tokens: ByPriority::new(|priority| {
                self.queue_tokens.with_label_values(&[encoder_id, priority.name()])
            }),
            queue_seconds: ByPriority::new(|priority| {
                self.queue_seconds.with_label_values(&[encoder_id, priority.name()])
            }),
            batch_texts: histogram(&self.batch_texts),
            batch_tokens: histogram(&self.batch_tokens),
            batch_seconds: histogram(&self.batch_seconds),
            cache_hits: one(&self.cache_hits),
            cache_misses: one(&self.cache_misses),
        })
    }
}

impl EncoderMetrics {
    /// Metrics in a registry of their own, for tests and tools.
    pub fn unregistered() -> Arc<Self> {
        MetricFamilies::unregistered().of("unregistered")
    }

    /// The gauges of the waiting tokens.
    pub fn queue_gauges(&self) -> ByPriority<IntGauge> {
        self.queue_tokens.clone()
    }

    /// Records a computed batch.
    pub fn batch(&self, texts: usize, tokens: usize, took: Duration) {
        self.batch_texts.observe(texts as f64);
        self.batch_tokens.observe(tokens as f64);
        self.batch_seconds.observe(took.as_secs_f64());
    }

    /// Records an embedded text and how long it had waited.
    pub fn encoded(&self, priority: Priority, tokens: u32, waited: Duration, traits: TextTraits) {
        self.texts.of(priority).inc();
        self.tokens.inc_by(u64::from(tokens));
        self.truncated.inc_by(u64::from(traits.truncated));
        self.unknown.inc_by(u64::from(traits.unknown));
        self.queue_seconds.of(priority).observe(waited.as_secs_f64());
    }

    /// Records a text whose caller was gone.
    pub fn dropped(&self, priority: Priority) {
        self.dropped.of(priority).inc();
    }

    /// Records texts that were refused because the queue was full.
    pub fn refused(&self, priority: Priority, texts: usize) {
        self.refused.of(priority).inc_by(texts as u64);
    }

    /// Records a text whose deadline had passed.
    pub fn expired(&self, priority: Priority) {
        self.expired.of(priority).inc();
    }

    /// Records a text that could not be embedded.
    pub fn failed(&self, priority: Priority) {
        self.failed.of(priority).inc();
    }

    /// Records that a query was looked up in the cache.
    pub fn cache_lookup(&self, lookup: CacheLookup) {
        match lookup {
            CacheLookup::Hit => self.cache_hits.inc(),
            CacheLookup::Miss => self.cache_misses.inc(),
        }
    }
}

/// Traits of an embedded text that are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextTraits {
    /// Its end was cut off.
    pub truncated: bool,
    /// The encoder knew none of its tokens.
    pub unknown: bool,
}

/// Whether a query was in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheLookup {
    /// It was cached.
    Hit,
    /// It was not cached.
    Miss,
}

/// Creates metrics and registers them.
struct Registrar<'a>(&'a Registry);

impl Registrar<'_> {
    fn counters(&self, noun: &str, help: &str) -> IntCounterVec {
        self.add(IntCounterVec::new(opts(noun, help), &["encoder_id"]))
    }

    fn counters_by_priority(&self, noun: &str, help: &str) -> IntCounterVec {
        self.add(IntCounterVec::new(opts(noun, help), &["encoder_id", "priority"]))
    }

    fn gauges(&self, noun: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(opts(noun, help), labels))
    }

    fn histograms(&self, noun: &str, help: &str, buckets: Vec<f64>) -> HistogramVec {
        let opts = HistogramOpts::from(opts(noun, help)).buckets(buckets);
        self.add(HistogramVec::new(opts, &["encoder_id"]))
    }

    fn histograms_by_priority(&self, noun: &str, help: &str, buckets: Vec<f64>) -> HistogramVec {
        let opts = HistogramOpts::from(opts(noun, help)).buckets(buckets);
        self.add(HistogramVec::new(opts, &["encoder_id", "priority"]))
    }

    fn add<C: Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        const UNIQUE: &str = "the metric names of this file are valid and distinct";
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

#[cfg(test)]
mod reading {
    //! Reads counters, for tests.

    use super::{EncoderMetrics, Priority};

    impl EncoderMetrics {
        /// Dropped, refused, expired and failed texts of a priority.
        pub fn not_computed(&self, priority: Priority) -> [u64; 4] {
            [&self.dropped, &self.refused, &self.expired, &self.failed].map(|counters| counters.of(priority).get())
        }

        /// Hits and misses.
        pub fn cache_lookups(&self) -> (u64, u64) {
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
        let families = MetricFamilies::new(&registry);
        families.show_model("potion@123", "123456", "static", "f32");
        families.of("potion@123");
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
        let has_priority = |family: &&prometheus::proto::MetricFamily| {
            let labels = family.get_metric()[0].get_label();
            labels.iter().any(|label| label.name() == "priority")
        };
        let by_priority: Vec<_> = families.iter().filter(has_priority).collect();
        assert_eq!(by_priority.len(), 7);
        for family in by_priority {
            assert_eq!(family.get_metric().len(), 3, "{}", family.name());
        }
    }

    #[test]
    fn each_encoder_has_its_own_series() {
        let families = MetricFamilies::unregistered();
        let (first, second) = (families.of("a@1"), families.of("b@2"));
        first.failed(Priority::Bulk);
        families.show_model("a@1", "1", "static", "f32");
        families.show_model("b@2", "2", "bert", "i16");
        assert_eq!(first.not_computed(Priority::Bulk), [0, 0, 0, 1]);
        assert_eq!(second.not_computed(Priority::Bulk), [0, 0, 0, 0]);
        assert_eq!(families.model.collect()[0].get_metric().len(), 2);
    }
}
