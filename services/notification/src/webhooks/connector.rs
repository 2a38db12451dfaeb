//! Connections to webhooks. Each address of a host name is checked before it is connected to, at every connection: the
//! addresses of a name change.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use common::clock::Clock;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

use super::addresses::AllowedAddresses;

/// For the lookup and the connection together.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Makes connections to addresses that are allowed.
#[derive(Clone)]
pub struct CheckedConnector {
    allowed: AllowedAddresses,
    clock: Clock,
}

/// There is no connection; nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum WebhookConnectError {
    /// The URL has no host.
    #[error("the URL names no host")]
    NoHost,
    /// The host has no address.
    #[error("{0} has no address")]
    NoAddress(String),
    /// The address may not be connected to.
    #[error(
        "{host} is {address}, which is not on the public internet; an operator can allow its network with notification.webhook_networks"
    )]
    NotAllowed {
        /// The host.
        host: String,
        /// Its address.
        address: IpAddr,
    },
    /// Nothing answers there.
    #[error("{host}: {error}")]
    Socket {
        /// The host.
        host: String,
        /// Why.
        error: std::io::Error,
    },
    /// It took too long.
    #[error("{host}: no connection within {seconds} s", seconds = TIMEOUT.as_secs())]
    Late {
        /// The host.
        host: String,
    },
}

impl CheckedConnector {
    /// To these addresses.
    pub fn new(allowed: AllowedAddresses, clock: Clock) -> Self {
        Self { allowed, clock }
    }
}

impl Service<Uri> for CheckedConnector {
    type Response = TokioIo<TcpStream>;
    type Error = WebhookConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (allowed, clock) = (self.allowed.clone(), self.clock.clone());
        Box::pin(async move {
            let host = uri.host().ok_or(WebhookConnectError::NoHost)?;
            let host = host.trim_matches(['[', ']']).to_owned();
            let default_port = if uri.scheme_str() == Some("http") { 80 } else { 443 };
            let port = uri.port_u16().unwrap_or(default_port);
            let connection = clock.timeout(TIMEOUT, connect(&host, port, &allowed)).await;
            connection.ok_or_else(|| WebhookConnectError::Late { host: host.clone() })?
        })
    }
}

/// Connects to the first address that is allowed and answers.
async fn connect(host: &str, port: u16, allowed: &AllowedAddresses) -> Result<TokioIo<TcpStream>, WebhookConnectError> {
    let socket = |error| WebhookConnectError::Socket {
        host: host.to_owned(),
        error,
    };
    let mut problem = WebhookConnectError::NoAddress(host.to_owned());
    for address in tokio::net::lookup_host((host, port)).await.map_err(socket)? {
        if !allowed.allows(address.ip()) {
            problem = WebhookConnectError::NotAllowed {
                host: host.to_owned(),
                address: address.ip(),
            };
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(socket)?;
                return Ok(TokioIo::new(stream));
            }
            Err(error) => problem = socket(error),
        }
    }
    Err(problem)
}
