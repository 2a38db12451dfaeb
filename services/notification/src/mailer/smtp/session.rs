//! Where the mail server is, and how a session with it begins.
//!
//! TCP_NODELAY is set where the connection begins in the clear, STARTTLS included. Where it begins with TLS the stream is
//! lettre's own, which has no such setting; a mail goes out in one write, so little waits there either.

use std::time::Duration;

use common::clock::Clock;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::Ehlo;
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;

use super::super::SendError;
use super::super::reply;
use super::server_url::{SmtpUrl, TlsDemand};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A server that takes longer to say goodbye is left.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// A mail server.
pub struct SmtpServer {
    host: String,
    port: u16,
    tls: TlsMode,
    credentials: Option<Credentials>,
    client_id: ClientId,
}

/// A session that is ready for mails.
pub struct SmtpSession {
    /// The connection.
    pub connection: AsyncSmtpConnection,
    /// Whether commands may be sent before earlier ones are answered.
    pub pipelining: bool,
}

impl SmtpSession {
    /// Ends it, as far as the server answers.
    pub async fn end(&mut self, clock: &Clock) {
        // It is closed either way.
        let _ = clock.timeout(END_TIMEOUT, self.connection.quit()).await;
    }
}

enum TlsMode {
    None,
    IfOffered(TlsParameters),
    Required(TlsParameters),
    FromTheStart(TlsParameters),
}

impl SmtpServer {
    /// By its URL. The certificates are of authorities that are trusted beside the public ones.
    pub fn new(url: &SmtpUrl, trusted: &[CertificateDer<'static>]) -> Result<Self, String> {
        let parameters = || tls(&url.host, trusted).map_err(|error| error.to_string());
        let tls = match url.tls {
            TlsDemand::None => TlsMode::None,
            TlsDemand::IfOffered => TlsMode::IfOffered(parameters()?),
            TlsDemand::Required => TlsMode::Required(parameters()?),
            TlsDemand::FromTheStart => TlsMode::FromTheStart(parameters()?),
        };
        let client_id = url.client_name.as_ref();
        Ok(Self {
            host: url.host.clone(),
            port: url.port,
            tls,
            credentials: url.credentials.clone(),
            client_id: client_id.map_or_else(ClientId::default, |name| ClientId::Domain(name.clone())),
        })
    }

    /// Begins a session. Whatever goes wrong here, no mail was handed over.
    pub async fn connect(&self, clock: &Clock) -> Result<SmtpSession, SendError> {
        let session = clock.timeout(CONNECT_TIMEOUT, self.greet()).await;
        let problem = |what: String| SendError::Transient(format!("{}:{}: {what}", self.host, self.port));
        session
            .ok_or_else(|| problem(format!("no connection within {} s", CONNECT_TIMEOUT.as_secs())))?
            .map_err(|error| problem(error.describe()))
    }

    async fn greet(&self) -> Result<SmtpSession, SmtpConnectError> {
        let mut connection = if let TlsMode::FromTheStart(tls) = &self.tls {
            let address = (self.host.as_str(), self.port);
            AsyncSmtpConnection::connect_tokio1(address, None, &self.client_id, Some(tls.clone()), None).await?
        } else {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            stream.set_nodelay(true)?;
            AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.client_id).await?
        };
        match &self.tls {
            TlsMode::Required(tls) => connection.starttls(tls.clone(), &self.client_id).await?,
            TlsMode::IfOffered(tls) if connection.can_starttls() => {
                connection.starttls(tls.clone(), &self.client_id).await?;
            }
            _ => {}
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        // lettre keeps only the extensions that it uses, so the server is asked for them once more.
        let extensions = connection.command(Ehlo::new(self.client_id.clone())).await?;
        Ok(SmtpSession {
            pipelining: extensions
                .message()
                .any(|extension| extension.trim().eq_ignore_ascii_case("PIPELINING")),
            connection,
        })
    }
}

#[derive(Debug, thiserror::Error)]
enum SmtpConnectError {
    #[error(transparent)]
    Socket(#[from] std::io::Error),
    #[error(transparent)]
    Smtp(#[from] Error),
}

impl SmtpConnectError {
    fn describe(&self) -> String {
        match self {
            Self::Socket(error) => error.to_string(),
            Self::Smtp(error) => reply::describe(error),
        }
    }
}

fn tls(host: &str, trusted: &[CertificateDer<'static>]) -> Result<TlsParameters, Error> {
    let mut builder = TlsParameters::builder(host.to_owned());
    for certificate in trusted {
        builder = builder.add_root_certificate(Certificate::from_der(certificate.to_vec())?);
    }
    builder.build()
}
