//! How many requests one client may make and how much text it may send: a token bucket for each kind of request and one for
//! text that has to be embedded, and the longest address and body.
//!
//! The text of an address is charged here, before any cache, so that a refusal never becomes the answer to another client.
//! Text in a body is charged by its handler, which knows what of it is embedded. Callers on this machine are not limited;
//! clients behind a trusted proxy count by the address the proxy reports.

mod buckets;
mod concurrency;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use common::clock::Clock;

use crate::caller::Caller;
use crate::error_response::{Audience, refuse};
use crate::metrics;
use crate::page::{PageRenderer, UNAVAILABLE};
pub use buckets::RateDecision;
use buckets::TokenBuckets;
use concurrency::{AnsweredRequest, ConcurrencyLimiter};

/// Longest body of a request, in bytes.
pub const LONGEST_BODY: usize = 256 << 10;
/// How much of the body of a refused request is read and discarded, because a client still sending may never read the response.
const MAX_DISCARDED: usize = 2 << 20;
/// For how long it is read.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest path and query, in bytes.
const LONGEST_ADDRESS: usize = 8 << 10;
/// Timeout of a request, gRPC calls included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The same for requests that wait for a reader's webhook, which has a timeout of its own.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(45);
/// When to try again while a service is down.
const RETRY_SECONDS: u64 = 5;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Routes whose addresses hold text that is embedded, in this parameter. Their responses are cached for everybody.
const TEXT_ROUTES: [&str; 4] = [
    "/search",
    "/feeds/search.atom",
    "/feeds/search.json",
    "/api/papers/search",
];
const TEXT_PARAMETER: &str = "q";
/// The other routes whose requests have text embedded.
const OTHER_TEXT_ROUTES: [&str; 5] = [
    "/mcp",
    "/subscribe",
    "/subscribe/preview",
    "/preferences/preview",
    "/confirm",
];
/// When to try again while as many requests of a client are answered as may be.
const CONCURRENCY_WAIT: Duration = Duration::from_secs(1);

/// Kinds of requests, each with a limit of its own, and text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestBudget {
    /// Pages.
    Pages,
    /// Searches, which cost an embedding each.
    Search,
    /// Feeds, the API and tools of assistants.
    Api,
    /// Forms.
    Posts,
    /// Text to be embedded, in estimated tokens, whatever kind of request it is part of.
    Text,
}

impl RequestBudget {
    /// Every budget.
    pub const ALL: [Self; 5] = [Self::Pages, Self::Search, Self::Api, Self::Posts, Self::Text];

    /// Its name in headers and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pages => "pages",
            Self::Search => "search",
            Self::Api => "api",
            Self::Posts => "posts",
            Self::Text => "text",
        }
    }

    /// The budget a request counts against; `None` for what is free.
    fn for_request(request: &Request, route: &str) -> Option<Self> {
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
        let for_programs = ["/api/", "/feeds/", "/sitemap"]
            .iter()
            .any(|prefix| route.starts_with(prefix));
        Some(if for_programs { Self::Api } else { Self::Pages })
    }
}

/// Requests a minute of one client, by budget, and tokens of text; 0 means no limit.
#[derive(Debug, Clone, Copy)]
pub struct RateLimits {
    /// Pages.
    pub pages: u32,
    /// Searches.
    pub search: u32,
    /// Feeds, the API and tools of assistants.
    pub api: u32,
    /// Forms.
    pub posts: u32,
    /// Tokens of text.
    pub text: u32,
    /// Requests at a time that have text embedded.
    pub concurrent: usize,
    /// Most clients remembered at a time.
    pub clients: usize,
}

impl RateLimits {
    fn per_minute(&self, budget: RequestBudget) -> u32 {
        match budget {
            RequestBudget::Pages => self.pages,
            RequestBudget::Search => self.search,
            RequestBudget::Api => self.api,
            RequestBudget::Posts => self.posts,
            RequestBudget::Text => self.text,
        }
    }
}

/// Counts the requests and the text of each client.
pub struct RateLimiter {
    rates: RateLimits,
    buckets: TokenBuckets,
    concurrency: Arc<ConcurrencyLimiter>,
    pages: Arc<PageRenderer>,
    clock: Clock,
}

/// A request that counted against a budget.
struct CountedRequest {
    budget: RequestBudget,
    per_minute: u32,
    decision: RateDecision,
}

