//! Logs and traces: sets them up, and carries a trace through NATS headers and gRPC metadata.
//!
//! The log filter belongs to the log alone: as a global filter it would silently cut traces. Spans are ours alone: those
//! that libraries make for their own debugging stay out. It never logs payloads.

use std::io::IsTerminal as _;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{HeaderMap, HeaderName};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_otlp::WithTonicConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::config::{LogFormat, TelemetryConfig};

/// The longest wait for the collector.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// Keeps telemetry alive; flushes what is left when it is shut down.
pub struct Telemetry {
    provider: SdkTracerProvider,
}

/// Telemetry that could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("telemetry cannot be set up: {0}")]
pub struct TelemetryError(String);

/// Whether a collector is told of spans.
static EXPORTED: AtomicBool = AtomicBool::new(false);

/// Whether spans leave the process: for those that are many and have nothing to pass on.
pub fn is_exported() -> bool {
    EXPORTED.load(Ordering::Relaxed)
}

impl Telemetry {
    /// Sets up logs to standard error and traces to the collector.
    pub fn start(service: &'static str, config: &TelemetryConfig) -> Result<Self, TelemetryError> {
        global::set_text_map_propagator(TraceContextPropagator::new());
        let resource = Resource::builder()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let mut builder = SdkTracerProvider::builder().with_resource(resource);
        if let Some(endpoint) = &config.otlp_endpoint {
            let to_collector = config.otlp_tls.channel(endpoint, Some(EXPORT_TIMEOUT));
            let to_collector = to_collector.map_err(|error| TelemetryError(error.to_string()))?;
            let exporter = opentelemetry_otlp::SpanExporter::builder()
                .with_tonic()
                .with_channel(to_collector.channel)
                .build()
                .map_err(|error| TelemetryError(error.to_string()))?;
            builder = builder.with_batch_exporter(exporter);
            EXPORTED.store(true, Ordering::Relaxed);
        }
        let provider = builder.build();
        let filter = EnvFilter::try_new(&config.log).map_err(|error| TelemetryError(error.to_string()))?;
        let log = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal());
        let log = match config.log_format {
            LogFormat::Text => log.with_filter(filter).boxed(),
            LogFormat::Json => log.json().with_filter(filter).boxed(),
        };
        let ours =
            tracing_subscriber::filter::filter_fn(|metadata| metadata.is_span() && *metadata.level() <= Level::INFO);
        let traces = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("broadsheet"))
            .with_filter(ours);
        tracing_subscriber::registry()
            .with(log)
            .with(traces)
            .try_init()
            .map_err(|error| TelemetryError(error.to_string()))?;
        Ok(Self { provider })
    }

    /// Sends what is left. Blocks for a moment; call it last.
    pub fn shutdown(self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::debug!(%error, "traces not flushed");
        }
    }
}

struct HeadersOut<'a>(&'a mut HeaderMap);

impl Injector for HeadersOut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let Ok(name) = HeaderName::from_str(key) {
            self.0.insert(name, value.as_str());
        }
    }
}

struct HeadersIn<'a>(&'a HeaderMap);

impl Extractor for HeadersIn<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(async_nats::HeaderValue::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| -> &str { name.as_ref() }).collect()
    }
}

struct HttpIn<'a>(&'a http::HeaderMap);

impl Extractor for HttpIn<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

struct HttpOut<'a>(&'a mut http::HeaderMap);

impl Injector for HttpOut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) = (http::HeaderName::from_str(key), value.parse()) {
            self.0.insert(key, value);
        }
    }
}

/// The span a message came from, to be pointed at from another trace.
#[derive(Debug, Clone)]
pub struct TraceLink(SpanContext);

impl TraceLink {
    /// From the headers of a message; `None` where they carry no trace.
    pub fn from_headers(headers: Option<&HeaderMap>) -> Option<Self> {
        let headers = HeadersIn(headers?);
        let context = global::get_text_map_propagator(|p| p.extract_with_context(&Context::new(), &headers));
        let span = context.span().span_context().clone();
        span.is_valid().then_some(Self(span))
    }
}

/// Points from a span at another trace, such as from a mail at a paper in it.
pub fn link(span: &Span, to: &TraceLink) {
    span.add_link(to.0.clone());
}

/// Writes the trace of a span into NATS headers.
pub fn inject_into_headers(span: &Span, headers: &mut HeaderMap) {
    let context = span.context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut HeadersOut(headers)));
}

/// Continues the trace that NATS headers carry.
pub fn set_parent_from_headers(span: &Span, headers: Option<&HeaderMap>) {
    let Some(headers) = headers else { return };
    let context = global::get_text_map_propagator(|propagator| propagator.extract(&HeadersIn(headers)));
    let _ = span.set_parent(context); // fails only where no trace layer runs, as in tests
}

/// Continues the trace that an HTTP or gRPC request carries.
pub fn set_parent_from_http(span: &Span, headers: &http::HeaderMap) {
    let context = global::get_text_map_propagator(|propagator| propagator.extract(&HttpIn(headers)));
    let _ = span.set_parent(context); // fails only where no trace layer runs, as in tests
}

/// Writes the trace of a span into the headers of an HTTP or gRPC request.
pub fn inject_into_http(span: &Span, headers: &mut http::HeaderMap) {
    let context = span.context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut HttpOut(headers)));
}
