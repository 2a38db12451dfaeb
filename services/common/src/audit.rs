//! The audit log: who called what that writes or administers, when, and how it ended. Each call is a line of the log and an
//! entry of a stream that `broadsheet audit` reads.
//!
//! It never records what a call said, nor the address of a reader. It never delays a call: while the bus does not answer,
//! entries beyond a bound are in the log alone, and counted.

use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::Instant;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::DeliverPolicy;
use bytes::Bytes;
use futures::StreamExt as _;
use hyper::body::{Body, Frame, SizeHint};
use jiff::Timestamp;
use prometheus::IntCounter;
use prost::Message as _;
use proto::operations::v1::AuditEntry;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tracing::{info, warn};

use crate::bus::{Bus, BusError};
use crate::clock::Clock;
use crate::connections::peer;
use crate::keys::KeyHolder;
use crate::{flow, metrics, replay, streams};

/// Entries that may wait for the bus.
const WAITING: usize = 4_096;

static DROPPED: LazyLock<IntCounter> = LazyLock::new(|| {
    metrics::counter(
        "broadsheet_audit_entries_dropped_total",
        "Audit entries that are in the log of the service alone, because the bus did not take them.",
    )
});

/// Takes entries; clones write to the same stream.
#[derive(Clone)]
pub struct AuditLog {
    entries: mpsc::Sender<AuditEntry>,
    service: &'static str,
    clock: Clock,
}

/// Publishes what an [`AuditLog`] takes. A process without a bus has its entries in its log alone.
pub struct AuditPublisher {
    entries: mpsc::Receiver<AuditEntry>,
    bus: Option<Bus>,
}

impl AuditLog {
    /// The audit log of a process, and what publishes its entries.
    pub fn new(bus: Option<&Bus>, service: &'static str, clock: &Clock) -> (Self, AuditPublisher) {
        LazyLock::force(&DROPPED);
        let (sender, entries) = mpsc::channel(WAITING);
        let log = Self {
            entries: sender,
            service,
            clock: clock.clone(),
        };
        (
            log,
            AuditPublisher {
                entries,
                bus: bus.cloned(),
            },
        )
    }

    /// A call that has begun.
    pub fn begin(&self, holder: &KeyHolder, request: &http::Request<axum::body::Body>) -> AuditedCall {
        let header = |name: &str| {
            let value = request.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().chars().take(128).collect()
        };
        AuditedCall {
            entry: AuditEntry {
                key_name: holder.name.to_string(),
                key_id: holder.id.to_string(),
                method: request.uri().path().trim_start_matches('/').to_owned(),
                service: self.service.to_owned(),
                peer: peer(request.extensions())
                    .map(|peer| peer.ip().to_string())
                    .unwrap_or_default(),
                request_id: header("x-request-id"),
                ..AuditEntry::default()
            },
            begun: self.clock.instant(),
            log: self.clone(),
            ended: false,
        }
    }

    fn record(&self, entry: AuditEntry) {
        info!(
            target: "audit",
            key = entry.key_name,
            key_id = entry.key_id,
            method = entry.method,
            code = entry.code,
            peer = entry.peer,
            request_id = entry.request_id,
            duration_ms = entry.duration_milliseconds,
            "call"
        );
        if self.entries.try_send(entry).is_err() {
            DROPPED.inc();
        }
    }
}

impl AuditPublisher {
    /// Publishes until the stop, and then what still waits.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let entry = tokio::select! {
                biased;
                entry = self.entries.recv() => entry,
                () = stop.cancelled() => break,
            };
            // A process that cannot start drops its log before the stop. Its error says why, and this end is none.
            let Some(entry) = entry else {
                return stop.cancelled().await;
            };
            self.publish(entry).await;
        }
        while let Ok(entry) = self.entries.try_recv() {
            self.publish(entry).await;
        }
    }

    async fn publish(&self, entry: AuditEntry) {
        let subject = format!("{}.{}", flow::AUDIT_PREFIX, entry.service);
        let id = uuid::Uuid::new_v4().simple().to_string();
        let Some(bus) = &self.bus else { return };
        let published = bus.publish_raw(&subject, &id, HeaderMap::new(), entry.encode_to_vec().into());
        if let Err(error) = published.await {
            warn!(%error, "audit entry not published; it is in this log");
            DROPPED.inc();
        }
    }
}

/// A call whose end is to be recorded. Dropping it records that the caller left before the end.
pub struct AuditedCall {
    entry: AuditEntry,
    begun: Instant,
    log: AuditLog,
    ended: bool,
}

impl AuditedCall {
    /// Records the end.
    pub fn end(mut self, code: Code) {
        self.record(code);
    }

    fn record(&mut self, code: Code) {
        self.ended = true;
        let mut entry = std::mem::take(&mut self.entry);
        code_name(code).clone_into(&mut entry.code);
        entry.end_time = Some(proto::convert::to_wire_time(self.log.clock.now()));
        let took = self.log.clock.elapsed(self.begun);
        entry.duration_milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.log.record(entry);
    }
}

impl Drop for AuditedCall {
    fn drop(&mut self) {
        if !self.ended {
            self.record(Code::Cancelled);
        }
    }
}

/// The body of an answer, recorded at its end.
pub struct AuditedBody {
    body: axum::body::Body,
    call: Option<AuditedCall>,
}

impl AuditedBody {
    /// The response of a call, whose end, in headers or trailers, is recorded.
    pub async fn answered(
        response: impl Future<Output = axum::response::Response>,
        call: AuditedCall,
    ) -> axum::response::Response {
        let response = response.await;
        if let Some(code) = status_in(response.headers()) {
            call.end(code);
            return response;
        }
        response.map(|body| axum::body::Body::new(Self { body, call: Some(call) }))
    }
}

impl Body for AuditedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        let code = match &frame {
            Some(Ok(frame)) => frame.trailers_ref().and_then(status_in),
            Some(Err(_)) | None => Some(Code::Unknown),
        };
        if let Some(code) = code
            && let Some(call) = self.call.take()
        {
            call.end(code);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn status_in(headers: &http::HeaderMap) -> Option<Code> {
    let code = headers.get("grpc-status")?;
    Some(Code::from_bytes(code.as_bytes()))
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Where a page of the audit log begins.
#[derive(Debug, Clone, Copy)]
pub enum AuditStart {
    /// At the oldest entry.
    Oldest,
    /// At the first one that is not older.
    Time(Timestamp),
    /// At a sequence of the stream.
    Sequence(u64),
}

/// At most `size` entries, oldest first, and the sequence at which the next page begins.
pub async fn list(bus: &Bus, start: AuditStart, size: usize) -> Result<(Vec<AuditEntry>, Option<u64>), BusError> {
    let from = match start {
        AuditStart::Oldest => DeliverPolicy::All,
        AuditStart::Time(time) => DeliverPolicy::ByStartTime {
            start_time: replay::time_of(time),
        },
        AuditStart::Sequence(start_sequence) => DeliverPolicy::ByStartSequence { start_sequence },
    };
    let (there, messages) = streams::read_in_order(bus, flow::AUDIT_STREAM, None, from).await?;
    let mut messages = messages.take(usize::try_from(there).unwrap_or(usize::MAX));
    let mut entries = Vec::new();
    while let Some(message) = messages.next().await {
        if entries.len() == size {
            return Ok((entries, Some(message.sequence)));
        }
        let entry = AuditEntry::decode(message.payload).map_err(|error| BusError::Undecodable {
            subject: message.subject,
            sequence: message.sequence,
            problem: error.to_string(),
        })?;
        entries.push(entry);
    }
    Ok((entries, None))
}
