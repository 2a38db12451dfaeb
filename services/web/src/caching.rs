//! Short-lived caches, so that many readers cost little more than one, and what browsers and proxies may cache and for how
//! long.
//!
//! Two caches keep entries for `web.fresh_milliseconds`: responses of the search service, which are the same for everybody,
//! and whole responses of the routes in `caching::policy`, which are the same for all readers without our cookies. Of several
//! concurrent requests one computes the response. Responses to addresses with a token, or to readers with cookies, are never
//! cached as pages; such readers still use the first cache. While search is down, entries up to `web.stale_seconds` old are
//! served: pages with a notice, feeds and the API with `Warning` and `Age`; anything else gets 503 with `Retry-After`. ETags
//! are hashes of the content, so an unchanged list costs a feed reader a 304. An answer with a notice, such as a search by words
//! alone, is kept for a moment only, here and by nobody else; feeds and the API carry the notice in `Warning`.

mod answers;
mod cache;
mod policy;
mod stored_response;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use common::clock::Clock;

pub use answers::{AnswerCache, SearchRequest, SharedAnswer};
use cache::{Cache, CacheLookup, ComputedValue, ValueQuality};
use policy::CachePolicy;
use stored_response::StoredResponse;

use crate::caller::Caller;
use crate::metrics;

/// Memory for answers of the search service, in bytes on the wire.
const ANSWERS_BYTES: usize = 32 << 20;

/// How much is cached and for how long.
#[derive(Debug, Clone, Copy)]
pub struct CacheSettings {
    /// How long something counts as fresh; zero caches nothing.
    pub fresh: Duration,
    /// How long something may still be shown, with a notice, while a service is down.
    pub stale: Duration,
    /// Memory for pages, in bytes.
    pub page_bytes: usize,
}

/// Responses by site, accepted formats and address.
pub struct PageCache(Cache<String, StoredResponse, StoredResponse>);

impl PageCache {
    /// An empty cache.
    pub fn new(settings: CacheSettings, clock: Clock) -> Self {
        Self(Cache::new(settings, settings.page_bytes, clock))
    }
}

/// Middleware: answers from the cache or fills it, and tells browsers and proxies what they may cache. The innermost layer,
/// and the only one that reads response bodies.
pub async fn cache_responses(
    State(cache): State<Arc<PageCache>>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let policy = CachePolicy::for_request(route.unwrap_or_default(), &request);
    let conditions = RequestConditions::new(&request);
    let lifetime = match policy {
        CachePolicy::Shared(lifetime) => lifetime,
        CachePolicy::Private => {
            return revalidated(next.run(conditions.as_get(request)).await, &caller, &conditions).await;
        }
        CachePolicy::Uncached => return uncached(next.run(conditions.as_get(request)).await),
    };
    let key = format!("{} {} {}", caller.base(), conditions.accept(), request.uri());
    let respond = async || {
        let response = next.run(conditions.as_get(request)).await;
        let stored = StoredResponse::read(response, Some(lifetime), caller.staleness()).await;
        let (value, quality) = match caller.degradation() {
            Some(notice) => (stored.degraded(notice), ValueQuality::Degraded),
            None => (stored, ValueQuality::Full),
        };
        let weight = value.weight();
        if value.is_success() {
            Ok(ComputedValue { value, weight, quality })
        } else {
            Err(value)
        }
    };
    match cache.0.get(key, StoredResponse::is_outage, respond).await {
        Ok(CacheLookup {
            value,
            stale: None,
            is_new,
        }) => {
            metrics::cache_lookup("pages", if is_new { "miss" } else { "hit" });
            value.answer(&conditions)
        }
        Ok(CacheLookup {
            value,
            stale: Some(age),
            ..
        }) => {
            metrics::cache_lookup("pages", "stale");
            value.stale(age).answer(&conditions)
        }
        Err(failed) => failed.answer(&conditions),
    }
}

/// A response that only the reader's browser may cache, and must revalidate each time.
async fn revalidated(response: Response, caller: &Caller, conditions: &RequestConditions) -> Response {
    let stored = StoredResponse::read(response, None, None).await;
    let stored = match caller.degradation() {
        Some(notice) => stored.degraded(notice),
        None => stored,
    };
    stored.answer(conditions)
}

/// A response that nobody caches, unless it says otherwise itself.
fn uncached(mut response: Response) -> Response {
    let headers = response.headers_mut();
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// What a request says about the response it can use.
#[derive(Debug, Clone)]
pub struct RequestConditions {
    method: Method,
    headers: HeaderMap,
}

impl RequestConditions {
    fn new(request: &Request) -> Self {
        let mut headers = HeaderMap::new();
        for name in [
            header::ACCEPT,
            header::ACCEPT_ENCODING,
            header::IF_NONE_MATCH,
            header::IF_MODIFIED_SINCE,
        ] {
            if let Some(value) = request.headers().get(&name) {
                headers.insert(name, value.clone());
            }
        }
        Self {
            method: request.method().clone(),
            headers,
        }
    }

    /// The request for a handler: HEAD becomes GET, so that it is answered with the same headers.
    fn as_get(&self, mut request: Request) -> Request {
        if self.method == Method::HEAD {
            *request.method_mut() = Method::GET;
        }
        request
    }

    fn accept(&self) -> &str {
        self.header(&header::ACCEPT)
    }

    fn header(&self, name: &header::HeaderName) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Whether the caller accepts gzip.
    fn accepts_gzip(&self) -> bool {
        let accepts = |coding: &str| {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let refused = parts.any(|part| {
                part.strip_prefix("q=")
                    .is_some_and(|quality| quality.parse::<f32>().is_ok_and(|quality| quality <= 0.0))
            });
            matches!(name, "gzip" | "x-gzip" | "*") && !refused
        };
        self.header(&header::ACCEPT_ENCODING).split(',').any(accepts)
    }

    /// Whether the caller already has this version, by its tag, or by its date if it sends no tag.
    fn is_current(&self, tag: &str, modified: Option<&HeaderValue>) -> bool {
        let tags = self.header(&header::IF_NONE_MATCH);
        if !tags.is_empty() {
            // Weak comparison (RFC 9110, 13.1.2): compressed and plain bodies are the same version.
            let bare = |one: &str| {
                one.trim()
                    .trim_start_matches("W/")
                    .trim_matches('"')
                    .trim_end_matches("-gzip")
                    .to_owned()
            };
            return tags.split(',').any(|one| one.trim() == "*" || bare(one) == tag);
        }
        // Only dates that we sent ourselves compare equal; anything else gets the full response.
        modified.is_some_and(|modified| self.headers.get(header::IF_MODIFIED_SINCE) == Some(modified))
    }
}

#[cfg(test)]
mod tests;
