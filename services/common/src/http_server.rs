//! The HTTP server of the pages and of the operator's port: HTTP/1.1 and HTTP/2 in clear, as proxies speak them.
//!
//! `axum::serve` has no limit on how long a client takes for its headers, how long it keeps a connection open or how many
//! it has. Here each connection is in a [`ConnectionTable`], which closes what keeps the server waiting. Bodies are limited
//! by whoever reads them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::Service as _;
use tracing::debug;

use crate::connections::{ConnectionState, ConnectionTable, TrackedBody, WatchedStream, accept};
use crate::tasks;

/// Longest headers of a request, in bytes.
const LONGEST_HEAD: usize = 64 << 10;
const LONGEST_HEAD_HTTP2: u32 = 64 << 10;
/// Requests at a time on one HTTP/2 connection.
const MOST_STREAMS: u32 = 128;
/// Streams that a client opened and reset before they were looked at (CVE-2023-44487).
const MOST_RESET_STREAMS: usize = 20;
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// For a connection that is closed while nothing is asked, to say so.
const CLOSING: Duration = Duration::from_secs(1);

/// Serves until the stop, and then until the last request is answered.
pub async fn serve(listener: TcpListener, router: Router, table: Arc<ConnectionTable>, stop: CancellationToken) {
    let builder = Arc::new(builder());
    let mut connections = JoinSet::new();
    let mut sweep = pin!(table.sweep());
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            () = &mut sweep => continue,
            Some(_) = connections.join_next() => continue,
            stream = accept(&table, &listener) => stream,
        };
        let connection = serve_connection(Arc::clone(&builder), stream, router.clone(), stop.clone());
        connections.spawn(tasks::contained("http connection", connection));
    }
    drop(listener);
    loop {
        tokio::select! {
            () = &mut sweep => {}
            ended = connections.join_next() => if ended.is_none() { return },
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(LONGEST_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(LONGEST_HEAD_HTTP2)
        .max_pending_accept_reset_streams(MOST_RESET_STREAMS);
    builder
}

async fn serve_connection(
    builder: Arc<Builder<TokioExecutor>>,
    stream: WatchedStream,
    router: Router,
    stop: CancellationToken,
) {
    let state = Arc::clone(stream.state());
    let peer = stream.peer();
    let answering = Arc::clone(&state);
    let service = service_fn(move |request| answer(router.clone(), peer, Arc::clone(&answering), request));
    let io = TokioIo::new(stream.closed_by_owner());
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    debug!(error, client = %peer.ip(), "a connection ended");
                }
                return;
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            reason = state.closed() => {
                if !reason.interrupts() {
                    connection.as_mut().graceful_shutdown();
                    // Whatever it comes to, the connection ends here.
                    let _ = tokio::time::timeout(CLOSING, connection).await;
                }
                return;
            }
        }
    }
}

async fn answer(
    mut router: Router,
    peer: SocketAddr,
    state: Arc<ConnectionState>,
    mut request: Request<Incoming>,
) -> Result<Response<TrackedBody<Body>>, Infallible> {
    let active = state.begin();
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = router.call(request.map(Body::new)).await?;
    Ok(response.map(|body| TrackedBody::new(body, Some(active))))
}
