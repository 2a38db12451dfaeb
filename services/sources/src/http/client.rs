//! Requests: admitted at the host's rate, retried with growing pauses, redirected with care.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::addresses::{AllowedAddresses, spelled_address};
use common::clock::Clock;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Response;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::rt::TokioExecutor;
use url::Url;

use super::body::{BodyLimits, ResponseBody, chain};
use super::config::HttpConfig;
use super::connector::{ProxyConnector, is_localhost};
use super::gate::{HostGate, HostPermit};
use super::response::{self, SourceResponse};
use crate::cursor::Validator;
use crate::error::SourceError;
use crate::markup;

/// Bytes of a refusal that are read for its message.
const REFUSAL_BYTES: usize = 16 << 10;

/// Settings that no client can be made of.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Wrong settings.
    #[error("the http settings of sources are wrong: {}", .0.join("; "))]
    Config(Vec<String>),
    /// TLS could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// A request to a server.
#[derive(Debug, Clone)]
pub struct SourceRequest {
    /// Its address.
    pub url: Url,
    /// The media types that are accepted.
    pub accept: &'static str,
    /// Headers of this source, such as its key. They are sent to no other host.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What the server gave the last time, to make the request conditional.
    pub validator: Option<Validator>,
}

impl SourceRequest {
    /// For an address.
    pub fn new(url: Url, accept: &'static str) -> Self {
        Self {
            url,
            accept,
            headers: Vec::new(),
            validator: None,
        }
    }
}

/// The client. Clones share connections and rate limits.
#[derive(Clone)]
pub struct SourceClient(Arc<ClientState>);

struct ClientState {
    pool: Pool<HttpsConnector<ProxyConnector>, Empty<Bytes>>,
    connector: ProxyConnector,
    allowed: AllowedAddresses,
    gate: HostGate,
    agent: HeaderValue,
    config: HttpConfig,
    clock: Clock,
}

/// What a server answered to one attempt.
enum AttemptResult {
    Response(SourceResponse),
    Redirect(Url),
}

