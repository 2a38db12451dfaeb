//! Connections, straight or through a proxy: `CONNECT` for https, absolute addresses for http.
//!
//! The addresses of a name are checked at each connection, because those of a name change. Behind a proxy the proxy looks
//! names up, and it is for the proxy to refuse.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use common::addresses::{AddressError, AllowedAddresses};
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Opens connections.
#[derive(Clone)]
pub struct ProxyConnector {
    direct: HttpConnector<CheckedNames>,
    /// To the proxy itself, which the operator has named.
    to_proxy: HttpConnector,
    proxies: Arc<Matcher>,
}

impl ProxyConnector {
    /// With the proxy of the settings: empty for the environment's, `none` for no proxy.
    pub fn new(proxy: &str, allowed: AllowedAddresses, connect_timeout: Duration) -> Self {
        let direct = connector(CheckedNames(allowed), connect_timeout);
        let to_proxy = connector(GaiResolver::new(), connect_timeout);
        let proxies = match proxy {
            "" => Matcher::from_env(),
            "none" => Matcher::builder().build(),
            address => Matcher::builder().all(address).build(),
        };
        Self {
            direct,
            to_proxy,
            proxies: Arc::new(proxies),
        }
    }

    /// What a request over plain http has to tell its proxy.
    pub fn proxy_authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        if uri.scheme_str() != Some("http") {
            return None;
        }
        self.proxies.intercept(uri)?.basic_auth().cloned()
    }
}

fn connector<R>(resolver: R, connect_timeout: Duration) -> HttpConnector<R> {
    let mut connector = HttpConnector::new_with_resolver(resolver);
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(connect_timeout));
    connector
}

/// Looks names up, and keeps the addresses that may be connected to. `localhost` is no name but another way to spell an
/// address: whoever may ask for it is checked before ([`super::client`]), as with every address that is spelled out.
#[derive(Clone)]
struct CheckedNames(AllowedAddresses);

impl Service<Name> for CheckedNames {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = AddressError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, AddressError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AddressError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let allowed = if is_localhost(name.as_str()) {
            self.0.with_loopback()
        } else {
            self.0.clone()
        };
        Box::pin(async move { Ok(allowed.lookup(name.as_str(), 0).await?.into_iter()) })
    }
}

/// Whether a host is this machine by its usual name.
pub fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

impl Service<Uri> for ProxyConnector {
    type Response = ProxiedStream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<ProxiedStream, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.direct.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let (mut direct, mut to_proxy) = (self.direct.clone(), self.to_proxy.clone());
        let proxy = self.proxies.intercept(&target);
        Box::pin(async move {
            let Some(proxy) = proxy else {
                let io = direct.call(target).await?;
                return Ok(ProxiedStream { io, absolute: false });
            };
            if target.scheme_str() == Some("https") {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), to_proxy);
                if let Some(secret) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(secret.clone());
                }
                let io = tunnel.call(target).await?;
                return Ok(ProxiedStream { io, absolute: false });
            }
            let io = to_proxy.call(proxy.uri().clone()).await?;
            Ok(ProxiedStream { io, absolute: true })
        })
    }
}

/// A connection that knows whether its requests name the whole address, as a proxy needs it.
pub struct ProxiedStream {
    io: TokioIo<TcpStream>,
    absolute: bool,
}

impl Connection for ProxiedStream {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.absolute)
    }
}

impl Read for ProxiedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for ProxiedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
