//! Sources against a server that misbehaves: tokens, 503, slow and broken bodies, circles, redirects, proxies.

#[path = "../../../tests/src/feeds.rs"]
#[expect(dead_code, reason = "the server is shared with other tests")]
mod feeds;
#[expect(dead_code, reason = "each test program uses a part of it")]
mod support;

use std::io::Write as _;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use common::clock::{Clock, ManualClock};
use domain::merging::{Identifier, Scheme};
use feeds::{Ask, FeedServer, Reply};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::future::join_all;
use sources::cursor::PassProgress;
use sources::{
    Cursor, CursorError, CursorPosition, DateRange, HostRule, HttpConfig, NextFetch, Remedy, Source, SourceError,
    SourceKind, look_up, read_page,
};
use support::Read;
use support::harvesting::{
    beginning, on_moved_clock, page, source, source_with, still_clock, unlimited, until_somebody_sleeps,
};

fn settings(server: &FeedServer) -> String {
    format!(
        "kind = \"arxiv\"\noai_url = \"{}\"\napi_url = \"{}\"",
        server.url("/oai"),
        server.url("/api")
    )
}

fn arxiv(server: &FeedServer) -> Arc<dyn Source> {
    source(&settings(server))
}

/// The same on a clock that the test moves.
fn arxiv_on_still_clock(server: &FeedServer) -> (Arc<dyn Source>, ManualClock) {
    let (clock, hand) = still_clock();
    (source_with(&unlimited(), &settings(server), clock), hand)
}

fn record(number: u32) -> String {
    format!(
        "<record><header><identifier>oai:arXiv.org:2603.{number:05}</identifier><datestamp>2026-03-0{}</datestamp></header>\
         <metadata><arXiv><id>2603.{number:05}</id><created>2026-03-01</created><title>Paper {number}</title>\
         <categories>cs.CL</categories><abstract>Text.</abstract></arXiv></metadata></record>",
        1 + number % 9
    )
}

fn oai(records: std::ops::Range<u32>, token: &str) -> String {
    let records: String = records.map(record).collect();
    let token = if token.is_empty() {
        String::new()
    } else {
        format!("<resumptionToken completeListSize=\"6\">{token}</resumptionToken>")
    };
    format!(
        "<OAI-PMH><responseDate>2026-03-20T00:00:00Z</responseDate><ListRecords>{records}{token}</ListRecords></OAI-PMH>"
    )
}

/// Three pages of two papers.
fn three_pages(ask: &Ask) -> Reply {
    Reply::ok(match ask.get("resumptionToken") {
        "" => oai(0..2, "a&b"),
        "a&b" => oai(2..4, "c"),
        _ => oai(4..6, ""),
    })
}

#[tokio::test]
async fn a_pass_follows_tokens_and_the_next_begins_with_an_overlap() {
    let server = FeedServer::start(|ask, _| three_pages(ask));
    let source = arxiv(&server);
    let mut cursor = beginning(&source);
    let mut ids = Vec::new();
    loop {
        let (read, end) = page(&source, &cursor).await;
        let end = end.expect("a page");
        ids.extend(read.ids().into_iter().map(str::to_owned));
        // What is written between two pages is read back by another process.
        let before = cursor;
        cursor = Cursor::parse(&end.next.to_text()).expect("a cursor");
        if end.next_fetch != NextFetch::Now {
            assert_eq!(end.next_fetch, NextFetch::Later(Duration::ZERO));
            assert_eq!(end.shortfall(&before), None);
            break;
        }
    }
    assert_eq!(ids.len(), 6);
    let asked = server.asked();
    assert_eq!(
        (asked[0].get("metadataPrefix"), asked[0].get("from")),
        ("arXiv", "2026-03-01")
    );
    assert_eq!(asked[1].get("from"), "", "a token stands alone");
    assert!(asked[0].headers["user-agent"].contains("(+ops@example.org)"));
    assert_eq!(cursor.position, CursorPosition::Start);
    // The newest datestamp is the sixth of March; two days are taken again.
    let from = cursor.range.from.expect("a beginning").to_string();
    assert_eq!(
        (from.as_str(), &cursor.pass),
        ("2026-03-04T00:00:00Z", &PassProgress::default())
    );
}

#[tokio::test]
async fn a_list_that_is_shorter_than_announced_says_so() {
    let server = FeedServer::start(|ask, _| {
        Reply::ok(if ask.get("resumptionToken").is_empty() {
            oai(0..2, "a")
        } else {
            oai(2..4, "")
        })
    });
    let source = arxiv(&server);
    let (_, end) = page(&source, &beginning(&source)).await;
    let second = end.expect("a page").next;
    let (_, end) = page(&source, &second).await;
    assert_eq!(end.expect("a page").shortfall(&second), Some(2));
}

