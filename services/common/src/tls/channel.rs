//! Channels to gRPC servers, with TLS where the address says https, and in plain words what is wrong with a connection.
//!
//! It presents no token and makes no span.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::{AlertDescription, Error as TlsError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use super::client::ClientTls;
use crate::config::without_userinfo;

/// For the lookup, the connection and the handshake together, where nothing else is said.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two pings on a connection that carries calls.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// What every record of TLS with an alert or a handshake begins with. No frame of HTTP/2 does: as a length it would be more
/// than a server may send before it was allowed to.
const TLS_RECORDS: [[u8; 2]; 2] = [[0x15, 0x03], [0x16, 0x03]];

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An address that is not one.
#[derive(Debug, thiserror::Error)]
#[error("{url:?} is not an address of a gRPC server: {problem}; it looks like http://127.0.0.1:7100")]
pub struct ChannelError {
    url: String,
    problem: String,
}

impl ChannelError {
    /// With what is wrong.
    pub fn new(url: &str, problem: impl Into<String>) -> Self {
        Self {
            url: without_userinfo(url),
            problem: problem.into(),
        }
    }
}

/// A channel, and what its connection failed of last.
#[derive(Debug, Clone)]
pub struct TlsChannel {
    /// Connects when it is first used and again whenever it must.
    pub channel: Channel,
    /// What TLS has against the last connection.
    pub problem: ConnectionProblem,
}

/// What TLS has against the last connection, to be told to whoever called: it names no address.
#[derive(Debug, Clone, Default)]
pub struct ConnectionProblem(Arc<Mutex<Option<String>>>);

impl ConnectionProblem {
    /// The problem, if there is one.
    pub fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, problem: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    /// Takes down what an error says about TLS.
    fn note(&self, error: &io::Error) {
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
            self.set(Some(in_words(error)));
        }
    }
}

/// Whether an address leads to this machine, where nobody else listens in.
pub fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let Some(host) = uri.host() else { return false };
    let host = host.trim_matches(['[', ']']);
    let named = host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost");
    named || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl ClientTls {
    /// A channel to a server. The limit, where there is one, is that of connecting and of each call.
    ///
    /// # Errors
    /// The address is not one.
    pub fn channel(&self, url: &str, limit: Option<Duration>) -> Result<TlsChannel, ChannelError> {
        let wrong = |problem: String| ChannelError::new(url, problem);
        let encrypted = url.starts_with("https://");
        if !encrypted && !url.starts_with("http://") {
            return Err(wrong("it does not begin with http:// or https://".to_owned()));
        }
        let uri: Uri = url
            .parse()
            .map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
        let host = uri.host().ok_or_else(|| wrong("it names no host".to_owned()))?;
        let server_name = encrypted.then(|| self.name_of(host)).transpose().map_err(wrong)?;
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let connect_timeout = limit.unwrap_or(CONNECT_TIMEOUT);
        // Tonic would refuse to have https handled by a connector, so it hears of the address without.
        let mut endpoint = Endpoint::from_shared(format!("http://{host}:{port}"))
            .map_err(|error| wrong(error.to_string()))?
            .connect_timeout(connect_timeout)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .origin(uri);
        if let Some(limit) = limit {
            endpoint = endpoint.timeout(limit);
        }
        let mut sockets = HttpConnector::new();
        sockets.enforce_http(false);
        // Without it a peer that acknowledges late waits 40 ms for the end of each message.
        sockets.set_nodelay(true);
        sockets.set_connect_timeout(Some(connect_timeout));
        let problem = ConnectionProblem::default();
        let connector = ChannelConnector {
            sockets,
            tls: server_name.map(|name| (self.clone(), name)),
            problem: problem.clone(),
        };
        let channel = endpoint.connect_with_connector_lazy(connector);
        Ok(TlsChannel { channel, problem })
    }
}

/// Makes connections.
struct ChannelConnector {
    sockets: HttpConnector,
    tls: Option<(ClientTls, rustls::pki_types::ServerName<'static>)>,
    problem: ConnectionProblem,
}

impl Service<Uri> for ChannelConnector {
    type Response = TokioIo<WatchedStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.sockets.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let problem = self.problem.clone();
        problem.set(None);
        let connecting = self.sockets.call(uri);
        let tls = self.tls.clone();
        Box::pin(async move {
            let io = connecting.await?.into_inner();
            let stream = match tls {
                None => ChannelStream::Plain { io, heard: false },
                Some((tls, name)) => {
                    let connected = TlsConnector::from(tls.config()).connect(name, io).await;
                    ChannelStream::Tls(Box::new(connected.inspect_err(|error| problem.note(error))?))
                }
            };
            Ok(TokioIo::new(WatchedStream { stream, problem }))
        })
    }
}

enum ChannelStream {
    Plain { io: TcpStream, heard: bool },
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that takes down what TLS has against it.
struct WatchedStream {
    stream: ChannelStream,
    problem: ConnectionProblem,
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match &mut this.stream {
            ChannelStream::Plain { io, heard } => {
                let before = buffer.filled().len();
                ready!(Pin::new(io).poll_read(context, buffer))?;
                let first = buffer.filled().get(before..before + 2);
                if !*heard && first.is_some_and(|first| TLS_RECORDS.iter().any(|record| first == record)) {
                    let problem = "the server speaks TLS; its address begins with https://";
                    this.problem.set(Some(problem.to_owned()));
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, problem)));
                }
                *heard = true;
                Poll::Ready(Ok(()))
            }
            ChannelStream::Tls(io) => {
                let read = ready!(Pin::new(io).poll_read(context, buffer));
                Poll::Ready(read.inspect_err(|error| this.problem.note(error)))
            }
        }
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            ChannelStream::Plain { io, .. } => Pin::new(io).poll_write(context, bytes),
            ChannelStream::Tls(io) => Pin::new(io).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            ChannelStream::Plain { io, .. } => Pin::new(io).poll_write_vectored(context, bytes),
            ChannelStream::Tls(io) => Pin::new(io).poll_write_vectored(context, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            ChannelStream::Plain { io, .. } => io.is_write_vectored(),
            ChannelStream::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            ChannelStream::Plain { io, .. } => Pin::new(io).poll_flush(context),
            ChannelStream::Tls(io) => Pin::new(io).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            ChannelStream::Plain { io, .. } => Pin::new(io).poll_shutdown(context),
            ChannelStream::Tls(io) => Pin::new(io).poll_shutdown(context),
        }
    }
}

/// What an error of TLS means for whoever called.
fn in_words(error: &TlsError) -> String {
    match error {
        TlsError::InvalidCertificate(problem) => format!("the certificate of the server is not accepted: {problem}"),
        TlsError::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server requires a certificate of its callers, and none was presented".to_owned()
        }
        TlsError::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied),
        ) => format!("the server does not accept the certificate that was presented: {alert:?}"),
        TlsError::InvalidMessage(_) => "the server speaks no TLS; its address begins with http://".to_owned(),
        error => format!("TLS failed: {error}"),
    }
}
