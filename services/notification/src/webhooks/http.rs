//! Requests over HTTP: one POST, one response, no redirect followed. The status decides. A short body is read, so that the
//! connection can be used again, and never kept.
//!
//! Readers choose the URLs and are shown what came of a request, so an error names the kind of problem alone: no address, no
//! name of a host and nothing of a response. The operator's log has the rest.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use common::clock::Clock;
use http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER, USER_AGENT};
use http::uri::InvalidUri;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use rustls::ClientConfig;
use tracing::info;

use super::connector::{CheckedConnector, WebhookConnectError};
use super::host_limiter::HostLimiter;
use super::secrets::signatures;
use super::{HostPermit, WebhookClient, WebhookError, WebhookRequest, spans};
use common::addresses::AllowedAddresses;

/// Digests come in bursts, in which a connection serves many; later the other side has closed it.
const MAX_IDLE: Duration = Duration::from_secs(10);
const USER_AGENT_NAME: &str = concat!("Broadsheet/", env!("CARGO_PKG_VERSION"));
/// All headers of a response.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// A longer body is not read, nor one that takes longer.
const MAX_BODY_BYTES: u64 = 64 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// Calls webhooks over HTTP.
pub struct HttpWebhookClient {
    client: Client<HttpsConnector<CheckedConnector>, Full<Bytes>>,
    timeout: Duration,
    hosts: HostLimiter,
    clock: Clock,
}

impl HttpWebhookClient {
    /// Calls these addresses. Each has so long to respond, and each host gets so many requests at a time.
    pub fn new(
        allowed: AllowedAddresses,
        tls: ClientConfig,
        timeout: Duration,
        concurrency_per_host: usize,
        clock: Clock,
    ) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(CheckedConnector::new(allowed, clock.clone()));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(MAX_IDLE)
            .pool_max_idle_per_host(concurrency_per_host)
            .http1_max_buf_size(MAX_HEADER_BYTES)
            .build(connector);
        Self {
            client,
            timeout,
            hosts: HostLimiter::new(concurrency_per_host),
            clock,
        }
    }
}

#[async_trait]
impl WebhookClient for HttpWebhookClient {
    async fn admit(&self, url: &str) -> Result<HostPermit, WebhookError> {
        let url: Uri = url
            .parse()
            .map_err(|problem: InvalidUri| transient(problem.to_string()))?;
        let host = url.authority().map(ToString::to_string).unwrap_or_default();
        let permit = self.clock.timeout(self.timeout, self.hosts.acquire(&host)).await;
        let permit =
            permit.ok_or_else(|| transient(format!("too many requests to {host} are waiting for a response")))?;
        Ok(HostPermit(permit))
    }

    async fn send(&self, request: &WebhookRequest, _permit: HostPermit) -> Result<(), WebhookError> {
        let url = &request.url;
        let request = http_request(request, self.clock.now()).map_err(|problem| transient(problem.to_string()))?;
        let response = self.clock.timeout(self.timeout, self.client.request(request)).await;
        let response = response
            .ok_or_else(|| WebhookError::Lost(format!("no response within {} s", self.timeout.as_secs())))?
            .map_err(|error| no_response(&error, url))?;
        let status = response.status();
        spans::record_status(status.as_u16());
        let outcome = meaning(status, response.headers(), self.clock.now());
        // The outcome is known by now, whatever becomes of the body.
        let _ = self.clock.timeout(BODY_TIMEOUT, read(response.into_body())).await;
        outcome
    }
}

fn http_request(request: &WebhookRequest, now: Timestamp) -> Result<Request<Full<Bytes>>, http::Error> {
    let second = now.as_second();
    Request::post(request.url.parse::<Uri>()?)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, USER_AGENT_NAME)
        .header("webhook-id", &request.id)
        .header("webhook-timestamp", second)
        .header(
            "webhook-signature",
            signatures(&request.secrets, &request.id, second, &request.body),
        )
        .body(Full::new(Bytes::from(request.body.clone())))
}

