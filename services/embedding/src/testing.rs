//! What several tests of this crate need: a model under their control, an engine over it, and waiting with a time limit.

mod fake_model;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::clock::Clock;
use domain::{DenseVector, SparseVector};
use encoder::{Model, TextKind};

use crate::engine::{EmbeddedText, Engine, EngineConfig, InputText, QueueCapacity, Truncate};
use crate::metrics::MetricFamilies;
use crate::priority::Priority;

pub use fake_model::{FakeModel, ModelCall, ModelControl};

/// After this long a test gives up waiting. Reached only when it fails.
pub const TIME_LIMIT: Duration = Duration::from_secs(20);

/// Waits until a condition holds; panics after [`TIME_LIMIT`].
pub async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < TIME_LIMIT, "waited in vain until {what}");
        tokio::task::yield_now().await;
    }
}

/// The same in a test without a runtime.
pub fn block_until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < TIME_LIMIT, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// The vectors of a text with this many tokens.
pub fn embedded(tokens: u32) -> EmbeddedText {
    EmbeddedText {
        dense: DenseVector::new(vec![0.6, 0.8]).expect("a valid vector"),
        sparse: SparseVector::default(),
        tokens,
        truncated: false,
        queue_time: Duration::ZERO,
        compute_time: Duration::ZERO,
        cached: false,
    }
}

/// A text of the usual priority without a title that may be truncated.
pub fn text(kind: TextKind, content: &str) -> InputText {
    InputText {
        kind,
        priority: Priority::usual(kind),
        content: content.to_owned(),
        title: String::new(),
        truncate: Truncate::Report,
    }
}

/// A configuration with a large queue and no cache.
pub fn config(threads: usize) -> EngineConfig {
    EngineConfig {
        threads,
        tokenizer_threads: 1,
        capacity: QueueCapacity {
            interactive: 10_000,
            bulk: 10_000,
            best_effort: 10_000,
        },
        query_cache: 0,
    }
}

/// An engine with one compute thread over the plain fake model.
pub fn engine() -> Engine {
    start_engine(Arc::new(FakeModel::default()), config(1))
}

/// An engine on the system clock with metrics of its own.
pub fn start_engine(model: Arc<dyn Model>, config: EngineConfig) -> Engine {
    Engine::start(model, config, Clock::system(), &MetricFamilies::unregistered()).expect("an engine")
}
