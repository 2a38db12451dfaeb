//! Requests over HTTP: one POST, one answer, nothing followed. The answer's status decides; its body is read a little, so
//! that the connection can be used again, and never kept.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use http::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER, USER_AGENT};
use http::uri::InvalidUri;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use rustls::ClientConfig;
use tokio::time::timeout;
use tracing::Span;

use super::addresses::Allowed;
use super::connecting::Connecting;
use super::hosts::Hosts;
use super::secrets::signatures;
use super::{Call, CallError, Caller, Turn};

/// Editions come in bursts, in which a connection serves many; later the other side has closed it.
const IDLE: Duration = Duration::from_secs(10);
const AGENT: &str = concat!("Broadsheet/", env!("CARGO_PKG_VERSION"));
/// All headers of an answer.
const MOST_HEADER_BYTES: usize = 64 * 1024;
/// Of an answer's body, and for how long it is waited for.
const MOST_BODY_BYTES: u64 = 64 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// The way to webhooks.
pub struct Http {
    client: Client<HttpsConnector<Connecting>, Full<Bytes>>,
    timeout: Duration,
    hosts: Hosts,
}

impl Http {
    /// To addresses that are allowed; each has this long to answer, and each host so many requests at a time.
    pub fn new(allowed: Allowed, tls: ClientConfig, timeout: Duration, at_once_per_host: usize) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Connecting::new(allowed));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(at_once_per_host)
            .http1_max_buf_size(MOST_HEADER_BYTES)
            .build(connector);
        Self {
            client,
            timeout,
            hosts: Hosts::new(at_once_per_host),
        }
    }
}

#[async_trait]
impl Caller for Http {
    async fn turn(&self, url: &str) -> Result<Turn, CallError> {
        let url: Uri = url
            .parse()
            .map_err(|problem: InvalidUri| transient(problem.to_string()))?;
        let host = url.authority().map(ToString::to_string).unwrap_or_default();
        let permit = timeout(self.timeout, self.hosts.leave(&host)).await;
        let permit = permit.map_err(|_| transient(format!("too many requests to {host} are waiting for an answer")))?;
        Ok(Turn(permit))
    }

    async fn call(&self, call: &Call, _turn: Turn) -> Result<(), CallError> {
        let request = request(call, Timestamp::now()).map_err(|problem| transient(problem.to_string()))?;
        let answer = timeout(self.timeout, self.client.request(request)).await;
        let answer = answer
            .map_err(|_| CallError::Lost(format!("no answer within {} s", self.timeout.as_secs())))?
            .map_err(|error| unanswered(&error))?;
        let status = answer.status();
        Span::current().record("http.response.status_code", status.as_u16());
        let outcome = meaning(status, answer.headers(), SystemTime::now());
        // The answer is known by now, whatever becomes of the rest.
        let _ = timeout(BODY_TIMEOUT, read(answer.into_body())).await;
        outcome
    }
}

fn request(call: &Call, now: Timestamp) -> Result<Request<Full<Bytes>>, http::Error> {
    let second = now.as_second();
    Request::post(call.url.parse::<Uri>()?)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, AGENT)
        .header("webhook-id", &call.id)
        .header("webhook-timestamp", second)
        .header(
            "webhook-signature",
            signatures(&call.secrets, &call.id, second, &call.body),
        )
        .body(Full::new(Bytes::from(call.body.clone())))
}

/// What an answer means.
fn meaning(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Result<(), CallError> {
    if status.is_success() {
        return Ok(());
    }
    let said = status.to_string();
    if status == StatusCode::GONE {
        return Err(CallError::Gone(said));
    }
    let problem = match headers.get(LOCATION).and_then(|location| location.to_str().ok()) {
        Some(location) if status.is_redirection() => {
            let location = domain::text::shorten(location);
            format!("{said} to {location:?}; redirects are not followed, so name the URL itself")
        }
        _ => said,
    };
    let after = headers.get(RETRY_AFTER).and_then(|after| after.to_str().ok());
    Err(CallError::Transient {
        problem,
        after: after.and_then(|after| wait(after, now)),
    })
}

/// What `Retry-After` says: seconds, or a date.
fn wait(after: &str, now: SystemTime) -> Option<Duration> {
    let after = after.trim();
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(after).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// Without a connection nothing was sent; with one, who knows.
fn unanswered(error: &Error) -> CallError {
    let mut words = Vec::new();
    let mut source = error.source();
    while let Some(inner) = source {
        words.push(inner.to_string());
        source = inner.source();
    }
    // Each layer repeats the one below it.
    let problem = words.pop().unwrap_or_else(|| error.to_string());
    if error.is_connect() {
        transient(problem)
    } else {
        CallError::Lost(problem)
    }
}

fn transient(problem: String) -> CallError {
    CallError::Transient { problem, after: None }
}

/// Reads a body that is short, and leaves any other.
async fn read(mut body: Incoming) {
    if body.size_hint().lower() > MOST_BODY_BYTES {
        return;
    }
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if bytes > MOST_BODY_BYTES {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, headers: &[(&str, &str)]) -> (String, Option<u64>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().expect("a name");
            map.insert(name, value.parse().expect("a value"));
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        match meaning(StatusCode::from_u16(status).expect("a status"), &map, now) {
            Ok(()) => ("taken".to_owned(), None),
            Err(CallError::Gone(_)) => ("gone".to_owned(), None),
            Err(CallError::Lost(_)) => ("lost".to_owned(), None),
            Err(CallError::Transient { problem, after }) => (problem, after.map(|after| after.as_secs())),
        }
    }

    #[test]
    fn a_status_decides_and_says_when_to_come_back() {
        assert_eq!(kind(204, &[]).0, "taken");
        assert_eq!(kind(410, &[]).0, "gone");
        assert_eq!(kind(404, &[]).0, "404 Not Found");
        assert!(
            kind(302, &[("location", "http://10.0.0.1/")])
                .0
                .contains("not followed")
        );
        for (said, expected) in [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:40:37 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("99999999999999999999999", None),
        ] {
            assert_eq!(kind(503, &[("retry-after", said)]).1, expected, "{said}");
        }
    }
}
