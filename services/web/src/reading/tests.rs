//! What pages say when nobody answers them: what can be said, and that the rest cannot be shown now.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use tower::ServiceExt as _;

use super::*;
use crate::caching::Freshness;
use crate::limits::Rates;

/// Asks a front whose services are nowhere.
async fn alone(path: &str, cookie: &str) -> (StatusCode, String) {
    const NOBODY: &str = "http://127.0.0.1:1";
    let freshness = Freshness {
        fresh: Duration::ZERO,
        stale: Duration::ZERO,
        page_bytes: 1,
    };
    let rates = Rates {
        pages: 0,
        search: 0,
        api: 0,
        posts: 0,
        clients: 1,
    };
    let front = Front::to([NOBODY; 3], None, freshness, rates).expect("addresses");
    let request = Request::get(path).header(header::COOKIE, cookie).body(Body::empty());
    let router: Router = routes().with_state(Arc::new(front));
    let answer = router.oneshot(request.expect("a request")).await.expect("an answer");
    let status = answer.status();
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX)
        .await
        .expect("a body");
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

#[tokio::test]
async fn pages_without_their_services_say_what_is_missing() {
    for (path, status, said) in [
        ("/", 503, "What is trending cannot be shown at the moment"),
        ("/", 503, "The newest papers cannot be shown at the moment"),
        ("/day/2026-11-27", 503, "does not answer at the moment"),
        ("/search?q=owls", 503, "does not answer at the moment"),
        ("/search?q=owls", 503, "value=\"owls\""),
        ("/search", 200, "For example"),
        ("/papers/arxiv:2402.14776", 503, "does not answer at the moment"),
        ("/authors/Ada", 503, "does not answer at the moment"),
        ("/categories", 503, "does not answer at the moment"),
        ("/categories/cs.CL", 503, "does not answer at the moment"),
        ("/trending", 503, "The rules"),
        ("/saved", 200, "Nothing is saved yet"),
        ("/status", 200, "Not everything works"),
        ("/status", 200, "does not answer"),
        ("/about", 200, "no tracking"),
        ("/help/search", 200, "parentheses group"),
    ] {
        let (answered, html) = alone(path, "").await;
        assert_eq!(answered, status, "{path}: {html}");
        assert!(
            html.contains(said) && html.contains("<h1"),
            "{path} does not say {said}: {html}"
        );
        assert!(!html.contains("127.0.0.1") && !html.contains("transport"), "{html}");
    }
    let (status, html) = alone("/saved", "saved=arxiv:2402.14776").await;
    assert!(status == 503 && html.contains("does not answer"), "{html}");
}
