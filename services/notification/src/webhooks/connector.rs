//! Connections to webhooks. Each address of a host name is checked before it is connected to, at every connection: the
//! addresses of a name change.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use common::addresses::{AddressError, AllowedAddresses};
use common::clock::Clock;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

/// For the lookup, and for the connection.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Makes connections to addresses that are allowed.
#[derive(Clone)]
pub struct CheckedConnector {
    allowed: AllowedAddresses,
    clock: Clock,
}

/// There is no connection; nothing was sent. What is displayed is for the operator: it names addresses.
#[derive(Debug, thiserror::Error)]
pub enum WebhookConnectError {
    /// The URL has no host.
    #[error("the URL names no host")]
    NoHost,
    /// The host has no address that may be connected to.
    #[error("{0}; an operator can allow a network with notification.webhook_networks")]
    Address(AddressError),
    /// Nothing answers there.
    #[error("{host}: {error}")]
    Socket {
        /// The host.
        host: String,
        /// Why.
        error: io::Error,
    },
    /// It took too long.
    #[error("{host}: no connection within {seconds} s", seconds = TIMEOUT.as_secs())]
    Late {
        /// The host.
        host: String,
    },
}

impl WebhookConnectError {
    /// What a reader may know, who may be anybody: the kind of problem, and nothing that tells a name of our network from one
    /// that does not exist.
    pub fn for_readers(&self) -> String {
        match self {
            Self::NoHost => "the URL names no host".to_owned(),
            Self::Address(_) => "its host has no address on the public internet".to_owned(),
            Self::Late { .. } => format!("no connection within {} s", TIMEOUT.as_secs()),
            Self::Socket { error, .. } => match error.kind() {
                io::ErrorKind::ConnectionRefused => "the connection was refused".to_owned(),
                io::ErrorKind::TimedOut => "no connection in time".to_owned(),
                _ => "no connection could be made".to_owned(),
            },
        }
    }
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
            let addresses = clock.timeout(TIMEOUT, allowed.lookup(&host, port)).await;
            let addresses =
                addresses.unwrap_or_else(|| Err(AddressError::lookup(&host, io::ErrorKind::TimedOut.into())));
            let addresses = addresses.map_err(WebhookConnectError::Address)?;
            let connection = clock.timeout(TIMEOUT, connect(&host, addresses)).await;
            connection.ok_or_else(|| WebhookConnectError::Late { host: host.clone() })?
        })
    }
}

/// Connects to the first address that answers.
async fn connect(host: &str, addresses: Vec<SocketAddr>) -> Result<TokioIo<TcpStream>, WebhookConnectError> {
    let socket = |error| WebhookConnectError::Socket {
        host: host.to_owned(),
        error,
    };
    let mut problem = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(socket)?;
                return Ok(TokioIo::new(stream));
            }
            Err(error) => problem = Some(socket(error)),
        }
    }
    Err(problem.unwrap_or_else(|| WebhookConnectError::Address(AddressError::None(host.to_owned()))))
}
