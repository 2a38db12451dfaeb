//! What browsers and search engines look for.

use tests::Platform;

use crate::{client, fill, get};

#[test]
fn search_engines_find_every_paper() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start_with(
        folder.path(),
        &[("BROADSHEET_WEB__PUBLIC_URL", "https://papers.example/")],
    );
    fill(&platform);
    let web = platform.endpoint("web");
    let robots = get(&format!("{web}/robots.txt"), &[]).text();
    assert!(
        robots.contains("\nSitemap: https://papers.example/sitemap.xml\n"),
        "{robots}"
    );
    assert!(robots.contains("\nDisallow: /preferences\n"), "{robots}");
    let map = get(&format!("{web}/sitemap.xml"), &[]).text();
    let parts = between(&map, "<loc>", "</loc>");
    assert_eq!(
        parts.len(),
        1 + 12 + 12,
        "pages, and the months of two years: {parts:?}"
    );
    let mut papers = Vec::new();
    for part in parts {
        let part = part.strip_prefix("https://papers.example").unwrap();
        let text = get(&format!("{web}{part}"), &[]).text();
        assert!(text.contains("<urlset"), "{text}");
        let pages = between(&text, "<loc>", "</loc>");
        papers.extend(pages.into_iter().filter(|page| page.contains("/papers/")));
    }
    papers.sort_unstable();
    papers.dedup();
    assert_eq!(papers.len(), 63);
    assert!(
        papers.contains(&"https://papers.example/papers/arxiv:2402.14776".to_owned()),
        "{papers:?}"
    );
    assert_eq!(get(&format!("{web}/sitemap/2024-13.xml"), &[]).status, 404);
    let search = get(&format!("{web}/opensearch.xml"), &[]);
    assert_eq!(
        search.header("content-type"),
        "application/opensearchdescription+xml; charset=utf-8"
    );
    let text = search.text().replace("&#x2f;", "/");
    assert!(
        text.contains("template=\"https://papers.example/search?q={searchTerms}\""),
        "{text}"
    );
    let feed = client(&["feed"], &get(&format!("{web}/feeds/today.atom"), &[]).body);
    assert!(
        feed["links"][0]["href"]
            .as_str()
            .unwrap()
            .starts_with("https://papers.example/feeds/"),
        "links are absolute and public: {feed}"
    );
}

fn between(text: &str, start: &str, end: &str) -> Vec<String> {
    let rests = text.split(start).skip(1);
    // Slashes are escaped in texts as well as in markup.
    rests
        .map(|rest| rest.split(end).next().unwrap().replace("&#x2f;", "/"))
        .collect()
}
