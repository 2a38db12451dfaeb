//! How each kind of source goes from page to page, against a server that pages as the real one does.

#[path = "../../../tests/src/feeds.rs"]
#[expect(dead_code, reason = "the server is shared with other tests")]
mod feeds;
#[expect(dead_code, reason = "each test program uses a part of it")]
mod support;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use feeds::{FeedServer, Reply};
use sources::{ChangeStatus, Cursor, CursorError, CursorPosition, DateRange, NextFetch, SourceError};
use support::harvesting::{beginning, page, source};

#[tokio::test]
async fn a_feed_is_fetched_conditionally_and_not_too_often() {
    let feed = include_str!("samples/feed-rss2.xml");
    let server = FeedServer::start(move |ask, _| {
        if ask.headers.get("if-none-match").is_some_and(|etag| etag == "\"one\"") {
            return Reply::status(304, vec![("Cache-Control", "max-age=60".into())]);
        }
        Reply::Full(200, vec![("ETag", "\"one\"".into())], feed.as_bytes().to_vec())
    });
    let settings = format!(
        "kind = \"feed\"\nurls = [\"{}\", \"{}\"]",
        server.url("/a"),
        server.url("/b")
    );
    let source = source(&settings);
    let first = source.begin(DateRange::default()).expect("a cursor");
    let (_, end) = page(&source, &first).await;
    let half = end.expect("a page");
    assert_eq!((half.next_fetch, half.counts.papers), (NextFetch::Now, 2));
    let (_, end) = page(&source, &half.next).await;
    let whole = end.expect("a page");
    assert_eq!(
        whole.next_fetch,
        NextFetch::Later(Duration::from_mins(90)),
        "the ttl of the feed"
    );
    let (read, end) = page(&source, &whole.next).await;
    let unchanged = end.expect("a page");
    assert_eq!((read.papers.len(), unchanged.change), (0, ChangeStatus::Unchanged));
    assert_eq!(server.asked().len(), 3);
    let bounded = DateRange {
        from: None,
        until: Some(support::now()),
    };
    assert!(matches!(source.begin(bounded), Err(CursorError::Range(_))));
}

#[tokio::test]
async fn crossref_pages_by_cursor_until_a_page_is_empty() {
    let server = FeedServer::start(|ask, _| {
        let work = r#"{"DOI":"10.1145/7","title":["A work"],"created":{"date-time":"2026-03-05T00:00:00Z"}}"#;
        let works = if ask.get("cursor") == "*" {
            [work, work].join(",")
        } else {
            String::new()
        };
        Reply::ok(format!(
            "{{\"message\":{{\"total-results\":2,\"next-cursor\":\"n\",\"items\":[{works}]}}}}"
        ))
    });
    let crossref = source(&format!("kind = \"crossref\"\nurl = \"{}\"", server.url("/crossref")));
    let (read, end) = page(&crossref, &beginning(&crossref)).await;
    let end = end.expect("a page");
    assert_eq!(
        (read.papers.len(), end.next_fetch, end.next.pass.announced),
        (2, NextFetch::Now, Some(2))
    );
    let (_, end) = page(&crossref, &end.next).await;
    let end = end.expect("a page");
    assert_eq!(end.next_fetch, NextFetch::Later(Duration::ZERO));
    assert_eq!(end.next.range.from.expect("a day").to_string(), "2026-03-04T00:00:00Z");
    let asked = &server.asked()[0];
    assert!(
        asked.get("filter").starts_with("from-created-date:2026-03-01,type:"),
        "{}",
        asked.get("filter")
    );
    assert_eq!(asked.get("mailto"), "ops@example.org");
}