/// A request that is within all limits, until it has its response.
struct AdmittedRequest {
    counted: Option<CountedRequest>,
    _answered: Option<AnsweredRequest>,
}

impl RateLimiter {
    /// With no client known yet; refusals are rendered by `pages`.
    pub fn new(rates: RateLimits, pages: Arc<PageRenderer>, clock: Clock) -> Self {
        Self {
            rates,
            buckets: TokenBuckets::new(rates.clients),
            concurrency: ConcurrencyLimiter::new(rates.concurrent),
            pages,
            clock,
        }
    }

    /// Charges a caller for work that only its handler knows of, such as each call of a batch. A cost above the whole budget
    /// is granted while the budget is full, and leaves a debt. Where nothing limits the caller, it is granted.
    pub fn charge(&self, caller: &Caller, budget: RequestBudget, cost: u32) -> RateDecision {
        let decision = self.count(caller, budget, cost).map(|counted| counted.decision);
        if let Some(RateDecision::Refused { .. }) = decision {
            metrics::rate_limited(budget.name());
        }
        decision.unwrap_or(RateDecision::UNLIMITED)
    }

    /// Charges a caller for texts that are to be embedded. One that nobody embeds is no reason to refuse, so each handler names
    /// exactly those that are.
    pub fn charge_text<'a>(&self, caller: &Caller, texts: impl IntoIterator<Item = &'a str>) -> RateDecision {
        self.charge(caller, RequestBudget::Text, tokens_of(texts))
    }

    /// Counts work against a budget; `None` where nothing limits it.
    fn count(&self, caller: &Caller, budget: RequestBudget, cost: u32) -> Option<CountedRequest> {
        if caller.address().is_loopback() || cost == 0 {
            return None;
        }
        let per_minute = self.rates.per_minute(budget);
        (per_minute > 0).then(|| CountedRequest {
            budget,
            per_minute,
            decision: self
                .buckets
                .take((caller.address(), budget), per_minute, cost, self.clock.instant()),
        })
    }

    /// Counts a request, the text of its address and, where it has text embedded, what is being answered at the same time; the
    /// response where one of these is too much.
    fn admit(
        &self,
        caller: &Caller,
        request: &Request,
        route: &str,
        audience: Audience,
    ) -> Result<AdmittedRequest, Box<Response>> {
        if let Some(refusal) = too_large(&self.pages, audience, request) {
            return Err(Box::new(refusal));
        }
        let of_request = RequestBudget::for_request(request, route).map(|budget| (budget, 1));
        let of_text = (RequestBudget::Text, text_of_address(request, route));
        let mut counted = None;
        for (budget, cost) in of_request.into_iter().chain([of_text]) {
            let Some(one) = self.count(caller, budget, cost) else {
                continue;
            };
            if let RateDecision::Refused { wait } = one.decision {
                metrics::rate_limited(budget.name());
                return Err(Box::new(self.refusal(audience, budget, wait)));
            }
            counted.get_or_insert(one);
        }
        let embeds = TEXT_ROUTES.contains(&route) || OTHER_TEXT_ROUTES.contains(&route);
        let mut answered = None;
        if embeds && !caller.address().is_loopback() {
            answered = self.concurrency.begin(caller.address());
            if answered.is_none() {
                return Err(Box::new(self.refuse_concurrent(audience)));
            }
        }
        Ok(AdmittedRequest {
            counted,
            _answered: answered,
        })
    }

    /// The response to a request over a budget.
    pub fn refusal(&self, audience: Audience, budget: RequestBudget, wait: Duration) -> Response {
        let mut response = too_many(&self.pages, audience, budget, wait);
        let per_minute = self.rates.per_minute(budget);
        set_rate_headers(response.headers_mut(), budget, per_minute, 0, wait);
        response
    }

    /// The response to a client that has as many requests answered as may be.
    fn refuse_concurrent(&self, audience: Audience) -> Response {
        metrics::rate_limited(RequestBudget::Text.name());
        let title = "Too many requests at a time";
        let text = "There are too many requests from your address at the same time. Please try again in a moment.";
        let mut response = refuse(&self.pages, audience, StatusCode::TOO_MANY_REQUESTS, title, text);
        let seconds = HeaderValue::from(whole_seconds(CONCURRENCY_WAIT));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
        response
    }
}

