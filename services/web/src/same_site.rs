//! Rejects a POST that a page of another site made a reader's browser send (CSRF).
//!
//! Programs send neither header and pass: without a browser's cookies nobody can be deceived.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::caller::{Caller, request_host};
use crate::error_response::{Audience, refuse};
use crate::page::PageRenderer;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Middleware: rejects cross-site requests that would change something.
pub async fn reject_cross_site(
    State(pages): State<Arc<PageRenderer>>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && !is_one_click(request.uri()) && is_cross_site(request.headers(), request.uri(), caller.base()) {
        let text = "This request came from another site, so nothing was changed. Open the page here and press the button again.";
        let audience = Audience::of_path(request.uri().path());
        return refuse(&pages, audience, StatusCode::FORBIDDEN, "Nothing was changed", text);
    }
    next.run(request).await
}

/// What mail programs post (RFC 8058): the token in the address identifies the subscriber.
fn is_one_click(uri: &Uri) -> bool {
    let has_token = |query: &str| {
        query
            .split('&')
            .any(|pair| pair.strip_prefix("token=").is_some_and(|token| !token.is_empty()))
    };
    uri.path() == "/unsubscribe" && uri.query().is_some_and(has_token)
}

/// Whether another site made a browser send a request. `Sec-Fetch-Site` decides where present; older browsers, and all
/// browsers over plain HTTP, only send `Origin`.
pub fn is_cross_site(headers: &HeaderMap, uri: &Uri, base: &str) -> bool {
    if let Some(site) = headers.get(FETCH_SITE) {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return false;
    };
    let Some(origin) = origin.to_str().ok().and_then(authority) else {
        return true;
    };
    let own = [request_host(headers, uri).map(without_default_port), authority(base)];
    !own.iter().flatten().any(|own| own.eq_ignore_ascii_case(origin))
}

/// Host and port of an address, without a default port.
fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    Some(without_default_port(authority))
}

fn without_default_port(authority: &str) -> &str {
    let bare = authority.strip_suffix(":80");
    bare.or_else(|| authority.strip_suffix(":443")).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cross_site(headers: &[(&'static str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a value"));
        }
        is_cross_site(&map, &Uri::from_static("/vote"), "https://papers.example")
    }

    #[test]
    fn other_sites_are_recognised() {
        assert!(!cross_site(&[("host", "h")]), "a program");
        assert!(!cross_site(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(!cross_site(&[("sec-fetch-site", "none")]));
        assert!(cross_site(&[("sec-fetch-site", "cross-site")]));
        assert!(
            cross_site(&[("sec-fetch-site", "same-site")]),
            "a neighbour under the same domain"
        );
        assert!(!cross_site(&[("host", "h:7180"), ("origin", "http://h:7180")]));
        assert!(!cross_site(&[("host", "H"), ("origin", "https://h:443")]));
        assert!(
            !cross_site(&[("host", "inside"), ("origin", "https://papers.example")]),
            "by the setting"
        );
        assert!(cross_site(&[("host", "h:7180"), ("origin", "http://h:7181")]));
        assert!(cross_site(&[("host", "h"), ("origin", "null")]));
        assert!(cross_site(&[("host", "h"), ("origin", "http://h.evil.example")]));
    }

    #[test]
    fn one_click_needs_its_token() {
        assert!(is_one_click(&Uri::from_static("/unsubscribe?token=a.b")));
        for not in [
            "/unsubscribe",
            "/unsubscribe?token=",
            "/vote?token=a.b",
            "/unsubscribe?x=token=1",
        ] {
            assert!(!is_one_click(&not.parse().expect("an address")), "{not}");
        }
    }
}
