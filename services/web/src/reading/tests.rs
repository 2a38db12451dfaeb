//! What pages say while the other services are down.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use tower::ServiceExt as _;

use common::clock::Clock;
use common::config::CallerConfig;
use jiff::Timestamp;

use super::*;
use crate::caching::CacheSettings;
use crate::caller::{SiteSettings, TrustedProxies};
use crate::config::WebConfig;
use crate::limits::{RateLimiter, RateLimits};
use crate::page::PageRenderer;
use crate::reader_ids::ReaderIdSettings;

/// Settings with services that nobody runs.
fn unreachable() -> WebConfig {
    const NOWHERE: &str = "http://127.0.0.1:1";
    WebConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        connections: 16,
        search_url: NOWHERE.to_owned(),
        subscriptions_url: NOWHERE.to_owned(),
        attention_url: NOWHERE.to_owned(),
        caller: CallerConfig::default(),
        site: SiteSettings {
            public_url: None,
            trusted_proxies: TrustedProxies::default(),
            call_timeout: Duration::from_secs(5),
        },
        cache: CacheSettings {
            fresh: Duration::ZERO,
            stale: Duration::ZERO,
            page_bytes: 1,
        },
        rates: RateLimits {
            pages: 0,
            search: 0,
            api: 0,
            posts: 0,
            text: 0,
            concurrent: 0,
            clients: 1,
        },
        reader_ids: ReaderIdSettings::for_tests(),
        backup_days: 30,
    }
}

/// Requests a page while the services are down.
async fn page(path: &str, cookie: &str) -> (StatusCode, String) {
    let (clock, _) = Clock::manual(Timestamp::UNIX_EPOCH);
    let pages = Arc::new(PageRenderer::new(clock.clone()));
    let config = unreachable();
    let limiter = Arc::new(RateLimiter::new(config.rates, Arc::clone(&pages), clock.clone()));
    let app = AppState::new(&config, pages, limiter, clock).expect("addresses");
    let request = Request::get(path).header(header::COOKIE, cookie).body(Body::empty());
    let router: Router = routes().with_state(Arc::new(app));
    let answer = router.oneshot(request.expect("a request")).await.expect("an answer");
    let status = answer.status();
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX)
        .await
        .expect("a body");
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

#[tokio::test]
async fn pages_say_what_is_unavailable() {
    for (path, status, said) in [
        ("/", 503, "Trending papers are unavailable"),
        ("/", 503, "New papers are unavailable"),
        ("/day/2026-11-27", 503, "is not responding"),
        ("/search?q=owls", 503, "is not responding"),
        ("/search?q=owls", 503, "value=\"owls\""),
        ("/search", 200, "Examples"),
        ("/papers/arxiv:2402.14776", 503, "is not responding"),
        ("/authors/Ada", 503, "is not responding"),
        ("/categories", 503, "is not responding"),
        ("/categories/cs.CL", 503, "is not responding"),
        ("/trending", 503, "The rules"),
        ("/saved", 200, "You have not saved any papers yet"),
        ("/status", 200, "Some parts are not working"),
        ("/status", 200, "not responding"),
        ("/about", 200, "no tracking"),
        ("/help/search", 200, "parentheses group terms"),
    ] {
        let (answered, html) = page(path, "").await;
        assert_eq!(answered, status, "{path}: {html}");
        assert!(
            html.contains(said) && html.contains("<h1"),
            "{path} does not say {said}: {html}"
        );
        assert!(!html.contains("127.0.0.1") && !html.contains("transport"), "{html}");
    }
    let (status, html) = page("/saved", "saved=arxiv:2402.14776").await;
    assert!(status == 503 && html.contains("not responding"), "{html}");
}
