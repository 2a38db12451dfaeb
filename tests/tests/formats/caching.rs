//! What is kept, by whom, and what is shown while the search does not answer.

use std::time::Duration;

use tests::proxy::Proxy;
use tests::services::free_ports;
use tests::{Platform, eventually};

use crate::{Answer, ask, fill, get};

#[test]
fn responses_have_etags_and_private_ones_are_not_shared() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    fill(&platform);
    let web = platform.endpoint("web");
    let url = format!("{web}/feeds/today.atom");
    let plain = get(&url, &[]);
    assert!(
        plain.header("cache-control").starts_with("public, max-age="),
        "{plain:?}"
    );
    assert!(
        plain.header("cache-control").contains("stale-while-revalidate="),
        "{plain:?}"
    );
    let again = get(&url, &[("if-none-match", plain.header("etag"))]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), plain.header("etag"));
    let packed = get(&url, &[("accept-encoding", "gzip")]);
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(
        packed.body.len() * 4 < plain.body.len(),
        "{} of {}",
        packed.body.len(),
        plain.body.len()
    );
    assert_ne!(packed.header("etag"), plain.header("etag"));
    let head = ask("HEAD", &url, &[], "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("etag"), plain.header("etag"));
    assert_eq!(head.header("content-length"), plain.body.len().to_string());
    let page = |cookie: &str| {
        get(&format!("{web}/"), &[("cookie", cookie)])
            .header("cache-control")
            .to_owned()
    };
    assert!(page("theme=dark").starts_with("public"), "a stranger's cookie");
    assert_eq!(page("reader=0123"), "private, no-cache");
    assert_eq!(page("theme=dark; saved=arxiv:2402.14776"), "private, no-cache");
    assert_eq!(
        get(&format!("{web}/preferences?token=forged.token"), &[]).header("cache-control"),
        "no-store"
    );
    assert_eq!(get(&format!("{web}/?token=x"), &[]).header("cache-control"), "no-store");
    one_readers_page_is_nobody_elses(&web);
    let kept = tests::counted(
        &platform.endpoint("admin"),
        "broadsheet_web_cache_lookups_total{cache=\"pages\",outcome=\"hit\"}",
    );
    assert!(kept > 0, "one answer served several");
}

/// Readers with cookies and readers without ask in turns for one page, within the time that it is kept for.
fn one_readers_page_is_nobody_elses(web: &str) {
    let url = format!("{web}/papers/arxiv:2402.14776");
    let anonymous = get(&url, &[]).text();
    let saved = get(&url, &[("cookie", "saved=arxiv:2402.14776")]).text();
    assert_ne!(saved, anonymous, "a page shows what its reader saved");
    for _ in 0..3 {
        assert_eq!(get(&url, &[]).text(), anonymous);
        assert_eq!(get(&url, &[("cookie", "saved=arxiv:2402.14776")]).text(), saved);
        assert_eq!(get(&url, &[("cookie", "saved=other:1")]).text(), anonymous);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_search_pages_are_stale_or_say_when_to_come_back() {
    let [grpc] = free_ports::<1>();
    let proxy = Proxy::to(grpc).await;
    let folder = tempfile::tempdir().unwrap();
    let platform = {
        let (folder, search) = (folder.path().to_owned(), format!("http://{}", proxy.address()));
        let start = move || {
            let environment = [
                ("BROADSHEET_GRPC__LISTEN", format!("127.0.0.1:{grpc}")),
                ("BROADSHEET_WEB__SEARCH_URL", search),
                ("BROADSHEET_WEB__FRESH_MILLISECONDS", "1".to_owned()),
                ("BROADSHEET_WEB__CALL_TIMEOUT_SECONDS", "1".to_owned()),
            ];
            let environment: Vec<(&str, &str)> = environment
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let platform = Platform::start_with(&folder, &environment);
            fill(&platform);
            platform
        };
        tokio::task::spawn_blocking(start).await.unwrap()
    };
    let web = platform.endpoint("web");
    let read = async |path: &str| {
        let url = format!("{web}{path}");
        tokio::task::spawn_blocking(move || get(&url, &[])).await.unwrap()
    };
    let feed = read("/feeds/today.atom").await;
    let list = read("/api/daily_papers?limit=2").await;
    let front = read("/month/2024-02").await;
    assert!(
        front.status == 200 && !front.text().contains("This page is from"),
        "{front:?}"
    );
    assert_eq!(
        (feed.status, list.status, feed.header("warning")),
        (200, 200, ""),
        "{feed:?} {list:?}"
    );

    proxy.delay(Duration::from_hours(1));
    proxy.cut();
    let old = async |path: &'static str, before: &Answer| {
        let now = read(path).await;
        assert_eq!(now.status, 200, "{now:?}");
        assert!(now.header("warning").starts_with("110 "), "{now:?}");
        assert_ne!(now.header("age"), "");
        assert_eq!(now.header("cache-control"), "no-cache");
        assert_eq!(now.body, before.body, "as it was");
    };
    old("/feeds/today.atom", &feed).await;
    old("/api/daily_papers?limit=2", &list).await;
    let page = read("/month/2024-02").await;
    assert_eq!(
        (page.status, page.header("cache-control")),
        (200, "no-cache"),
        "{page:?}"
    );
    let text = page.text();
    assert!(
        text.contains("This page is from") && text.contains("Owls of the"),
        "{text}"
    );
    let other = read("/api/daily_papers?limit=3").await;
    assert_eq!((other.status, other.header("retry-after")), (503, "5"), "{other:?}");
    assert!(
        other.json()["error"].as_str().unwrap().contains("try again"),
        "{other:?}"
    );
    let other = read("/feeds/categories/cs.CL.atom").await;
    assert_eq!((other.status, other.header("retry-after")), (503, "5"), "{other:?}");

    proxy.delay(Duration::ZERO);
    proxy.cut();
    eventually("the search is found again", async || {
        let answer = read("/api/daily_papers?limit=3").await;
        (answer.status == 200 && answer.header("warning").is_empty()).then_some(())
    })
    .await;
}