#[tokio::test]
async fn a_token_that_comes_again_is_an_error() {
    let server = FeedServer::start(|_, _| Reply::ok(oai(0..2, "again")));
    let source = arxiv(&server);
    let (_, end) = page(&source, &beginning(&source)).await;
    let cursor = end.expect("a page").next;
    let (read, end) = page(&source, &cursor).await;
    let error = end.expect_err("a circle");
    assert_eq!(read.papers.len(), 2, "what came holds");
    assert!(matches!(error, SourceError::Stuck { .. }), "{error}");
    assert!(error.wakes_operator() && matches!(error.remedy(), Remedy::Restart(_)));
    assert_eq!(cursor.restarted().position, CursorPosition::Start);
}

#[tokio::test]
async fn pages_without_records_do_not_go_on_for_ever() {
    let server = FeedServer::start(|_, before| Reply::ok(oai(0..0, &format!("t{before}"))));
    let source = arxiv(&server);
    let mut cursor = beginning(&source);
    for _ in 0..200 {
        match page(&source, &cursor).await.1 {
            Ok(page) => cursor = page.next,
            Err(error) => return assert!(matches!(error, SourceError::Stuck { .. }), "{error}"),
        }
    }
    panic!("it never noticed");
}

#[tokio::test]
async fn errors_of_the_protocol_have_their_remedies() {
    let server = FeedServer::start(|ask, _| {
        let code = match ask.get("resumptionToken") {
            "old" => "badResumptionToken",
            "odd" => "badArgument",
            _ => "noRecordsMatch",
        };
        Reply::ok(format!("<OAI-PMH><error code=\"{code}\">no</error></OAI-PMH>"))
    });
    let source = arxiv(&server);
    let mut cursor = beginning(&source);
    let (read, end) = page(&source, &cursor).await;
    assert_eq!(
        (read.counts.records(), end.expect("a page").next.range),
        (0, cursor.range),
        "an empty list moves nothing"
    );
    cursor.position = CursorPosition::Token { token: "old".into() };
    let error = page(&source, &cursor).await.1.expect_err("an error");
    assert_eq!(error.remedy(), Remedy::Restart(Duration::ZERO));
    cursor.position = CursorPosition::Token { token: "odd".into() };
    let error = page(&source, &cursor).await.1.expect_err("an error");
    assert!(error.wakes_operator() && error.to_string().contains("badArgument"));
}

#[tokio::test]
async fn a_server_that_asks_for_patience_has_it() {
    let (clock, hand) = still_clock();
    let times: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let (noted, seen) = (Arc::clone(&times), clock.clone());
    let server = FeedServer::start(move |ask, before| {
        noted.lock().expect("the times").push(seen.instant());
        match before {
            0 => Reply::status(503, vec![("Retry-After", "60".into())]),
            1 => Reply::status(500, vec![]),
            2 => Reply::HangUp,
            _ => three_pages(ask),
        }
    });
    let source = source_with(&unlimited(), &settings(&server), clock);
    let cursor = beginning(&source);
    let (read, end) = on_moved_clock(&hand, Duration::from_millis(100), page(&source, &cursor)).await;
    end.expect("a page");
    assert_eq!(read.papers.len(), 2);
    let times = times.lock().expect("the times");
    assert!(times[1] - times[0] >= Duration::from_mins(1), "Retry-After is honoured");
    assert!(times[2] > times[1] && times[3] > times[2], "pauses of our own");
    assert_eq!(times.len(), 4);
}

