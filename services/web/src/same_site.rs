//! Refuses a POST that a page of another site made a reader's browser send.
//!
//! Programs send neither header and are let through: without cookies of a browser there is nobody to be deceived.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::Front;
use crate::client::{Client, host_of};
use crate::refusal::{Reader, refuse};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The middleware.
pub async fn refuse_strangers(
    State(front): State<Arc<Front>>,
    client: Client,
    request: Request,
    next: Next,
) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && !is_one_click(request.uri()) && is_foreign(request.headers(), request.uri(), client.base()) {
        let text = "This came from a page of another site, so nothing was changed. Open the page here and press the \
                    button again.";
        let reader = Reader::of(request.uri().path());
        return refuse(&front, reader, StatusCode::FORBIDDEN, "Nothing was changed", text);
    }
    next.run(request).await
}

/// What mail programs post (RFC 8058): the token in the address says whose wish it is.
fn is_one_click(uri: &Uri) -> bool {
    let has_token = |query: &str| {
        query
            .split('&')
            .any(|pair| pair.strip_prefix("token=").is_some_and(|token| !token.is_empty()))
    };
    uri.path() == "/unsubscribe" && uri.query().is_some_and(has_token)
}

/// Whether a browser says that another site is behind a request. Where it says so itself, that holds; older browsers, and
/// all over plain HTTP, only name the site.
pub fn is_foreign(headers: &HeaderMap, uri: &Uri, base: &str) -> bool {
    if let Some(site) = headers.get(FETCH_SITE) {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return false;
    };
    let Some(origin) = origin.to_str().ok().and_then(authority) else {
        return true;
    };
    let own = [host_of(headers, uri).map(without_default_port), authority(base)];
    !own.iter().flatten().any(|own| own.eq_ignore_ascii_case(origin))
}

/// Host and port of an address, without a port that goes without saying.
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

    fn foreign(headers: &[(&'static str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a value"));
        }
        is_foreign(&map, &Uri::from_static("/vote"), "https://papers.example")
    }

    #[test]
    fn another_site_is_told_from_this_one() {
        assert!(!foreign(&[("host", "h")]), "a program");
        assert!(!foreign(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(!foreign(&[("sec-fetch-site", "none")]));
        assert!(foreign(&[("sec-fetch-site", "cross-site")]));
        assert!(
            foreign(&[("sec-fetch-site", "same-site")]),
            "a neighbour under the same domain"
        );
        assert!(!foreign(&[("host", "h:7180"), ("origin", "http://h:7180")]));
        assert!(!foreign(&[("host", "H"), ("origin", "https://h:443")]));
        assert!(
            !foreign(&[("host", "inside"), ("origin", "https://papers.example")]),
            "by the setting"
        );
        assert!(foreign(&[("host", "h:7180"), ("origin", "http://h:7181")]));
        assert!(foreign(&[("host", "h"), ("origin", "null")]));
        assert!(foreign(&[("host", "h"), ("origin", "http://h.evil.example")]));
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
