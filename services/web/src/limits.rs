//! How much one client may ask for: a bucket of tokens for each kind of request, and the longest address and body.
//!
//! Callers on this machine are not limited, as they are no network; whoever is behind a trusted proxy is known by the address
//! that the proxy tells. It never looks at what is asked for.

mod buckets;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::client::Client;
use crate::refusal::{Reader, refuse};
use crate::{Front, metrics};
pub use buckets::Buckets;
use buckets::Taken;

/// Longest body of a request, in bytes.
pub const LONGEST_BODY: usize = 256 << 10;
/// Of a body that is too long so much is read and thrown away, so that the answer is heard.
const MOST_PASSED_OVER: usize = 2 << 20;
/// And no longer than this.
const PATIENCE_WITH_SENDERS: Duration = Duration::from_secs(2);
/// Longest path and query, in bytes.
const LONGEST_ADDRESS: usize = 8 << 10;
/// Longest time an answer may take, gRPC calls included.
const DEADLINE: Duration = Duration::from_secs(10);
/// The same where a webhook of a reader is asked, which has time of its own.
const DEADLINE_OF_WEBHOOKS: Duration = Duration::from_secs(45);
/// When to come back while a service is down.
const RETRY_SECONDS: u64 = 5;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What requests are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Budget {
    /// Pages.
    Pages,
    /// Searches, which cost an embedding each.
    Search,
    /// Feeds, the API and tools of assistants.
    Api,
    /// Forms.
    Posts,
}

impl Budget {
    /// Every budget.
    pub const ALL: [Self; 4] = [Self::Pages, Self::Search, Self::Api, Self::Posts];

    /// Its name in headers and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pages => "pages",
            Self::Search => "search",
            Self::Api => "api",
            Self::Posts => "posts",
        }
    }

    /// Of a request; `None` for what costs nothing.
    fn of(request: &Request, route: &str) -> Option<Self> {
        match route {
            "/style.css" | "/script.js" | "/favicon.svg" | "/robots.txt" | "/opensearch.xml" => return None,
            "/search" | "/feeds/search.atom" | "/feeds/search.json" | "/api/papers/search" => {
                return Some(Self::Search);
            }
            "/mcp" => return Some(Self::Api),
            _ => {}
        }
        if *request.method() == Method::POST {
            return Some(Self::Posts);
        }
        let programs = ["/api/", "/feeds/", "/sitemap"];
        let is_programs = programs.iter().any(|prefix| route.starts_with(prefix));
        Some(if is_programs { Self::Api } else { Self::Pages })
    }
}

/// Requests a minute of one client, by budget; 0 does not limit.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Pages.
    pub pages: u32,
    /// Searches.
    pub search: u32,
    /// Feeds, the API and tools of assistants.
    pub api: u32,
    /// Forms.
    pub posts: u32,
    /// Clients that are known at a time.
    pub clients: usize,
}

impl Rates {
    fn of(&self, budget: Budget) -> u32 {
        match budget {
            Budget::Pages => self.pages,
            Budget::Search => self.search,
            Budget::Api => self.api,
            Budget::Posts => self.posts,
        }
    }
}

/// Lets through what is within the limits, and ends what takes too long.
pub async fn limit(State(front): State<Arc<Front>>, client: Client, request: Request, next: Next) -> Response {
    let reader = Reader::of(request.uri().path());
    if let Some(response) = too_large(&front, reader, &request) {
        // Whoever is still sending would find the connection broken and never read the answer.
        let sent = axum::body::to_bytes(request.into_body(), MOST_PASSED_OVER);
        let _ = tokio::time::timeout(PATIENCE_WITH_SENDERS, sent).await;
        return response;
    }
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let asks_webhook = route.starts_with("/preferences/webhook");
    let deadline = if asks_webhook { DEADLINE_OF_WEBHOOKS } else { DEADLINE };
    let budget = Budget::of(&request, route).filter(|_| !client.address().is_loopback());
    let taken = budget.and_then(|budget| {
        let per_minute = front.rates.of(budget);
        (per_minute > 0).then(|| {
            (
                budget,
                per_minute,
                front.buckets.take(client.address(), budget, per_minute, Instant::now()),
            )
        })
    });
    if let Some((budget, per_minute, Taken::Refused { wait })) = taken {
        metrics::limited(budget);
        let mut response = too_many(&front, reader, wait);
        say(response.headers_mut(), budget, per_minute, 0, wait);
        return response;
    }
    let Ok(mut response) = tokio::time::timeout(deadline, next.run(request)).await else {
        return unavailable(&front, reader, StatusCode::GATEWAY_TIMEOUT);
    };
    if let Some((budget, per_minute, Taken::Granted { left, full_in })) = taken {
        say(response.headers_mut(), budget, per_minute, left, full_in);
    }
    let is_down = matches!(
        response.status(),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    );
    if is_down && !response.headers().contains_key(header::RETRY_AFTER) {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
    }
    response
}

fn too_large(front: &Front, reader: Reader, request: &Request) -> Option<Response> {
    let address = request.uri().path_and_query().map_or(0, |all| all.as_str().len());
    if address > LONGEST_ADDRESS {
        let text = format!(
            "The address has {address} bytes; at most {LONGEST_ADDRESS} are taken. Please ask for less at once."
        );
        return Some(refuse(
            front,
            reader,
            StatusCode::URI_TOO_LONG,
            "That is too long",
            &text,
        ));
    }
    let length = request.headers().get(header::CONTENT_LENGTH)?;
    let length: usize = length.to_str().ok()?.parse().ok()?;
    (length > LONGEST_BODY).then(|| {
        let text = format!("What was sent has {length} bytes; at most {LONGEST_BODY} are taken. Nothing was changed.");
        refuse(front, reader, StatusCode::PAYLOAD_TOO_LARGE, "That is too much", &text)
    })
}

fn too_many(front: &Front, reader: Reader, wait: Duration) -> Response {
    let seconds = whole_seconds(wait);
    let text = format!("Too many requests came from your address. Please try again in {seconds} seconds.");
    let mut response = refuse(front, reader, StatusCode::TOO_MANY_REQUESTS, "Not so fast", &text);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

fn unavailable(front: &Front, reader: Reader, status: StatusCode) -> Response {
    let text = "A part of the service does not answer at the moment. Please try again in a minute.";
    let mut response = refuse(front, reader, status, "Not now", text);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
    response
}

/// Says what is left of a budget, in the fields of the IETF's draft on rate limits.
fn say(headers: &mut HeaderMap, budget: Budget, per_minute: u32, left: u32, reset: Duration) {
    let name = budget.name();
    let mut set = |field: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(field, value);
        }
    };
    set(RATE_LIMIT_POLICY, format!("\"{name}\";q={per_minute};w=60"));
    set(RATE_LIMIT, format!("\"{name}\";r={left};t={}", whole_seconds(reset)));
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// What counts as one client: an address, of IPv6 the network that a household gets.
fn client_of(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() & !u128::from(u64::MAX),
    }
}
