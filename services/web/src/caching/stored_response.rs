//! A response held in memory with the tag of its content, compressed once, and answered in the form that a request accepts.

use std::io::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use tracing::error;

use super::RequestConditions;

const WARNING: HeaderName = HeaderName::from_static("warning");
/// Largest body, in bytes: far more than any list needs.
const MAX_BODY: usize = 16 << 20;
/// Compressing a shorter body saves no network packet.
const MIN_COMPRESSED: usize = 860;
/// Where a stale page says how old it is.
const MAIN: &[u8] = b"<main id=\"main\"";

/// A response and its body.
#[derive(Debug, Clone)]
pub struct StoredResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    compressed: OnceLock<Option<Bytes>>,
    tag: String,
}

impl StoredResponse {
    /// Reads a response. `lifetime` is the `cache-control` of a response that everyone may cache; `stale` the age of the
    /// oldest answer it was made from, if one was stale.
    pub async fn read(response: Response, lifetime: Option<&'static str>, stale: Option<Duration>) -> Self {
        let (mut parts, body) = response.into_parts();
        let body = match axum::body::to_bytes(body, MAX_BODY).await {
            Ok(body) => body,
            Err(error) => {
                error!(%error, "cannot read the body of a response");
                parts.status = StatusCode::INTERNAL_SERVER_ERROR;
                Bytes::new()
            }
        };
        let mut this = Self::new(parts.status, parts.headers, body);
        this.set_policy(lifetime);
        match stale {
            Some(age) => this.stale(age),
            None => this,
        }
    }

    fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        let hash = Sha256::digest(&body);
        Self {
            status,
            headers,
            tag: domain::identity::hex(&hash[..12]),
            body,
            compressed: OnceLock::new(),
        }
    }

    /// A copy that says how old it is.
    pub fn stale(&self, age: Duration) -> Self {
        let seconds = age.as_secs();
        let mut headers = self.headers.clone();
        headers.insert(header::AGE, HeaderValue::from(seconds));
        headers.insert(WARNING, HeaderValue::from_static("110 - \"Response is Stale\""));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let body = if self.is_page() {
            with_notice(&self.body, seconds)
        } else {
            self.body.clone()
        };
        Self::new(self.status, headers, body)
    }

    /// The same with a notice of the service about its content, which nobody else keeps.
    #[must_use]
    pub fn degraded(mut self, notice: &str) -> Self {
        self.headers
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        set(
            &mut self.headers,
            WARNING,
            &format!("199 - \"{}\"", notice.replace(['"', '\\'], "'")),
        );
        self
    }

    /// Whether other readers may get it.
    pub fn is_success(&self) -> bool {
        self.status == StatusCode::OK && !self.headers.contains_key(header::SET_COOKIE)
    }

    /// Whether a service was down, so that an older response is better.
    pub fn is_outage(&self) -> bool {
        self.status.is_server_error()
    }

    /// Its size in memory, in bytes, approximately.
    pub fn weight(&self) -> usize {
        // Text compresses to about a quarter.
        self.body.len() + self.body.len() / 4 + 1_024
    }

    /// The answer to a request: not modified, compressed, or as it is.
    pub fn answer(&self, conditions: &RequestConditions) -> Response {
        let has_tag = self.status == StatusCode::OK;
        let modified = self.headers.get(header::LAST_MODIFIED);
        if has_tag && conditions.is_current(&self.tag, modified) {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            for name in [header::CACHE_CONTROL, header::VARY, header::LAST_MODIFIED, header::AGE] {
                if let Some(value) = self.headers.get(&name) {
                    response.headers_mut().insert(name, value.clone());
                }
            }
            set(response.headers_mut(), header::ETAG, &format!("\"{}\"", self.tag));
            return response;
        }
        let compressed = self.compressed().filter(|_| conditions.accepts_gzip());
        let mut response = (
            self.status,
            self.headers.clone(),
            compressed.unwrap_or(&self.body).clone(),
        )
            .into_response();
        let headers = response.headers_mut();
        let mut suffix = "";
        if compressed.is_some() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            suffix = "-gzip";
        }
        if has_tag {
            set(headers, header::ETAG, &format!("\"{}{suffix}\"", self.tag));
        }
        headers.insert(
            header::CONTENT_LENGTH,
            HeaderValue::from(compressed.unwrap_or(&self.body).len()),
        );
        if conditions.method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        response
    }

    /// The compressed body, made on first use; `None` if it would not be shorter.
    fn compressed(&self) -> Option<&Bytes> {
        let compress = || {
            if self.body.len() < MIN_COMPRESSED
                || !self.is_text()
                || self.headers.contains_key(header::CONTENT_ENCODING)
            {
                return None;
            }
            let mut encoder = GzEncoder::new(Vec::with_capacity(self.body.len() / 3), Compression::new(6));
            encoder.write_all(&self.body).ok()?;
            let compressed = encoder.finish().ok()?;
            (compressed.len() < self.body.len()).then(|| compressed.into())
        };
        self.compressed.get_or_init(compress).as_ref()
    }

    fn set_policy(&mut self, lifetime: Option<&'static str>) {
        let own = self
            .headers
            .get(header::CACHE_CONTROL)
            .filter(|value| *value != "no-store");
        let value = match (lifetime, own) {
            _ if !self.is_success() && !self.status.is_redirection() => HeaderValue::from_static("no-store"),
            (_, Some(own)) => own.clone(),
            (Some(lifetime), None) => HeaderValue::from_static(lifetime),
            (None, None) => HeaderValue::from_static("private, no-cache"),
        };
        self.headers.insert(header::CACHE_CONTROL, value);
        let varies = HeaderValue::from_static("accept, accept-encoding, cookie");
        self.headers.insert(header::VARY, varies);
    }

    fn content_type(&self) -> &str {
        let value = self.headers.get(header::CONTENT_TYPE);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn is_page(&self) -> bool {
        self.content_type().starts_with("text/html")
    }

    fn is_text(&self) -> bool {
        let kind = self.content_type().split(';').next().unwrap_or_default();
        kind.starts_with("text/")
            || kind.ends_with("json")
            || kind.ends_with("xml")
            || matches!(
                kind,
                "application/javascript" | "application/x-bibtex" | "application/x-research-info-systems"
            )
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The page with a notice at its top.
fn with_notice(page: &Bytes, seconds: u64) -> Bytes {
    let main = page.windows(MAIN.len()).position(|window| window == MAIN);
    let end = main.and_then(|main| Some(main + page[main..].iter().position(|byte| *byte == b'>')? + 1));
    let Some(end) = end else {
        return page.clone();
    };
    let (before, after) = page.split_at(end);
    let age = if seconds < 120 {
        format!("{seconds} seconds")
    } else {
        format!("{} minutes", seconds / 60)
    };
    let notice = format!(
        "<p class=\"notice\" role=\"status\">Part of the service is not responding. This page is from {age} ago.</p>"
    );
    [before, notice.as_bytes(), after].concat().into()
}