#[tokio::test]
async fn openalex_pages_by_cursor_until_there_is_none() {
    let server = FeedServer::start(|ask, _| {
        let work = r#"{"id":"https://openalex.org/W7","title":"A work","publication_date":"2026-03-05"}"#;
        let cursor = if ask.get("cursor") == "*" { "\"n\"" } else { "null" };
        Reply::ok(format!(
            "{{\"meta\":{{\"count\":2,\"next_cursor\":{cursor}}},\"results\":[{work}]}}"
        ))
    });
    let settings = "kind = \"openalex\"\napi_key = \"secret\"";
    let openalex = source(&format!("{settings}\nurl = \"{}\"", server.url("/works")));
    let (_, end) = page(&openalex, &beginning(&openalex)).await;
    let end = end.expect("a page");
    assert_eq!((end.next_fetch, end.next.pass.announced), (NextFetch::Now, Some(2)));
    let (_, end) = page(&openalex, &end.next).await;
    let end = end.expect("a page");
    assert_eq!(end.next_fetch, NextFetch::Later(Duration::ZERO));
    let asked = server.asked();
    assert_eq!(
        (
            asked[0].get("api_key"),
            asked[1].get("cursor"),
            asked[0].get("per-page")
        ),
        ("secret", "n", "200")
    );
    let filter = asked[0].get("filter");
    assert_eq!(filter, "from_publication_date:2026-03-01,type:article|preprint");
}

#[tokio::test]
async fn biorxiv_pages_by_number_up_to_the_total() {
    let server = FeedServer::start(|ask, _| match ask.path.as_str() {
        path if path.starts_with("/bio/biorxiv/2026-03-01/2099-12-31/0/") => {
            Reply::ok(include_str!("samples/biorxiv.json").replace("\"3\"}]", "\"5\"}]"))
        }
        path if path.contains("/4/json") => Reply::ok(
            r#"{"messages":[{"total":5}],"collection":[{"doi":"10.1101/9","title":"Nine","date":"2026-03-09"}]}"#,
        ),
        _ => Reply::ok("[]"),
    });
    let biorxiv = source(&format!("kind = \"biorxiv\"\nurl = \"{}\"", server.url("/bio")));
    let (_, end) = page(&biorxiv, &beginning(&biorxiv)).await;
    let end = end.expect("a page");
    assert_eq!(
        (end.counts.records(), &end.next.position),
        (4, &CursorPosition::Number { number: 4 })
    );
    let (read, end) = page(&biorxiv, &end.next).await;
    assert_eq!(
        (read.ids(), end.expect("a page").next_fetch),
        (vec!["doi:10.1101/9"], NextFetch::Later(Duration::ZERO))
    );
}

