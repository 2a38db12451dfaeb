//! Every list as a feed: well-formed, complete by its standard, and of the papers that the page shows.

use roxmltree::{Document, Node};
use serde_json::Value;
use tests::get;

use crate::papers::HOSTILE;
use crate::stage::Stage;

const ATOM: &str = "http://www.w3.org/2005/Atom";

pub fn all_valid(stage: &Stage) {
    let mut papers = 0;
    for list in ["today", "trending", "categories/cs.LG", "search"] {
        let query = if list == "search" { "?q=hedgehogs" } else { "" };
        let atom = atom(stage, &format!("/feeds/{list}.atom{query}"));
        let json = json_feed(stage, &format!("/feeds/{list}.json{query}"));
        assert_eq!(atom, json, "both formats of {list} hold the same");
        papers += atom.len();
        if list == "search" {
            let has = |id: &str| atom.iter().any(|url| url.ends_with(id));
            assert!(has(HOSTILE) || has(&HOSTILE.replace(':', "%3A")), "{atom:?}");
        }
    }
    assert!(papers > 10, "{papers} papers in all feeds");
}

/// Where the entries of an Atom feed lead, which is held against RFC 4287.
fn atom(stage: &Stage, path: &str) -> Vec<String> {
    let (status, text) = get(&format!("{}{path}", stage.web));
    assert_eq!(status, 200, "{path}: {text}");
    let document = Document::parse(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"));
    let feed = document.root_element();
    assert!(feed.has_tag_name((ATOM, "feed")), "{path}");
    of_every_atom(&feed, path);
    let related = links(&feed);
    assert!(related.contains(&"self"), "{path} says where it is: {related:?}");
    let entries: Vec<Node> = feed
        .children()
        .filter(|one| one.has_tag_name((ATOM, "entry")))
        .collect();
    let has_author = |one: &Node| child(one, "author").is_some();
    for entry in &entries {
        of_every_atom(entry, path);
        assert!(
            has_author(&feed) || has_author(entry),
            "{path}: an entry has an author, or its feed"
        );
        assert!(
            child(entry, "content").is_some() || links(entry).contains(&"alternate"),
            "{path}: an entry leads somewhere"
        );
    }
    let ids: Vec<String> = entries.iter().map(|entry| text_of(entry, "id", path)).collect();
    let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "{path}: ids are unique");
    let pages = entries.iter().map(|entry| link(entry, "alternate").to_owned());
    pages.collect()
}

fn link<'a>(node: &Node<'a, '_>, rel: &str) -> &'a str {
    let links = node.children().filter(|one| one.has_tag_name((ATOM, "link")));
    let mut of_rel = links.filter(|link| link.attribute("rel").unwrap_or("alternate") == rel);
    of_rel.find_map(|link| link.attribute("href")).unwrap_or_default()
}

/// What feeds and entries both must have: one id that is an address, one title, one time that is one.
fn of_every_atom(node: &Node, path: &str) {
    let id = text_of(node, "id", path);
    assert!(id.contains(':'), "{path}: {id} is no IRI");
    assert!(!text_of(node, "title", path).trim().is_empty(), "{path}: a title");
    let updated = text_of(node, "updated", path);
    updated
        .parse::<jiff::Timestamp>()
        .unwrap_or_else(|error| panic!("{path}: {updated}: {error}"));
}

fn links<'a>(node: &Node<'a, '_>) -> Vec<&'a str> {
    let links = node.children().filter(|one| one.has_tag_name((ATOM, "link")));
    let with_address = links.filter(|link| link.attribute("href").is_some_and(|href| href.starts_with("http")));
    with_address
        .map(|link| link.attribute("rel").unwrap_or("alternate"))
        .collect()
}

fn child<'a, 'i>(node: &Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|one| one.has_tag_name((ATOM, name)))
}

fn text_of(node: &Node, name: &str, path: &str) -> String {
    let found: Vec<Node> = node.children().filter(|one| one.has_tag_name((ATOM, name))).collect();
    assert_eq!(found.len(), 1, "{path}: one {name} in each {}", node.tag_name().name());
    found[0].text().unwrap_or_default().to_owned()
}

/// Where the items of a JSON feed lead, which is held against version 1.1.
fn json_feed(stage: &Stage, path: &str) -> Vec<String> {
    let (status, text) = get(&format!("{}{path}", stage.web));
    assert_eq!(status, 200, "{path}: {text}");
    let feed: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"));
    assert_eq!(feed["version"], "https://jsonfeed.org/version/1.1", "{path}");
    assert!(!feed["title"].as_str().unwrap().is_empty(), "{path}");
    for address in ["feed_url", "home_page_url"] {
        assert!(
            feed[address].as_str().is_some_and(|url| url.starts_with("http")),
            "{path}: {address}"
        );
    }
    let items = feed["items"].as_array().unwrap();
    for item in items {
        assert!(
            item["content_html"].is_string() || item["content_text"].is_string(),
            "{path}: {item}"
        );
        assert!(
            item["url"].as_str().is_some_and(|url| url.starts_with("http")),
            "{path}: {item}"
        );
        if let Some(published) = item.get("date_published") {
            assert!(
                published.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(),
                "{path}: {published}"
            );
        }
        assert!(
            item["authors"]
                .as_array()
                .is_none_or(|authors| authors.iter().all(|one| one["name"].is_string())),
            "{item}"
        );
    }
    let url = |item: &Value| {
        assert!(item["id"].is_string(), "{path}: {item}");
        item["url"].as_str().unwrap().to_owned()
    };
    items.iter().map(url).collect()
}
