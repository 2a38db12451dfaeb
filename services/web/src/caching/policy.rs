//! Which routes may be cached, by whom and for how long: one table.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};

use crate::cookies::COOKIES;

/// Lists that look the same to everybody.
const LIST: &str = "public, max-age=10, stale-while-revalidate=60";
/// Polled by programs.
const FEED: &str = "public, max-age=300, stale-while-revalidate=3600";
/// Hardly ever changes.
const FIXED: &str = "public, max-age=3600, stale-while-revalidate=86400";

/// Routes whose responses are the same for all readers without cookies, with their `cache-control`.
const SHARED: &[(&str, &str)] = &[
    ("/", LIST),
    ("/day/{day}", LIST),
    ("/week/{week}", LIST),
    ("/month/{month}", LIST),
    ("/search", LIST),
    ("/papers/{*id}", LIST),
    ("/authors/{name}", LIST),
    ("/categories", LIST),
    ("/categories/{name}", LIST),
    ("/trending", LIST),
    ("/about", FIXED),
    ("/help/search", FIXED),
    ("/style.css", FIXED),
    ("/script.js", FIXED),
    ("/favicon.svg", FIXED),
    ("/feeds/today.atom", FEED),
    ("/feeds/today.json", FEED),
    ("/feeds/trending.atom", FEED),
    ("/feeds/trending.json", FEED),
    ("/feeds/search.atom", FEED),
    ("/feeds/search.json", FEED),
    ("/feeds/categories/{file}", FEED),
    ("/api/papers/search", LIST),
    ("/api/papers/{*id}", LIST),
    ("/api/daily_papers", LIST),
    ("/opensearch.xml", FIXED),
    ("/robots.txt", FIXED),
    ("/sitemap.xml", FIXED),
    ("/sitemap/{part}", FIXED),
];
/// A reader's own digests, cached by that reader alone.
const PRIVATE: &[&str] = &["/feeds/digest.atom", "/feeds/digest.json"];

/// Who may cache a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CachePolicy {
    /// Everyone, with this `cache-control`.
    Shared(&'static str),
    /// The reader's browser, which revalidates each time.
    Private,
    /// Nobody, unless the response says otherwise itself.
    Uncached,
}

impl CachePolicy {
    /// The policy for a request on a route.
    pub fn for_request(route: &str, request: &Request) -> Self {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Self::Uncached;
        }
        if PRIVATE.contains(&route) {
            return Self::Private;
        }
        let Some((_, lifetime)) = SHARED.iter().find(|(known, _)| *known == route) else {
            return Self::Uncached;
        };
        if carries_token(request.uri().query().unwrap_or_default()) {
            return Self::Uncached;
        }
        if is_personal(request.headers()) {
            return Self::Private;
        }
        Self::Shared(lifetime)
    }
}

fn carries_token(query: &str) -> bool {
    query
        .split('&')
        .any(|pair| pair == "token" || pair.starts_with("token="))
}

/// Whether a request carries one of our cookies or credentials, which make its response personal.
fn is_personal(headers: &HeaderMap) -> bool {
    let named = |line: &str| {
        line.split(';').any(|pair| {
            let name = pair.split('=').next().unwrap_or_default().trim();
            COOKIES.contains(&name)
        })
    };
    let cookies = headers.get_all(header::COOKIE);
    let ours = cookies.iter().any(|line| line.to_str().map_or(true, named));
    ours || headers.contains_key(header::AUTHORIZATION)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn policy(route: &str, method: Method, uri: &str, headers: &[(&str, &str)]) -> CachePolicy {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        CachePolicy::for_request(route, &request.body(Body::empty()).expect("a request"))
    }

    #[test]
    fn personal_responses_are_never_shared() {
        let of = |uri: &str, headers: &[(&str, &str)]| policy("/", Method::GET, uri, headers);
        assert_eq!(of("/", &[]), CachePolicy::Shared(LIST));
        assert_eq!(
            of("/", &[("cookie", "theme=dark; other_reader=1")]),
            CachePolicy::Shared(LIST)
        );
        assert_eq!(of("/", &[("cookie", "theme=dark; reader=x")]), CachePolicy::Private);
        assert_eq!(
            of("/", &[("cookie", "a=b"), ("cookie", "voted=")]),
            CachePolicy::Private,
            "two lines"
        );
        assert_eq!(of("/", &[("authorization", "Bearer x")]), CachePolicy::Private);
        assert_eq!(of("/?token=a", &[]), CachePolicy::Uncached);
        assert_eq!(of("/?x=1&token=", &[]), CachePolicy::Uncached);
        assert_eq!(policy("/", Method::POST, "/", &[]), CachePolicy::Uncached);
        assert_eq!(
            policy("/preferences", Method::GET, "/preferences", &[]),
            CachePolicy::Uncached
        );
        assert_eq!(policy("", Method::GET, "/", &[]), CachePolicy::Uncached, "no route");
        assert_eq!(
            policy("/feeds/digest.atom", Method::GET, "/feeds/digest.atom?token=a", &[]),
            CachePolicy::Private
        );
    }
}