impl SourceClient {
    /// By the settings. Pauses, timeouts and the dates of requests go by `clock`.
    ///
    /// # Errors
    /// Wrong settings.
    pub fn new(config: &HttpConfig, clock: Clock) -> Result<Self, HttpError> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(HttpError::Config(problems));
        }
        let agent = format!("broadsheet/{} (+{})", env!("CARGO_PKG_VERSION"), config.contact.trim());
        let agent = HeaderValue::from_str(&agent)
            .map_err(|_| HttpError::Config(vec!["contact holds characters that no header can".into()]))?;
        let Some(allowed) = AllowedAddresses::parse(&config.networks) else {
            return Err(HttpError::Config(vec!["networks holds what is no network".into()]));
        };
        let timeout = Duration::from_secs(config.connect_timeout_seconds);
        let connector = ProxyConnector::new(&config.proxy, allowed.clone(), timeout);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(provider)
            .map_err(|error| HttpError::Tls(error.to_string()))?
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector.clone());
        let pool = Pool::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(1)
            .build(https);
        Ok(Self(Arc::new(ClientState {
            pool,
            connector,
            allowed,
            gate: HostGate::new(config, clock.clone()),
            agent,
            config: config.clone(),
            clock,
        })))
    }

    /// How the people behind a source can reach the operator.
    pub fn contact(&self) -> &str {
        self.0.config.contact.trim()
    }

    /// The clock that it goes by.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Sends a request, as often as the settings allow, and follows redirects.
    ///
    /// # Errors
    /// Everything but 2xx and 304.
    pub async fn get(&self, request: &SourceRequest) -> Result<SourceResponse, SourceError> {
        let mut url = request.url.clone();
        for _ in 0..=self.0.config.max_redirects {
            match self.get_at(request, &url).await? {
                AttemptResult::Response(response) => return Ok(response),
                AttemptResult::Redirect(target) => {
                    self.check_target(request, &url, &target)?;
                    url = target;
                }
            }
        }
        Err(SourceError::Redirect {
            url: shown(&request.url),
            target: shown(&url),
            why: "there are too many redirects",
        })
    }

    /// Refuses a redirect to an address inside our network that the settings of the source do not spell out themselves. Those
    /// of names are checked at each connection.
    fn check_target(&self, request: &SourceRequest, from: &Url, target: &Url) -> Result<(), SourceError> {
        let same = request.url.host() == target.host()
            && request.url.port_or_known_default() == target.port_or_known_default();
        let inside = match spelled_address(target) {
            Some(address) => !self.0.allowed.allows(address),
            None => target.host_str().is_some_and(is_localhost),
        };
        if inside && !same {
            return Err(SourceError::Redirect {
                url: shown(from),
                target: shown(target),
                why: "it is not on the public internet; http.networks may allow its network",
            });
        }
        Ok(())
    }

    /// Requests one address, and retries while that may help.
    async fn get_at(&self, request: &SourceRequest, url: &Url) -> Result<AttemptResult, SourceError> {
        let config = &self.0.config;
        let patience = Duration::from_secs(config.patience_seconds);
        let mut attempt = 1;
        loop {
            let error = match self.attempt(request, url).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            let asked = match &error {
                SourceError::Busy { after, .. } => *after,
                SourceError::Unreachable { .. } | SourceError::TimedOut { .. } | SourceError::Failed { .. } => None,
                _ => return Err(error),
            };
            let pause = asked.unwrap_or_else(|| back_off(config, attempt));
            if let Some(asked) = asked {
                self.0
                    .gate
                    .hold_off(&name(url), asked.min(Duration::from_hours(24)))
                    .await;
            }
            if attempt >= config.attempts || pause > patience {
                return Err(error);
            }
            tracing::debug!(host = %name(url), attempt, ?pause, %error, "retrying");
            self.0.clock.sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, request: &SourceRequest, url: &Url) -> Result<AttemptResult, SourceError> {
        let host = name(url);
        let permit = self.0.gate.enter(&host).await;
        let message = self.message(request, url)?;
        let limit = Duration::from_secs(self.0.config.connect_timeout_seconds + self.0.config.idle_timeout_seconds);
        let response = self.0.clock.timeout(limit, self.0.pool.request(message)).await;
        let response = response
            .ok_or_else(|| SourceError::TimedOut {
                host: host.clone(),
                step: "respond",
                seconds: limit.as_secs(),
            })?
            .map_err(|error| SourceError::Unreachable {
                host: host.clone(),
                cause: chain(&error),
            })?;
        self.classify(request, url, response, permit).await
    }

    fn message(&self, request: &SourceRequest, url: &Url) -> Result<hyper::Request<Empty<Bytes>>, SourceError> {
        let refused = |why: String| SourceError::Protocol {
            code: "request".into(),
            text: why,
        };
        let uri: http::Uri = url
            .as_str()
            .parse()
            .map_err(|_| refused(format!("{} is no address", shown(url))))?;
        let mut message = hyper::Request::builder()
            .method(Method::GET)
            .header(header::USER_AGENT, &self.0.agent)
            .header(header::ACCEPT, request.accept)
            .header(header::ACCEPT_ENCODING, "gzip");
        if let Some(secret) = self.0.connector.proxy_authorization(&uri) {
            message = message.header(header::PROXY_AUTHORIZATION, secret);
        }
        if url.host_str() == request.url.host_str() && url.scheme() == request.url.scheme() {
            for (name, value) in &request.headers {
                message = message.header(name, value);
            }
        }
        let validator = request.validator.as_ref();
        if let Some(etag) = validator.and_then(|validator| validator.etag.as_ref()) {
            message = message.header(header::IF_NONE_MATCH, etag);
        }
        if let Some(date) = validator.and_then(|validator| validator.last_modified.as_ref()) {
            message = message.header(header::IF_MODIFIED_SINCE, date);
        }
        message
            .uri(uri)
            .body(Empty::new())
            .map_err(|error| refused(error.to_string()))
    }

    async fn classify(
        &self,
        request: &SourceRequest,
        url: &Url,
        response: Response<Incoming>,
        permit: HostPermit,
    ) -> Result<AttemptResult, SourceError> {
        let status = response.status();
        let host = name(url);
        let unchanged = status == StatusCode::NOT_MODIFIED && request.validator.is_some();
        if status.is_success() || unchanged {
            return Ok(AttemptResult::Response(self.accept(url, response, permit)));
        }
        let (parts, body) = response.into_parts();
        if status.is_redirection() {
            return redirect(url, response::text(&parts.headers, header::LOCATION)).map(AttemptResult::Redirect);
        }
        let idle = Duration::from_secs(self.0.config.idle_timeout_seconds);
        let message = Limited::new(body, REFUSAL_BYTES).collect();
        let text = match self.0.clock.timeout(idle, message).await {
            Some(Ok(message)) => markup::first_words(&String::from_utf8_lossy(&message.to_bytes())),
            _ => String::new(),
        };
        Err(match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => SourceError::Busy {
                host,
                status: status.as_u16(),
                after: response::retry_after(&parts.headers, self.0.clock.now()),
            },
            StatusCode::REQUEST_TIMEOUT => SourceError::Busy {
                host,
                status: status.as_u16(),
                after: None,
            },
            _ if status.is_server_error() => SourceError::Failed {
                host,
                status: status.as_u16(),
                text,
            },
            _ => SourceError::Refused {
                host,
                url: shown(url),
                status: status.as_u16(),
                text,
            },
        })
    }

    fn accept(&self, url: &Url, response: Response<Incoming>, permit: HostPermit) -> SourceResponse {
        let (parts, incoming) = response.into_parts();
        let config = &self.0.config;
        let limits = BodyLimits {
            idle: Duration::from_secs(config.idle_timeout_seconds),
            total: Duration::from_secs(config.total_timeout_seconds),
            bytes: config.max_response_bytes,
        };
        let coding = response::content_coding(&parts.headers);
        SourceResponse {
            status: parts.status,
            headers: parts.headers,
            url: url.clone(),
            received: self.0.clock.now(),
            body: ResponseBody::new(incoming, coding, &name(url), limits, permit, self.0.clock.clone()),
        }
    }
}

