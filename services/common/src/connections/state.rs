//! One connection: what it waits for, since when, and whether that is too long.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use hyper::body::{Body, Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::clock::Clock;

/// From the first byte of a request to the end of its headers; and from the connection to its first request, or to the end
/// of the TLS handshake.
const HEAD_MS: u64 = 10_000;
/// Between two requests. Longer than the 60 s for which proxies keep connections: the proxy closes first, and sends no
/// request into a connection that is just being closed.
const IDLE_MS: u64 = 75_000;
/// Between two bytes of an HTTP/2 client of gRPC, which has to answer the pings that it is sent.
const SILENT_MS: u64 = 75_000;
/// Without the client taking a byte of what is written.
const STALLED_MS: u64 = 30_000;

/// Why a connection is closed by the server, or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// A request, or the handshake, was begun and not sent to its end in time.
    Slow,
    /// No request came for long.
    Idle,
    /// The client does not read its answer.
    Stalled,
    /// It served no request when there were as many connections as there may be.
    MadeRoom,
    /// Refused: there are as many connections as there may be, and each serves a request.
    Refused,
    /// Refused: the client has as many as one may have, and each serves a request.
    ClientRefused,
}

impl CloseReason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Slow,
        Self::Idle,
        Self::Stalled,
        Self::MadeRoom,
        Self::Refused,
        Self::ClientRefused,
    ];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow_request",
            Self::Idle => "idle",
            Self::Stalled => "stalled",
            Self::MadeRoom => "made_room",
            Self::Refused => "refused",
            Self::ClientRefused => "client_refused",
        }
    }

    /// Whether the client may be in the middle of something.
    pub fn interrupts(self) -> bool {
        matches!(self, Self::Slow | Self::Stalled)
    }
}

/// What a connection speaks, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Protocol {
    /// Too little has come to tell.
    Unknown,
    /// HTTP/1.
    Http1,
    /// HTTP/2, in clear.
    Http2,
    /// TLS that has got as far as encrypted data.
    Tls,
}

/// What becomes of an HTTP/2 connection on which nothing is asked for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdleHttp2 {
    /// It is closed.
    Closed,
    /// It is kept while the client answers pings.
    Kept,
}

/// Milliseconds since a moment, by a clock.
#[derive(Debug, Clone)]
pub(super) struct Ticks {
    clock: Clock,
    started: Instant,
}

impl Ticks {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            started: clock.instant(),
            clock,
        }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Never 0, which stands for "not".
    pub(super) fn now(&self) -> u64 {
        let passed = self.clock.elapsed(self.started).as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX).max(1)
    }
}

/// What is known of one connection. Times are in milliseconds of [`Ticks`]; 0 stands for "not".
pub struct ConnectionState {
    ticks: Ticks,
    client: u128,
    exempt: bool,
    idle_http2: IdleHttp2,
    accepted: u64,
    protocol: AtomicU8,
    /// Requests that are being answered.
    active: AtomicU32,
    /// Whether a whole request has ever come.
    useful: AtomicBool,
    /// Since when nothing is asked.
    idle_since: AtomicU64,
    /// Since when a request is being sent whose headers are not complete.
    head_since: AtomicU64,
    last_read: AtomicU64,
    /// Since when the client takes nothing of what is written.
    blocked_since: AtomicU64,
    closing: CancellationToken,
    reason: OnceLock<CloseReason>,
}

impl ConnectionState {
    pub(super) fn new(ticks: Ticks, client: u128, exempt: bool, idle_http2: IdleHttp2) -> Self {
        let now = ticks.now();
        Self {
            ticks,
            client,
            exempt,
            idle_http2,
            accepted: now,
            protocol: AtomicU8::new(Protocol::Unknown as u8),
            active: AtomicU32::new(0),
            useful: AtomicBool::new(false),
            idle_since: AtomicU64::new(now),
            head_since: AtomicU64::new(0),
            last_read: AtomicU64::new(now),
            blocked_since: AtomicU64::new(0),
            closing: CancellationToken::new(),
            reason: OnceLock::new(),
        }
    }

