//! Floods, posts of other sites, and what is too long.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use tests::{Platform, counted};

use crate::{Answer, ask, get};

#[test]
fn a_flood_is_held_up_and_nobody_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let limits = [
        ("BROADSHEET_WEB__PAGES_PER_MINUTE", "5"),
        ("BROADSHEET_WEB__API_PER_MINUTE", "3"),
        ("BROADSHEET_WEB__POSTS_PER_MINUTE", "2"),
    ];
    let platform = Platform::start_with(folder.path(), &limits);
    let web = platform.endpoint("web");
    let from = |address: &str, path: &str| get(&format!("{web}{path}"), &[("x-forwarded-for", address)]);
    let flooded = |address: &str, path: &str| -> Vec<Answer> { (0..8).map(|_| from(address, path)).collect() };

    let pages = flooded("198.51.100.7", "/");
    let granted = pages.iter().filter(|page| page.status == 200).count();
    assert!((5..7).contains(&granted), "{granted} of 8");
    assert_eq!(pages[0].header("ratelimit-policy"), "\"pages\";q=5;w=60");
    assert!(
        pages[0].header("ratelimit").starts_with("\"pages\";r=4;t="),
        "{:?}",
        pages[0]
    );
    let refused = &pages[7];
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=12).contains(&wait), "{wait}");
    assert!(
        refused.text().contains("<h1") && refused.text().contains("try again in"),
        "{}",
        refused.text()
    );

    assert_eq!(from("198.51.100.8", "/").status, 200, "another client");
    assert_eq!(
        from("198.51.100.7, 198.51.100.9", "/").status,
        200,
        "what a client claims does not count"
    );
    assert_eq!(from("198.51.100.7", "/api/daily_papers").status, 200, "another budget");
    let api = flooded("198.51.100.7", "/api/daily_papers");
    assert_eq!(api[7].status, 429);
    assert!(
        api[7].json()["error"].as_str().unwrap().contains("try again in"),
        "{:?}",
        api[7]
    );
    assert_eq!(
        flooded("198.51.100.7", "/style.css")[7].status,
        200,
        "what costs nothing"
    );
    let here: Vec<u16> = (0..20).map(|_| get(&format!("{web}/"), &[]).status).collect();
    assert!(here.iter().all(|status| *status == 200), "this machine: {here:?}");
    let mut posts = (0..4).map(|_| {
        ask(
            "POST",
            &format!("{web}/pause"),
            &[("x-forwarded-for", "198.51.100.7")],
            "token=x",
        )
        .status
    });
    assert_eq!(posts.nth(3), Some(429));
    let counted = counted(
        &platform.endpoint("admin"),
        "broadsheet_web_rate_limited_total{budget=\"pages\"}",
    );
    assert!(counted >= 2, "{counted}");
}

#[test]
fn posts_of_other_sites_and_what_is_too_long_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    let web = platform.endpoint("web");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let post = |path: &str, headers: &[(&str, &str)]| {
        ask(
            "POST",
            &format!("{web}{path}"),
            &[&[form], headers].concat(),
            "token=forged.token&paper=x",
        )
    };
    let foreign = post("/vote", &[("origin", "https://evil.example")]);
    assert_eq!(foreign.status, 403);
    assert!(foreign.text().contains("Nothing was changed"), "{}", foreign.text());
    assert_eq!(post("/vote", &[("sec-fetch-site", "cross-site")]).status, 403);
    assert_eq!(post("/pause", &[("sec-fetch-site", "same-site")]).status, 403);
    for fine in [
        vec![],
        vec![("origin", web.as_str())],
        vec![("sec-fetch-site", "same-origin"), ("origin", "null")],
    ] {
        assert_ne!(post("/pause", &fine).status, 403, "{fine:?}");
    }
    let one_click = post("/unsubscribe?token=forged.token", &[("origin", "https://mail.example")]);
    assert_eq!(one_click.status, 400, "the token decides: {one_click:?}");

    let long = "x".repeat(9_000);
    let answer = get(&format!("{web}/api/papers/search?q={long}"), &[]);
    assert_eq!(answer.status, 414, "{answer:?}");
    assert!(answer.json()["error"].as_str().unwrap().contains("8192"), "{answer:?}");
    let answer = announced(&web, 300 << 10);
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.contains("262144"),
        "{answer}"
    );
    let answer = get(&format!("{web}/"), &[("x-request-id", "abc-1")]);
    assert_eq!(answer.header("x-request-id"), "abc-1");
    assert_eq!(
        get(&format!("{web}/"), &[("x-request-id", "a b")])
            .header("x-request-id")
            .len(),
        32
    );
}

/// The answer to a form that is only announced: who is refused for its length need not send it.
fn announced(web: &str, length: usize) -> String {
    let host = web.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(host).unwrap();
    let head = format!(
        "POST /pause HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}