/// Estimated tokens of the text in an address that is embedded.
fn text_of_address(request: &Request, route: &str) -> u32 {
    let query = request.uri().query().unwrap_or_default();
    if !TEXT_ROUTES.contains(&route) || query.is_empty() {
        return 0;
    }
    let texts: Vec<_> = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == TEXT_PARAMETER)
        .map(|(_, text)| text)
        .collect();
    tokens_of(texts.iter().map(|text| &**text))
}

fn tokens_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> u32 {
    let tokens = texts.into_iter().map(|text| domain::text::estimated_tokens(text.len()));
    u32::try_from(tokens.sum::<usize>()).unwrap_or(u32::MAX)
}

/// Middleware: refuses requests over the limits, and ends those that take too long.
pub async fn enforce(
    State(limiter): State<Arc<RateLimiter>>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Response {
    let audience = Audience::of_path(request.uri().path());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(String::new, |route| route.as_str().to_owned());
    let admitted = match limiter.admit(&caller, &request, &route, audience) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            let body = axum::body::to_bytes(request.into_body(), MAX_DISCARDED);
            let _ = limiter.clock.timeout(DISCARD_TIMEOUT, body).await;
            return *refusal;
        }
    };
    let calls_webhook = route.starts_with("/preferences/webhook");
    let timeout = if calls_webhook { WEBHOOK_TIMEOUT } else { TIMEOUT };
    let Some(mut response) = limiter.clock.timeout(timeout, next.run(request)).await else {
        return timed_out(&limiter.pages, audience);
    };
    if let Some(CountedRequest {
        budget,
        per_minute,
        decision: RateDecision::Granted { left, full_in },
    }) = admitted.counted
    {
        set_rate_headers(response.headers_mut(), budget, per_minute, left, full_in);
    }
    set_retry_after(&mut response);
    response
}

fn too_large(pages: &PageRenderer, audience: Audience, request: &Request) -> Option<Response> {
    let address = request.uri().path_and_query().map_or(0, |all| all.as_str().len());
    if address > LONGEST_ADDRESS {
        let text =
            format!("The address is {address} bytes long; at most {LONGEST_ADDRESS} are allowed. Please shorten it.");
        let title = "Address too long";
        return Some(refuse(pages, audience, StatusCode::URI_TOO_LONG, title, &text));
    }
    let length = request.headers().get(header::CONTENT_LENGTH)?;
    let length: usize = length.to_str().ok()?.parse().ok()?;
    (length > LONGEST_BODY).then(|| {
        let text =
            format!("The request is {length} bytes long; at most {LONGEST_BODY} are allowed. Nothing was changed.");
        let title = "Request too large";
        refuse(pages, audience, StatusCode::PAYLOAD_TOO_LARGE, title, &text)
    })
}

fn too_many(pages: &PageRenderer, audience: Audience, budget: RequestBudget, wait: Duration) -> Response {
    let seconds = whole_seconds(wait);
    let unit = if seconds == 1 { "second" } else { "seconds" };
    let (title, cause) = match budget {
        RequestBudget::Text => (
            "Too much text",
            "There was too much text in the requests from your address.",
        ),
        _ => ("Too many requests", "There were too many requests from your address."),
    };
    let text = format!("{cause} Please try again in {seconds} {unit}.");
    let mut response = refuse(pages, audience, StatusCode::TOO_MANY_REQUESTS, title, &text);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

fn timed_out(pages: &PageRenderer, audience: Audience) -> Response {
    let status = StatusCode::GATEWAY_TIMEOUT;
    let mut response = refuse(pages, audience, status, "Temporarily unavailable", UNAVAILABLE);
    set_retry_after(&mut response);
    response
}

/// Says when to try again where a service is down and nothing better is known.
fn set_retry_after(response: &mut Response) {
    let is_down = matches!(
        response.status(),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    );
    if is_down && !response.headers().contains_key(header::RETRY_AFTER) {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
    }
}

/// What is left of a budget, in the fields of the IETF draft on rate limit headers.
fn set_rate_headers(headers: &mut HeaderMap, budget: RequestBudget, per_minute: u32, left: u32, reset: Duration) {
    let name = budget.name();
    let mut set = |field: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(field, value);
        }
    };
    set(RATE_LIMIT_POLICY, format!("\"{name}\";q={per_minute};w=60"));
    set(RATE_LIMIT, format!("\"{name}\";r={left};t={}", whole_seconds(reset)));
}

/// A time in whole seconds, rounded up.
pub fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
