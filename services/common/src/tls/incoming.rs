//! Handshakes of incoming connections: so many at a time, each within a time, none in the way of another.

use std::io;
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt as _};
use prometheus::IntCounterVec;
use rustls::Error as TlsError;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::server::ServerTls;
use crate::clock::Clock;
use crate::metrics;

/// Handshakes at a time. Further connections wait in the queue of the system.
const AT_ONCE: usize = 512;
/// The longest handshake.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long and how much a refused client may still send, so that it reads why instead of losing the connection.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 64 << 10;

const REASONS: [&str; 5] = ["timeout", "no_certificate", "certificate", "no_tls", "other"];

/// Handshakes of gRPC clients that failed.
static FAILED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counters(
        "broadsheet_grpc_handshakes_failed_total",
        "TLS handshakes of gRPC clients that failed, by reason.",
        &["reason"],
    )
});

/// Has the metrics show zeros before anything happens.
pub(super) fn register_metrics() {
    for reason in REASONS {
        FAILED.with_label_values(&[reason]);
    }
}

/// The connections of a stream with TLS; those whose handshake fails are left out. It ends when the stream has ended and the
/// last handshake with it.
pub fn accept<S, IO, E>(incoming: S, tls: ServerTls, clock: Clock) -> impl Stream<Item = Result<TlsStream<IO>, E>>
where
    S: Stream<Item = Result<IO, E>> + Send,
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    E: Send,
{
    let accepting = Accepting {
        incoming: Box::pin(incoming),
        handshakes: JoinSet::new(),
        ended: false,
        tls,
        clock,
    };
    stream::unfold(accepting, async |mut accepting| {
        let next = accepting.next().await?;
        Some((next, accepting))
    })
}

struct Accepting<S, IO> {
    incoming: Pin<Box<S>>,
    handshakes: JoinSet<Option<TlsStream<IO>>>,
    ended: bool,
    tls: ServerTls,
    clock: Clock,
}

impl<S, IO, E> Accepting<S, IO>
where
    S: Stream<Item = Result<IO, E>>,
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    async fn next(&mut self) -> Option<Result<TlsStream<IO>, E>> {
        loop {
            tokio::select! {
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(Some(stream)) => return Some(Ok(stream)),
                    Ok(None) => {}
                    Err(error) => debug!(%error, "a handshake panicked"),
                },
                next = self.incoming.next(), if !self.ended && self.handshakes.len() < AT_ONCE => match next {
                    Some(Ok(io)) => {
                        let acceptor = TlsAcceptor::from(self.tls.config());
                        self.handshakes.spawn(handshake(io, acceptor, self.clock.clone()));
                    }
                    Some(Err(error)) => return Some(Err(error)),
                    None => self.ended = true,
                },
                else => return None,
            }
        }
    }
}

async fn handshake<IO>(io: IO, acceptor: TlsAcceptor, clock: Clock) -> Option<TlsStream<IO>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let (error, io) = match clock.timeout(TIMEOUT, acceptor.accept(io).into_fallible()).await {
        Some(Ok(stream)) => return Some(stream),
        Some(Err(failed)) => failed,
        None => {
            FAILED.with_label_values(&["timeout"]).inc();
            return None;
        }
    };
    debug!(%error, "no TLS with a client");
    FAILED.with_label_values(&[reason(&error)]).inc();
    clock.timeout(LINGER, see_off(io)).await;
    None
}

/// Lets the client read the alert: what it sent already and nobody reads would have the system throw the alert away.
async fn see_off<IO: AsyncRead + AsyncWrite + Unpin>(mut io: IO) {
    // It may be gone, and then there is nobody to tell.
    if io.shutdown().await.is_ok() {
        let _ = tokio::io::copy(&mut io.take(LINGER_BYTES), &mut tokio::io::sink()).await;
    }
}

fn reason(error: &io::Error) -> &'static str {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(TlsError::NoCertificatesPresented) => "no_certificate",
        Some(TlsError::InvalidCertificate(_) | TlsError::AlertReceived(_)) => "certificate",
        Some(TlsError::InvalidMessage(_)) => "no_tls",
        _ => "other",
    }
}