/// What a response means.
fn meaning(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Result<(), WebhookError> {
    if status.is_success() {
        return Ok(());
    }
    let problem = status.to_string();
    if status == StatusCode::GONE {
        return Err(WebhookError::Gone(problem));
    }
    let problem = if status.is_redirection() {
        format!("{problem}; redirects are not followed, so set the final URL")
    } else {
        problem
    };
    let after = headers.get(RETRY_AFTER).and_then(|after| after.to_str().ok());
    Err(WebhookError::Transient {
        problem,
        after: after.and_then(|after| retry_after(after, now)),
    })
}

/// What `Retry-After` says: seconds, or a date.
fn retry_after(after: &str, now: Timestamp) -> Option<Duration> {
    let after = after.trim();
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = Timestamp::try_from(httpdate::parse_http_date(after).ok()?).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

/// Without a connection nothing was sent; with one, the webhook may have the request.
fn no_response(error: &Error, url: &str) -> WebhookError {
    let host = url
        .parse::<Uri>()
        .ok()
        .and_then(|url| url.authority().map(ToString::to_string));
    let detail = chain(error);
    info!(host, detail, "a webhook cannot be called");
    let problem = kind_of_problem(error);
    if error.is_connect() {
        transient(problem)
    } else {
        WebhookError::Lost(problem)
    }
}

/// An error with its causes, on one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// What a reader may know of it.
fn kind_of_problem(error: &Error) -> String {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(problem) = for_readers(inner) {
            return problem;
        }
        cause = inner.source();
    }
    "the connection ended before a response".to_owned()
}

fn for_readers(error: &(dyn StdError + 'static)) -> Option<String> {
    if let Some(connecting) = error.downcast_ref::<WebhookConnectError>() {
        return Some(connecting.for_readers());
    }
    match error.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::InvalidCertificate(_)) => return Some("its TLS certificate is not valid".to_owned()),
        Some(_) => return Some("TLS could not be agreed on".to_owned()),
        None => {}
    }
    // What an I/O error carries is no source of it.
    let carried = error.downcast_ref::<io::Error>()?.get_ref()?;
    for_readers(carried)
}

fn transient(problem: String) -> WebhookError {
    WebhookError::Transient { problem, after: None }
}

/// Reads a body that is short, and leaves any other.
async fn read(mut body: Incoming) {
    if body.size_hint().lower() > MAX_BODY_BYTES {
        return;
    }
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if bytes > MAX_BODY_BYTES {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use common::addresses::AddressError;

    use super::*;

    fn outcome(status: u16, headers: &[(&str, &str)]) -> (String, Option<u64>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().expect("a name");
            map.insert(name, value.parse().expect("a value"));
        }
        let now = Timestamp::from_second(784_111_777).expect("in range");
        match meaning(StatusCode::from_u16(status).expect("a status"), &map, now) {
            Ok(()) => ("accepted".to_owned(), None),
            Err(WebhookError::Gone(_)) => ("gone".to_owned(), None),
            Err(WebhookError::Lost(_)) => ("lost".to_owned(), None),
            Err(WebhookError::Transient { problem, after }) => (problem, after.map(|after| after.as_secs())),
        }
    }

    #[test]
    fn readers_are_told_the_kind_of_problem_and_no_name() {
        let said = |error: &(dyn StdError + 'static)| for_readers(error);
        let unknown = WebhookConnectError::Address(AddressError::None("db.internal".to_owned()));
        let inside = WebhookConnectError::Address(AddressError::NotAllowed {
            host: "db.internal".to_owned(),
            address: [10, 0, 0, 1].into(),
        });
        assert!(inside.to_string().contains("10.0.0.1"), "{inside}");
        assert_eq!(
            said(&unknown),
            said(&inside),
            "a name of our network is told from no other"
        );
        let refused = WebhookConnectError::Socket {
            host: "a.example".to_owned(),
            error: io::ErrorKind::ConnectionRefused.into(),
        };
        assert_eq!(said(&refused).as_deref(), Some("the connection was refused"));
        let certificate = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let carried = io::Error::other(io::Error::other(certificate));
        assert_eq!(said(&carried).as_deref(), Some("its TLS certificate is not valid"));
        assert_eq!(said(&io::Error::other("10.0.0.1 says no")), None);
    }

    #[test]
    fn a_status_says_what_happened_and_when_to_retry() {
        assert_eq!(outcome(204, &[]).0, "accepted");
        assert_eq!(outcome(410, &[]).0, "gone");
        assert_eq!(outcome(404, &[]).0, "404 Not Found");
        let redirected = outcome(302, &[("location", "http://10.0.0.1/")]).0;
        assert!(
            redirected.contains("not followed") && !redirected.contains("10.0.0.1"),
            "{redirected}"
        );
        for (said, expected) in [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:40:37 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("99999999999999999999999", None),
        ] {
            assert_eq!(outcome(503, &[("retry-after", said)]).1, expected, "{said}");
        }
    }
}
