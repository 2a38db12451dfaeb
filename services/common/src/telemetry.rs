//! Logs and traces: sets them up, and carries a trace through NATS headers and gRPC metadata.
//!
//! The log filter belongs to the log alone: as a global filter it would silently cut traces. It never logs payloads.

use std::str::FromStr as _;

use async_nats::{HeaderMap, HeaderName};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::config::{LogFormat, TelemetryConfig};

/// Keeps telemetry alive; flushes what is left when it is shut down.
pub struct Telemetry {
    provider: SdkTracerProvider,
}

/// Telemetry that could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("telemetry cannot be set up: {0}")]
pub struct TelemetryError(String);

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
            let exporter = opentelemetry_otlp::SpanExporter::builder()
                .with_tonic()
                .with_endpoint(endpoint)
                .build()
                .map_err(|error| TelemetryError(error.to_string()))?;
            builder = builder.with_batch_exporter(exporter);
        }
        let provider = builder.build();
        let filter = EnvFilter::try_new(&config.log).map_err(|error| TelemetryError(error.to_string()))?;
        let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let log = match config.log_format {
            LogFormat::Text => log.with_filter(filter).boxed(),
            LogFormat::Json => log.json().with_filter(filter).boxed(),
        };
        let ours = tracing_subscriber::filter::filter_fn(|metadata| !metadata.is_event());
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

struct MetadataOut<'a>(&'a mut tonic::metadata::MetadataMap);

impl Injector for MetadataOut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) = (tonic::metadata::MetadataKey::from_str(key), value.parse()) {
            self.0.insert(key, value);
        }
    }
}

/// Writes the trace of the current span into NATS headers.
pub fn inject_into_headers(headers: &mut HeaderMap) {
    let context = Span::current().context();
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

/// Writes the trace of the current span into gRPC metadata.
pub fn inject_into_metadata(metadata: &mut tonic::metadata::MetadataMap) {
    let context = Span::current().context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut MetadataOut(metadata)));
}
