//! A collector of traces inside the test: what an OpenTelemetry collector would be sent, over the real protocol.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// A span as a test looks at it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `service.name` of the process that made it.
    pub service: String,
    /// Its name.
    pub name: String,
    /// `server`, `client`, `producer`, `consumer` or `internal`.
    pub kind: &'static str,
    /// The trace, in hexadecimal.
    pub trace: String,
    /// Its id.
    pub id: String,
    /// Its parent's id; empty for the first of a trace.
    pub parent: String,
    /// Other spans it points at: trace and id.
    pub links: Vec<(String, String)>,
    /// What it says beyond that.
    pub attributes: BTreeMap<String, String>,
}

/// The collector. It ends with the runtime of the test.
#[derive(Clone, Default)]
pub struct Collector {
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Collector {
    /// Listens, and says where.
    pub async fn start() -> (Self, String) {
        let this = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = Server::builder().add_service(TraceServiceServer::new(this.clone()));
        tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));
        (this, url)
    }

    /// Every span so far. A process sends its last ones before it ends.
    pub fn spans(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_process in request.into_inner().resource_spans {
            let service = name_of(of_process.resource);
            let spans = of_process.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let seen = spans.map(|span| seen(&service, span));
            self.seen.lock().unwrap().extend(seen);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn name_of(resource: Option<Resource>) -> String {
    let attributes = texts(resource.unwrap_or_default().attributes);
    attributes.get("service.name").cloned().unwrap_or_default()
}

fn seen(service: &str, span: Span) -> Seen {
    let kinds = ["unspecified", "internal", "server", "client", "producer", "consumer"];
    let links = span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id)));
    Seen {
        service: service.to_owned(),
        kind: kinds[usize::try_from(span.kind).unwrap()],
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        links: links.collect(),
        name: span.name,
        attributes: texts(span.attributes),
    }
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|one| (one.key, text(one.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
