//! Where the mail server is, and how a session with it begins.
//!
//! TCP_NODELAY is set where the connection begins in the clear, STARTTLS included. Where it begins with TLS the stream is
//! lettre's own, which has no such setting; a mail goes out in one write, so little waits there either.

use std::borrow::Cow;
use std::time::Duration;

use common::clock::Clock;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::Ehlo;
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use url::Url;

use super::super::SendError;
use super::super::reply;

/// Ports of RFC 5321, RFC 6409 and RFC 8314.
const RELAY_PORT: u16 = 25;
const SUBMISSION_PORT: u16 = 587;
const SUBMISSIONS_PORT: u16 = 465;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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

enum TlsMode {
    None,
    IfOffered(TlsParameters),
    Required(TlsParameters),
    FromTheStart(TlsParameters),
}

impl SmtpServer {
    /// By URL: `smtps://user:password@host`, or `smtp://…` with `?tls=required`, `?tls=opportunistic` or neither. A path
    /// is the name in our EHLO. The certificates are of authorities that are trusted beside the public ones.
    pub fn from_url(url: &str, trusted: &[CertificateDer<'static>]) -> Result<Self, String> {
        let problem = |what: &str| format!("notification.smtp_url {what}");
        let url = Url::parse(url).map_err(|error| problem(&format!("is no URL: {error}")))?;
        let host = url.host_str().ok_or_else(|| problem("names no host"))?.to_owned();
        let requested = url.query_pairs().find(|(name, _)| name == "tls");
        let requested = requested.map(|(_, value)| value.into_owned());
        let parameters = || tls(&host, trusted).map_err(|error| error.to_string());
        let (port, tls) = match (url.scheme(), requested.as_deref()) {
            ("smtps", None) => (SUBMISSIONS_PORT, TlsMode::FromTheStart(parameters()?)),
            ("smtp", None) => (RELAY_PORT, TlsMode::None),
            ("smtp", Some("required")) => (SUBMISSION_PORT, TlsMode::Required(parameters()?)),
            ("smtp", Some("opportunistic")) => (SUBMISSION_PORT, TlsMode::IfOffered(parameters()?)),
            (scheme, tls) => {
                let tls = tls.map_or_else(String::new, |tls| format!("?tls={tls}"));
                let what = format!(
                    "is {scheme}://…{tls}; allowed are smtps://…, smtp://…, smtp://…?tls=required and smtp://…?tls=opportunistic"
                );
                return Err(problem(&what));
            }
        };
        let name = url.path().trim_matches('/');
        Ok(Self {
            port: url.port().unwrap_or(port),
            tls,
            credentials: credentials(&url).map_err(|what| problem(&what))?,
            client_id: if name.is_empty() {
                ClientId::default()
            } else {
                ClientId::Domain(name.to_owned())
            },
            host,
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

fn credentials(url: &Url) -> Result<Option<Credentials>, String> {
    let Some(password) = url.password() else {
        return Ok(None);
    };
    let decoded = |text: &str| {
        let decoded = percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .map(Cow::into_owned);
        decoded.map_err(|_| "has a user or password that is no UTF-8".to_owned())
    };
    let (user, password) = (decoded(url.username())?, decoded(password)?);
    Ok(Some(Credentials::new(user, password)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<SmtpServer, String> {
        SmtpServer::from_url(url, &[])
    }

    #[test]
    fn urls_say_port_tls_name_and_password() {
        let found = server("smtps://ada%40example.org:p%2Fw@mail.example.org/client.example.org").expect("a server");
        assert_eq!((found.host.as_str(), found.port), ("mail.example.org", 465));
        assert!(matches!(found.tls, TlsMode::FromTheStart(_)));
        assert_eq!(found.client_id, ClientId::Domain("client.example.org".to_owned()));
        assert_eq!(
            found.credentials,
            Some(Credentials::new("ada@example.org".into(), "p/w".into()))
        );
        let found = server("smtp://mail.example.org?tls=required").expect("a server");
        assert!(matches!((found.port, found.tls), (587, TlsMode::Required(_))));
        assert!(matches!(
            server("smtp://127.0.0.1:2525").map(|server| server.port),
            Ok(2525)
        ));
        for wrong in [
            "smtp://host?tls=maybe",
            "http://host",
            "smtp:",
            "smtps://host?tls=required",
        ] {
            let Err(error) = server(wrong) else {
                panic!("{wrong} is a server")
            };
            assert!(error.contains("notification.smtp_url"), "{error}");
        }
    }
}
