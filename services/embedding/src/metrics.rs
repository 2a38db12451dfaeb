//! The figures this service shows: every metric of `embedding` is declared here and exists before the first request.
//!
//! It never decides what is slow or wrong; alerts do.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::{
    Histogram, IntCounter, IntCounterVec, register_histogram, register_int_counter, register_int_counter_vec,
};

use crate::encoder::{Encoded, Text, TextKind};

/// The metrics of this service, in the default registry.
static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::register);

struct Metrics {
    texts: IntCounterVec,
    tokens: IntCounter,
    truncated: IntCounter,
    unknown: IntCounter,
    batch_texts: Histogram,
    batch_seconds: Histogram,
}

/// Makes every metric exist, at zero. Called once at start.
pub fn register() {
    LazyLock::force(&METRICS);
}

/// Records one batch that was encoded.
pub fn record_batch(texts: &[Text<'_>], encoded: &[Encoded], elapsed: Duration) {
    for text in texts {
        METRICS.texts.with_label_values(&[label(text.kind)]).inc();
    }
    for result in encoded {
        METRICS.tokens.inc_by(u64::from(result.tokens));
        METRICS.truncated.inc_by(u64::from(result.truncated));
        METRICS.unknown.inc_by(u64::from(result.dense.is_zero()));
    }
    METRICS.batch_texts.observe(texts.len() as f64);
    METRICS.batch_seconds.observe(elapsed.as_secs_f64());
}

impl Metrics {
    fn register() -> Self {
        const UNIQUE: &str = "metric names of this file are distinct";
        let metrics = Self {
            texts: register_int_counter_vec!("broadsheet_embedding_texts_total", "Texts encoded, by kind.", &["kind"])
                .expect(UNIQUE),
            tokens: register_int_counter!("broadsheet_embedding_tokens_total", "Tokens the encoder read.")
                .expect(UNIQUE),
            truncated: register_int_counter!(
                "broadsheet_embedding_truncated_texts_total",
                "Texts whose end was left out because they were longer than the encoder reads."
            )
            .expect(UNIQUE),
            unknown: register_int_counter!(
                "broadsheet_embedding_unknown_texts_total",
                "Texts without any token the encoder knows; their dense vector is zero."
            )
            .expect(UNIQUE),
            batch_texts: register_histogram!(
                "broadsheet_embedding_batch_texts",
                "Texts encoded at once.",
                vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]
            )
            .expect(UNIQUE),
            batch_seconds: register_histogram!(
                "broadsheet_embedding_batch_seconds",
                "Time to encode one batch.",
                vec![
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0
                ]
            )
            .expect(UNIQUE),
        };
        for kind in [TextKind::Query, TextKind::Document] {
            metrics.texts.with_label_values(&[label(kind)]);
        }
        metrics
    }
}

fn label(kind: TextKind) -> &'static str {
    match kind {
        TextKind::Query => "query",
        TextKind::Document => "document",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_exists_before_the_first_request() {
        register();
        let names: Vec<String> = prometheus::gather()
            .iter()
            .map(|family| family.name().to_owned())
            .collect();
        for noun in [
            "texts_total",
            "tokens_total",
            "truncated_texts_total",
            "unknown_texts_total",
            "batch_texts",
            "batch_seconds",
        ] {
            let name = format!("broadsheet_embedding_{noun}");
            assert!(names.contains(&name), "{name} is missing from {names:?}");
        }
    }
}