fn redirect(url: &Url, location: Option<String>) -> Result<Url, SourceError> {
    let refuse = |target: &str, why| SourceError::Redirect {
        url: shown(url),
        target: target.to_owned(),
        why,
    };
    let location = location.ok_or_else(|| refuse("nowhere", "it names no address"))?;
    let target = url.join(&location).map_err(|_| refuse(&location, "it is no address"))?;
    match (url.scheme(), target.scheme()) {
        (_, "https") | ("http", "http") if target.has_host() => Ok(target),
        ("https", "http") => Err(refuse(&shown(&target), "it would leave https")),
        _ => Err(refuse(&shown(&target), "it is neither http nor https")),
    }
}

/// The pause before the next attempt: it doubles, and half of it is random, so that many clients do not retry together.
fn back_off(config: &HttpConfig, attempt: u32) -> Duration {
    let whole = config
        .first_pause_milliseconds
        .saturating_mul(1 << (attempt - 1).min(16));
    let most = config.patience_seconds.saturating_mul(1_000);
    let pause = Duration::from_millis(whole.min(most));
    pause.mul_f64(rand::random_range(0.5..=1.0))
}

fn name(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// An address without secrets.
fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    let _ = shown.set_password(None);
    let _ = shown.set_username("");
    let open: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(key, _)| key != "api_key" && key != "mailto")
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    shown.set_query(None);
    if !open.is_empty() {
        shown.query_pairs_mut().extend_pairs(open);
    }
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    #[test]
    fn redirects_never_leave_https() {
        let go = |from: &str, to: &str| redirect(&url(from), Some(to.to_owned()));
        assert_eq!(go("https://a.org/x", "/y").expect("followed"), url("https://a.org/y"));
        assert_eq!(
            go("http://a.org/x", "https://b.org/").expect("followed"),
            url("https://b.org/")
        );
        for (from, to) in [
            ("https://a.org/", "http://a.org/"),
            ("https://a.org/", "ftp://a.org/"),
            ("http://a.org/", "file:///etc/passwd"),
        ] {
            assert!(matches!(go(from, to), Err(SourceError::Redirect { .. })), "{to}");
        }
        assert!(redirect(&url("http://a.org"), None).is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = shown(&url("https://me:pw@a.org/works?filter=x&api_key=SECRET&mailto=a%40b.c"));
        assert_eq!(shown, "https://a.org/works?filter=x");
    }

    #[test]
    fn pauses_double_up_to_the_patience() {
        let config = HttpConfig {
            first_pause_milliseconds: 1_000,
            patience_seconds: 5,
            ..HttpConfig::default()
        };
        for attempt in 1..=40 {
            let most = Duration::from_secs((1_u64 << (attempt - 1).min(10)).min(5));
            let pause = back_off(&config, attempt);
            assert!(pause <= most && pause * 2 >= most, "{attempt}: {pause:?}");
        }
    }
}