    /// A request has come, with all its headers.
    pub fn begin(self: Arc<Self>) -> ActiveRequest {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
        self.useful.store(true, Ordering::Relaxed);
        ActiveRequest(self)
    }

    /// Why the connection is to be closed, once it is.
    pub async fn closed(&self) -> CloseReason {
        self.closing.cancelled().await;
        self.reason.get().copied().unwrap_or(CloseReason::Idle)
    }

    pub(super) fn closing(&self) -> WaitForCancellationFutureOwned {
        self.closing.clone().cancelled_owned()
    }

    pub(super) fn close(&self, reason: CloseReason) {
        let _ = self.reason.set(reason);
        self.closing.cancel();
    }

    pub(super) fn client(&self) -> u128 {
        self.client
    }

    pub(super) fn is_exempt(&self) -> bool {
        self.exempt
    }

    pub(super) fn is_idle(&self) -> bool {
        self.active.load(Ordering::Relaxed) == 0
    }

    /// Whether it ever brought a request, and since when it brings none: the least is given up first.
    pub(super) fn usefulness(&self) -> (bool, u64) {
        let idle_since = self.idle_since.load(Ordering::Relaxed);
        (self.useful.load(Ordering::Relaxed), idle_since)
    }

    pub(super) fn speaks(&self, protocol: Protocol) {
        self.protocol.store(protocol as u8, Ordering::Relaxed);
    }

    /// Bytes have come.
    pub(super) fn note_read(&self) {
        let now = self.ticks.now();
        self.last_read.store(now, Ordering::Relaxed);
        if self.is_idle() && self.head_since.load(Ordering::Relaxed) == 0 {
            self.head_since.store(now, Ordering::Relaxed);
        }
    }

    /// The client has taken bytes, or none.
    pub(super) fn note_write(&self, taken: bool) {
        let blocked = self.blocked_since.load(Ordering::Relaxed) != 0;
        if taken && blocked {
            self.blocked_since.store(0, Ordering::Relaxed);
        } else if !taken && !blocked {
            self.blocked_since.store(self.ticks.now(), Ordering::Relaxed);
        }
    }

    /// Why it is to be closed now, if it is.
    pub(super) fn overdue(&self, now: u64) -> Option<CloseReason> {
        let since = |time: &AtomicU64| match time.load(Ordering::Relaxed) {
            0 => 0,
            time => now.saturating_sub(time),
        };
        if since(&self.blocked_since) > STALLED_MS {
            return Some(CloseReason::Stalled);
        }
        // Whoever answers a request has limits of its own.
        if !self.is_idle() {
            return None;
        }
        let protocol = self.protocol.load(Ordering::Relaxed);
        let useful = self.useful.load(Ordering::Relaxed);
        if protocol == Protocol::Http2 as u8 || protocol == Protocol::Tls as u8 {
            let silent = since(&self.last_read) > SILENT_MS;
            let idle = self.idle_http2 == IdleHttp2::Closed && since(&self.idle_since) > IDLE_MS;
            return (silent || idle).then_some(CloseReason::Idle);
        }
        if since(&self.head_since) > HEAD_MS || (!useful && now.saturating_sub(self.accepted) > HEAD_MS) {
            return Some(CloseReason::Slow);
        }
        (since(&self.idle_since) > IDLE_MS).then_some(CloseReason::Idle)
    }
}

/// A request that is being answered, until it is dropped.
pub struct ActiveRequest(Arc<ConnectionState>);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let state = &self.0;
        state.idle_since.store(state.ticks.now(), Ordering::Relaxed);
        state.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer. The request is being answered until its end.
pub struct TrackedBody<B> {
    body: B,
    _request: Option<ActiveRequest>,
}

impl<B> TrackedBody<B> {
    /// Of the answer to a request.
    pub fn new(body: B, request: Option<ActiveRequest>) -> Self {
        Self {
            body,
            _request: request,
        }
    }
}

impl<B: Body + Unpin> Body for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