#[tokio::test]
async fn more_patience_than_is_allowed_goes_to_the_harvester() {
    let server = FeedServer::start(|_, _| Reply::status(429, vec![("Retry-After", "7200".into())]));
    let (source, hand) = arxiv_on_still_clock(&server);
    let cursor = beginning(&source);
    let error = page(&source, &cursor).await.1.expect_err("an error");
    assert_eq!(error.remedy(), Remedy::Retry(Some(Duration::from_hours(2))));
    assert_eq!(server.asked().len(), 1);
    // And nobody in this process asks that host meanwhile.
    let waited = async {
        until_somebody_sleeps(&hand).await;
        assert_eq!(server.asked().len(), 1);
        hand.advance(Duration::from_hours(2));
    };
    let ((_, again), ()) = tokio::join!(page(&source, &cursor), waited);
    assert!(again.is_err());
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_refusal_is_final() {
    let server =
        FeedServer::start(|_, _| Reply::Full(403, vec![], b"<html><title>No</title>Forbidden</html>".to_vec()));
    let source = arxiv(&server);
    let error = page(&source, &beginning(&source)).await.1.expect_err("an error");
    assert!(
        error.wakes_operator() && error.to_string().contains("Forbidden"),
        "{error}"
    );
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_cut_body_gives_what_came_and_does_not_move_the_cursor() {
    let body = oai(0..6, "");
    let cut = body.find("<title>Paper 3").expect("a title");
    let server = FeedServer::start(move |_, before| match before {
        0 => Reply::Cut(body.clone().into_bytes(), cut),
        _ => Reply::Full(200, vec![], body.clone().into_bytes()),
    });
    let source = arxiv(&server);
    let cursor = beginning(&source);
    let (read, end) = page(&source, &cursor).await;
    let error = end.expect_err("an error");
    assert!(matches!(error, SourceError::Cut { .. }), "{error}");
    assert_eq!((read.papers.len(), error.remedy()), (3, Remedy::Retry(None)));
    let (read, end) = page(&source, &cursor).await;
    assert_eq!((read.papers.len(), end.is_ok()), (6, true));
}

/// A page whose pieces are sent when the test says so, and what says so.
fn dripping(pieces: Vec<String>) -> (FeedServer, mpsc::Sender<()>) {
    let (go, signals) = mpsc::channel::<()>();
    let script = Arc::new((Mutex::new(signals), pieces));
    let server = FeedServer::start(move |_, _| {
        let script = Arc::clone(&script);
        Reply::Streamed(Box::new(move |out| {
            let (signals, pieces) = &*script;
            let signals = signals.lock().expect("the signals");
            for piece in pieces {
                if signals.recv().is_err() || out.write_all(piece.as_bytes()).is_err() {
                    return;
                }
            }
        }))
    });
    (server, go)
}

#[tokio::test]
async fn a_slow_body_is_read_to_its_end() {
    let mut pieces = vec!["<OAI-PMH><ListRecords>".to_owned()];
    pieces.extend((0..6).map(record));
    pieces.push("</ListRecords></OAI-PMH>".to_owned());
    let (server, go) = dripping(pieces);
    let (source, hand) = arxiv_on_still_clock(&server);
    let mut items = read_page(Arc::clone(&source), beginning(&source));
    go.send(()).expect("a server");
    for _ in 0..6 {
        go.send(()).expect("a server");
        items.next().await.expect("a paper");
        hand.advance(Duration::from_secs(50));
    }
    go.send(()).expect("a server");
    assert!(items.next().await.is_none());
    items.finish().await.expect("a page, five minutes later");
}

#[tokio::test]
async fn a_silent_body_ends_with_an_error() {
    let (server, go) = dripping(vec![oai(0..6, ""), String::new()]);
    let (source, hand) = arxiv_on_still_clock(&server);
    go.send(()).expect("a server");
    let cursor = beginning(&source);
    let mut items = read_page(Arc::clone(&source), cursor);
    for _ in 0..6 {
        items.next().await.expect("a paper");
    }
    let rest = async { (items.next().await, items.finish().await) };
    let (item, end) = on_moved_clock(&hand, Duration::from_secs(1), rest).await;
    assert_eq!(item, None);
    let error = end.expect_err("an error");
    assert!(
        matches!(
            error,
            SourceError::TimedOut {
                step: "send more",
                seconds: 60,
                ..
            }
        ),
        "{error}"
    );
    drop(go);
}

#[tokio::test]
async fn html_in_the_place_of_a_page_is_said() {
    let server = FeedServer::start(|_, _| Reply::ok("<!DOCTYPE html><html><title>Maintenance</title></html>"));
    let source = arxiv(&server);
    let error = page(&source, &beginning(&source)).await.1.expect_err("an error");
    assert_eq!(
        error.to_string(),
        "expected an OAI-PMH document, found an HTML page titled \"Maintenance\""
    );
}

#[tokio::test]
async fn packed_answers_are_unpacked_and_bombs_are_stopped() {
    let pack = |body: &[u8]| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(body).expect("packed");
        packer.finish().expect("packed")
    };
    let small = pack(oai(0..6, "").as_bytes());
    let bomb = pack(format!("<OAI-PMH><ListRecords>{}", " ".repeat(8 << 20)).as_bytes());
    let server = FeedServer::start(move |_, before| {
        let body = if before == 0 { small.clone() } else { bomb.clone() };
        Reply::Full(200, vec![("Content-Encoding", "gzip".into())], body)
    });
    let settings = format!("kind = \"arxiv\"\noai_url = \"{}\"", server.url("/oai"));
    let config = HttpConfig {
        max_response_bytes: 1 << 20,
        ..unlimited()
    };
    let source = source_with(&config, &settings, Clock::system());
    let (read, end) = page(&source, &beginning(&source)).await;
    assert_eq!((read.papers.len(), end.is_ok()), (6, true));
    let error = page(&source, &beginning(&source)).await.1.expect_err("an error");
    assert!(matches!(error, SourceError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn redirects_are_few_and_never_to_another_scheme() {
    let server = FeedServer::start(|ask, _| match ask.path.as_str() {
        "/oai" => Reply::status(301, vec![("Location", "/moved?verb=ListRecords".into())]),
        "/moved" => three_pages(ask),
        "/round" => Reply::status(302, vec![("Location", "/round".into())]),
        _ => Reply::status(302, vec![("Location", "file:///etc/passwd".into())]),
    });
    let at = |path: &str| source(&format!("kind = \"arxiv\"\noai_url = \"{}\"", server.url(path)));
    let moved = at("/oai");
    assert_eq!(page(&moved, &beginning(&moved)).await.0.papers.len(), 2);
    for path in ["/round", "/file"] {
        let error = page(&at(path), &beginning(&moved)).await.1.expect_err("an error");
        assert!(matches!(error, SourceError::Redirect { .. }), "{error}");
    }
}

#[tokio::test]
async fn requests_keep_their_distance() {
    let server = FeedServer::start(|_, before| Reply::ok(oai(0..1, &format!("t{before}"))));
    let polite = HttpConfig {
        hosts: vec![HostRule {
            host: "127.0.0.1".into(),
            interval_milliseconds: 30_000,
            connections: 1,
        }],
        ..unlimited()
    };
    let (clock, hand) = still_clock();
    let begun = clock.instant();
    let source = source_with(&polite, &settings(&server), clock.clone());
    let cursor = beginning(&source);
    let pages = join_all((0..4).map(|_| page(&source, &cursor)));
    for (_, end) in on_moved_clock(&hand, Duration::from_millis(500), pages).await {
        end.expect("a page");
    }
    assert!(clock.elapsed(begun) >= Duration::from_secs(90));
    let asked = server.asked();
    assert!(asked.iter().all(|ask| ask.together == 1), "{asked:?}");
    assert_eq!(asked.len(), 4);
}

#[tokio::test]
async fn single_papers_can_be_asked_for() {
    let atom = include_str!("samples/arxiv-atom.xml");
    let server = FeedServer::start(move |_, _| Reply::ok(atom));
    let source = arxiv(&server);
    let ids = vec![Identifier::new(Scheme::Arxiv, "2603.00001").expect("an id")];
    let mut items = look_up(source, ids);
    let mut read = Read::default();
    while let Some(item) = items.next().await {
        read.take(item);
    }
    items.finish().await.expect("an answer");
    assert_eq!((read.ids(), read.quarantined.len()), (vec!["arxiv:2603.00001"], 1));
    assert_eq!(server.asked()[0].get("id_list"), "2603.00001");
}

#[tokio::test]
async fn a_proxy_is_told_the_whole_address() {
    let proxy = FeedServer::start(|ask, _| three_pages(ask));
    let config = HttpConfig {
        proxy: format!("http://me:secret@{}", proxy.address()),
        ..unlimited()
    };
    let settings = "kind = \"arxiv\"\noai_url = \"http://feeds.example/oai\"";
    let source = source_with(&config, settings, Clock::system());
    let (read, end) = page(&source, &beginning(&source)).await;
    end.expect("a page");
    assert_eq!(read.papers.len(), 2);
    let asked = proxy.asked();
    assert_eq!(asked[0].headers["host"], "feeds.example");
    assert!(asked[0].headers["proxy-authorization"].starts_with("Basic "));
}

#[tokio::test]
async fn a_cursor_of_another_kind_is_refused() {
    let server = FeedServer::start(|ask, _| three_pages(ask));
    let source = arxiv(&server);
    let other = Cursor::start(SourceKind::Oai, DateRange::default()).expect("a cursor");
    let error = page(&source, &other).await.1.expect_err("an error");
    assert!(
        matches!(error, SourceError::Cursor(CursorError::OtherKind { .. })),
        "{error}"
    );
    assert!(server.asked().is_empty());
}
