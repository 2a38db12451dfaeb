//! What one caller may take of the gRPC server: connections, streams, headers, and time for half a message.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::middleware::from_fn_with_state;
use futures::{Stream, StreamExt as _};
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::transport::Server;

use crate::connections::{ConnectionTable, WatchedStream, accept, watch_call};

/// A caller that is gone is noticed within these two.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Calls at a time on one connection.
const MOST_STREAMS: u32 = 256;
/// Streams that a caller opened and reset before they were looked at (CVE-2023-44487).
const MOST_RESET_STREAMS: usize = 20;
/// Longest metadata of a call, in bytes.
const LONGEST_METADATA: u32 = 16 << 10;
/// After this a connection takes no further calls and ends with those under way; callers connect anew, and find replicas
/// that were started meanwhile.
const CONNECTION_AGE: Duration = Duration::from_hours(1);

/// A server with these limits.
pub fn limited(server: Server) -> Server {
    server
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .max_concurrent_streams(MOST_STREAMS)
        .http2_max_header_list_size(LONGEST_METADATA)
        .http2_max_pending_accept_reset_streams(Some(MOST_RESET_STREAMS))
        .max_connection_age(CONNECTION_AGE)
}

/// Routes that tell the table which connections have calls under way.
pub fn watched(routes: Routes, table: Arc<ConnectionTable>) -> Routes {
    Routes::from(routes.into_axum_router().layer(from_fn_with_state(table, watch_call)))
}

/// The connections that the table admits.
pub fn incoming(
    table: &Arc<ConnectionTable>,
    listener: TcpListener,
) -> impl Stream<Item = Result<WatchedStream, Infallible>> + use<> {
    let table = Arc::clone(table);
    futures::stream::unfold((table, listener), async |(table, listener)| {
        let stream = accept(&table, &listener).await;
        Some((Ok(stream), (table, listener)))
    })
    .boxed()
}
