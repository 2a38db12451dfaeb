//! A whole answer, kept: with the tag of its content, packed once, and answered in the form that a request can use.

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

use super::Asked;

const WARNING: HeaderName = HeaderName::from_static("warning");
/// Longest answer, in bytes: far more than any list holds.
const LONGEST: usize = 16 << 20;
/// Packing shorter ones saves no packet.
const WORTH_PACKING: usize = 860;
/// Where a page says that it is not of this moment.
const MAIN: &[u8] = b"<main id=\"main\"";

/// An answer.
#[derive(Debug, Clone)]
pub struct Kept {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    packed: OnceLock<Option<Bytes>>,
    tag: String,
}

impl Kept {
    /// Takes a response whole. `lifetime` is what `cache-control` says where all may keep it; `stale` the age of what it
    /// was made of, where that was not of this moment.
    pub async fn of(response: Response, lifetime: Option<&'static str>, stale: Option<Duration>) -> Self {
        let (mut parts, body) = response.into_parts();
        let body = match axum::body::to_bytes(body, LONGEST).await {
            Ok(body) => body,
            Err(problem) => {
                error!(%problem, "an answer could not be read whole");
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
        let digest = Sha256::digest(&body);
        Self {
            status,
            headers,
            tag: domain::identity::hex(&digest[..12]),
            body,
            packed: OnceLock::new(),
        }
    }

    /// The same for readers who get it although it is not of this moment; it says so.
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

    /// Whether it may be handed to others.
    pub fn is_success(&self) -> bool {
        self.status == StatusCode::OK && !self.headers.contains_key(header::SET_COOKIE)
    }

    /// Whether a service was down, so that an older answer helps.
    pub fn is_outage(&self) -> bool {
        self.status.is_server_error()
    }

    /// About how many bytes it takes.
    pub fn weight(&self) -> usize {
        // Packed text is about a quarter.
        self.body.len() + self.body.len() / 4 + 1_024
    }

    /// The answer to a request: not modified, packed, or as it is.
    pub fn answer(&self, asked: &Asked) -> Response {
        let is_kept = self.status == StatusCode::OK;
        let modified = self.headers.get(header::LAST_MODIFIED);
        if is_kept && asked.has(&self.tag, modified) {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            for name in [header::CACHE_CONTROL, header::VARY, header::LAST_MODIFIED, header::AGE] {
                if let Some(value) = self.headers.get(&name) {
                    response.headers_mut().insert(name, value.clone());
                }
            }
            set(response.headers_mut(), header::ETAG, &format!("\"{}\"", self.tag));
            return response;
        }
        let packed = self.packed().filter(|_| asked.takes_gzip());
        let mut response = (self.status, self.headers.clone(), packed.unwrap_or(&self.body).clone()).into_response();
        let headers = response.headers_mut();
        let mut suffix = "";
        if packed.is_some() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            suffix = "-gzip";
        }
        if is_kept {
            set(headers, header::ETAG, &format!("\"{}{suffix}\"", self.tag));
        }
        headers.insert(
            header::CONTENT_LENGTH,
            HeaderValue::from(packed.unwrap_or(&self.body).len()),
        );
        if asked.method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        response
    }

    /// The packed body, made when it is first wanted; none where it would not be shorter.
    fn packed(&self) -> Option<&Bytes> {
        let pack = || {
            if self.body.len() < WORTH_PACKING || !self.is_text() || self.headers.contains_key(header::CONTENT_ENCODING)
            {
                return None;
            }
            let mut encoder = GzEncoder::new(Vec::with_capacity(self.body.len() / 3), Compression::new(6));
            encoder.write_all(&self.body).ok()?;
            let packed = encoder.finish().ok()?;
            (packed.len() < self.body.len()).then(|| packed.into())
        };
        self.packed.get_or_init(pack).as_ref()
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

/// The page with a word at its top.
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
        "<p class=\"notice\" role=\"status\">A part of the service does not answer at the moment. You see this page as it was \
         {age} ago.</p>"
    );
    [before, notice.as_bytes(), after].concat().into()
}
