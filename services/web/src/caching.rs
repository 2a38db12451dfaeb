//! What is kept for a moment so that many readers cost little more than one, and what others may keep and for how long.
//!
//! Two shelves: answers of the search service, and whole answers to readers without cookies. Never kept: what carries a
//! token, what was asked for with a reader's cookies, and what is not a success.

mod answers;
mod kept;
mod policy;
mod shelf;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;

pub use answers::{Answers, Known, Question};
use kept::Kept;
use policy::Policy;
use shelf::{Found, Shelf};

use crate::Front;
use crate::client::Client;
use crate::metrics;

/// Answers of other services that are kept, in bytes of the wire.
const ANSWERS_BYTES: usize = 32 << 20;

/// How much is kept and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Freshness {
    /// How long something counts as new; zero keeps nothing.
    pub fresh: Duration,
    /// How long something may still be shown, with a word about it, while a service is down.
    pub stale: Duration,
    /// Most bytes of pages.
    pub page_bytes: usize,
}

/// Pages, by what they were asked with.
pub struct Pages(Shelf<String, Kept, Kept>);

impl Pages {
    /// An empty shelf.
    pub fn new(freshness: Freshness) -> Self {
        Self(Shelf::new(freshness.fresh, freshness.stale, freshness.page_bytes))
    }
}

/// Answers from the shelf, fills it, and says what others may keep. The outermost layer that knows bodies.
pub async fn keep(State(front): State<Arc<Front>>, client: Client, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let policy = Policy::of(route.unwrap_or_default(), &request);
    let asked = Asked::of(&request);
    let Some(lifetime) = policy.shared() else {
        let response = next.run(asked.read(request)).await;
        return match policy {
            Policy::Own => revalidated(response, &asked).await,
            _ => untouched(response),
        };
    };
    let key = format!("{} {} {}", client.base(), asked.accept(), request.uri());
    let make = async || {
        let response = next.run(asked.read(request)).await;
        let kept = Kept::of(response, Some(lifetime), client.staleness()).await;
        let weight = kept.weight();
        if kept.is_success() {
            Ok((kept, weight))
        } else {
            Err(kept)
        }
    };
    match front.kept_pages.0.get(key, Kept::is_outage, make).await {
        Ok(Found {
            value,
            stale: None,
            is_new,
        }) => {
            metrics::kept("pages", if is_new { "miss" } else { "hit" });
            value.answer(&asked)
        }
        Ok(Found {
            value,
            stale: Some(age),
            ..
        }) => {
            metrics::kept("pages", "stale");
            value.stale(age).answer(&asked)
        }
        Err(failed) => failed.answer(&asked),
    }
}

/// What a reader alone may keep: never without asking whether it still holds.
async fn revalidated(response: Response, asked: &Asked) -> Response {
    Kept::of(response, None, None).await.answer(asked)
}

/// Whatever is not said to be kept is not kept.
fn untouched(mut response: Response) -> Response {
    let headers = response.headers_mut();
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// What a request says about the answer it can use.
#[derive(Debug, Clone)]
pub struct Asked {
    method: Method,
    headers: HeaderMap,
}

impl Asked {
    fn of(request: &Request) -> Self {
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

    /// The request for a handler: HEAD is answered by what GET would say, so that its headers are the same.
    fn read(&self, mut request: Request) -> Request {
        if self.method == Method::HEAD {
            *request.method_mut() = Method::GET;
        }
        request
    }

    fn accept(&self) -> &str {
        self.text(&header::ACCEPT)
    }

    fn text(&self, name: &header::HeaderName) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Whether gzip is wanted.
    fn takes_gzip(&self) -> bool {
        let coding = |one: &str| {
            let mut parts = one.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let refused = parts.any(|part| {
                part.strip_prefix("q=")
                    .is_some_and(|quality| quality.parse::<f32>().is_ok_and(|quality| quality <= 0.0))
            });
            matches!(name, "gzip" | "x-gzip" | "*") && !refused
        };
        self.text(&header::ACCEPT_ENCODING).split(',').any(coding)
    }

    /// Whether the caller has this already: by its tag, or by its date where it sends no tag.
    fn has(&self, tag: &str, modified: Option<&HeaderValue>) -> bool {
        let tags = self.text(&header::IF_NONE_MATCH);
        if !tags.is_empty() {
            // Compared weakly (RFC 9110, 13.1.2); the form that was sent does not matter.
            let bare = |one: &str| {
                one.trim()
                    .trim_start_matches("W/")
                    .trim_matches('"')
                    .trim_end_matches("-gzip")
                    .to_owned()
            };
            return tags.split(',').any(|one| one.trim() == "*" || bare(one) == tag);
        }
        // Dates are compared as the ones that we gave out; anything else is answered in full.
        modified.is_some_and(|modified| self.headers.get(header::IF_MODIFIED_SINCE) == Some(modified))
    }
}

#[cfg(test)]
mod tests;
