//! Feeds, read by a parser of other makers and held against the rules of both forms.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use tests::{Platform, token};

use crate::{client, fill, get, vote};

#[tokio::test(flavor = "multi_thread")]
async fn every_list_is_a_feed_that_others_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    fill(&platform);
    vote(&platform).await;
    let web = platform.endpoint("web");
    let known = tokio::task::spawn_blocking(move || {
        let mut known = HashMap::new();
        for (path, query, entries) in [
            ("today", "", 50),
            ("today", "?category=cs.CL", 2),
            ("trending", "?window=week", 1),
            ("search", "?q=owls%20cat%3Acs.CL", 2),
            ("categories/cs.LG", "", 1),
            ("categories/nothing%20there", "", 0),
        ] {
            both_forms(&format!("{web}/feeds/{path}"), query, entries, &mut known);
        }
        hostile(&web);
        paged(&web);
        refused(&web);
        known
    });
    let known = known.await.unwrap();
    let votes = &known["A second paper on owls"];
    assert!(votes.contains("Trending: 3 votes in the last 30 days"), "{votes:?}");
    assert!(
        votes.iter().any(|reason| reason.contains("5 March 2024 in cs.CL")),
        "{votes:?}"
    );
}

/// Reasons by title.
type Reasons = HashMap<String, HashSet<String>>;

fn both_forms(url: &str, query: &str, count: usize, known: &mut Reasons) {
    let own = format!("{url}.atom{query}");
    let atom = get(&own, &[]);
    assert_eq!(
        atom.header("content-type"),
        "application/atom+xml; charset=utf-8",
        "{own}: {atom:?}"
    );
    let feed = client(&["feed"], &atom.body);
    assert_eq!(feed["wrong"], Value::Null, "{own}: {}", atom.text());
    assert_eq!(feed["version"], "atom10");
    let entries = feed["entries"].as_array().unwrap();
    assert_eq!(entries.len(), count, "{own}: {feed}");
    let link = |rel: &str| {
        let links = feed["links"].as_array().unwrap().iter();
        let found: Vec<&str> = links
            .filter(|link| link["rel"] == rel)
            .map(|link| link["href"].as_str().unwrap())
            .collect();
        found
    };
    assert_eq!(link("self"), [own.as_str()]);
    assert_eq!(link("alternate")[1], format!("{url}.json{query}"), "{feed}");
    let newest = entries.iter().map(|entry| entry["updated"].as_str().unwrap()).max();
    assert_eq!(
        feed["updated"].as_str().unwrap(),
        newest.unwrap_or("1970-01-01T00:00:00Z")
    );
    let ids: HashSet<&str> = entries.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), count, "ids name entries");
    assert!(ids.iter().all(|id| id.starts_with("urn:uuid:")), "{ids:?}");
    for entry in entries {
        let reasons = known.entry(entry["title"].as_str().unwrap().to_owned()).or_default();
        reasons.insert(entry["summary"].as_str().unwrap().to_owned());
    }
    let json = get(&format!("{url}.json{query}"), &[]);
    assert_eq!(json.header("content-type"), "application/feed+json; charset=utf-8");
    let json = json.json();
    assert_eq!(json["version"], "https://jsonfeed.org/version/1.1");
    assert_eq!(json["feed_url"], format!("{url}.json{query}"));
    for (item, entry) in json["items"].as_array().unwrap().iter().zip(entries) {
        assert_eq!(item["id"], entry["id"], "a paper has one name");
        assert_eq!(item["url"], entry["links"]["alternate"]);
        assert!(
            item["content_text"].is_string() && item["date_modified"] == entry["updated"],
            "{item}"
        );
    }
    assert_eq!(get(&own, &[]).body, atom.body, "nothing moves without a reason");
}

fn hostile(web: &str) {
    let atom = get(&format!("{web}/feeds/today.atom"), &[]);
    let text = atom.text();
    for wrong in [
        "<script", "<img", "]]>", "\u{1}", "\u{fffe}", "\u{ffff}", "\u{202e}", "\u{b}",
    ] {
        assert!(!text.contains(wrong), "{wrong:?}: {text}");
    }
    let feed = client(&["feed"], &atom.body);
    let entry = &feed["entries"][0];
    // The parser gives titles of type text back as markup.
    assert!(entry["title"].as_str().unwrap().contains("script"), "{entry}");
    assert_eq!(entry["authors"][0], "<b>Eve</b> & \"Co\"");
}

fn paged(web: &str) {
    let mut url = format!("{web}/feeds/today.json");
    let mut titles = HashSet::new();
    let mut pages = 0;
    loop {
        let page = get(&url, &[]).json();
        pages += 1;
        for item in page["items"].as_array().unwrap() {
            assert!(titles.insert(item["id"].as_str().unwrap().to_owned()), "twice: {item}");
        }
        match page["next_url"].as_str() {
            Some(next) => next.clone_into(&mut url),
            None => break,
        }
    }
    assert_eq!((pages, titles.len()), (2, 63));
}

fn refused(web: &str) {
    for (path, status, said) in [
        ("search.atom", 400, "q is empty"),
        ("search.atom?q=year:owls", 400, "year: cannot be"),
        ("search.json?q=owls&sort=best", 400, "relevance, newest and trending"),
        ("trending.atom?window=year", 400, "day, week and month"),
        ("today.atom?page=nonsense", 400, "page_token"),
        ("categories/cs.CL", 404, "/feeds/categories/<category>.atom"),
        ("digest.atom?token=forged.token", 400, "token"),
    ] {
        let answer = get(&format!("{web}/feeds/{path}"), &[]);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(answer.text().contains(said), "{path}: {}", answer.text());
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    }
}

#[test]
fn a_subscriber_reads_digests_as_a_feed_that_nobody_else_keeps() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path());
    fill(&platform);
    platform.must(&["subscribe", "ada@example.org", "--confirm"]);
    platform.must(&["digest", "send", "--to", "ada@example.org", "--now"]);
    let manage = token(&platform.mails()[0], "preferences");
    let url = format!("{}/feeds/digest.atom?token={manage}", platform.endpoint("web"));
    let atom = get(&url, &[]);
    let feed = client(&["feed"], &atom.body);
    assert_eq!(feed["wrong"], Value::Null, "{}", atom.text());
    assert!(!feed["entries"].as_array().unwrap().is_empty(), "{feed}");
    assert_eq!(atom.header("cache-control"), "private, no-cache");
    let again = get(&url, &[("if-none-match", atom.header("etag"))]);
    assert_eq!(
        (again.status, again.body.len()),
        (304, 0),
        "a feed reader that asks again is spared the feed"
    );
    let json = get(&url.replace(".atom", ".json"), &[]).json();
    assert_eq!(json["items"][0]["id"], feed["entries"][0]["id"]);
}
