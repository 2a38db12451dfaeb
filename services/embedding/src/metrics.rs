//! The metrics of this service. Each is declared here, has one series per encoder, and exists before the first request.
//!
//! Nothing here decides what is slow or wrong; the alerts do. Tokens per second are the rate of `tokens_total`.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use encoder::TextKind;

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
    texts: ByKind<IntCounter>,
    tokens: IntCounter,
    truncated: IntCounter,
    unknown: IntCounter,
    dropped: ByKind<IntCounter>,
    refused: ByKind<IntCounter>,
    expired: ByKind<IntCounter>,
    failed: ByKind<IntCounter>,
    queue_tokens: ByKind<IntGauge>,
    queue_seconds: ByKind<Histogram>,
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
            texts: add.counters_by_kind("texts_total", "Texts embedded, by kind."),
            tokens: add.counters("tokens_total", "Tokens embedded."),
            truncated: add.counters(
                "truncated_texts_total",
                "Texts truncated because they had more tokens than the encoder reads.",
            ),
            unknown: add.counters(
                "unknown_texts_total",
                "Texts without any token that the encoder knows; their dense vector is zero.",
            ),
            dropped: add.counters_by_kind(
                "dropped_texts_total",
                "Texts not embedded because their caller was gone, by kind.",
            ),
            refused: add.counters_by_kind(
                "refused_texts_total",
                "Texts refused because the queue was full, by kind.",
            ),
            expired: add.counters_by_kind(
                "expired_texts_total",
                "Texts not embedded because their deadline had passed, by kind.",
            ),
            failed: add.counters_by_kind("failed_texts_total", "Texts that the encoder failed to embed, by kind."),
            queue_tokens: add.gauges(
                "queue_tokens",
                "Tokens waiting for the encoder, by kind.",
                &["encoder_id", "kind"],
            ),
            queue_seconds: add.histograms_by_kind(
                "queue_seconds",
                "Time that texts waited for the encoder, by kind.",
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
        let by_kind = |counters: &IntCounterVec| ByKind::new(|kind| counters.with_label_values(&[encoder_id, kind]));
        Arc::new(EncoderMetrics {
            texts: by_kind(&self.texts),
            tokens: one(&self.tokens),
            truncated: one(&self.truncated),
            unknown: one(&self.unknown),
            dropped: by_kind(&self.dropped),
            refused: by_kind(&self.refused),
            expired: by_kind(&self.expired),
            failed: by_kind(&self.failed),
            queue_tokens: ByKind::new(|kind| self.queue_tokens.with_label_values(&[encoder_id, kind])),
            queue_seconds: ByKind::new(|kind| self.queue_seconds.with_label_values(&[encoder_id, kind])),
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

    /// The gauges of the waiting tokens of queries and of documents, in this order.
    pub fn queue_gauges(&self) -> [IntGauge; 2] {
        [self.queue_tokens.queries.clone(), self.queue_tokens.documents.clone()]
    }

    /// Records a computed batch.
    pub fn batch(&self, texts: usize, tokens: usize, took: Duration) {
        self.batch_texts.observe(texts as f64);
        self.batch_tokens.observe(tokens as f64);
        self.batch_seconds.observe(took.as_secs_f64());
    }

    /// Records an embedded text and how long it had waited.
    pub fn encoded(&self, kind: TextKind, tokens: u32, waited: Duration, traits: TextTraits) {
        self.texts.of(kind).inc();
        self.tokens.inc_by(u64::from(tokens));
        self.truncated.inc_by(u64::from(traits.truncated));
        self.unknown.inc_by(u64::from(traits.unknown));
        self.queue_seconds.of(kind).observe(waited.as_secs_f64());
    }

    /// Records a text whose caller was gone.
    pub fn dropped(&self, kind: TextKind) {
        self.dropped.of(kind).inc();
    }

    /// Records texts that were refused because the queue was full.
    pub fn refused(&self, kind: TextKind, texts: usize) {
        self.refused.of(kind).inc_by(texts as u64);
    }

    /// Records a text whose deadline had passed.
    pub fn expired(&self, kind: TextKind) {
        self.expired.of(kind).inc();
    }

    /// Records a text that could not be embedded.
    pub fn failed(&self, kind: TextKind) {
        self.failed.of(kind).inc();
    }

    /// Records that a query was looked up in the cache.
    pub fn cache_lookup(&self, lookup: CacheLookup) {
        match lookup {
            CacheLookup::Hit => self.cache_hits.inc(),
            CacheLookup::Miss => self.cache_misses.inc(),
        }
    }
}

/// One metric per kind of text.
#[derive(Debug)]
struct ByKind<M> {
    queries: M,
    documents: M,
}

impl<M> ByKind<M> {
    fn new(of_kind: impl Fn(&str) -> M) -> Self {
        Self {
            queries: of_kind("query"),
            documents: of_kind("document"),
        }
    }

    fn of(&self, kind: TextKind) -> &M {
        match kind {
            TextKind::Query => &self.queries,
            TextKind::Document => &self.documents,
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

    fn counters_by_kind(&self, noun: &str, help: &str) -> IntCounterVec {
        self.add(IntCounterVec::new(opts(noun, help), &["encoder_id", "kind"]))
    }

    fn gauges(&self, noun: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(opts(noun, help), labels))
    }

    fn histograms(&self, noun: &str, help: &str, buckets: Vec<f64>) -> HistogramVec {
        let opts = HistogramOpts::from(opts(noun, help)).buckets(buckets);
        self.add(HistogramVec::new(opts, &["encoder_id"]))
    }

    fn histograms_by_kind(&self, noun: &str, help: &str, buckets: Vec<f64>) -> HistogramVec {
        let opts = HistogramOpts::from(opts(noun, help)).buckets(buckets);
        self.add(HistogramVec::new(opts, &["encoder_id", "kind"]))
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

    use super::{EncoderMetrics, TextKind};

    impl EncoderMetrics {
        /// Dropped, refused, expired and failed texts of a kind.
        pub fn not_computed(&self, kind: TextKind) -> [u64; 4] {
            [&self.dropped, &self.refused, &self.expired, &self.failed].map(|counters| counters.of(kind).get())
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
        let has_kind = |family: &&prometheus::proto::MetricFamily| {
            let labels = family.get_metric()[0].get_label();
            labels.iter().any(|label| label.name() == "kind")
        };
        let by_kind: Vec<_> = families.iter().filter(has_kind).collect();
        assert_eq!(by_kind.len(), 7);
        for family in by_kind {
            assert_eq!(family.get_metric().len(), 2, "{}", family.name());
        }
    }

    #[test]
    fn each_encoder_has_its_own_series() {
        let families = MetricFamilies::unregistered();
        let (first, second) = (families.of("a@1"), families.of("b@2"));
        first.failed(TextKind::Document);
        families.show_model("a@1", "1", "static", "f32");
        families.show_model("b@2", "2", "bert", "i16");
        assert_eq!(first.not_computed(TextKind::Document), [0, 0, 0, 1]);
        assert_eq!(second.not_computed(TextKind::Document), [0, 0, 0, 0]);
        assert_eq!(families.model.collect()[0].get_metric().len(), 2);
    }
}
