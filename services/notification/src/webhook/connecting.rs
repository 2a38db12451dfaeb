//! Connections to webhooks. Every address that a name stands for is looked at before it is connected to, at each
//! connection anew: what a name stood for when it was set says nothing about now.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

use super::addresses::Allowed;

/// For name and connection together.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Makes connections.
#[derive(Clone)]
pub struct Connecting {
    allowed: Allowed,
}

/// No connection; nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL has no host.
    #[error("the URL names no host")]
    NoHost,
    /// The name does not stand for an address.
    #[error("{0} has no address")]
    Unknown(String),
    /// An address that a webhook must not have.
    #[error(
        "{host} is {address}, which is not of the public internet; an operator can allow its network with notification.webhook_networks"
    )]
    Inside {
        /// The name.
        host: String,
        /// What it stands for.
        address: IpAddr,
    },
    /// Nobody there.
    #[error("{host}: {error}")]
    Socket {
        /// The name.
        host: String,
        /// Why.
        error: std::io::Error,
    },
    /// Took too long.
    #[error("{host}: no connection within {seconds} s", seconds = TIMEOUT.as_secs())]
    Late {
        /// The name.
        host: String,
    },
}

impl Connecting {
    /// To addresses that are allowed.
    pub fn new(allowed: Allowed) -> Self {
        Self { allowed }
    }
}

impl Service<Uri> for Connecting {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let allowed = self.allowed.clone();
        Box::pin(async move {
            let host = uri.host().ok_or(ConnectError::NoHost)?;
            let host = host.trim_matches(['[', ']']).to_owned();
            let usual = if uri.scheme_str() == Some("http") { 80 } else { 443 };
            let port = uri.port_u16().unwrap_or(usual);
            let connecting = tokio::time::timeout(TIMEOUT, connect(&host, port, &allowed));
            connecting
                .await
                .map_err(|_| ConnectError::Late { host: host.clone() })?
        })
    }
}

/// To the first address that is allowed and answers.
async fn connect(host: &str, port: u16, allowed: &Allowed) -> Result<TokioIo<TcpStream>, ConnectError> {
    let socket = |error| ConnectError::Socket {
        host: host.to_owned(),
        error,
    };
    let mut problem = ConnectError::Unknown(host.to_owned());
    for address in tokio::net::lookup_host((host, port)).await.map_err(socket)? {
        if !allowed.takes(address.ip()) {
            problem = ConnectError::Inside {
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