#[tokio::test]
async fn hugging_face_pages_by_day() {
    let server = FeedServer::start(|ask, _| match (ask.get("date"), ask.get("p")) {
        ("2026-03-01", "0") => Reply::ok(r#"[{"paper":{"id":"2603.00001","title":"One","upvotes":4}}]"#),
        _ => Reply::ok("[]"),
    });
    let hugging = source(&format!("kind = \"huggingface\"\nurl = \"{}\"", server.url("/hf")));
    let day = |text: &str| Some(text.parse().expect("a timestamp"));
    let range = DateRange {
        from: day("2026-03-01T00:00:00Z"),
        until: day("2026-03-03T00:00:00Z"),
    };
    let mut cursor = hugging.begin(range).expect("a cursor");
    let mut signals = 0;
    let mut days = 0;
    while !cursor.is_done() {
        let (read, end) = page(&hugging, &cursor).await;
        signals += read.signals.len();
        days += 1;
        cursor = end.expect("a page").next;
    }
    assert_eq!((signals, days), (1, 3));
}

#[tokio::test]
async fn the_anthology_is_fetched_by_year_and_venue_if_changed() {
    let server = FeedServer::start(|ask, _| match ask.path.as_str() {
        _ if ask.headers.contains_key("if-modified-since") => Reply::status(304, vec![]),
        "/xml/2026.acl.xml" => Reply::Full(
            200,
            vec![("Last-Modified", "Sun, 01 Mar 2026 00:00:00 GMT".into())],
            include_bytes!("samples/acl.xml").to_vec(),
        ),
        _ => Reply::status(404, vec![]),
    });
    let source = source(&format!(
        "kind = \"acl\"\nurl = \"{}\"\nvenues = [\"acl\", \"emnlp\"]",
        server.url("/xml")
    ));
    let mut cursor = source
        .begin(DateRange {
            from: Some("2025-06-01T00:00:00Z".parse().expect("a timestamp")),
            until: Some(support::now()),
        })
        .expect("a cursor");
    let mut papers = 0;
    while !cursor.is_done() {
        let (read, end) = page(&source, &cursor).await;
        papers += read.papers.len();
        cursor = end.expect("a page").next;
    }
    let paths: Vec<String> = server.asked().into_iter().map(|ask| ask.path).collect();
    assert_eq!(
        paths,
        [
            "/xml/2025.acl.xml",
            "/xml/2025.emnlp.xml",
            "/xml/2026.acl.xml",
            "/xml/2026.emnlp.xml"
        ]
    );
    assert_eq!(papers, 2);
    let mut again = cursor.restarted();
    again.validators = cursor.validators.clone();
    again.position = CursorPosition::Number { number: 2 };
    assert_eq!(
        page(&source, &again).await.1.expect("a page").change,
        ChangeStatus::Unchanged
    );
}

#[tokio::test]
async fn files_are_read_in_pages_and_again_when_they_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("papers.jsonl");
    let lines = |count: u32| {
        (0..count).fold(String::new(), |lines, n| {
            lines + &format!("{{\"id\":\"p{n}\",\"title\":\"Paper {n}\"}}\n")
        })
    };
    std::fs::write(&path, lines(5)).expect("written");
    let source = source(&format!(
        "kind = \"files\"\npaths = [{:?}]\npage_size = 2",
        path.display().to_string()
    ));
    let round = |mut cursor: Cursor| {
        let source = Arc::clone(&source);
        async move {
            let mut ids = Vec::new();
            loop {
                let (read, end) = page(&source, &cursor).await;
                ids.extend(read.ids().into_iter().map(str::to_owned));
                let end = end.expect("a page");
                cursor = end.next;
                if end.next_fetch != NextFetch::Now {
                    return (ids, cursor);
                }
            }
        }
    };
    let (ids, cursor) = round(source.begin(DateRange::default()).expect("a cursor")).await;
    assert_eq!(ids, ["p0", "p1", "p2", "p3", "p4"]);
    let (ids, cursor) = round(cursor).await;
    assert!(ids.is_empty(), "nothing has changed");
    std::fs::write(&path, lines(7)).expect("written");
    assert_eq!(round(cursor).await.0.len(), 7);
    std::fs::remove_file(&path).expect("removed");
    let error = page(&source, &source.begin(DateRange::default()).expect("a cursor"))
        .await
        .1
        .expect_err("an error");
    assert!(matches!(error, SourceError::File { .. }) && error.wakes_operator());
}

#[tokio::test]
async fn files_may_be_folders_packed_and_on_a_server() {
    let remote = "TY  - JOUR\nTI  - From a server\nER  - \n";
    let server = FeedServer::start(move |ask, _| {
        if ask.headers.get("if-none-match").is_some_and(|etag| etag == "\"one\"") {
            return Reply::status(304, Vec::new());
        }
        Reply::Full(200, vec![("ETag", "\"one\"".into())], remote.into())
    });
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("written");
    write("a.json", br#"[{"title":"From a list"}]"#);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed
        .write_all(b"{\"title\":\"From a packed file\"}\n")
        .expect("packed");
    write("b.jsonl.gz", &packed.finish().expect("packed"));
    write("notes.txt", b"nothing of the kind");
    write(".hidden.jsonl", b"{\"title\":\"Hidden\"}");
    let folder = folder.path().display().to_string();
    let source = source(&format!(
        "kind = \"files\"\npaths = [{folder:?}, \"{}\"]",
        server.url("/refs")
    ));
    let round = |mut cursor: Cursor| {
        let source = Arc::clone(&source);
        async move {
            let mut titles = Vec::new();
            loop {
                let (read, end) = page(&source, &cursor).await;
                titles.extend(read.papers.into_iter().map(|paper| paper.submission.title));
                let end = end.expect("a page");
                cursor = end.next;
                if end.next_fetch != NextFetch::Now {
                    return (titles, cursor);
                }
            }
        }
    };
    let (titles, cursor) = round(source.begin(DateRange::default()).expect("a cursor")).await;
    assert_eq!(titles, ["From a list", "From a packed file", "From a server"]);
    assert!(round(cursor).await.0.is_empty(), "nothing has changed");
}
