//! Who may keep what, by route: one table.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};

/// Lists that everybody sees alike.
const LIST: &str = "public, max-age=10, stale-while-revalidate=60";
/// What programs ask for on a schedule.
const FEED: &str = "public, max-age=300, stale-while-revalidate=3600";
/// What hardly ever changes.
const FIXED: &str = "public, max-age=3600, stale-while-revalidate=86400";

/// Routes whose answers are the same for all who bring no cookies, and how long others may keep them.
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
/// A reader's own editions: kept by the reader alone.
const OWN: &[&str] = &["/feeds/digest.atom", "/feeds/digest.json"];
/// Cookies that make a page a reader's own.
const COOKIES: [&str; 2] = ["reader", "saved"];

/// Who may keep an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// All, for as long as the text says.
    Shared(&'static str),
    /// The reader, who asks each time whether it still holds.
    Own,
    /// Nobody, unless the answer itself says otherwise.
    Nobody,
}

impl Policy {
    /// Of a request on a route.
    pub fn of(route: &str, request: &Request) -> Self {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Self::Nobody;
        }
        if OWN.contains(&route) {
            return Self::Own;
        }
        let Some((_, lifetime)) = SHARED.iter().find(|(known, _)| *known == route) else {
            return Self::Nobody;
        };
        if carries_token(request.uri().query().unwrap_or_default()) {
            return Self::Nobody;
        }
        if is_readers_own(request.headers()) {
            return Self::Own;
        }
        Self::Shared(lifetime)
    }

    /// What `cache-control` says where all may keep it.
    pub fn shared(self) -> Option<&'static str> {
        match self {
            Self::Shared(lifetime) => Some(lifetime),
            _ => None,
        }
    }
}

fn carries_token(query: &str) -> bool {
    query
        .split('&')
        .any(|pair| pair == "token" || pair.starts_with("token="))
}

/// Whether a request brings what may make its answer differ from that of others: a cookie of ours, or credentials.
fn is_readers_own(headers: &HeaderMap) -> bool {
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

    fn policy(route: &str, method: Method, uri: &str, headers: &[(&str, &str)]) -> Policy {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Policy::of(route, &request.body(Body::empty()).expect("a request"))
    }

    #[test]
    fn what_may_be_one_readers_alone_is_never_shared() {
        let of = |uri: &str, headers: &[(&str, &str)]| policy("/", Method::GET, uri, headers);
        assert_eq!(of("/", &[]), Policy::Shared(LIST));
        assert_eq!(
            of("/", &[("cookie", "theme=dark; other_reader=1")]),
            Policy::Shared(LIST)
        );
        assert_eq!(of("/", &[("cookie", "theme=dark; reader=x")]), Policy::Own);
        assert_eq!(
            of("/", &[("cookie", "a=b"), ("cookie", "saved=")]),
            Policy::Own,
            "two lines"
        );
        assert_eq!(of("/", &[("authorization", "Bearer x")]), Policy::Own);
        assert_eq!(of("/?token=a", &[]), Policy::Nobody);
        assert_eq!(of("/?x=1&token=", &[]), Policy::Nobody);
        assert_eq!(policy("/", Method::POST, "/", &[]), Policy::Nobody);
        assert_eq!(policy("/preferences", Method::GET, "/preferences", &[]), Policy::Nobody);
        assert_eq!(policy("", Method::GET, "/", &[]), Policy::Nobody, "no route");
        assert_eq!(
            policy("/feeds/digest.atom", Method::GET, "/feeds/digest.atom?token=a", &[]),
            Policy::Own
        );
    }
}
